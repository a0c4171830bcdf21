// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"net/netip"
	"slices"
	"strings"
)

// prepareRouteTable judges a route table.
func prepareRouteTable(w *write) *refusal {
	props := properties(w.next)
	orDefault(props, "disableBgpRoutePropagation", false)
	if refused := w.fillChildren("routes"); refused != nil {
		return refused
	}
	seen := map[netip.Prefix]string{}
	for _, route := range elements(props, "routes") {
		id, p := text(route, "id"), properties(route)
		hops := []string{"VirtualNetworkGateway", "VnetLocal", "Internet", "VirtualAppliance", "None"}
		if refused := choice(p, "nextHopType", "", hops...); refused != nil {
			return refused
		}
		prefix, err := netip.ParsePrefix(text(p, "addressPrefix"))
		if err != nil {
			if isTag(text(p, "addressPrefix")) {
				continue
			}
			return bad("InvalidAddressPrefixFormat", "Address prefix '%s' of resource %s is not formatted correctly.",
				text(p, "addressPrefix"), id)
		}
		if prefix != prefix.Masked() {
			return bad("InvalidCIDRNotation", "The address prefix %s in resource %s has an invalid CIDR notation. "+
				"For the given prefix length, the address prefix should be %s.", prefix, id, prefix.Masked())
		}
		if other := seen[prefix]; other != "" {
			return bad("RouteConflict", "Routes %s and %s have the same address prefix %s.", other, text(route, "name"), prefix)
		}
		seen[prefix] = text(route, "name")
		if refused := checkHop(id, p); refused != nil {
			return refused
		}
	}
	const maxRoutes = 400 // page on service limits
	if n := len(elements(props, "routes")); n > maxRoutes {
		return bad("RouteLimitReached", "Route table %s cannot have more than %d routes; it has %d.", w.id.path, maxRoutes, n)
	}
	return nil
}

func checkHop(id string, p object) *refusal {
	hop := text(p, "nextHopIpAddress")
	appliance := text(p, "nextHopType") == "VirtualAppliance"
	if _, err := netip.ParseAddr(hop); appliance && err != nil || !appliance && hop != "" {
		return bad("InvalidNextHopIpAddress",
			"Route %s: nextHopIpAddress '%s' must be an address, for VirtualAppliance alone.", id, hop)
	}
	return nil
}

func deriveRouteTable(c *Cloud, r *resource) {
	r.answer = nil
	setList(properties(r.doc), "subnets", references(c.index.from(r.id, linkRoutes)))
}

func routeTableInUse(c *Cloud, r *resource) *refusal {
	if by := c.index.from(r.id, linkRoutes); len(by) > 0 {
		return bad("InUseRouteTableCannotBeDeleted", "Route table %s is in use and cannot be deleted: %s.",
			r.id, strings.Join(by, ", "))
	}
	return nil
}

// prepareNetwork judges a virtual network and its subnets.
func prepareNetwork(w *write) *refusal {
	props := properties(w.next)
	orDefault(props, "enableDdosProtection", false)
	for _, array := range w.kind.children {
		if refused := w.fillChildren(array); refused != nil {
			return refused
		}
	}
	space := prefixes(child(props, "addressSpace"))
	if len(space) == 0 {
		return bad("VnetAddressSpaceMissing", "Virtual network %s has no address space.", w.id.path)
	}
	var all []netip.Prefix
	for _, subnet := range elements(props, "subnets") {
		if refused := w.checkSubnet(subnet, space, &all); refused != nil {
			return refused
		}
	}
	return w.checkRemovedSubnets()
}

// checkSubnet judges one subnet and completes it.
func (w *write) checkSubnet(subnet object, space []netip.Prefix, all *[]netip.Prefix) *refusal {
	id, p := text(subnet, "id"), properties(subnet)
	orDefault(p, "delegations", []any{})
	orDefault(p, "privateEndpointNetworkPolicies", "Disabled")
	orDefault(p, "privateLinkServiceNetworkPolicies", "Enabled")
	own := prefixes(p)
	if len(own) == 0 {
		return bad("SubnetWithoutAddressPrefix", "Subnet %s has no address prefix.", id)
	}
	for _, prefix := range own {
		if !slices.ContainsFunc(space, func(s netip.Prefix) bool { return s.Contains(prefix.Addr()) && s.Bits() <= prefix.Bits() }) {
			return bad("NetcfgInvalidSubnet", "Subnet '%s' is not valid in virtual network '%s'.", text(subnet, "name"), w.id.path)
		}
		if slices.ContainsFunc(*all, prefix.Overlaps) {
			return bad("NetcfgSubnetRangesOverlap", "Subnet '%s' is not valid because its IP address range overlaps "+
				"with that of an existing subnet in virtual network '%s'.", text(subnet, "name"), w.id.path)
		}
		*all = append(*all, prefix)
	}
	for _, field := range []string{"networkSecurityGroup", "routeTable"} {
		if to := reference(p, field); to != "" {
			if refused := w.cloud.settled(to, id); refused != nil {
				return refused
			}
		}
	}
	for _, l := range w.cloud.index.of(id, linkSubnet) {
		if !slices.ContainsFunc(own, func(x netip.Prefix) bool { return x.Contains(l.addr) }) {
			return bad("InUsePrefixCannotBeDeleted", "Address prefix of subnet %s is in use by %s and cannot be changed.", id, l.from)
		}
	}
	if text(p, "privateLinkServiceNetworkPolicies") != "Disabled" {
		for _, by := range w.cloud.index.from(id, linkSubnet) {
			if strings.Contains(key(by), "/privatelinkservices/") {
				return bad("PrivateLinkServiceNetworkPoliciesCannotBeEnabled",
					"Network policies of subnet %s cannot be enabled: it is in use by private link service %s.", id, by)
			}
		}
	}
	return nil
}

func (w *write) checkRemovedSubnets() *refusal {
	for _, subnet := range elements(child(w.priorDoc(), "properties"), "subnets") {
		if named(elements(child(w.next, "properties"), "subnets"), text(subnet, "name")) != nil {
			continue
		}
		if refused := w.cloud.subnetInUse(text(subnet, "id")); refused != nil {
			return refused
		}
	}
	return nil
}

func (c *Cloud) subnetInUse(id string) *refusal {
	if by := c.index.from(id, linkSubnet); len(by) > 0 {
		return bad("InUseSubnetCannotBeDeleted", "Subnet %s is in use by %s and cannot be deleted. "+
			"In order to delete the subnet, delete all the resources within the subnet.", last(id), by[0])
	}
	return nil
}

func networkInUse(c *Cloud, r *resource) *refusal {
	for _, subnet := range elements(child(r.doc, "properties"), "subnets") {
		if refused := c.subnetInUse(text(subnet, "id")); refused != nil {
			return refused
		}
	}
	if by := c.index.from(r.id, linkNetwork); len(by) > 0 {
		return bad("InUseVirtualNetworkCannotBeDeleted", "Virtual network %s is in use by %s.", r.id, strings.Join(by, ", "))
	}
	return nil
}

func networkLinks(r *resource) []link {
	var links []link
	for _, subnet := range elements(child(r.doc, "properties"), "subnets") {
		id, p := text(subnet, "id"), child(subnet, "properties")
		if to := reference(p, "networkSecurityGroup"); to != "" {
			links = append(links, link{kind: linkGroup, from: id, to: key(to)})
		}
		if to := reference(p, "routeTable"); to != "" {
			links = append(links, link{kind: linkRoutes, from: id, to: key(to)})
		}
	}
	return links
}

// deriveNetwork writes which IP configurations lie in the subnets.
func deriveNetwork(c *Cloud, r *resource) {
	r.answer = nil
	for _, subnet := range elements(child(r.doc, "properties"), "subnets") {
		setList(properties(subnet), "ipConfigurations", references(c.index.from(text(subnet, "id"), linkSubnet)))
	}
}
