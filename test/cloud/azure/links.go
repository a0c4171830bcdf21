// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// linkKind says what a reference means to the one it points to.
type linkKind uint8

const (
	linkPublicIP linkKind = iota + 1 // an IP configuration uses a public IP
	linkPrefix                       // a public IP, or a frontend, is of a prefix
	linkSubnet                       // an IP configuration lies in a subnet
	linkPool                         // an IP configuration of an interface is in a pool
	linkModel                        // a scale set's model names a pool
	linkGroup                        // a subnet or interface has a security group
	linkRoutes                       // a subnet has a route table
	linkMachine                      // a machine has an interface
	linkSet                          // a machine is in a scale set or availability set
	linkFrontend                     // a private link service serves a frontend
	linkNetwork                      // a pool takes addresses of a virtual network
	linkAddress                      // an interface has an address in a virtual network
	linkMember                       // a pool has a member with that address
)

// link is one reference of a resource or of an element in it.
type link struct {
	kind linkKind
	from string // id as written
	to   string // key of what it points to
	addr netip.Addr
}

// linkIndex holds all links by what they point to.
type linkIndex map[string]map[linkFrom]link

type linkFrom struct {
	kind linkKind
	from string
}

// replace takes out the old links and puts in the new ones. It returns the
// targets that feel a difference.
func (x linkIndex) replace(old, links []link) map[string]bool {
	touched := map[string]bool{}
	before := make(map[link]bool, len(old))
	for _, l := range old {
		before[l] = true
	}
	for _, l := range links {
		if before[l] {
			delete(before, l)
			continue
		}
		touched[l.to] = true
	}
	for l := range before {
		touched[l.to] = true
		delete(x[l.to], linkFrom{l.kind, key(l.from)})
		if len(x[l.to]) == 0 {
			delete(x, l.to)
		}
	}
	for _, l := range links {
		if x[l.to] == nil {
			x[l.to] = map[linkFrom]link{}
		}
		x[l.to][linkFrom{l.kind, key(l.from)}] = l
	}
	return touched
}

// of gives the links of one kind to a target, sorted by id.
func (x linkIndex) of(to string, kind linkKind) []link {
	var found []link
	for _, l := range x[key(to)] {
		if l.kind == kind {
			found = append(found, l)
		}
	}
	slices.SortFunc(found, func(a, b link) int { return cmp.Compare(key(a.from), key(b.from)) })
	return found
}

// from gives the ids that links of one kind to a target come from, sorted.
func (x linkIndex) from(to string, kind linkKind) []string {
	links := x.of(to, kind)
	ids := make([]string, len(links))
	for i, l := range links {
		ids[i] = l.from
	}
	return ids
}

// held reports whether an address of the subnet is taken by another than the
// id, and by whom.
func (c *Cloud) held(subnet string, addr netip.Addr, except string) (string, bool) {
	for _, l := range c.index[key(subnet)] {
		if l.kind == linkSubnet && l.addr == addr && !strings.EqualFold(l.from, except) {
			return l.from, true
		}
	}
	return "", false
}

// atAddress is the target of links that meet at an address of a network.
func atAddress(network string, addr netip.Addr) string {
	return "address:" + key(network) + "|" + addr.String()
}

// roots are the stored resources whose back-references hang on the targets, in
// a fixed order.
func (c *Cloud) roots(targets map[string]bool) []*resource {
	found := map[string]*resource{}
	add := func(id string) {
		if r := c.find(id); r != nil {
			found[r.key()] = r
		}
	}
	for target := range targets {
		if !strings.HasPrefix(target, "address:") {
			add(target)
			continue
		}
		for _, l := range c.index.of(target, linkMember) {
			add(up(l.from, 2))
		}
	}
	keys := slices.Sorted(maps.Keys(found))
	list := make([]*resource, len(keys))
	for i, k := range keys {
		list[i] = found[k]
	}
	return list
}
