// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
)

// PoolUsage is how full one family of a pool is.
type PoolUsage struct {
	Pool   string
	Family intent.Family
	// Addresses is how many may be chosen, at most math.MaxUint64. Network and
	// broadcast addresses and those that avoidBuggyIPs forbids are not among
	// them.
	Addresses uint64
	// InUse is how many have a Service, however they were asked for.
	InUse uint64
}

// Use is an address with its Services.
type Use struct {
	Address netip.Addr
	Pool    string     // empty: no pool holds it
	Holders []plan.Key // the oldest first
}

// Usage tells how full the pools are, in file order, IPv4 before IPv6.
// Families that a pool has no addresses of are left out.
func Usage(s State) []PoolUsage {
	used := map[source]uint64{}
	seen := map[netip.Addr]struct{}{}
	for i := range s.Holders {
		for _, a := range s.Holders[i].Addresses {
			if _, again := seen[a]; again {
				continue
			}
			seen[a] = struct{}{}
			used[source{s.Pools.of(a), intent.FamilyOf(a)}]++
		}
	}
	var out []PoolUsage
	for i := range s.Pools.list {
		p := &s.Pools.list[i]
		for _, f := range []intent.Family{intent.V4, intent.V6} {
			if len(p.ranges(f)) > 0 {
				out = append(out, PoolUsage{Pool: p.Name, Family: f, Addresses: p.capacity(f), InUse: used[source{i, f}]})
			}
		}
	}
	return out
}

// Uses are all addresses that have a Service, sorted.
func Uses(s State) []Use {
	holders := slices.Clone(s.Holders)
	slices.SortFunc(holders, func(a, b Holder) int { return a.older(&b) })
	byAddr := map[netip.Addr][]plan.Key{}
	for i := range holders {
		for _, a := range holders[i].Addresses {
			byAddr[a] = append(byAddr[a], holders[i].Key)
		}
	}
	out := make([]Use, 0, len(byAddr))
	for a, keys := range byAddr {
		out = append(out, Use{Address: a, Pool: s.Pools.Of(a), Holders: keys})
	}
	slices.SortFunc(out, func(a, b Use) int { return cmp.Or(a.Address.Compare(b.Address)) })
	return out
}
