// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// monitorBuffer holds the messages of some ten thousand changes of routes.
const monitorBuffer = 32 << 20

// fenceTable is a table that nobody looks up, for RouteTable.fence.
const fenceTable = 4711

// RouteChange is one change in the router's own table.
type RouteChange struct {
	// At is when it was read from the kernel.
	At time.Time
	// Prefix is what the route leads to.
	Prefix netip.Prefix
	// NextHops are those of the new route, sorted; none when it was deleted.
	NextHops []netip.Addr
}

// String is the change in the words of `ip monitor route`.
func (c RouteChange) String() string {
	at := c.At.Format("15:04:05.000")
	if len(c.NextHops) == 0 {
		return fmt.Sprintf("%s deleted %s", at, c.Prefix)
	}
	return fmt.Sprintf("%s %s via %s", at, c.Prefix, joinAddrs(c.NextHops))
}

// RouteTable follows the routes of the router's kernel. It may be used by
// several goroutines at once.
type RouteTable struct {
	handle *netlink.Handle
	space  netns.NsHandle
	quit   chan struct{}
	ended  chan struct{}

	fencing sync.Mutex // one fence at a time: they share a route
	mu      sync.Mutex
	changes []RouteChange
	fences  int // how many changes in fenceTable were noted
	lost    error
	wake    chan struct{} // closed and made anew with each change
}

// watchRoutes follows the table of a namespace until Close.
func watchRoutes(ns string) (*RouteTable, error) {
	space, err := netns.GetFromName(ns)
	if err != nil {
		return nil, fmt.Errorf("namespace %s: %w", ns, err)
	}
	t := &RouteTable{space: space, quit: make(chan struct{}), ended: make(chan struct{}), wake: make(chan struct{})}
	if t.handle, err = netlink.NewHandleAt(space, unix.NETLINK_ROUTE); err != nil {
		return nil, errors.Join(err, space.Close())
	}
	updates := make(chan netlink.RouteUpdate, 1024)
	err = netlink.RouteSubscribeWithOptions(updates, t.quit, netlink.RouteSubscribeOptions{
		Namespace:         &space,
		ReceiveBufferSize: monitorBuffer, ReceiveBufferForceSize: true,
		ErrorCallback: t.fail,
	})
	if err != nil {
		t.handle.Close()
		return nil, errors.Join(fmt.Errorf("follow the routes of %s: %w", ns, err), space.Close())
	}
	go func() {
		defer close(t.ended)
		for u := range updates {
			t.note(u)
		}
	}()
	return t, nil
}

// Close ends the following.
func (t *RouteTable) Close() error {
	close(t.quit)
	<-t.ended
	t.handle.Close()
	return t.space.Close()
}

// fail keeps the first error of the following: from then on a change may have
// been missed.
func (t *RouteTable) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-t.quit:
		return // the socket was closed
	default:
	}
	if t.lost == nil {
		t.lost = fmt.Errorf("follow routes: %w", err)
		close(t.wake)
		t.wake = make(chan struct{})
	}
}

func (t *RouteTable) note(u netlink.RouteUpdate) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case u.Table == fenceTable:
		t.fences++
	case counted(&u.Route):
		c := RouteChange{At: time.Now(), Prefix: prefixOf(&u.Route)}
		if u.Type == unix.RTM_NEWROUTE {
			c.NextHops = nextHops(&u.Route)
		}
		t.changes = append(t.changes, c)
	default:
		return
	}
	close(t.wake)
	t.wake = make(chan struct{})
}

// fence waits until all that the kernel has changed so far is noted. A read of the
// table shows a change before the message of it is read; messages come in their
// order, so that of a change of our own is behind all others.
func (t *RouteTable) fence() error {
	route := &netlink.Route{
		Table: fenceTable, Type: unix.RTN_BLACKHOLE, Protocol: unix.RTPROT_STATIC,
		Dst: &net.IPNet{IP: net.IPv4(192, 0, 2, 1), Mask: net.CIDRMask(32, 32)},
	}
	t.fencing.Lock()
	defer t.fencing.Unlock()
	t.mu.Lock()
	want := t.fences + 2
	t.mu.Unlock()
	if err := t.handle.RouteAdd(route); err != nil {
		return fmt.Errorf("add a route to table %d: %w", fenceTable, err)
	}
	if err := t.handle.RouteDel(route); err != nil {
		return fmt.Errorf("delete the route of table %d: %w", fenceTable, err)
	}
	for {
		t.mu.Lock()
		wake, lost, fences := t.wake, t.lost, t.fences
		t.mu.Unlock()
		if lost != nil || fences >= want {
			return lost
		}
		select {
		case <-wake:
		case <-t.ended:
			t.mu.Lock()
			defer t.mu.Unlock()
			return cmp.Or(t.lost, errors.New("the following of routes has ended"))
		}
	}
}

// counted tells whether a route is one that leads over next hops, to other than
// everything: what the routing daemon learned.
func counted(r *netlink.Route) bool {
	return r.Table == unix.RT_TABLE_MAIN && r.Dst != nil && len(nextHops(r)) > 0 && r.Protocol != unix.RTPROT_BOOT
}

func prefixOf(r *netlink.Route) netip.Prefix {
	addr, ok := netip.AddrFromSlice(r.Dst.IP)
	if !ok {
		return netip.Prefix{}
	}
	ones, bits := r.Dst.Mask.Size()
	if bits == 32 {
		addr = addr.Unmap()
	}
	return netip.PrefixFrom(addr, ones)
}

// nextHops are the gateways of a route, sorted.
func nextHops(r *netlink.Route) []netip.Addr {
	var hops []netip.Addr
	add := func(gateway net.IP) {
		if a, ok := netip.AddrFromSlice(gateway); ok {
			hops = append(hops, a.Unmap())
		}
	}
	add(r.Gw)
	for _, h := range r.MultiPath {
		add(h.Gw)
	}
	slices.SortFunc(hops, netip.Addr.Compare)
	return slices.Compact(hops)
}

// Mark is a point in the history of a table.
type Mark int

// Now is the point after all changes so far. The error says that the kernel
// dropped some.
func (t *RouteTable) Now() (Mark, error) {
	err := t.fence()
	t.mu.Lock()
	defer t.mu.Unlock()
	return Mark(len(t.changes)), err
}

// Since returns the changes from a point to now, in order. The error says that the
// kernel dropped some.
func (t *RouteTable) Since(m Mark) ([]RouteChange, error) {
	err := t.fence()
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.changes[m:]), err
}

// Snapshot reads the table: next hops, sorted, by prefix.
func (t *RouteTable) Snapshot() (map[netip.Prefix][]netip.Addr, error) {
	table := map[netip.Prefix][]netip.Addr{}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := t.handle.RouteList(nil, family)
		if err != nil {
			return nil, fmt.Errorf("read the router's table: %w", err)
		}
		for i := range routes {
			if r := &routes[i]; counted(r) {
				table[prefixOf(r)] = append(table[prefixOf(r)], nextHops(r)...)
			}
		}
	}
	for _, hops := range table {
		slices.SortFunc(hops, netip.Addr.Compare)
	}
	return table, nil
}

// NextHops reads those of one address, sorted; none when there is no route.
func (t *RouteTable) NextHops(addr netip.Addr) ([]netip.Addr, error) {
	table, err := t.Snapshot()
	return table[netip.PrefixFrom(addr, addr.BitLen())], err
}

// Await waits until ok accepts the table.
func (t *RouteTable) Await(ctx context.Context, ok func(map[netip.Prefix][]netip.Addr) bool) error {
	for {
		t.mu.Lock()
		wake, lost := t.wake, t.lost
		t.mu.Unlock()
		table, err := t.Snapshot()
		if err != nil || lost != nil {
			return errors.Join(err, lost)
		}
		if ok(table) {
			return nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return fmt.Errorf("the router's table is %s: %w", format(table), context.Cause(ctx))
		}
	}
}

// AwaitNextHops waits until the route to an address has exactly these next
// hops; none means no route.
func (t *RouteTable) AwaitNextHops(ctx context.Context, addr netip.Addr, want ...netip.Addr) error {
	want = slices.SortedFunc(slices.Values(want), netip.Addr.Compare)
	err := t.Await(ctx, func(table map[netip.Prefix][]netip.Addr) bool {
		return slices.Equal(table[netip.PrefixFrom(addr, addr.BitLen())], want)
	})
	if err != nil {
		return fmt.Errorf("wait for %s via [%s]: %w", addr, joinAddrs(want), err)
	}
	return nil
}

func format(table map[netip.Prefix][]netip.Addr) string {
	if len(table) == 0 {
		return "empty"
	}
	var lines []string
	for prefix, hops := range table {
		lines = append(lines, fmt.Sprintf("%s via [%s]", prefix, joinAddrs(hops)))
	}
	slices.Sort(lines)
	return strings.Join(lines, ", ")
}

func joinAddrs(addrs []netip.Addr) string {
	words := make([]string, len(addrs))
	for i, a := range addrs {
		words[i] = a.String()
	}
	return strings.Join(words, " ")
}
