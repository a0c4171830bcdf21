// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// Table merges the decisions of many Services into the routes of each peer. A
// prefix stays while one Service wants it; what several say about it is united:
// all their communities, the highest localPref. It is not safe for concurrent
// use.
type Table struct {
	wants  map[types.NamespacedName][]Path
	routes map[slot][]contribution
	before map[slot]*Route // the slots touched since the last Flush; nil: was empty
}

// slot is a place in the routes: one prefix at one peer.
type slot struct {
	peer   string
	prefix netip.Prefix
}

// contribution is what one Service wants in a slot. Two addresses of a Service
// may want the same one.
type contribution struct {
	service types.NamespacedName
	route   Route
}

// NewTable returns an empty table.
func NewTable() *Table {
	return &Table{wants: map[types.NamespacedName][]Path{}, routes: map[slot][]contribution{}, before: map[slot]*Route{}}
}

// Apply replaces what a Service wants. No paths at all forgets the Service.
func (t *Table) Apply(svc types.NamespacedName, paths []Path) {
	old := t.wants[svc]
	if slices.EqualFunc(old, paths, samePath) {
		return
	}
	for _, p := range slices.Concat(old, paths) {
		s := slotOf(p)
		if _, ok := t.before[s]; !ok {
			t.before[s] = merge(t.routes[s])
		}
	}
	for _, p := range old {
		s := slotOf(p)
		left := slices.DeleteFunc(t.routes[s], func(c contribution) bool { return c.service == svc })
		if len(left) == 0 {
			delete(t.routes, s)
		} else {
			t.routes[s] = left
		}
	}
	for _, p := range paths {
		s := slotOf(p)
		t.routes[s] = append(t.routes[s], contribution{service: svc, route: p.Route})
	}
	if len(paths) == 0 {
		delete(t.wants, svc)
	} else {
		t.wants[svc] = paths
	}
}

// Flush returns what changed at each peer since the last Flush, after all calls
// of Apply in between.
func (t *Table) Flush() map[string]Delta {
	out := map[string]Delta{}
	for s, was := range t.before {
		is := merge(t.routes[s])
		d := out[s.peer]
		switch {
		case is == nil && was == nil, is != nil && was != nil && is.Equal(*was):
			continue
		case is == nil:
			d.Withdraw = append(d.Withdraw, s.prefix)
		default:
			d.Announce = append(d.Announce, *is)
		}
		out[s.peer] = d
	}
	clear(t.before)
	for _, d := range out {
		slices.SortFunc(d.Announce, func(a, b Route) int { return comparePrefix(a.Prefix, b.Prefix) })
		slices.SortFunc(d.Withdraw, comparePrefix)
	}
	return out
}

// Routes returns the routes of a peer, by prefix.
func (t *Table) Routes(peer string) []Route {
	var out []Route
	for s, cs := range t.routes {
		if s.peer == peer {
			out = append(out, *merge(cs))
		}
	}
	slices.SortFunc(out, func(a, b Route) int { return comparePrefix(a.Prefix, b.Prefix) })
	return out
}

// Has reports whether a Service wants routes.
func (t *Table) Has(svc types.NamespacedName) bool {
	_, ok := t.wants[svc]
	return ok
}

// merge unites contributions. None gives nil.
func merge(cs []contribution) *Route {
	if len(cs) == 0 {
		return nil
	}
	r := cs[0].route
	for _, c := range cs[1:] {
		if r.LocalPref == nil || (c.route.LocalPref != nil && *c.route.LocalPref > *r.LocalPref) {
			r.LocalPref = c.route.LocalPref
		}
		if !slices.Equal(r.Communities, c.route.Communities) {
			r.Communities = unite(r.Communities, c.route.Communities)
		}
	}
	return &r
}

func slotOf(p Path) slot { return slot{peer: p.Peer, prefix: p.Route.Prefix} }

func samePath(a, b Path) bool {
	return a.Addr == b.Addr && a.Peer == b.Peer && a.Route.Equal(b.Route)
}
