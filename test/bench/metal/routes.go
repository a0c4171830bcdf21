// SPDX-License-Identifier: Apache-2.0

//go:build linux

package metal

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/fairlead/fairlead/test/rack"
)

// follower plays the changes of the router's kernel since a point in time.
type follower struct {
	table *rack.RouteTable
	next  rack.Mark
	err   error // of the beginning; read tells it
	hops  map[netip.Prefix]hopChange
}

// hopChange is how many next hops a route has, and since when.
type hopChange struct {
	count int
	at    time.Time
}

// follow begins now.
func follow(t *rack.RouteTable) *follower {
	next, err := t.Now()
	return &follower{table: t, next: next, err: err, hops: map[netip.Prefix]hopChange{}}
}

// read plays what came since the last time, and returns how much that was.
func (f *follower) read() (int, error) {
	changes, err := f.table.Since(f.next)
	if err = cmp.Or(f.err, err); err != nil {
		return 0, err
	}
	for _, c := range changes {
		// A route that is told again in the same words has not changed.
		if last, ok := f.hops[c.Prefix]; !ok || last.count != len(c.NextHops) {
			f.hops[c.Prefix] = hopChange{count: len(c.NextHops), at: c.At}
		}
	}
	f.next += rack.Mark(len(changes))
	return len(changes), nil
}

// await waits until the routes to all addresses have so many next hops, and
// returns when the last got them. Since follow, each must have changed.
func (f *follower) await(ctx context.Context, hops int, addrs ...netip.Addr) (time.Time, error) {
	var last time.Time
	err := wait(ctx, func() error {
		if _, err := f.read(); err != nil {
			return err
		}
		missing := 0
		last = time.Time{}
		for _, a := range addrs {
			h, ok := f.hops[netip.PrefixFrom(a, a.BitLen())]
			if !ok || h.count != hops {
				missing++
				continue
			}
			if h.at.After(last) {
				last = h.at
			}
		}
		if missing > 0 {
			return fmt.Errorf("%d of %d routes do not have %d next hops", missing, len(addrs), hops)
		}
		return nil
	})
	return last, err
}
