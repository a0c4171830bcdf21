// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"testing"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
)

func TestRefuses(t *testing.T) {
	small := poolOf("small", "192.0.2.1-192.0.2.4")
	full := []Holder{
		holds("a", 1, Sharing{}, "192.0.2.1"), holds("b", 2, Sharing{}, "192.0.2.2"),
		holds("c", 3, Sharing{}, "192.0.2.3"), holds("d", 4, Sharing{}, "192.0.2.4"),
	}
	named := func(r *Request) {
		r.Fields = Fields{Addresses: "spec.loadBalancerIP", Pool: "annotation metallb.io/address-pool", Sharing: "annotation metallb.io/allow-shared-ip"}
	}
	runStories(t, []story{
		{
			name: "a full pool", pools: []cloudconfig.Pool{small}, held: full,
			asks: []Request{ask("e")},
			want: []string{"PoolExhausted: no IPv4 address is free: pool small has 4, held by default/a, default/b, default/c and 1 more; delete a Service, or add addresses to a pool"},
		},
		{
			name: "a full pool of one family alone", pools: []cloudconfig.Pool{small}, held: full,
			asks: []Request{ask("e", families(intent.RequireDualStack, intent.V4, intent.V6))},
			want: []string{"PoolExhausted: no IPv4 address is free: pool small has 4, held by default/a, default/b, default/c and 1 more; delete a Service, or add addresses to a pool; of IPv6, which spec.ipFamilyPolicy RequireDualStack asks for too, there is none either"},
		},
		{
			name: "several full pools", pools: []cloudconfig.Pool{small, poolOf("tiny", "192.0.3.0/32")},
			held: append([]Holder{holds("x", 1, Sharing{}, "192.0.3.0")}, full...),
			asks: []Request{ask("e")},
			want: []string{"PoolExhausted: no IPv4 address is free: pool small has 4, held by default/a, default/b, default/c and 1 more, pool tiny has 1, held by default/x; delete a Service, or add addresses to a pool"},
		},
		{
			name: "a pool whose addresses must all be asked for", pools: []cloudconfig.Pool{with(poolOf("odd", "192.0.2.0-192.0.2.0"), avoidBuggy)},
			asks: []Request{ask("e")},
			want: []string{"PoolExhausted: no IPv4 address is free: pool odd has only addresses that must be asked for by name; delete a Service, or add addresses to a pool"},
		},
		{
			name: "an address outside every pool", pools: []cloudconfig.Pool{small, poolOf("wide", "198.51.100.0/24")},
			asks: []Request{ask("e", named, forAddrs("203.0.113.9"))},
			want: []string{`AddressNotInPool: spec.loadBalancerIP "203.0.113.9": no pool holds it; ask for an address of pool small (192.0.2.1-192.0.2.4), pool wide (198.51.100.0/24), or add it to a pool`},
		},
		{
			name: "an address of another pool than asked for", pools: []cloudconfig.Pool{small, poolOf("wide", "198.51.100.0/24")},
			asks: []Request{ask("e", named, forAddrs("192.0.2.1"), forPool("wide"))},
			want: []string{`AddressNotInPool: spec.loadBalancerIP "192.0.2.1": it is of pool small, but annotation metallb.io/address-pool asks for pool wide; let both name the same pool, or remove one of them`},
		},
		{
			name: "an address of a family that the Service has not", pools: []cloudconfig.Pool{small},
			asks: []Request{ask("e", forAddrs("2001:db8::1"))},
			want: []string{`AddressNotInService: annotation fairlead.dev/load-balancer-ips "2001:db8::1": it is IPv6, but spec.ipFamilies of the Service is IPv4; ask for another address, or add IPv6 to spec.ipFamilies`},
		},
		{
			name: "an address that is avoided", pools: []cloudconfig.Pool{with(poolOf("p", "192.0.2.0/24"), avoidBuggy)},
			asks: []Request{ask("e", forAddrs("192.0.2.255"))},
			want: []string{`AddressNotAllowed: annotation fairlead.dev/load-balancer-ips "192.0.2.255": pool p has avoidBuggyIPs, which forbids addresses that end in .0 or .255; ask for another address`},
		},
		{
			name: "an address in use", pools: []cloudconfig.Pool{small}, held: full,
			asks: []Request{ask("e", named, forAddrs("192.0.2.2"))},
			want: []string{`AddressInUse: spec.loadBalancerIP "192.0.2.2": default/b has this address; ask for another address, or give both Services the same annotation metallb.io/allow-shared-ip`},
		},
		{
			name: "a pool that does not exist", pools: []cloudconfig.Pool{small, poolOf("big", "198.51.100.0/24")},
			asks: []Request{ask("e", named, forPool("smal"))},
			want: []string{`PoolNotFound: annotation metallb.io/address-pool "smal": there is no such pool; ask for one of big, small, or remove the request to let any pool serve the Service`},
		},
		{
			name: "a pool where none is configured",
			asks: []Request{ask("e", forPool("p")), ask("f"), ask("g", forAddrs("192.0.2.1"))},
			want: []string{
				`PoolNotFound: annotation fairlead.dev/address-pool "p": no pool is configured; add it to metal.pools of the cloud-config`,
				`NoPool: no pool is configured; add one to metal.pools of the cloud-config`,
				`AddressNotInPool: annotation fairlead.dev/load-balancer-ips "192.0.2.1": no pool is configured; add one to metal.pools of the cloud-config`,
			},
		},
		{
			name: "a pool of other namespaces", pools: []cloudconfig.Pool{with(small, namespaces("shop"))},
			asks: []Request{ask("e", forPool("small")), ask("f"), ask("g", forAddrs("192.0.2.1"))},
			want: []string{
				`PoolNotAllowed: annotation fairlead.dev/address-pool "small": pool small does not serve namespace default; ask for another pool, or add the namespace to the pool's namespaces`,
				`NoPool: no pool serves this Service unasked: pool small is for other namespaces than default; ask for a pool with annotation fairlead.dev/address-pool, or add a pool`,
				`PoolNotAllowed: annotation fairlead.dev/load-balancer-ips "192.0.2.1": pool small does not serve namespace default; ask for another pool, or add the namespace to the pool's namespaces`,
			},
		},
		{
			name: "a pool of Services with other labels", pools: []cloudconfig.Pool{with(small, serviceLabels(labels.Set{"app": "x"}))},
			asks: []Request{ask("e", forPool("small"))},
			want: []string{`PoolNotAllowed: annotation fairlead.dev/address-pool "small": pool small serves only Services that match its serviceSelectors, and the labels of this one do not; ask for another pool, or change the labels`},
		},
		{
			name: "a family that the pool lacks", pools: []cloudconfig.Pool{small},
			asks: []Request{ask("e", families(intent.SingleStack, intent.V6)), ask("f", families(intent.SingleStack, intent.V6), forPool("small"))},
			want: []string{
				"FamilyNotInPool: pool small has no IPv6 addresses, which spec.ipFamilies of the Service asks for; add such a range to a pool",
				"FamilyNotInPool: pool small has no IPv6 addresses, which spec.ipFamilies of the Service asks for; add such a range to a pool",
			},
		},
	})
}

func TestRefusalsThatWaitForOthersAreExhausted(t *testing.T) {
	st := stateOf([]Holder{holds("a", 1, shares("k", 80), "192.0.2.1")}, poolOf("p", "192.0.2.1-192.0.2.1"))
	got := Allocate(st, nil, []Request{
		ask("full"),
		ask("taken", forAddrs("192.0.2.1")),
		ask("port", forAddrs("192.0.2.1"), sharingWith(shares("k", 80))),
		ask("outside", forAddrs("192.0.2.9")),
		ask("nowhere", forPool("q")),
	})
	want := []plan.Kind{plan.Exhausted, plan.Exhausted, plan.Exhausted, plan.Invalid, plan.Invalid}
	for i := range got {
		if kind := plan.KindOf(got[i].Err); kind != want[i] {
			t.Errorf("%v is of kind %d, want %d", got[i].Err, kind, want[i])
		}
	}
}
