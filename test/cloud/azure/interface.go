// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"net/netip"
	"slices"
	"strings"
)

const backendPools = "loadBalancerBackendAddressPools"

// prepareInterface judges a network interface and completes it.
func prepareInterface(w *write) *refusal {
	props := properties(w.next)
	orDefault(props, "enableIPForwarding", false)
	orDefault(props, "enableAcceleratedNetworking", false)
	orDefault(props, "dnsSettings", object{"dnsServers": []any{}, "appliedDnsServers": []any{}})
	if refused := w.fillChildren("ipConfigurations"); refused != nil {
		return refused
	}
	for _, field := range []string{"virtualMachine", "primary", "macAddress"} {
		copyField(props, child(w.priorDoc(), "properties"), field)
	}
	configs := elements(props, "ipConfigurations")
	if len(configs) == 0 {
		return bad("NetworkInterfaceMustHaveAtLeastOneIpConfiguration", "Network interface %s has no IP configuration.", w.id.path)
	}
	taken := map[netip.Addr]bool{}
	networks := map[string]bool{}
	for _, config := range configs {
		if refused := w.placeInterface(config, taken); refused != nil {
			return refused
		}
		networks[key(parent(reference(child(config, "properties"), "subnet")))] = true
	}
	if len(networks) > 1 {
		return bad("NetworkInterfaceIPConfigurationsInDifferentVirtualNetworks",
			"The IP configurations of network interface %s lie in different virtual networks.", w.id.path)
	}
	if group := reference(props, "networkSecurityGroup"); group != "" {
		if refused := w.cloud.settled(group, w.id.path); refused != nil {
			return refused
		}
	}
	return w.cloud.checkMembership(w.resourceID(), "NetworkInterfaceUsesMultipleLoadBalancersOfSameType", configs)
}

// placeInterface gives an IP configuration its address.
func (w *write) placeInterface(config object, taken map[netip.Addr]bool) *refusal {
	id, p := text(config, "id"), properties(config)
	orDefault(p, "privateIPAddressVersion", "IPv4")
	orDefault(p, "privateIPAllocationMethod", "Dynamic")
	subnet := reference(p, "subnet")
	if refused := w.cloud.settled(subnet, id); refused != nil {
		return refused
	}
	if pip := reference(p, "publicIPAddress"); pip != "" {
		if refused := w.cloud.settled(pip, id); refused != nil {
			return refused
		}
		for _, by := range w.cloud.index.from(pip, linkPublicIP) {
			if !strings.EqualFold(by, id) {
				return bad("PublicIPAddressInUse",
					"Resource %s is referencing public IP address %s that is already allocated to resource %s.", id, pip, by)
			}
		}
	}
	place := placement{holder: id, subnet: subnet, taken: taken, v6: text(p, "privateIPAddressVersion") == "IPv6"}
	before := child(w.priorChild("ipConfigurations", text(config, "name")), "properties")
	if strings.EqualFold(reference(before, "subnet"), subnet) {
		place.keep, _ = netip.ParseAddr(text(before, "privateIPAddress"))
	}
	if strings.EqualFold(text(p, "privateIPAllocationMethod"), "Static") {
		place.static = text(p, "privateIPAddress")
	}
	addr, refused := w.cloud.place(place)
	if refused != nil {
		return refused
	}
	taken[addr] = true
	p["privateIPAddress"] = addr.String()
	return nil
}

// checkMembership judges the pools that the IP configurations of one interface
// name: they exist, their load balancers are settled, and there is at most one
// public and one internal load balancer.
func (c *Cloud) checkMembership(holder, tooMany string, configs []object) *refusal {
	byType := map[string]string{}
	for _, config := range configs {
		for _, ref := range elements(child(config, "properties"), backendPools) {
			lb, refused := c.checkPool(holder, text(ref, "id"), config)
			if refused != nil {
				return refused
			}
			var exposure string
			switch {
			case internal(lb.doc):
				exposure = "internal"
			case public(lb.doc):
				exposure = "public"
			default:
				continue
			}
			if other := byType[exposure]; other != "" && other != lb.id {
				return bad(tooMany, "%s references more than one load balancer of the same type (internal or public): %s, %s.",
					holder, other, lb.id)
			}
			byType[exposure] = lb.id
		}
	}
	return nil
}

// checkPool judges one pool that an IP configuration names, and finds its load
// balancer.
func (c *Cloud) checkPool(holder, id string, config object) (*resource, *refusal) {
	pool := c.findChild(id)
	if pool == nil || !strings.EqualFold(last(up(id, 1)), "backendAddressPools") {
		return nil, notFoundReference(id, holder)
	}
	if refused := c.settled(id, holder); refused != nil {
		return nil, refused
	}
	if len(ipMembers(pool)) > 0 {
		return nil, bad("LoadBalancerBackendAddressPoolMixesAddressesAndInterfaces",
			"Backend address pool %s has addresses as members and cannot have %s.", id, holder)
	}
	lb := c.find(id)
	if n := rulesByPool(elements(child(lb.doc, "properties"), "loadBalancingRules"))[key(id)]; n > maxRulesPerPool {
		return nil, bad("RuleLimitPerNetworkInterfaceReached",
			"IpConfiguration of %s cannot have more than %d NAT or load balancing rules combined.", holder, maxRulesPerPool)
	}
	return lb, c.checkMemberFamily(lb, id, config)
}

// configLinks are what one IP configuration of an interface refers to.
func configLinks(id string, p object, addr netip.Addr) []link {
	var links []link
	if subnet := reference(p, "subnet"); subnet != "" {
		links = append(links, link{kind: linkSubnet, from: id, to: key(subnet), addr: addr})
		if addr.IsValid() {
			links = append(links, link{kind: linkAddress, from: id, to: atAddress(parent(subnet), addr)})
		}
	}
	for _, pool := range elements(p, backendPools) {
		links = append(links, link{kind: linkPool, from: id, to: key(text(pool, "id")), addr: addr})
	}
	if pip := reference(p, "publicIPAddress"); pip != "" {
		links = append(links, link{kind: linkPublicIP, from: id, to: key(pip)})
	}
	return links
}

func interfaceLinks(r *resource) []link {
	var links []link
	props := child(r.doc, "properties")
	for _, config := range elements(props, "ipConfigurations") {
		p := child(config, "properties")
		addr, _ := netip.ParseAddr(text(p, "privateIPAddress"))
		links = append(links, configLinks(text(config, "id"), p, addr)...)
	}
	if group := reference(props, "networkSecurityGroup"); group != "" {
		links = append(links, link{kind: linkGroup, from: r.id, to: key(group)})
	}
	return links
}

// deriveInterface writes which machine has the interface.
func deriveInterface(c *Cloud, r *resource) {
	r.answer = nil
	by := c.index.from(r.id, linkMachine)
	if len(by) == 0 {
		delete(properties(r.doc), "virtualMachine")
		return
	}
	properties(r.doc)["virtualMachine"] = object{"id": by[0]}
}

func interfaceInUse(c *Cloud, r *resource) *refusal {
	if by := c.index.from(r.id, linkMachine); len(by) > 0 {
		return bad("NicInUse", "Network Interface %s is used by existing resource %s.", r.id, by[0])
	}
	return nil
}

// leavePools takes interfaces of single machines out of pools that are gone.
func (c *Cloud) leavePools(gone []string) {
	for _, pool := range gone {
		for _, member := range c.index.from(pool, linkPool) {
			nic := c.find(member)
			if nic == nil || nic.kind.name != Interfaces {
				continue
			}
			for _, config := range elements(child(nic.doc, "properties"), "ipConfigurations") {
				dropPool(properties(config), pool)
			}
			c.commit(nic, nic.doc)
		}
	}
}

// dropPool takes one pool out of an IP configuration's list.
func dropPool(p object, pool string) {
	list, _ := p[backendPools].([]any)
	setList(p, backendPools, slices.DeleteFunc(list, func(ref any) bool {
		o, ok := ref.(object)
		return ok && strings.EqualFold(text(o, "id"), pool)
	}))
}

// goneFrom are the ids of the pools that one document has and the next lacks.
func goneFrom(before, after object) []string {
	var gone []string
	kept := elements(child(after, "properties"), "backendAddressPools")
	for _, pool := range elements(child(before, "properties"), "backendAddressPools") {
		if named(kept, text(pool, "name")) == nil {
			gone = append(gone, text(pool, "id"))
		}
	}
	return gone
}
