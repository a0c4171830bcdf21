// SPDX-License-Identifier: Apache-2.0

package machines

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
)

// PoolMember is a member of a backend pool that knows its members by address.
type PoolMember struct {
	Name string // of the node
	IP   netip.Addr
}

// PoolMembers are the nodes' members in a pool of the family, by name: the
// first InternalIP of each. A node without one, or that Azure does not run, is
// not in it. have are the members now, in their order: the first one is kept
// where none would be left, because an empty pool cannot be told from one that
// is not in use.
func PoolMembers(nodes []*v1.Node, f intent.Family, have []PoolMember) []PoolMember {
	var out []PoolMember
	for _, n := range nodes {
		if ip := internalIP(n.Status.Addresses, f); ip.IsValid() && !Unmanaged(n) {
			out = append(out, PoolMember{n.Name, ip})
		}
	}
	slices.SortFunc(out, func(a, b PoolMember) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), a.IP.Compare(b.IP))
	})
	if len(out) == 0 && len(have) > 0 {
		return have[:1:1]
	}
	return out
}

// internalIP is the first internal address of the family; invalid for none.
func internalIP(list []v1.NodeAddress, f intent.Family) netip.Addr {
	for _, a := range list {
		if a.Type != v1.NodeInternalIP {
			continue
		}
		ip, err := netip.ParseAddr(a.Address)
		if err == nil && intent.FamilyOf(ip.Unmap()) == f {
			return ip.Unmap()
		}
	}
	return netip.Addr{}
}
