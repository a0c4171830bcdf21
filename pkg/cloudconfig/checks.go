// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import (
	"fmt"
	"net/netip"
	"reflect"

	"go4.org/netipx"
)

// draft is bare metal before its objects were compared with each other.
type draft struct {
	pools section[Pool]
	peers section[Peer]
	ads   section[Advertisement]
}

func (d *draft) metal() *Metal {
	return &Metal{
		Pools: d.pools.objects(), Peers: d.peers.objects(), Advertisements: d.ads.objects(),
		Speaker: defaultSpeaker(),
	}
}

// checkTargets leaves out pools and peers that do not go with an earlier one.
func (d *draft) checkTargets() {
	d.pools.unique()
	d.peers.unique()
	d.pools.leaveOut(disjoint)
	d.peers.leaveOut(otherSession)
}

// disjoint refuses a pool with addresses of an earlier one.
func disjoint(e entry[Pool], before []entry[Pool]) bool {
	for _, b := range before {
		i, both, found := overlap(&e.it, &b.it)
		if found {
			e.at.child("addresses").items()[i].fault(
				fmt.Sprintf("pool %q on line %d holds %s too", b.name, b.at.line(), both),
				"an address can be in one pool only: take it out of one of them")
			return false
		}
	}
	return true
}

// overlap returns the first block of p that has addresses of q, and those.
func overlap(p, q *Pool) (index int, both Block, found bool) {
	for i, block := range p.Blocks {
		for _, other := range q.Blocks {
			if both, found = intersect(block, other); found {
				return i, both, true
			}
		}
	}
	return 0, Block{}, false
}

// intersect returns what two blocks have in common.
func intersect(a, b Block) (Block, bool) {
	if !a.Range.Overlaps(b.Range) {
		return Block{}, false
	}
	from, to := a.Range.From(), a.Range.To()
	if from.Less(b.Range.From()) {
		from = b.Range.From()
	}
	if b.Range.To().Less(to) {
		to = b.Range.To()
	}
	r := netipx.IPRangeFrom(from, to)
	_, isPrefix := r.Prefix()
	return Block{Range: r, CIDR: isPrefix && from != to}, true
}

// sameSession reports whether two peers are one session. Peers that select
// nodes differently are two.
func sameSession(p, q *Peer) bool {
	if p.Address != q.Address || p.Port != q.Port || p.SourceAddress != q.SourceAddress {
		return false
	}
	return len(p.NodeSelectors) == 0 || len(q.NodeSelectors) == 0 ||
		reflect.DeepEqual(p.NodeSelectors, q.NodeSelectors)
}

// otherSession refuses a peer that is the same session as an earlier one.
func otherSession(e entry[Peer], before []entry[Peer]) bool {
	for _, b := range before {
		if !sameSession(&e.it, &b.it) {
			continue
		}
		key := "address"
		if e.at.r.dialect == metallb {
			key = "peer-address"
		}
		e.at.child(key).fault(
			fmt.Sprintf("peer %q on line %d has the same address, port and source address", b.name, b.at.line()),
			"remove one of them, or give both node selectors that differ")
		return false
	}
	return true
}

// references judges a list of names of pools or peers: those that do not
// exist are faults. Names of what was left out for a fault of its own are not:
// the list stays as it is, so that it never becomes empty, which means all.
func references[T any](v value, s *section[T]) {
	for _, item := range v.items() {
		name := item.node.Value
		if _, bad := s.bad[name]; !bad && !s.has(name) {
			item.fault("no such "+s.kind, s.existing())
		}
	}
}

// existing says which names there are.
func (s *section[T]) existing() string {
	names := s.names()
	if len(names) == 0 {
		return "there is none that can be used"
	}
	const enough = 20
	if len(names) > enough {
		return fmt.Sprintf("there are %s and %d more", list(names[:enough]), len(names)-enough)
	}
	if len(names) == 1 {
		return "there is " + names[0]
	}
	return "there are " + list(names)
}

// aggregationKeys are the names of a format for the aggregation lengths.
type aggregationKeys struct{ v4, v6 string }

// aggregatesWithin refuses an aggregation length that is shorter than a prefix
// of a pool, as MetalLB does, and warns when an aggregate reaches out of a
// range of addresses.
func (d *draft) aggregatesWithin(v value, a *Advertisement, keys aggregationKeys) {
	if !a.aggregates() {
		return
	}
	for _, p := range d.pools.good {
		if !a.Covers(p.name) {
			continue
		}
		for _, b := range p.it.Blocks {
			key, bits := keys.v4, a.AggregationLength
			if b.Range.From().Is6() {
				key, bits = keys.v6, a.AggregationLengthV6
			}
			if !aggregatesBlock(v.child(key), p, b, bits) {
				return
			}
		}
	}
}

// aggregatesBlock judges the length for one block.
func aggregatesBlock(at value, p entry[Pool], b Block, bits int) bool {
	if widest := widestPrefix(b); bits < widest {
		at.fault(fmt.Sprintf("is shorter than /%d of %s in pool %q on line %d", widest, b, p.name, p.at.line()),
			fmt.Sprintf("write %d or more", widest))
		return false
	}
	if outside, ok := reachesOut(p.it, b, bits); ok {
		at.warn(fmt.Sprintf("announces %s, which reaches out of %s in pool %q on line %d", outside, b, p.name, p.at.line()),
			"use a longer length or a pool of whole prefixes")
	}
	return true
}

// widestPrefix is the length of the shortest prefix that fits in the block.
func widestPrefix(b Block) int {
	widest := b.Range.From().BitLen()
	for _, prefix := range b.Range.Prefixes() {
		widest = min(widest, prefix.Bits())
	}
	return widest
}

// fitsPool reports whether no aggregate is wider than a block of the pool.
func (a *Advertisement) fitsPool(p *Pool) bool {
	if !a.Covers(p.Name) {
		return true
	}
	for _, b := range p.Blocks {
		bits := a.AggregationLength
		if b.Range.From().Is6() {
			bits = a.AggregationLengthV6
		}
		if bits < widestPrefix(b) {
			return false
		}
	}
	return true
}

// reachesOut returns an aggregate of the block that holds addresses which are
// not the pool's.
func reachesOut(p Pool, b Block, bits int) (netip.Prefix, bool) {
	var set netipx.IPSetBuilder
	for _, block := range p.Blocks {
		set.AddRange(block.Range)
	}
	all, err := set.IPSet()
	if err != nil {
		return netip.Prefix{}, false
	}
	for _, end := range []netip.Addr{b.Range.From(), b.Range.To()} {
		if aggregate, err := end.Prefix(bits); err == nil && !all.ContainsPrefix(aggregate) {
			return aggregate, true
		}
	}
	return netip.Prefix{}, false
}
