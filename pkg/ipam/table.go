// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"cmp"
	"net/netip"
	"slices"

	"go4.org/netipx"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
)

// table is who holds what while requests are answered.
type table struct {
	pools   *Pools
	history History
	holders []Holder
	byKey   map[plan.Key]int
	users   map[netip.Addr][]int    // holders of each address
	joined  map[string][]netip.Addr // addresses held with each sharing key
	freed   map[netip.Addr]struct{} // freed since the table was made
	queues  map[source]*queue
	version int // counts changes of who holds what
	full    map[source]occupancy
}

// source is where an address is looked for: one family of one pool.
type source struct {
	pool   int
	family intent.Family
}

func newTable(s State) *table {
	t := &table{
		pools:   s.Pools,
		history: s.History,
		holders: slices.Clone(s.Holders),
		byKey:   make(map[plan.Key]int, len(s.Holders)),
		users:   make(map[netip.Addr][]int, len(s.Holders)),
		joined:  map[string][]netip.Addr{},
		freed:   map[netip.Addr]struct{}{},
		queues:  map[source]*queue{},
		full:    map[source]occupancy{},
	}
	for i := range t.holders {
		h := &t.holders[i]
		t.byKey[h.Key] = i
		for _, a := range h.Addresses {
			t.use(i, a)
		}
		for _, a := range h.Shown {
			t.use(i, a)
		}
	}
	return t
}

// holder is the place of the Service among the holders, made if need be.
func (t *table) holder(r *Request) int {
	i, ok := t.byKey[r.Key]
	if !ok {
		i = len(t.holders)
		t.byKey[r.Key] = i
		t.holders = append(t.holders, Holder{Key: r.Key, Created: r.Created})
	}
	return i
}

// use notes that holder i has the address.
func (t *table) use(i int, a netip.Addr) {
	if slices.Contains(t.users[a], i) {
		return
	}
	t.version++
	t.users[a] = append(t.users[a], i)
	if key := t.holders[i].Sharing.Key; key != "" && !slices.Contains(t.joined[key], a) {
		t.joined[key] = append(t.joined[key], a)
	}
}

// free notes that holder i has the address no more.
func (t *table) free(i int, a netip.Addr) {
	left := slices.DeleteFunc(slices.Clone(t.users[a]), func(u int) bool { return u == i })
	t.version++
	if len(left) > 0 {
		t.users[a] = left
		return
	}
	delete(t.users, a)
	t.freed[a] = struct{}{}
	if p := t.pools.of(a); p >= 0 {
		if q := t.queues[source{p, intent.FamilyOf(a)}]; q != nil {
			q.used = append(q.used, a)
		}
	}
}

// leave frees all that a Service holds.
func (t *table) leave(key plan.Key) {
	i, ok := t.byKey[key]
	if !ok {
		return
	}
	h := &t.holders[i]
	for _, a := range slices.Concat(h.Addresses, h.Shown) {
		if slices.Contains(t.users[a], i) {
			t.free(i, a)
		}
	}
	h.Addresses, h.Shown = nil, nil
}

// set makes the addresses those of holder i, and returns what that changed.
// What is released stays in use as long as the status of the Service shows it.
func (t *table) set(i int, addrs []netip.Addr) (added, released []netip.Addr) {
	before := t.holders[i].Addresses
	for _, a := range addrs {
		if !slices.Contains(before, a) {
			added = append(added, a)
		}
		t.use(i, a)
	}
	for _, a := range before {
		if !slices.Contains(addrs, a) {
			released = append(released, a)
			if !slices.Contains(t.holders[i].Shown, a) {
				t.free(i, a)
			}
		}
	}
	t.holders[i].Addresses = slices.Clone(addrs)
	return added, released
}

// taken is the first user of the address that holder i may not share it with,
// and the rule in the way.
func (t *table) taken(i int, a netip.Addr) (*Holder, rule) {
	var blocker *Holder
	var why rule
	for _, u := range t.users[a] {
		if u == i {
			continue
		}
		h := &t.holders[u]
		r := t.pools.breaks(&t.holders[i], h, a)
		if r != ruleNone && (blocker == nil || h.older(blocker) < 0) {
			blocker, why = h, r
		}
	}
	return blocker, why
}

// contest finds out who of the users of an address is there by right: taken by
// age, each that may share it with those before. It returns the user that
// keeps holder i from being one, and otherwise those that i keeps out.
func (t *table) contest(i int, a netip.Addr) (blocker *Holder, why rule, out []plan.Key) {
	if len(t.users[a]) < 2 {
		return nil, ruleNone, nil
	}
	var rightful []int
	mine := false
	for _, u := range t.byAge(a) {
		at := slices.IndexFunc(rightful, func(o int) bool {
			return t.pools.breaks(&t.holders[u], &t.holders[o], a) != ruleNone
		})
		if at < 0 {
			rightful = append(rightful, u)
			mine = mine || u == i
			continue
		}
		owner := &t.holders[rightful[at]]
		if u == i {
			return owner, t.pools.breaks(&t.holders[u], owner, a), nil
		}
		if mine && t.pools.breaks(&t.holders[u], &t.holders[i], a) != ruleNone {
			out = append(out, t.holders[u].Key)
		}
	}
	return nil, ruleNone, out
}

// byAge are the users of the address, the oldest first.
func (t *table) byAge(a netip.Addr) []int {
	users := slices.Clone(t.users[a])
	slices.SortFunc(users, func(x, y int) int { return t.holders[x].older(&t.holders[y]) })
	return users
}

// pick chooses an address of the source for holder i, without taking it yet:
// one that it may share, else the lowest never used, else the one freed
// longest ago.
func (t *table) pick(i int, s source) (netip.Addr, bool) {
	if a, ok := t.join(i, s); ok {
		return a, true
	}
	q := t.queues[s]
	if q == nil {
		q = &queue{ranges: t.pools.list[s.pool].ranges(s.family)}
		t.queues[s] = q
	}
	if a, ok := t.unused(s.pool, q); ok {
		return a, true
	}
	return t.longestFree(s, q)
}

// join is the lowest address of the source that holder i may share.
func (t *table) join(i int, s source) (netip.Addr, bool) {
	key := t.holders[i].Sharing.Key
	if key == "" {
		return netip.Addr{}, false
	}
	var best netip.Addr
	for _, a := range t.joined[key] {
		if len(t.users[a]) == 0 || intent.FamilyOf(a) != s.family || t.pools.of(a) != s.pool {
			continue
		}
		if best.IsValid() && best.Less(a) {
			continue
		}
		if blocker, _ := t.taken(i, a); blocker == nil {
			best = a
		}
	}
	return best, best.IsValid()
}

// queue is the order in which the addresses of a source are chosen. What it
// has passed it never has to look at again, so that a batch costs one walk.
type queue struct {
	ranges []netipx.IPRange // what is left of the addresses never used
	next   netip.Addr       // in the first range; zero: its start
	sorted bool
	used   []netip.Addr // free addresses used before, the longest free first
}

// unused is the lowest address never used. The queue stays at it until it is.
func (t *table) unused(pool int, q *queue) (netip.Addr, bool) {
	p := &t.pools.list[pool]
	for len(q.ranges) > 0 {
		r := q.ranges[0]
		if !q.next.IsValid() {
			q.next = r.From()
		}
		for a := q.next; r.Contains(a); a = a.Next() {
			if t.virgin(a) && p.chosen(a) {
				q.next = a
				return a, true
			}
		}
		q.ranges, q.next = q.ranges[1:], netip.Addr{}
	}
	return netip.Addr{}, false
}

// virgin reports whether nobody ever had the address, as far as is known.
func (t *table) virgin(a netip.Addr) bool {
	if len(t.users[a]) > 0 {
		return false
	}
	if _, before := t.history[a]; before {
		return false
	}
	_, now := t.freed[a]
	return !now
}

// longestFree is the free address that was freed longest ago, the lowest of
// those freed together.
func (t *table) longestFree(s source, q *queue) (netip.Addr, bool) {
	p := &t.pools.list[s.pool]
	if !q.sorted {
		q.sorted = true
		q.used = t.usedBefore(s)
	}
	for len(q.used) > 0 {
		if a := q.used[0]; len(t.users[a]) == 0 && p.chosen(a) {
			return a, true
		}
		q.used = q.used[1:]
	}
	return netip.Addr{}, false
}

// usedBefore are the free addresses of the source that were used before.
func (t *table) usedBefore(s source) []netip.Addr {
	var out []netip.Addr
	mine := func(a netip.Addr) bool {
		return len(t.users[a]) == 0 && intent.FamilyOf(a) == s.family && t.pools.of(a) == s.pool
	}
	for a := range t.history {
		if _, again := t.freed[a]; !again && mine(a) {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b netip.Addr) int {
		return cmp.Or(cmp.Compare(t.history[a], t.history[b]), a.Compare(b))
	})
	var now []netip.Addr
	for a := range t.freed {
		if mine(a) {
			now = append(now, a)
		}
	}
	slices.SortFunc(now, netip.Addr.Compare)
	return append(out, now...)
}
