// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rack

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestMarkIsBehindAllThatATableShows(t *testing.T) {
	needRoot(t)
	table := watchedTable(t)
	prefix := netip.MustParsePrefix("198.51.100.1/32")
	route := &netlink.Route{
		Dst: &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(32, 32)},
		Gw:  net.IPv4(10, 0, 0, 2), Protocol: unix.RTPROT_BGP,
	}
	for range 200 {
		must(t, table.handle.RouteAdd(route))
		mark, err := table.Now()
		must(t, err)
		if changes, err := table.Since(mark); err != nil || len(changes) > 0 {
			t.Fatalf("a change that the table showed before the mark came after it: %v, %v", changes, err)
		}
		must(t, table.handle.RouteDel(route))
		changes, err := table.Since(mark)
		must(t, err)
		if len(changes) != 1 || changes[0].Prefix != prefix || len(changes[0].NextHops) > 0 {
			t.Fatalf("%v changed since the mark, want %s deleted", changes, prefix)
		}
	}
}

// watchedTable is that of a namespace with one network, 10.0.0.0/24.
func watchedTable(t *testing.T) *RouteTable {
	t.Helper()
	const ns = "rack-routes"
	must(t, addNamespace(t.Context(), ns))
	t.Cleanup(func() {
		if err := run(context.Background(), nil, "ip", "netns", "del", ns); err != nil {
			t.Error(err)
		}
	})
	must(t, ip(t.Context(), ns, "link add nodes type bridge", "addr add 10.0.0.1/24 dev nodes", "link set nodes up"))
	table, err := watchRoutes(ns)
	must(t, err)
	t.Cleanup(func() {
		if err := table.Close(); err != nil {
			t.Error(err)
		}
	})
	return table
}
