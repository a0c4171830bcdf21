// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const stored = `{"name":"rig-routes","id":"/x","etag":"W/\"1\"","location":"eastus","tags":{"Team":"net"},"properties":{` +
	`"disableBgpRoutePropagation":true,"unknown":1.50,"routes":[` +
	`{"name":"to-firewall","id":"/x/routes/to-firewall","properties":{"addressPrefix":"0.0.0.0/0","nextHopType":"VirtualAppliance","nextHopIpAddress":"10.9.9.9"}},` +
	`{"name":"n1____102441024","etag":"W/\"2\"","id":"/x/routes/n1","properties":{"provisioningState":"Succeeded","addressPrefix":"10.244.1.0/24","nextHopType":"VirtualAppliance","nextHopIpAddress":"10.240.0.4","hasBgpOverride":false}},` +
	`{"name":"n2","properties":{"addressPrefix":"10.244.2.0/24","nextHopType":"VirtualAppliance","nextHopIpAddress":"10.240.0.5"}}` +
	`],"subnets":[{"id":"/subnet"}]}}`

func add(node, cidr, hop string) operation {
	return operation{verb: create, node: node, cidr: cidr, hop: netip.MustParseAddr(hop)}
}

func TestRouteNames(t *testing.T) {
	for cidr, want := range map[string]string{
		"10.244.1.0/24":      "n1____102441024",
		"fd00:10:244:1::/64": "n1____fd00102441" + "64",
	} {
		if got := routeName("n1", cidr); got != want {
			t.Errorf("%s: %s, want %s", cidr, got, want)
		}
	}
}

func TestApply(t *testing.T) {
	n1 := `{"name":"n1____102441024","etag":"W/\"2\"","id":"/x/routes/n1","properties":{"provisioningState":"Succeeded","addressPrefix":"10.244.1.0/24","nextHopType":"VirtualAppliance","nextHopIpAddress":"10.240.0.4","hasBgpOverride":false}}`
	n2 := `{"name":"n2","properties":{"addressPrefix":"10.244.2.0/24","nextHopType":"VirtualAppliance","nextHopIpAddress":"10.240.0.5"}}`
	added := func(name, cidr, hop string) string {
		return `{"name":"` + name + `","properties":{"addressPrefix":"` + cidr + `","nextHopType":"VirtualAppliance","nextHopIpAddress":"` + hop + `"}}`
	}
	for _, tc := range []struct {
		name string
		ops  []operation
		site site
		want string // empty: nothing is written
		errs []string
	}{
		{name: "writes nothing for a route that is there", ops: []operation{add("n1", "10.244.1.0/24", "10.240.0.4")}},
		{name: "writes nothing to take away what is not there", ops: []operation{{verb: remove, node: "n9", cidr: "10.244.9.0/24"}}},
		{
			name: "adds routes of both families and leaves the rest as it is",
			ops:  []operation{add("n3", "10.244.3.0/24", "10.240.0.6"), add("n3", "fd00:244:3::/64", "fd00::6")},
			want: strings.Replace(stored, n2, n2+","+added("n3____102443024", "10.244.3.0/24", "10.240.0.6")+","+added("n3____fd002443"+"64", "fd00:244:3::/64", "fd00::6"), 1),
		},
		{
			name: "corrects the next hop in its place",
			ops:  []operation{add("n1", "10.244.1.0/24", "10.240.0.44")},
			want: strings.Replace(stored, `"nextHopIpAddress":"10.240.0.4"`, `"nextHopIpAddress":"10.240.0.44"`, 1),
		},
		{
			name: "replaces a route with the old name",
			ops:  []operation{add("n2", "10.244.2.0/24", "10.240.0.5")},
			want: strings.Replace(stored, n2, added("n2____102442024", "10.244.2.0/24", "10.240.0.5"), 1),
		},
		{
			name: "takes routes away by their new and their old names",
			ops:  []operation{{verb: remove, node: "n1", cidr: "10.244.1.0/24"}, {verb: remove, node: "n2", cidr: "10.244.2.0/24", name: "n2"}},
			want: strings.Replace(stored, ","+n1+","+n2, "", 1),
		},
		{
			name: "refuses a prefix that a stranger's route has, and does the others",
			ops:  []operation{add("n4", "0.0.0.0/0", "10.240.0.7"), add("n3", "10.244.3.0/24", "10.240.0.6")},
			want: strings.Replace(stored, n2, n2+","+added("n3____102443024", "10.244.3.0/24", "10.240.0.6"), 1),
			errs: []string{"route to-firewall of the table has the prefix 0.0.0.0/0 too, and a table has one route to a prefix; remove that route, or give node n4 another prefix", ""},
		},
		{
			name: "adds tags and keeps those of others", site: site{tags: map[string]string{"team": "net", "owner": "a"}}, ops: []operation{{verb: retag}},
			want: strings.Replace(stored, `{"Team":"net"}`, `{"Team":"net","owner":"a"}`, 1),
		},
		{
			name: "takes tags away that no prefix keeps", site: site{tags: map[string]string{"owner": "a"}, system: []string{"aks-"}}, ops: []operation{{verb: retag}},
			want: strings.Replace(stored, `{"Team":"net"}`, `{"owner":"a"}`, 1),
		},
		{name: "leaves tags alone that are right", site: site{tags: map[string]string{"TEAM": "net"}}, ops: []operation{{verb: retag}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			table, err := parseTable([]byte(stored))
			if err != nil {
				t.Fatal(err)
			}
			out, err := table.apply(tc.ops, tc.site)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, string(out.body)); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			for i, err := range out.refused {
				text := ""
				if err != nil {
					text = err.Error()
				}
				if want := append(tc.errs, make([]string, len(tc.ops))...)[i]; text != want {
					t.Errorf("operation %d: %q, want %q", i, text, want)
				}
			}
		})
	}
}

func TestATableIsMadeWithItsFirstRoute(t *testing.T) {
	s := site{location: "eastus", tags: map[string]string{"a": "b"}}
	out, err := table{}.apply([]operation{{verb: remove, node: "n", cidr: "10.0.0.0/24"}, {verb: retag}}, s)
	if err != nil || out.body != nil {
		t.Errorf("without a route: %s, %v", out.body, err)
	}
	out, err = table{}.apply([]operation{add("n1", "10.244.1.0/24", "10.240.0.4")}, s)
	want := `{"location":"eastus","properties":{"routes":[{"name":"n1____102441024","properties":{"addressPrefix":"10.244.1.0/24","nextHopType":"VirtualAppliance","nextHopIpAddress":"10.240.0.4"}}]},"tags":{"a":"b"}}`
	if err != nil || string(out.body) != want {
		t.Errorf("%s, %v", out.body, err)
	}
}

func TestNodeOf(t *testing.T) {
	known := map[string]string{"n1": "n1", "n2": "n2"}
	for _, tc := range []struct {
		route route
		node  string
	}{
		{route{"n1____102441024", "10.244.1.0/24", nextHopAppliance, ""}, "n1"},
		{route{"gone____102441024", "10.244.1.0/24", nextHopAppliance, ""}, "gone"},
		{route{"N2", "10.244.2.0/24", nextHopAppliance, ""}, "n2"},
		{route{"firewall", "0.0.0.0/0", nextHopAppliance, ""}, ""},
		{route{"n1____other", "10.244.1.0/24", nextHopAppliance, ""}, ""},
		{route{"n1____102441024", "10.244.1.0/24", "Internet", ""}, ""},
		{route{"____102441024", "10.244.1.0/24", nextHopAppliance, ""}, ""},
	} {
		if node, ok := nodeOf(tc.route, known); node != tc.node || ok != (tc.node != "") {
			t.Errorf("%+v: %q, %v", tc.route, node, ok)
		}
	}
}
