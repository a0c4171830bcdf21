// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/intent"
)

func TestPoolOfAddress(t *testing.T) {
	p := NewPools([]cloudconfig.Pool{
		poolOf("b", "192.0.2.16/28", "2001:db8::/64"),
		poolOf("a", "192.0.2.0/28", "10.0.0.1-10.0.0.9"),
		poolOf("late", "192.0.2.0/24"), // overlaps: what is left is its own
	}, Complete)
	for text, want := range map[string]string{
		"192.0.2.0": "a", "192.0.2.15": "a", "192.0.2.16": "b", "192.0.2.31": "b", "192.0.2.32": "late", "192.0.3.0": "",
		"10.0.0.0": "", "10.0.0.1": "a", "10.0.0.9": "a", "10.0.0.10": "", "0.0.0.0": "",
		"2001:db8::": "b", "2001:db8::ffff:ffff:ffff:ffff": "b", "2001:db8:0:1::": "", "::": "",
	} {
		if got := p.Of(addrsOf(text)[0]); got != want {
			t.Errorf("%s is of pool %q, want %q", text, got, want)
		}
	}
}

func TestCapacity(t *testing.T) {
	for _, c := range []struct {
		name   string
		pool   cloudconfig.Pool
		family intent.Family
		want   uint64
	}{
		{"prefix", poolOf("p", "192.0.2.0/24"), intent.V4, 254},
		{"prefix, avoiding", with(poolOf("p", "192.0.2.0/24"), avoidBuggy), intent.V4, 254},
		{"half a prefix, avoiding", with(poolOf("p", "192.0.2.0/25"), avoidBuggy), intent.V4, 126},
		{"inner prefix, avoiding", with(poolOf("p", "192.0.2.64/26"), avoidBuggy), intent.V4, 62},
		{"two networks, avoiding", with(poolOf("p", "192.0.2.0/23"), avoidBuggy), intent.V4, 508},
		{"range over a border, avoiding", with(poolOf("p", "192.0.1.254-192.0.2.1"), avoidBuggy), intent.V4, 2},
		{"range", poolOf("p", "192.0.2.0-192.0.2.255"), intent.V4, 256},
		{"/31", poolOf("p", "192.0.2.0/31"), intent.V4, 2},
		{"all of IPv4", poolOf("p", "0.0.0.0/0"), intent.V4, math.MaxUint32 - 1},
		{"/120", poolOf("p", "2001:db8::/120"), intent.V6, 256},
		{"/64", poolOf("p", "2001:db8::/64"), intent.V6, math.MaxUint64},
		{"/48", poolOf("p", "2001:db8::/48"), intent.V6, math.MaxUint64},
		{"/65 twice", poolOf("p", "2001:db8::/65", "2001:db9::/65"), intent.V6, math.MaxUint64},
		{"none of the family", poolOf("p", "2001:db8::/64"), intent.V4, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := NewPools([]cloudconfig.Pool{c.pool}, Complete)
			if got := p.list[0].capacity(c.family); got != c.want {
				t.Errorf("%d addresses, want %d", got, c.want)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	s := stateOf([]Holder{
		holds("b", 2, shares("k", 80), "192.0.2.1", "2001:db8::1"),
		holds("a", 3, shares("k", 443), "192.0.2.1"),
		holds("stray", 1, Sharing{}, "203.0.113.1"),
	}, poolOf("two", "192.0.2.0/29", "2001:db8::/126"), poolOf("one", "198.51.100.0/30"))
	want := []PoolUsage{
		{Pool: "two", Family: intent.V4, Addresses: 6, InUse: 1},
		{Pool: "two", Family: intent.V6, Addresses: 4, InUse: 1},
		{Pool: "one", Family: intent.V4, Addresses: 2},
	}
	if diff := cmp.Diff(want, Usage(s)); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
	uses := Uses(s)
	texts := make([]string, len(uses))
	for i, u := range uses {
		texts[i] = u.Address.String() + "@" + u.Pool
		for _, h := range u.Holders {
			texts[i] += " " + h.Name
		}
	}
	if diff := cmp.Diff([]string{"192.0.2.1@two b a", "203.0.113.1@ stray", "2001:db8::1@two b"}, texts); diff != "" {
		t.Errorf("uses (-want +got):\n%s", diff)
	}
}

func TestJournalForgetsTheOldest(t *testing.T) {
	var j Journal
	a := addrsOf("10.0.0.0")[0]
	first, again := a, a.Next()
	j.Freed(first)
	j.Freed(again)
	for range maxRemembered - 1 {
		a = a.Next()
		j.Turn()
		j.Freed(again) // stays, since it is freed again and again
		j.Freed(a)
	}
	h := j.History()
	if len(h) > maxRemembered || len(j.order) > 2*maxRemembered {
		t.Errorf("%d addresses in %d entries are remembered", len(h), len(j.order))
	}
	j.Turn()
	for range maxRemembered {
		a = a.Next()
		j.Freed(a)
	}
	h = j.History()
	if _, ok := h[first]; ok {
		t.Error("the oldest is remembered")
	}
	if _, ok := h[a]; !ok {
		t.Error("the youngest is forgotten")
	}
}
