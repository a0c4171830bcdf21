// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
)

// world is a cluster of made-up Services over small pools.
type world struct {
	*testing.T

	rng     *rand.Rand
	pools   []cloudconfig.Pool
	ready   *Pools
	reqs    map[plan.Key]Request
	held    map[plan.Key][]netip.Addr
	edited  map[plan.Key]bool // since it was last served
	journal Journal
	clock   int
}

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	w := &world{
		T: t, rng: rand.New(rand.NewPCG(seed, 1)),
		pools: []cloudconfig.Pool{
			poolOf("a", "192.0.2.0/29", "2001:db8::1-2001:db8::4"),
			with(poolOf("b", "192.0.2.254-192.0.3.3"), avoidBuggy, priority(3)),
			with(poolOf("c", "192.0.4.0/30", "2001:db8:c::/126"), namespaces("team"), across),
			with(poolOf("d", "192.0.5.0/30"), byHand, across),
		},
		reqs: map[plan.Key]Request{}, held: map[plan.Key][]netip.Addr{}, edited: map[plan.Key]bool{},
	}
	w.ready = NewPools(w.pools, Complete)
	return w
}

// change invents what one Service asks for.
func (w *world) change(key plan.Key) Request {
	r := Request{Key: key, Created: born(w.clock), Families: []intent.Family{intent.V4}, Policy: intent.SingleStack}
	if w.rng.IntN(3) == 0 {
		r.Families, r.Policy = []intent.Family{intent.V4, intent.V6}, intent.FamilyPolicy(2+w.rng.IntN(2))
	}
	if w.rng.IntN(4) == 0 {
		blocks := w.pools[w.rng.IntN(len(w.pools))].Blocks
		a := blocks[0].Range.From()
		for range w.rng.IntN(6) { // it may lie outside
			a = a.Next()
		}
		r.Addresses = []netip.Addr{a}
	}
	if w.rng.IntN(4) == 0 {
		r.Pool = []string{"a", "b", "c", "d", "x"}[w.rng.IntN(5)]
	}
	if w.rng.IntN(2) == 0 {
		r.Sharing = shares([]string{"k", "l"}[w.rng.IntN(2)], uint16(80+w.rng.IntN(4)))
	}
	return r
}

// turn makes some changes and one batch of all Services.
func (w *world) turn() {
	w.clock++
	w.journal.Turn()
	touched := map[plan.Key]bool{}
	var leaving []plan.Key
	for range 1 + w.rng.IntN(5) {
		key := plan.Key{Namespace: []string{"default", "team"}[w.rng.IntN(2)], Name: fmt.Sprint(w.rng.IntN(20))}
		if touched[key] {
			continue
		}
		touched[key], w.edited[key] = true, true
		old, there := w.reqs[key]
		if there && w.rng.IntN(2) == 0 {
			leaving = append(leaving, key)
			delete(w.reqs, key)
			continue
		}
		r := w.change(key)
		if there {
			r.Created = old.Created
		}
		w.reqs[key] = r
	}
	if w.rng.IntN(10) == 0 {
		w.journal = Journal{} // the controller was restarted
	}
	w.batch(leaving)
}

func (w *world) state() State {
	s := State{Pools: w.ready, History: w.journal.History()}
	for key, addrs := range w.held {
		h := Holder{Key: key, Addresses: addrs, Created: w.reqs[key].Created, Sharing: w.reqs[key].Sharing}
		s.Holders = append(s.Holders, h) // in random order
	}
	return s
}

func (w *world) requests() []Request {
	var out []Request
	for _, r := range w.reqs {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Request) int {
		x, y := Holder{Key: a.Key, Created: a.Created}, Holder{Key: b.Key, Created: b.Created}
		return x.older(&y)
	})
	return out
}

func (w *world) batch(leaving []plan.Key) {
	w.Helper()
	s, reqs := w.state(), w.requests()
	answers := Allocate(s, leaving, reqs)
	again := Allocate(w.state(), leaving, reqs)
	for i := range answers {
		if x, y := answerText(answers[i]), answerText(again[i]); x != y {
			w.Fatalf("not the same twice:\n%s\n%s", x, y)
		}
	}
	for _, key := range leaving {
		for _, a := range w.held[key] {
			w.journal.Freed(a)
		}
		delete(w.held, key)
	}
	for i, r := range reqs {
		w.check(r, answers[i])
		if answers[i].Err != nil {
			continue
		}
		for _, a := range answers[i].Released {
			w.journal.Freed(a)
		}
		w.held[r.Key] = answers[i].Addresses
		delete(w.edited, r.Key)
	}
	w.checkAll(reqs, answers)
}

// check compares one answer with what was held before.
func (w *world) check(r Request, a Answer) {
	w.Helper()
	before := w.held[r.Key]
	if a.Err != nil {
		return
	}
	pools := w.ready
	for _, b := range before {
		kept := slices.Contains(a.Addresses, b)
		if !w.edited[r.Key] && !kept && pools.of(b) >= 0 {
			w.Fatalf("%s lost %s without its user's doing: %+v", r.Key, b, a)
		}
	}
	for _, b := range a.Addresses {
		if pools.of(b) < 0 {
			w.Fatalf("%s got %s, which is in no pool", r.Key, b)
		}
		if len(r.Addresses) == 1 && intent.FamilyOf(b) == intent.FamilyOf(r.Addresses[0]) && b != r.Addresses[0] {
			w.Fatalf("%s got %s but asked for %s", r.Key, b, r.Addresses[0])
		}
		if r.Pool != "" && pools.Of(b) != r.Pool {
			w.Fatalf("%s got %s but asked for pool %s", r.Key, b, r.Pool)
		}
	}
	if r.Policy == intent.RequireDualStack && len(a.Addresses) != 2 {
		w.Fatalf("%s has %v but requires both families", r.Key, a.Addresses)
	}
}

// checkAll: whoever was given an address may share it with all that have it,
// and those served are together by right.
func (w *world) checkAll(reqs []Request, answers []Answer) {
	w.Helper()
	served := map[plan.Key]bool{}
	for i, r := range reqs {
		served[r.Key] = answers[i].Err == nil
	}
	for i, r := range reqs {
		for _, addr := range answers[i].Addresses {
			for key, other := range w.held {
				if key == r.Key || !slices.Contains(other, addr) {
					continue
				}
				me := Holder{Key: r.Key, Sharing: r.Sharing}
				they := Holder{Key: key, Sharing: w.reqs[key].Sharing}
				broken := w.ready.breaks(&me, &they, addr)
				if broken == ruleNone {
					continue
				}
				if served[key] || slices.Contains(answers[i].Added, addr) {
					w.Fatalf("%s and %s both have %s against rule %d", r.Key, key, addr, broken)
				}
			}
		}
	}
}

func TestAddressesStayAndAreNeverGivenTwice(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, seed)
			for range 150 {
				w.turn()
			}
			for range 5 {
				w.batch(nil) // those that wait take what was freed last
			}
			// A restart loses the history, and changes nothing.
			w.journal = Journal{}
			before := maps.Clone(w.held)
			w.batch(nil)
			if diff := cmp.Diff(before, w.held, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("a restart changed addresses (-before +after):\n%s", diff)
			}
		})
	}
}

// TestChoosesAsAPlainScanDoes compares with the simplest way to choose.
func TestChoosesAsAPlainScanDoes(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 2))
		pool := poolOf("p", "192.0.2.0/28", "192.0.2.20-192.0.2.25")
		if seed%2 == 0 {
			pool = with(pool, avoidBuggy)
		}
		s := stateOf(nil, pool)
		s.History = History{}
		used := map[netip.Addr]bool{}
		for a := addrsOf("192.0.2.0")[0]; a.Less(addrsOf("192.0.2.30")[0]); a = a.Next() {
			switch rng.IntN(4) {
			case 0:
				used[a] = true
				s.Holders = append(s.Holders, Holder{Key: keyFor(a.String()), Addresses: []netip.Addr{a}})
			case 1:
				s.History[a] = rng.Uint64N(4)
			}
		}
		var reqs []Request
		for i := range 12 {
			reqs = append(reqs, ask(fmt.Sprint("new-", i)))
		}
		for i, got := range Allocate(s, nil, reqs) {
			want, ok := scan(s, used)
			if ok != (got.Err == nil) || (ok && got.Addresses[0] != want) {
				t.Fatalf("seed %d, request %d: got %s, want %s %v", seed, i, answerText(got), want, ok)
			}
			used[want] = true
		}
	}
}

// scan looks at every address of the only pool.
func scan(s State, used map[netip.Addr]bool) (best netip.Addr, ok bool) {
	p := &s.Pools.list[0]
	at := func(a netip.Addr) int {
		if turn, before := s.History[a]; before {
			return int(turn) + 1
		}
		return 0
	}
	for _, r := range p.v4 {
		for a := r.From(); r.Contains(a); a = a.Next() {
			if !used[a] && p.chosen(a) && (!ok || at(a) < at(best)) {
				best, ok = a, true
			}
		}
	}
	return best, ok
}

func FuzzAllocate(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(seed, uint8(20))
	}
	f.Fuzz(func(t *testing.T, seed uint64, turns uint8) {
		w := newWorld(t, seed)
		for range turns {
			w.turn()
		}
	})
}
