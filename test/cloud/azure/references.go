// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// notFoundReference is the refusal of an id that leads nowhere.
func notFoundReference(id, by string) *refusal {
	return bad("InvalidResourceReference", "Resource %s referenced by resource %s was not found. "+
		"Please make sure that the referenced resource exists, and that both resources are in the same region.", id, by)
}

// settled refuses a reference to what is missing, or still being written.
func (c *Cloud) settled(id, by string) *refusal {
	if !c.exists(id) {
		return notFoundReference(id, by)
	}
	r := c.find(id)
	if r.state() == succeeded {
		return nil
	}
	doing := "Put"
	if r.state() == deleting {
		doing = "Delete"
	}
	why := fmt.Sprintf("Cannot proceed with operation because resource %s used by resource %s is not in Succeeded state. "+
		"Resource is in %s state and the last operation that updated/is updating the resource is %s%sOperation.",
		r.id, by, r.state(), doing, r.kind.operation)
	if r.state() == failed {
		return bad("ReferencedResourceNotProvisioned", "%s", why)
	}
	return refuse(http.StatusTooManyRequests, "RetryableError", "A retryable error occurred.").because(
		"ReferencedResourceNotProvisioned", "%s", why)
}

// local gives the element of the document itself that an id names.
func (w *write) local(array, id, by string) (object, *refusal) {
	own := strings.EqualFold(up(id, 1), w.resourceID()+"/"+array)
	e := named(elements(child(w.next, "properties"), array), last(id))
	if !own || e == nil {
		return nil, notFoundReference(id, by)
	}
	return e, nil
}

// prefixes are the address prefixes of a subnet or virtual network.
func prefixes(props object) []netip.Prefix {
	list := strs(props, "addressPrefixes")
	if one := text(props, "addressPrefix"); one != "" {
		list = append(list, one)
	}
	var found []netip.Prefix
	for _, s := range list {
		if p, err := netip.ParsePrefix(s); err == nil {
			found = append(found, p)
		}
	}
	return found
}

// placement is what an IP configuration asks of its subnet.
type placement struct {
	holder string // id of the IP configuration
	subnet string
	v6     bool
	static string     // address asked for, or empty
	keep   netip.Addr // address that it has, if any
	taken  map[netip.Addr]bool
}

// reservedHosts are the first addresses of a subnet that Azure keeps: the
// network's own and three more (page on private IP addresses).
const reservedHosts = 4

// place finds the address of an IP configuration.
func (c *Cloud) place(p placement) (netip.Addr, *refusal) {
	e := c.findChild(p.subnet)
	if e == nil {
		return netip.Addr{}, notFoundReference(p.subnet, p.holder)
	}
	ranges := prefixes(child(e, "properties"))
	if p.static != "" {
		return c.placeStatic(p, ranges)
	}
	for _, r := range ranges {
		if p.keep.IsValid() && r.Contains(p.keep) && p.keep.Is6() == p.v6 {
			return p.keep, nil
		}
	}
	used := map[netip.Addr]bool{}
	for _, l := range c.index[key(p.subnet)] {
		if l.kind == linkSubnet {
			used[l.addr] = true
		}
	}
	for _, r := range ranges {
		if r.Addr().Is6() != p.v6 {
			continue
		}
		addr := r.Masked().Addr()
		for range reservedHosts {
			addr = addr.Next()
		}
		for ; r.Contains(addr) && (p.v6 || r.Contains(addr.Next())); addr = addr.Next() {
			if !used[addr] && !p.taken[addr] {
				return addr, nil
			}
		}
		return netip.Addr{}, bad("SubnetIsFull",
			"Subnet %s with address prefix %s does not have enough capacity for 1 IP addresses.", p.subnet, r)
	}
	return netip.Addr{}, bad("SubnetDoesNotHaveAddressFamily",
		"Subnet %s has no address prefix of the version that %s asks for.", p.subnet, p.holder)
}

func (c *Cloud) placeStatic(p placement, ranges []netip.Prefix) (netip.Addr, *refusal) {
	addr, err := netip.ParseAddr(p.static)
	if err != nil || addr.Is6() != p.v6 {
		return addr, bad("InvalidIPAddressFormat", "Private IP address %s of %s is not an address of the right version.",
			p.static, p.holder)
	}
	for _, r := range ranges {
		if !r.Contains(addr) {
			continue
		}
		first := r.Masked().Addr()
		for range reservedHosts {
			if addr == first {
				return addr, bad("PrivateIPAddressInReservedRange",
					"Private static IP address %s falls within reserved IP range of subnet prefix %s.", addr, r)
			}
			first = first.Next()
		}
		if !p.v6 && !r.Contains(addr.Next()) {
			return addr, bad("PrivateIPAddressInReservedRange",
				"Private static IP address %s falls within reserved IP range of subnet prefix %s.", addr, r)
		}
		if by, taken := c.held(p.subnet, addr, p.holder); taken || p.taken[addr] {
			return addr, bad("PrivateIPAddressIsAllocated",
				"IP configuration %s is using the private IP address %s which is already allocated to resource %s.",
				p.holder, addr, by)
		}
		return addr, nil
	}
	return addr, bad("PrivateIPAddressNotInSubnet",
		"Private static IP address %s does not belong to the range of subnet prefix %s.", addr, ranges)
}
