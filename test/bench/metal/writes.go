// SPDX-License-Identifier: Apache-2.0

//go:build linux

package metal

import (
	"context"
	"net/netip"

	"github.com/fairlead/fairlead/test/bench/table"
)

// writesOfOne counts the writes for one new Service, for one deleted, and for
// one that is created right after another was deleted.
func (b *site) writesOfOne(ctx context.Context, where string) ([]table.Row, error) {
	services := batch("count", 2)
	first, second := services[:1], services[1:]
	var addrs []netip.Addr
	var err error
	if err = b.createSlices(ctx, services); err != nil {
		return nil, err
	}
	created, err := b.count(ctx, func() error {
		addrs, err = b.present0(ctx, first)
		return err
	})
	if err != nil {
		return nil, err
	}
	replaced, err := b.count(ctx, func() error {
		f := follow(b.Routes)
		if err := b.deleteServices(ctx, first); err != nil {
			return err
		}
		if _, err := f.await(ctx, 0, addrs...); err != nil {
			return err
		}
		addrs, err = b.present0(ctx, second)
		return err
	})
	if err != nil {
		return nil, err
	}
	deleted, err := b.count(ctx, func() error { return b.clear(ctx, second, addrs) })
	if err != nil {
		return nil, err
	}
	b.say("writes, %s: a Service created:\n%sone deleted and one created:\n%sone deleted:\n%s", where, created, replaced, deleted)
	rows := []table.Row{
		writesRow("One Service, "+where+": API server writes to create it", float64(created.by(userController)), created.by(userSpeaker)),
		writesRow("One Service, "+where+", created when another was just deleted: its API server writes",
			float64(replaced.by(userController)-deleted.by(userController)), replaced.by(userSpeaker)),
	}
	return rows, b.deleteSlices(ctx, first)
}

// present0 creates Services whose slices are there.
func (b *site) present0(ctx context.Context, services []service) ([]netip.Addr, error) {
	f := follow(b.Routes)
	if err := b.createServices(ctx, services); err != nil {
		return nil, err
	}
	addrs, _, err := b.status.addresses(ctx, services)
	if err != nil {
		return nil, err
	}
	_, err = f.await(ctx, nodes, addrs...)
	return addrs, err
}

// count counts the writes of what do does, until the cluster is at rest again.
func (b *site) count(ctx context.Context, do func() error) (writes, error) {
	if err := b.quiet(ctx); err != nil {
		return nil, err
	}
	begin, err := b.audit.size()
	if err != nil {
		return nil, err
	}
	if err := do(); err != nil {
		return nil, err
	}
	if err := b.quiet(ctx); err != nil {
		return nil, err
	}
	return b.audit.since(begin)
}
