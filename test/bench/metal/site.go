// SPDX-License-Identifier: Apache-2.0

//go:build linux

package metal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/fairlead/fairlead/test/bench/table"
	"github.com/fairlead/fairlead/test/controlplane"
	"github.com/fairlead/fairlead/test/rack"
)

// nodes is how many nodes there are.
const nodes = 3

// site is a rack under measurement.
type site struct {
	*rack.Rack
	out    io.Writer
	audit  auditLog
	status *statusLog
	alone  time.Duration // what creating many Services takes while no controller runs
}

// proxies says whether the nodes' kube-proxies run. The zero value is neither.
type proxies uint8

const (
	// proxiesOff ends them once the rack is up: three of them on a small machine
	// take most of its time after each change of many Services, which on real
	// nodes they take from nobody else.
	proxiesOff proxies = iota + 1
	proxiesOn
)

// build builds a rack.
func build(ctx context.Context, out io.Writer, o Options, p proxies) (*site, error) {
	dir, err := os.MkdirTemp(o.Dir, "site-")
	if err != nil {
		return nil, err
	}
	// The router's daemons and a Pod's server need no more than to pass through.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	audit, err := newAuditLog(dir)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	r, err := rack.Start(ctx, rack.Options{
		Slot: o.slot, Nodes: nodes, Router: rack.FRR, CloudConfig: configWith(stablePool), Programs: o.Programs,
		Dir: dir, LogDir: filepath.Join(dir, "logs"),
		ControlPlane: controlplane.Options{ExtraArgs: audit.flags()},
	})
	if err != nil {
		return nil, fmt.Errorf("%w; logs are in %s", err, dir)
	}
	s := &site{Rack: r, out: out, audit: audit}
	if s.status, err = watchStatus(ctx, r.Kube); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	if p == proxiesOff {
		for _, n := range r.Nodes {
			if err := n.Proxy().Kill(); err != nil {
				return nil, errors.Join(err, s.close())
			}
		}
	}
	_, err = fmt.Fprintf(out, "rack up after %s; logs are in %s\n", table.Seconds(time.Since(begin)), dir)
	return s, err
}

func (b *site) close() error {
	b.status.close()
	return b.Close()
}

// say prints progress.
func (b *site) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.out, format+"\n", args...) // progress that nobody reads is no error
}

// rest is how long nothing may be written for a cluster to be at rest.
const rest = 2 * time.Second

// quiet waits until no Service's part in the cluster is written any more.
func (b *site) quiet(ctx context.Context) error {
	for {
		begin, err := b.audit.size()
		if err != nil {
			return err
		}
		if err := pause(ctx, rest); err != nil {
			return err
		}
		w, err := b.audit.since(begin)
		if err != nil {
			return err
		}
		if w.by(userController)+w.by(userSpeaker) == 0 {
			return nil
		}
	}
}

// present creates Services and waits until their routes are complete.
func (b *site) present(ctx context.Context, services []service) ([]netip.Addr, error) {
	f := follow(b.Routes)
	if err := b.createSlices(ctx, services); err != nil {
		return nil, err
	}
	if err := b.createServices(ctx, services); err != nil {
		return nil, err
	}
	addrs, _, err := b.status.addresses(ctx, services)
	if err != nil {
		return nil, err
	}
	byHops := map[int][]netip.Addr{}
	for i, s := range services {
		hops := nodes
		if s.local() {
			hops = len(s.nodes)
		}
		byHops[hops] = append(byHops[hops], addrs[i])
	}
	for hops, some := range byHops {
		if _, err := f.await(ctx, hops, some...); err != nil {
			return nil, err
		}
	}
	return addrs, b.quiet(ctx)
}

// clear deletes Services and waits until nothing is left of them.
func (b *site) clear(ctx context.Context, services []service, addrs []netip.Addr) error {
	f := follow(b.Routes)
	if err := b.deleteServices(ctx, services); err != nil {
		return err
	}
	if _, err := f.await(ctx, 0, addrs...); err != nil {
		return err
	}
	if err := b.deleteSlices(ctx, services); err != nil {
		return err
	}
	return b.quiet(ctx)
}
