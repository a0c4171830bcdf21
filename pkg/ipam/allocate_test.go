// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"testing"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
)

// story is one batch and what is to come of it.
type story struct {
	name    string
	pools   []cloudconfig.Pool
	partial bool
	held    []Holder
	history History
	leaving []plan.Key
	asks    []Request
	want    []string
}

func (s *story) run(t *testing.T) {
	t.Helper()
	st := stateOf(s.held, s.pools...)
	if s.partial {
		st.Pools = NewPools(s.pools, Partial)
	}
	st.History = s.history
	wantAnswers(t, Allocate(st, s.leaving, s.asks), s.want...)
}

func runStories(t *testing.T, stories []story) {
	t.Helper()
	for i := range stories {
		t.Run(stories[i].name, stories[i].run)
	}
}

func historyOf(texts ...string) History {
	h := History{}
	for i, a := range addrsOf(texts...) {
		h[a] = uint64(i)
	}
	return h
}

func TestChoosesAnAddress(t *testing.T) {
	v6 := intent.V6
	runStories(t, []story{
		{
			name:  "the lowest of a range, its ends too",
			pools: []cloudconfig.Pool{poolOf("p", "1.2.3.4-1.2.3.8")},
			asks:  []Request{ask("a"), ask("b")},
			want:  []string{"1.2.3.4@p", "1.2.3.5@p"},
		},
		{
			name:  "neither network nor broadcast address of a prefix",
			pools: []cloudconfig.Pool{poolOf("p", "192.0.2.0/30")},
			asks:  []Request{ask("a"), ask("b"), ask("c", forAddrs("192.0.2.0")), ask("d", forAddrs("192.0.2.3"))},
			want:  []string{"192.0.2.1@p", "192.0.2.2@p", "192.0.2.0@p", "192.0.2.3@p"},
		},
		{
			name:  "both of a /31 and the one of a /32",
			pools: []cloudconfig.Pool{poolOf("p", "192.0.2.0/31", "192.0.2.9/32")},
			asks:  []Request{ask("a"), ask("b"), ask("c")},
			want:  []string{"192.0.2.0@p", "192.0.2.1@p", "192.0.2.9@p"},
		},
		{
			name:  "the first of an IPv6 prefix",
			pools: []cloudconfig.Pool{poolOf("p", "2001:db8::/64")},
			asks:  []Request{ask("a", families(intent.SingleStack, v6)), ask("b", families(intent.SingleStack, v6))},
			want:  []string{"2001:db8::@p", "2001:db8::1@p"},
		},
		{
			name:  "none that ends in .0 or .255 where these are avoided",
			pools: []cloudconfig.Pool{with(poolOf("p", "192.0.1.254-192.0.2.1"), avoidBuggy)},
			asks:  []Request{ask("a"), ask("b")},
			want:  []string{"192.0.1.254@p", "192.0.2.1@p"},
		},
		{
			name:  "the lowest block whatever the order in the file",
			pools: []cloudconfig.Pool{poolOf("p", "192.0.2.9-192.0.2.9", "192.0.2.1-192.0.2.1")},
			asks:  []Request{ask("a"), ask("b")},
			want:  []string{"192.0.2.1@p", "192.0.2.9@p"},
		},
		{
			name:    "one never used before those freed, then the one freed longest ago",
			pools:   []cloudconfig.Pool{poolOf("p", "192.0.2.1-192.0.2.4")},
			history: historyOf("192.0.2.3", "192.0.2.1"),
			held:    []Holder{holds("x", 1, Sharing{}, "192.0.2.2")},
			asks:    []Request{ask("a"), ask("b"), ask("c")},
			want:    []string{"192.0.2.4@p", "192.0.2.3@p", "192.0.2.1@p"},
		},
		{
			name:    "one freed in this batch last of all",
			pools:   []cloudconfig.Pool{poolOf("p", "192.0.2.1-192.0.2.3")},
			history: historyOf("192.0.2.3"),
			held:    []Holder{holds("x", 1, Sharing{}, "192.0.2.1")},
			leaving: []plan.Key{keyFor("x")},
			asks:    []Request{ask("a"), ask("b"), ask("c")},
			want:    []string{"192.0.2.2@p", "192.0.2.3@p", "192.0.2.1@p"},
		},
		{
			name:    "one that moved away in this batch",
			pools:   []cloudconfig.Pool{poolOf("p", "192.0.2.1-192.0.2.2")},
			held:    []Holder{holds("x", 1, Sharing{}, "192.0.2.1")},
			asks:    []Request{ask("x", forAddrs("192.0.2.2")), ask("a")},
			history: historyOf("192.0.2.1", "192.0.2.2"),
			want:    []string{"192.0.2.2@p", "192.0.2.1@p"},
		},
		{
			name:  "in any Service's status reserved",
			pools: []cloudconfig.Pool{poolOf("p", "192.0.2.1-192.0.2.3")},
			held:  []Holder{holds("x", 9, Sharing{}, "192.0.2.1"), holds("y", 9, Sharing{}, "192.0.2.2")},
			asks:  []Request{ask("a")},
			want:  []string{"192.0.2.3@p"},
		},
	})
}

func TestChoosesAPool(t *testing.T) {
	shop := labels.Set{"app": "shop"}
	runStories(t, []story{
		{
			name:  "in file order",
			pools: []cloudconfig.Pool{poolOf("z", "192.0.2.1-192.0.2.1"), poolOf("a", "192.0.2.2-192.0.2.2")},
			asks:  []Request{ask("a"), ask("b")},
			want:  []string{"192.0.2.1@z", "192.0.2.2@a"},
		},
		{
			name: "by priority, none last",
			pools: []cloudconfig.Pool{
				poolOf("none", "192.0.2.1-192.0.2.1"),
				with(poolOf("two", "192.0.2.2-192.0.2.2"), priority(2)),
				with(poolOf("one", "192.0.2.3-192.0.2.3"), priority(1)),
			},
			asks: []Request{ask("a"), ask("b"), ask("c")},
			want: []string{"192.0.2.3@one", "192.0.2.2@two", "192.0.2.1@none"},
		},
		{
			name: "limited to such Services before those open to all",
			pools: []cloudconfig.Pool{
				with(poolOf("open", "192.0.2.1-192.0.2.1"), priority(1)),
				with(poolOf("ours", "192.0.2.2-192.0.2.2"), namespaces("default")),
				with(poolOf("theirs", "192.0.2.3-192.0.2.3"), namespaces("other")),
			},
			asks: []Request{ask("a"), ask("b")},
			want: []string{"192.0.2.2@ours", "192.0.2.1@open"},
		},
		{
			name: "by labels of the Service",
			pools: []cloudconfig.Pool{
				poolOf("open", "192.0.2.1-192.0.2.1"),
				with(poolOf("shop", "192.0.2.2-192.0.2.2"), serviceLabels(shop)),
			},
			asks: []Request{ask("a", withLabels(shop)), ask("b")},
			want: []string{"192.0.2.2@shop", "192.0.2.1@open"},
		},
		{
			name: "by name or labels of the namespace, and by labels of the Service",
			pools: []cloudconfig.Pool{
				with(poolOf("p", "192.0.2.1-192.0.2.9"), namespaces("other"), namespaceLabels(labels.Set{"team": "x"}), serviceLabels(shop)),
			},
			asks: []Request{
				ask("other/a", withLabels(shop)),
				ask("b", withLabels(shop), func(r *Request) { r.NamespaceLabels = labels.Set{"team": "x"} }),
				ask("other/c"),
			},
			want: []string{
				"192.0.2.1@p", "192.0.2.2@p",
				"NoPool: no pool serves this Service unasked: pool p is for Services with other labels; ask for a pool with annotation fairlead.dev/address-pool, or add a pool",
			},
		},
		{
			name:  "that must be asked for only when it is",
			pools: []cloudconfig.Pool{with(poolOf("p", "192.0.2.1-192.0.2.9"), byHand), poolOf("q", "192.0.3.1-192.0.3.9")},
			asks:  []Request{ask("a"), ask("b", forPool("p")), ask("c", forAddrs("192.0.2.7"))},
			want:  []string{"192.0.3.1@q", "192.0.2.1@p", "192.0.2.7@p"},
		},
	})
}

func TestKeepsWhatIsHeld(t *testing.T) {
	held := []Holder{holds("a", 1, Sharing{}, "192.0.2.7")}
	runStories(t, []story{
		{
			name: "when the pool must be asked for now, has another priority, serves others or avoids the address",
			pools: []cloudconfig.Pool{
				poolOf("better", "192.0.3.1-192.0.3.9"),
				with(poolOf("p", "192.0.2.7-192.0.2.9"), byHand, priority(9), namespaces("other")),
			},
			held: held,
			asks: []Request{ask("a")},
			want: []string{"192.0.2.7@p"},
		},
		{
			name:  "when the address is avoided now",
			pools: []cloudconfig.Pool{with(poolOf("p", "192.0.2.0/24"), avoidBuggy)},
			held:  []Holder{holds("a", 1, Sharing{}, "192.0.2.255")},
			asks:  []Request{ask("a")},
			want:  []string{"192.0.2.255@p"},
		},
		{
			name:  "when it is of another pool now",
			pools: []cloudconfig.Pool{poolOf("new", "192.0.2.1-192.0.2.9")},
			held:  held,
			asks:  []Request{ask("a")},
			want:  []string{"192.0.2.7@new"},
		},
		{
			name:  "unless another address is asked for",
			pools: []cloudconfig.Pool{poolOf("p", "192.0.2.1-192.0.2.9")},
			held:  held,
			asks:  []Request{ask("a", forAddrs("192.0.2.9"))},
			want:  []string{"192.0.2.9@p"},
		},
		{
			name:  "unless another pool is asked for",
			pools: []cloudconfig.Pool{poolOf("p", "192.0.2.1-192.0.2.9"), poolOf("q", "192.0.3.1-192.0.3.9")},
			held:  held,
			asks:  []Request{ask("a", forPool("q"))},
			want:  []string{"192.0.3.1@q"},
		},
		{
			name:  "unless no pool holds it any more",
			pools: []cloudconfig.Pool{poolOf("q", "192.0.3.1-192.0.3.9")},
			held:  held,
			asks:  []Request{ask("a")},
			want:  []string{"192.0.3.1@q"},
		},
		{
			name:    "when its pool may be one that could not be read",
			pools:   []cloudconfig.Pool{poolOf("q", "192.0.3.1-192.0.3.9")},
			partial: true,
			held:    held,
			asks:    []Request{ask("a")},
			want:    []string{"192.0.2.7@"},
		},
		{
			name:  "when no pool is left, with a refusal",
			pools: nil,
			held:  held,
			asks:  []Request{ask("a")},
			want:  []string{`NoPool: status.loadBalancer "192.0.2.7": no pool holds it any more, and no pool is configured; add one to metal.pools of the cloud-config`},
		},
	})
}

func TestRefusedRequestTakesNothing(t *testing.T) {
	st := stateOf([]Holder{holds("a", 1, Sharing{}, "192.0.2.7"), holds("b", 2, Sharing{}, "192.0.2.8")},
		poolOf("p", "192.0.2.1-192.0.2.9"))
	got := Allocate(st, nil, []Request{
		ask("a", forAddrs("192.0.2.8")), ask("c", forAddrs("192.0.2.7")),
	})
	wantAnswers(t, got,
		`AddressInUse: annotation fairlead.dev/load-balancer-ips "192.0.2.8": default/b has this address; ask for another address, or give both Services the same annotation fairlead.dev/allow-shared-ip`,
		`AddressInUse: annotation fairlead.dev/load-balancer-ips "192.0.2.7": default/a has this address; ask for another address, or give both Services the same annotation fairlead.dev/allow-shared-ip`,
	)
}

func TestFamilies(t *testing.T) {
	v4, v6 := intent.V4, intent.V6
	two := func(p intent.FamilyPolicy) func(*Request) { return families(p, v4, v6) }
	mixed := poolOf("mixed", "192.0.2.1-192.0.2.9", "2001:db8::1-2001:db8::9")
	only4, only6 := poolOf("four", "198.51.100.1-198.51.100.9"), poolOf("six", "2001:db8:6::1-2001:db8:6::9")
	runStories(t, []story{
		{
			name:  "both from the first pool that has both",
			pools: []cloudconfig.Pool{only4, only6, mixed},
			asks:  []Request{ask("a", two(intent.PreferDualStack)), ask("b", two(intent.RequireDualStack))},
			want:  []string{"192.0.2.1@mixed 2001:db8::1@mixed", "192.0.2.2@mixed 2001:db8::2@mixed"},
		},
		{
			name:  "one each from two pools",
			pools: []cloudconfig.Pool{only4, only6},
			asks:  []Request{ask("a", two(intent.PreferDualStack)), ask("b", families(intent.RequireDualStack, v6, v4))},
			want:  []string{"198.51.100.1@four 2001:db8:6::1@six", "2001:db8:6::2@six 198.51.100.2@four"},
		},
		{
			name:  "the one there is, when both are only preferred",
			pools: []cloudconfig.Pool{only4},
			asks:  []Request{ask("a", two(intent.PreferDualStack)), ask("b", families(intent.PreferDualStack, v6, v4))},
			want:  []string{"198.51.100.1@four", "198.51.100.2@four"},
		},
		{
			name:  "the second later, the first kept",
			pools: []cloudconfig.Pool{only6, mixed},
			held:  []Holder{holds("a", 1, Sharing{}, "192.0.2.7")},
			asks:  []Request{ask("a", two(intent.PreferDualStack))},
			want:  []string{"192.0.2.7@mixed 2001:db8::1@mixed"},
		},
		{
			name:  "in the order of the Service, whatever the order in the status",
			pools: []cloudconfig.Pool{mixed},
			held:  []Holder{holds("a", 1, Sharing{}, "192.0.2.7", "2001:db8::7")},
			asks:  []Request{ask("a", families(intent.RequireDualStack, v6, v4))},
			want:  []string{"2001:db8::7@mixed 192.0.2.7@mixed"},
		},
		{
			name:  "the second given up when it is asked for no more",
			pools: []cloudconfig.Pool{mixed},
			held:  []Holder{holds("a", 1, Sharing{}, "192.0.2.7", "2001:db8::7")},
			asks:  []Request{ask("a")},
			want:  []string{"192.0.2.7@mixed"},
		},
		{
			name:  "both or none when both are required",
			pools: []cloudconfig.Pool{only4},
			asks:  []Request{ask("a", two(intent.RequireDualStack)), ask("b")},
			want: []string{
				"FamilyNotInPool: pool four has no IPv6 addresses, which spec.ipFamilyPolicy RequireDualStack of the Service asks for; add such a range to a pool, or set spec.ipFamilyPolicy to PreferDualStack to do without IPv6",
				"198.51.100.1@four",
			},
		},
		{
			name:  "one asked for by name, the other from the same pool",
			pools: []cloudconfig.Pool{only6, mixed},
			asks:  []Request{ask("a", two(intent.RequireDualStack), forAddrs("192.0.2.5"))},
			want:  []string{"192.0.2.5@mixed 2001:db8::1@mixed"},
		},
		{
			name:  "none without the one that lost its pool",
			pools: []cloudconfig.Pool{only6},
			held:  []Holder{holds("a", 1, Sharing{}, "192.0.2.7", "2001:db8:6::7")},
			asks:  []Request{ask("a", two(intent.PreferDualStack))},
			want: []string{
				`FamilyNotInPool: status.loadBalancer "192.0.2.7": no pool holds it any more, and pool six has no IPv4 addresses, which spec.ipFamilyPolicy PreferDualStack of the Service asks for; add such a range to a pool`,
			},
		},
		{
			name:  "none given up because the pool asked for now is full, but because it has no such family",
			pools: []cloudconfig.Pool{mixed, poolOf("full", "203.0.113.1-203.0.113.1", "2001:db8:f::/64"), only6},
			held:  []Holder{holds("a", 1, Sharing{}, "192.0.2.7"), holds("x", 1, Sharing{}, "203.0.113.1")},
			asks: []Request{
				ask("a", two(intent.PreferDualStack), forPool("full")),
				ask("b", two(intent.PreferDualStack), forPool("full")),
				ask("a", two(intent.PreferDualStack), forPool("six")),
			},
			want: []string{
				"PoolExhausted: no IPv4 address is free: pool full has 1, held by default/x; delete a Service, or add addresses to a pool",
				"2001:db8:f::@full",
				"2001:db8:6::1@six",
			},
		},
		{
			name:  "the first kept when no pool may be chosen for the second",
			pools: []cloudconfig.Pool{with(mixed, byHand)},
			held:  []Holder{holds("a", 1, Sharing{}, "192.0.2.7")},
			asks:  []Request{ask("a", two(intent.PreferDualStack)), ask("b", two(intent.PreferDualStack))},
			want: []string{
				"192.0.2.7@mixed",
				"NoPool: no pool serves this Service unasked: pool mixed has autoAssign false; ask for a pool with annotation fairlead.dev/address-pool, or add a pool",
			},
		},
	})
}

func TestAssignmentTellsWhatChanged(t *testing.T) {
	st := stateOf([]Holder{holds("a", 1, Sharing{}, "203.0.113.7", "2001:db8::7")},
		poolOf("p", "192.0.2.1-192.0.2.9", "2001:db8::1-2001:db8::9"))
	got := Allocate(st, nil, []Request{ask("a", families(intent.PreferDualStack, intent.V4, intent.V6))})
	a := got[0].Assignment
	if got[0].Err != nil || len(a.Added) != 1 || a.Added[0] != addrsOf("192.0.2.1")[0] {
		t.Errorf("added %v, err %v", a.Added, got[0].Err)
	}
	if len(a.Released) != 1 || len(a.Homeless) != 1 || a.Homeless[0] != addrsOf("203.0.113.7")[0] {
		t.Errorf("released %v, homeless %v", a.Released, a.Homeless)
	}
}
