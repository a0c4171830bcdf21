// SPDX-License-Identifier: Apache-2.0

package machines

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
)

func TestPoolMembers(t *testing.T) {
	with := func(name string, list ...string) *v1.Node {
		n := node(name, "")
		n.Status.Addresses = nodeAddresses(list...)
		return n
	}
	member := func(name, ip string) PoolMember { return PoolMember{name, netip.MustParseAddr(ip)} }
	both := with("b", "Hostname b", "ExternalIP 20.0.0.1", "InternalIP fd00::1", "InternalIP 10.0.0.1", "InternalIP 10.0.0.9")
	only4 := with("a", "InternalIP 10.0.0.2")
	outside := with("o", "InternalIP 10.0.0.3")
	outside.Labels = map[string]string{ManagedLabel: "false"}
	nodes := []*v1.Node{both, only4, with("new"), outside}
	for _, tc := range []struct {
		name   string
		nodes  []*v1.Node
		family intent.Family
		have   []PoolMember
		want   []PoolMember
	}{
		{"the first internal address of the family, by name", nodes, intent.V4, nil, []PoolMember{member("a", "10.0.0.2"), member("b", "10.0.0.1")}},
		{"never an empty address", nodes, intent.V6, nil, []PoolMember{member("b", "fd00::1")}},
		{"what is there is replaced", nodes[:1], intent.V4, []PoolMember{member("x", "10.0.0.7")}, []PoolMember{member("b", "10.0.0.1")}},
		{"the last one stays", nil, intent.V4, []PoolMember{member("x", "10.0.0.7"), member("y", "10.0.0.8")}, []PoolMember{member("x", "10.0.0.7")}},
		{"none where there was none", nodes[1:2], intent.V6, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := PoolMembers(tc.nodes, tc.family, tc.have)
			if diff := cmp.Diff(tc.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
