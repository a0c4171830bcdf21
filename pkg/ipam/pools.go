// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/bits"
	"net/netip"
	"slices"

	"go4.org/netipx"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/intent"
)

// Pools are the pools of a configuration, made ready for look-ups. They do not
// change.
type Pools struct {
	list   []pool // in file order
	byName map[string]int
	spans  []span // of all pools, disjoint, by address
	// partial is true when pools may be missing.
	partial bool
}

// span is a range of addresses of one pool.
type span struct {
	netipx.IPRange

	pool int
}

// pool is one pool with its disjoint ranges by address.
type pool struct {
	*cloudconfig.Pool

	v4, v6 []netipx.IPRange
	// edges are the network and broadcast addresses of IPv4 prefixes.
	edges map[netip.Addr]struct{}
}

// Completeness tells whether all pools of a configuration could be read. The
// zero value is none.
type Completeness uint8

// The degrees of completeness.
const (
	// Complete: an address outside all pools has lost its pool.
	Complete Completeness = iota + 1
	// Partial: some pools could not be read, so a Service keeps an address
	// that seems to have no pool.
	Partial
)

// NewPools makes the pools ready. Where two overlap, which the configuration
// does not allow, the common addresses belong to the first.
func NewPools(pools []cloudconfig.Pool, known Completeness) *Pools {
	p := &Pools{byName: make(map[string]int, len(pools)), partial: known == Partial}
	var taken netipx.IPSetBuilder
	for i := range pools {
		c := &pools[i]
		var own netipx.IPSetBuilder
		for _, b := range c.Blocks {
			own.AddRange(b.Range)
		}
		before, _ := taken.IPSet() // valid ranges cannot fail
		own.RemoveSet(before)
		set, _ := own.IPSet()
		taken.AddSet(set)
		p.add(c, set)
	}
	slices.SortFunc(p.spans, func(a, b span) int { return a.From().Compare(b.From()) })
	return p
}

func (p *Pools) add(c *cloudconfig.Pool, set *netipx.IPSet) {
	q := pool{Pool: c, edges: map[netip.Addr]struct{}{}}
	for _, r := range set.Ranges() {
		p.spans = append(p.spans, span{IPRange: r, pool: len(p.list)})
		if r.From().Is4() {
			q.v4 = append(q.v4, r)
		} else {
			q.v6 = append(q.v6, r)
		}
	}
	for _, b := range c.Blocks {
		// A /31 and a /32 have no network and broadcast address (RFC 3021).
		if b.CIDR && b.Range.From().Is4() && size(b.Range) > 2 {
			q.edges[b.Range.From()] = struct{}{}
			q.edges[b.Range.To()] = struct{}{}
		}
	}
	if _, dup := p.byName[c.Name]; !dup {
		p.byName[c.Name] = len(p.list)
	}
	p.list = append(p.list, q)
}

// of is the pool that holds the address, and -1 if none does.
func (p *Pools) of(a netip.Addr) int {
	i, found := slices.BinarySearchFunc(p.spans, a, func(s span, a netip.Addr) int { return s.From().Compare(a) })
	if !found {
		i--
	}
	if i < 0 || !p.spans[i].Contains(a) {
		return -1
	}
	return p.spans[i].pool
}

// name is the name of pool i, and empty for none.
func (p *Pools) name(i int) string {
	if i < 0 {
		return ""
	}
	return p.list[i].Name
}

// Of is the name of the pool that holds the address, and empty if none does.
func (p *Pools) Of(a netip.Addr) string { return p.name(p.of(a)) }

// candidates are the pools that a Service gets an address from without asking:
// those limited to such Services first, then those open to all; each by
// priority, the lowest first and 0 last, then in file order.
func (p *Pools) candidates(r *Request) []int {
	var out []int
	for i := range p.list {
		if p.list[i].AutoAssign && p.list[i].refuses(r) == nobody {
			out = append(out, i)
		}
	}
	slices.SortStableFunc(out, func(a, b int) int {
		return cmp.Or(
			cmp.Compare(p.list[a].turn(), p.list[b].turn()),
			cmp.Compare(p.list[a].rank(), p.list[b].rank()),
		)
	})
	return out
}

// turn is 0 for pools limited to some Services, and 1 for those open to all.
func (p *pool) turn() int {
	if p.Pinned() {
		return 0
	}
	return 1
}

// rank is the priority, with 0 last.
func (p *pool) rank() int {
	if p.Priority == 0 {
		return math.MaxInt
	}
	return p.Priority
}

// refusedTo says whom a pool does not serve.
type refusedTo uint8

const (
	nobody refusedTo = iota + 1
	namespace
	labelled
)

// refuses tells whether the pool is closed to the Service, and by what.
func (p *pool) refuses(r *Request) refusedTo {
	if !p.acceptsNamespace(r.Key.Namespace, r.NamespaceLabels) {
		return namespace
	}
	if !p.ServiceSelectors.Matches(r.Labels) {
		return labelled
	}
	return nobody
}

func (p *pool) acceptsNamespace(name string, set labels.Set) bool {
	if len(p.Namespaces) == 0 && len(p.NamespaceSelectors) == 0 {
		return true
	}
	if slices.Contains(p.Namespaces, name) {
		return true
	}
	return len(p.NamespaceSelectors) > 0 && p.NamespaceSelectors.Matches(set)
}

// ranges are the pool's addresses of a family.
func (p *pool) ranges(f intent.Family) []netipx.IPRange {
	if f == intent.V4 {
		return p.v4
	}
	return p.v6
}

// chosen reports whether the address of the pool may be given to a Service
// that did not ask for it by name.
func (p *pool) chosen(a netip.Addr) bool {
	if _, edge := p.edges[a]; edge {
		return false
	}
	return !p.avoids(a)
}

// avoids reports whether avoidBuggyIPs forbids the address: some old equipment
// drops IPv4 packets to .0 and .255.
func (p *pool) avoids(a netip.Addr) bool { return p.AvoidBuggyIPs && buggy(a) }

func buggy(a netip.Addr) bool {
	if !a.Is4() {
		return false
	}
	last := a.As4()[3]
	return last == 0 || last == 255
}

// capacity is how many addresses of the family may be chosen; at most
// math.MaxUint64.
func (p *pool) capacity(f intent.Family) uint64 {
	var n uint64
	for _, r := range p.ranges(f) {
		sum, carry := bits.Add64(n, size(r), 0)
		if carry != 0 {
			return math.MaxUint64
		}
		n = sum
		if p.AvoidBuggyIPs && f == intent.V4 {
			n -= buggyIn(r)
		}
	}
	if f == intent.V4 {
		for e := range p.edges {
			if !p.avoids(e) && contains(p.v4, e) {
				n--
			}
		}
	}
	return n
}

func contains(ranges []netipx.IPRange, a netip.Addr) bool {
	return slices.ContainsFunc(ranges, func(r netipx.IPRange) bool { return r.Contains(a) })
}

// size is the number of addresses in the range, at most math.MaxUint64.
func size(r netipx.IPRange) uint64 {
	from, to := r.From().As16(), r.To().As16()
	low, borrow := bits.Sub64(binary.BigEndian.Uint64(to[8:]), binary.BigEndian.Uint64(from[8:]), 0)
	high, _ := bits.Sub64(binary.BigEndian.Uint64(to[:8]), binary.BigEndian.Uint64(from[:8]), borrow)
	if high != 0 || low == math.MaxUint64 {
		return math.MaxUint64
	}
	return low + 1
}

// buggyIn counts the IPv4 addresses of the range that end in .0 or .255.
func buggyIn(r netipx.IPRange) uint64 {
	below := func(n uint64) uint64 { return (n+255)/256 + n/256 } // of those less than n
	from, to := r.From().As4(), r.To().As4()
	return below(uint64(binary.BigEndian.Uint32(to[:]))+1) - below(uint64(binary.BigEndian.Uint32(from[:])))
}
