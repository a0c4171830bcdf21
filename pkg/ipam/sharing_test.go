// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"testing"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/intent"
)

func TestShares(t *testing.T) {
	pool := poolOf("p", "192.0.2.1-192.0.2.9")
	web := labels.Set{"app": "web"}
	at1 := forAddrs("192.0.2.1")
	udp := NewSharing("k", []Port{{Proto: intent.UDP, Port: 80}}, intent.Cluster, nil)
	const ask1 = `annotation fairlead.dev/load-balancer-ips "192.0.2.1": `
	runStories(t, []story{
		{
			name: "with the same key and other ports", pools: []cloudconfig.Pool{pool},
			held: []Holder{holds("a", 1, shares("k", 80), "192.0.2.1")},
			asks: []Request{ask("b", at1, sharingWith(shares("k", 443))), ask("c", at1, sharingWith(udp))},
			want: []string{"192.0.2.1@p", "192.0.2.1@p"},
		},
		{
			name: "not with another key, a port in common, or without a key", pools: []cloudconfig.Pool{pool},
			held: []Holder{holds("a", 1, shares("k", 80), "192.0.2.1")},
			asks: []Request{
				ask("b", at1, sharingWith(shares("other", 443))),
				ask("c", at1, sharingWith(shares("k", 443, 80))),
				ask("d", at1),
			},
			want: []string{
				"SharingConflict: " + ask1 + `it cannot be shared with default/a: annotation fairlead.dev/allow-shared-ip is "other" here and "k" there; use one key, or ask for another address`,
				"SharingConflict: " + ask1 + "it cannot be shared with default/a: both have port TCP/80; change one of the ports, or ask for another address",
				"AddressInUse: " + ask1 + "default/a has this address; ask for another address, or give both Services the same annotation fairlead.dev/allow-shared-ip",
			},
		},
		{
			name: "with policy Local only with the same selector", pools: []cloudconfig.Pool{pool},
			held: []Holder{holds("a", 1, sharesLocal("k", web, 80), "192.0.2.1")},
			asks: []Request{
				ask("b", at1, bornAt(5), sharingWith(sharesLocal("k", web, 443))),
				ask("c", at1, sharingWith(sharesLocal("k", labels.Set{"app": "db"}, 5432))),
				ask("d", at1, sharingWith(shares("k", 8080))),
			},
			want: []string{
				"192.0.2.1@p",
				"SharingConflict: " + ask1 + "it cannot be shared with default/a: with externalTrafficPolicy Local both need that policy and the same selector; give both the same, or ask for another address",
				"SharingConflict: " + ask1 + "it cannot be shared with default/a: with externalTrafficPolicy Local both need that policy and the same selector; give both the same, or ask for another address",
			},
		},
		{
			name: "across namespaces only where the pool allows it", pools: []cloudconfig.Pool{pool, with(poolOf("q", "192.0.3.1-192.0.3.9"), across)},
			held: []Holder{holds("a", 1, shares("k", 80), "192.0.2.1"), holds("x", 1, shares("k", 80), "192.0.3.1")},
			asks: []Request{
				ask("team/b", at1, sharingWith(shares("k", 443))),
				ask("team/c", forAddrs("192.0.3.1"), sharingWith(shares("k", 443))),
			},
			want: []string{
				"SharingConflict: " + ask1 + "it cannot be shared with default/a: pool p shares no address across namespaces; set its shareAcrossNamespaces to true, or ask for another address",
				"192.0.3.1@q",
			},
		},
		{
			name: "without asking for the address, where it may", pools: []cloudconfig.Pool{pool},
			held: []Holder{holds("a", 1, shares("k", 80), "192.0.2.5"), holds("b", 1, shares("k", 443), "192.0.2.7")},
			asks: []Request{ask("c", sharingWith(shares("k", 80))), ask("d", sharingWith(shares("k", 8080))), ask("e", sharingWith(shares("k", 80)))},
			want: []string{"192.0.2.7@p", "192.0.2.5@p", "192.0.2.1@p"},
		},
		{
			name: "not what it has lost the right to: the older one keeps it", pools: []cloudconfig.Pool{pool},
			held: []Holder{holds("old", 1, shares("k", 80), "192.0.2.1"), holds("new", 2, shares("k", 80), "192.0.2.1")},
			asks: []Request{
				ask("old", bornAt(1), sharingWith(shares("k", 80))),
				ask("new", bornAt(2), sharingWith(shares("k", 80))),
			},
			want: []string{
				"192.0.2.1@p",
				`SharingConflict: status.loadBalancer "192.0.2.1": it cannot be shared with default/old: both have port TCP/80; change one of the ports, or ask for another address with annotation fairlead.dev/load-balancer-ips`,
			},
		},
		{
			name: "the address of one age with the first by name", pools: []cloudconfig.Pool{pool},
			held: []Holder{holds("b", 1, Sharing{}, "192.0.2.1"), holds("a", 1, Sharing{}, "192.0.2.1")},
			asks: []Request{ask("a", bornAt(1)), ask("b", bornAt(1))},
			want: []string{
				"192.0.2.1@p",
				`AddressInUse: status.loadBalancer "192.0.2.1": default/a has this address; ask for another address with annotation fairlead.dev/load-balancer-ips, or give both Services the same annotation fairlead.dev/allow-shared-ip`,
			},
		},
		{
			name: "with a younger rightful one when the one between has no right", pools: []cloudconfig.Pool{pool},
			held: []Holder{
				holds("first", 1, shares("k", 80), "192.0.2.1"),
				holds("wrong", 2, shares("k", 80, 443), "192.0.2.1"),
				holds("last", 3, shares("k", 443), "192.0.2.1"),
			},
			asks: []Request{ask("last", bornAt(3), sharingWith(shares("k", 443)))},
			want: []string{"192.0.2.1@p"},
		},
	})
}

func TestEditedSharingCountsFromNowOn(t *testing.T) {
	st := stateOf([]Holder{holds("a", 1, shares("k", 80), "192.0.2.1")}, poolOf("p", "192.0.2.1-192.0.2.9"))
	got := Allocate(st, nil, []Request{
		ask("a", bornAt(1), sharingWith(shares("l", 80))),
		ask("b", sharingWith(shares("l", 81))),
		ask("c", sharingWith(shares("k", 81))),
	})
	wantAnswers(t, got, "192.0.2.1@p", "192.0.2.1@p", "192.0.2.2@p")
}

func TestOwnerIsToldWhoIsThereWithoutRight(t *testing.T) {
	st := stateOf([]Holder{
		holds("old", 1, shares("k", 80), "192.0.2.1"), holds("new", 2, shares("k", 443), "192.0.2.1"),
	}, poolOf("p", "192.0.2.1-192.0.2.9"))
	got := Allocate(st, nil, []Request{ask("old", bornAt(1), sharingWith(shares("k", 80, 443)))})
	if len(got[0].Contested) != 1 || got[0].Contested[0] != keyFor("new") {
		t.Errorf("contested %v, err %v", got[0].Contested, got[0].Err)
	}
}
