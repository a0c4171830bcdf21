// SPDX-License-Identifier: Apache-2.0

package speaker_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/speaker"
)

func key(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "default", Name: name}
}

// wants is a path of an address to a peer.
func wants(addr, prefix, peer string, communities ...cloudconfig.Community) speaker.Path {
	return speaker.Path{Addr: netip.MustParseAddr(addr), Peer: peer, Route: speaker.Route{
		Prefix: netip.MustParsePrefix(prefix), Communities: communities,
	}}
}

// flush is what a table's Flush says, as text by peer.
func flush(t *speaker.Table) map[string][]string {
	out := map[string][]string{}
	for peer, d := range t.Flush() {
		for _, r := range d.Announce {
			out[peer] = append(out[peer], "+ "+r.String())
		}
		for _, p := range d.Withdraw {
			out[peer] = append(out[peer], "- "+p.String())
		}
	}
	return out
}

func TestTableTellsWhatChanges(t *testing.T) {
	table := speaker.NewTable()
	steps := []struct {
		name string
		do   func()
		want map[string][]string
	}{
		{"a Service comes", func() {
			table.Apply(key("a"), []speaker.Path{wants("192.0.2.1", "192.0.2.1/32", "x"), wants("192.0.2.1", "192.0.2.1/32", "y")})
		}, map[string][]string{"x": {"+ 192.0.2.1/32"}, "y": {"+ 192.0.2.1/32"}}},
		{"it says the same again", func() {
			table.Apply(key("a"), []speaker.Path{wants("192.0.2.1", "192.0.2.1/32", "x"), wants("192.0.2.1", "192.0.2.1/32", "y")})
		}, map[string][]string{}},
		{"another shares the address", func() {
			table.Apply(key("b"), []speaker.Path{wants("192.0.2.1", "192.0.2.1/32", "x")})
		}, map[string][]string{}},
		{"the first goes, the address stays where the other wants it", func() {
			table.Apply(key("a"), nil)
		}, map[string][]string{"y": {"- 192.0.2.1/32"}}},
		{"another says more of it", func() {
			table.Apply(key("c"), []speaker.Path{wants("192.0.2.1", "192.0.2.1/32", "x", 7)})
		}, map[string][]string{"x": {"+ 192.0.2.1/32 communities 0:7"}}},
		{"and less", func() {
			table.Apply(key("c"), nil)
		}, map[string][]string{"x": {"+ 192.0.2.1/32"}}},
		{"it comes and goes between two looks", func() {
			table.Apply(key("d"), []speaker.Path{wants("192.0.2.9", "192.0.2.9/32", "x")})
			table.Apply(key("d"), nil)
		}, map[string][]string{}},
		{"it goes and comes between two looks", func() {
			table.Apply(key("b"), nil)
			table.Apply(key("e"), []speaker.Path{wants("192.0.2.1", "192.0.2.1/32", "x")})
		}, map[string][]string{}},
		{"two addresses of one Service in an aggregate", func() {
			table.Apply(key("f"), []speaker.Path{wants("192.0.3.1", "192.0.3.0/24", "x"), wants("192.0.3.2", "192.0.3.0/24", "x")})
		}, map[string][]string{"x": {"+ 192.0.3.0/24"}}},
		{"one of them goes", func() {
			table.Apply(key("f"), []speaker.Path{wants("192.0.3.2", "192.0.3.0/24", "x")})
		}, map[string][]string{}},
		{"and the last", func() {
			table.Apply(key("f"), nil)
		}, map[string][]string{"x": {"- 192.0.3.0/24"}}},
	}
	for _, s := range steps {
		s.do()
		if diff := cmp.Diff(s.want, flush(table)); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", s.name, diff)
		}
	}
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		if got, want := table.Has(key(name)), name == "e"; got != want {
			t.Errorf("%s wants routes: %v, want %v", name, got, want)
		}
	}
}

func TestTableUnitesPreferences(t *testing.T) {
	pref := func(p uint32) speaker.Path {
		w := wants("192.0.2.1", "192.0.2.0/24", "x")
		w.Route.LocalPref = &p
		return w
	}
	table := speaker.NewTable()
	table.Apply(key("a"), []speaker.Path{pref(10)})
	table.Apply(key("b"), []speaker.Path{pref(30)})
	table.Apply(key("c"), []speaker.Path{pref(20)})
	table.Apply(key("d"), []speaker.Path{wants("192.0.2.4", "192.0.2.0/24", "x")})
	if got := table.Routes("x"); len(got) != 1 || *got[0].LocalPref != 30 {
		t.Errorf("routes are %v, want one of the highest preference", got)
	}
}

// TestTableIsItsParts holds the changes against the whole: whatever happens, a
// peer that follows every Flush has what Routes says, and that does not depend
// on the way there.
func TestTableIsItsParts(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	table := speaker.NewTable()
	follower := map[string]map[string]string{"x": {}, "y": {}}
	state := map[types.NamespacedName][]speaker.Path{}
	for step := range 2000 {
		k := key(fmt.Sprint(rnd.IntN(8)))
		var paths []speaker.Path
		for range rnd.IntN(4) {
			ip := fmt.Sprintf("192.0.2.%d", rnd.IntN(4))
			prefix := []string{ip + "/32", "192.0.2.0/30"}[rnd.IntN(2)]
			paths = append(paths, wants(ip, prefix, []string{"x", "y"}[rnd.IntN(2)], cloudconfig.Community(rnd.IntN(3))))
		}
		table.Apply(k, paths)
		state[k] = paths
		if rnd.IntN(3) == 0 {
			continue
		}
		for peer, d := range table.Flush() {
			for _, r := range d.Announce {
				follower[peer][r.Prefix.String()] = r.String()
			}
			for _, p := range d.Withdraw {
				delete(follower[peer], p.String())
			}
		}
		fresh := speaker.NewTable()
		for k, paths := range state {
			fresh.Apply(k, paths)
		}
		for _, peer := range []string{"x", "y"} {
			want := text(fresh.Routes(peer))
			if diff := cmp.Diff(want, slices.Sorted(maps.Values(follower[peer]))); diff != "" {
				t.Fatalf("step %d, peer %s (-whole +followed):\n%s", step, peer, diff)
			}
			if diff := cmp.Diff(want, text(table.Routes(peer))); diff != "" {
				t.Fatalf("step %d, peer %s (-fresh +grown):\n%s", step, peer, diff)
			}
		}
	}
}

func text(rs []speaker.Route) []string {
	var out []string
	for _, r := range rs {
		out = append(out, r.String())
	}
	slices.Sort(out)
	return out
}
