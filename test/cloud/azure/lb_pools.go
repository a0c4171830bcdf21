// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

func jsonNumber(n int) json.Number { return json.Number(strconv.Itoa(n)) }

// ipMembers are the members of a pool that are given by address.
func ipMembers(pool object) []object {
	var found []object
	for _, m := range elements(child(pool, "properties"), backendAddresses) {
		if text(m, "properties", "ipAddress") != "" {
			found = append(found, m)
		}
	}
	return found
}

// checkPools judges and completes the backend pools.
func checkPools(w *write) *refusal {
	for _, pool := range elements(child(w.next, "properties"), "backendAddressPools") {
		props := properties(pool)
		if refused := w.keepIPMembers(pool); refused != nil {
			return refused
		}
		members := ipMembers(pool)
		network := reference(props, "virtualNetwork")
		if network == "" && len(members) > 0 {
			return bad("LoadBalancerBackendAddressPoolNeedsVirtualNetwork",
				"Backend address pool %s has members by address and must name their virtual network.", text(pool, "id"))
		}
		if network != "" {
			if refused := w.cloud.settled(network, text(pool, "id")); refused != nil {
				return refused
			}
		}
		if refused := w.checkMembers(pool, network, members); refused != nil {
			return refused
		}
	}
	return nil
}

// keepIPMembers drops the members that the server fills in, and moves networks
// that stand at the members to the pool.
func (w *write) keepIPMembers(pool object) *refusal {
	props := properties(pool)
	kept := []any{}
	for _, m := range elements(props, backendAddresses) {
		p := properties(m)
		network := reference(p, "virtualNetwork")
		if subnet := reference(p, "subnet"); subnet != "" && network == "" {
			network = parent(subnet)
		}
		switch {
		case text(p, "ipAddress") == "" && reference(p, "networkInterfaceIPConfiguration") == "":
			return bad("BackendAddressWithoutIPAddress", "Member %s of backend address pool %s has no IP address.",
				text(m, "name"), text(pool, "id"))
		case text(p, "ipAddress") == "":
			continue
		}
		if network != "" {
			if have := reference(props, "virtualNetwork"); have != "" && !strings.EqualFold(have, network) {
				return bad("BackendAddressesInDifferentVirtualNetworks",
					"The members of backend address pool %s lie in different virtual networks.", text(pool, "id"))
			}
			props["virtualNetwork"] = object{"id": network}
			delete(p, "virtualNetwork")
			delete(p, "subnet")
		}
		kept = append(kept, m)
	}
	props[backendAddresses] = kept
	return nil
}

// checkMembers judges members by address.
func (w *write) checkMembers(pool object, network string, members []object) *refusal {
	id := text(pool, "id")
	if len(members) == 0 {
		return nil
	}
	if text(w.next, "sku", "name") == "Basic" {
		return bad("BackendAddressesNotSupportedForBasicSku", "Backend address pool %s: a Basic load balancer has no members by address.", id)
	}
	if by := append(w.cloud.index.from(id, linkPool), w.cloud.index.from(id, linkModel)...); len(by) > 0 {
		return bad("LoadBalancerBackendAddressPoolMixesAddressesAndInterfaces",
			"Backend address pool %s has interfaces as members (%s) and cannot have addresses.", id, by[0])
	}
	space := prefixes(child(w.cloud.resources[key(network)].doc, "properties", "addressSpace"))
	names, addrs := map[string]bool{}, map[netip.Addr]bool{}
	for _, m := range members {
		name, p := text(m, "name"), properties(m)
		addr, err := netip.ParseAddr(text(p, "ipAddress"))
		switch {
		case name == "":
			return bad("InvalidRequestFormat", "Cannot parse the request.").because("MissingJsonReferenceId",
				"Value for reference id is missing. Path properties.%s of %s.", backendAddresses, id)
		case names[key(name)]:
			return bad("DuplicateResourceName", "Resource %s has two child resources with the same name (%s).", id, name)
		case err != nil:
			return bad("InvalidIPAddressFormat", "Member %s of %s: '%s' is not an IP address.", name, id, text(p, "ipAddress"))
		case addrs[addr]:
			return bad("DuplicateBackendAddress", "Backend address pool %s has the address %s twice.", id, addr)
		case !slices.ContainsFunc(space, func(p netip.Prefix) bool { return p.Contains(addr) }):
			return bad("BackendAddressNotInVirtualNetwork", "Address %s of member %s does not lie in virtual network %s.",
				addr, name, network)
		}
		names[key(name)], addrs[addr] = true, true
		m["id"], m["type"] = id+"/"+backendAddresses+"/"+name, BackendPools+"/"+backendAddresses
		p["provisioningState"] = succeeded
	}
	return nil
}

// poolInUse refuses to give up a pool that a scale set uses.
func (c *Cloud) poolInUse(r *resource, pool string) *refusal {
	by := c.index.from(pool, linkModel)
	for _, member := range c.index.from(pool, linkPool) {
		if strings.Contains(key(member), "/virtualmachinescalesets/") {
			by = append(by, member)
		}
	}
	if len(by) == 0 {
		return nil
	}
	return refuse(http.StatusBadRequest, "LoadBalancerInUseByVirtualMachineScaleSet",
		"Cannot remove backend pool %s from load balancer %s since it is in use by virtual machine scale set %s.",
		pool, r.id, by[0])
}

// checkRemovedPools refuses to drop a pool that a scale set uses. Interfaces of
// single machines leave a pool that goes.
func checkRemovedPools(w *write) *refusal {
	kept := elements(child(w.next, "properties"), "backendAddressPools")
	for _, pool := range elements(child(w.priorDoc(), "properties"), "backendAddressPools") {
		if named(kept, text(pool, "name")) != nil {
			continue
		}
		if refused := w.cloud.poolInUse(w.prior, text(pool, "id")); refused != nil {
			return refused
		}
	}
	return nil
}

// loadBalancerLinks are what a load balancer refers to.
func loadBalancerLinks(r *resource) []link {
	var links []link
	props := child(r.doc, "properties")
	for _, f := range elements(props, "frontendIPConfigurations") {
		id, p := text(f, "id"), child(f, "properties")
		if pip := reference(p, "publicIPAddress"); pip != "" {
			links = append(links, link{kind: linkPublicIP, from: id, to: key(pip)})
		}
		if subnet := reference(p, "subnet"); subnet != "" {
			addr, _ := netip.ParseAddr(text(p, "privateIPAddress"))
			links = append(links, link{kind: linkSubnet, from: id, to: key(subnet), addr: addr})
		}
		if prefix := reference(p, "publicIPPrefix"); prefix != "" {
			links = append(links, link{kind: linkPrefix, from: id, to: key(prefix)})
		}
	}
	for _, pool := range elements(props, "backendAddressPools") {
		network := reference(child(pool, "properties"), "virtualNetwork")
		if network == "" {
			continue
		}
		links = append(links, link{kind: linkNetwork, from: text(pool, "id"), to: key(network)})
		for _, m := range ipMembers(pool) {
			if addr, err := netip.ParseAddr(text(m, "properties", "ipAddress")); err == nil {
				links = append(links, link{kind: linkMember, from: text(m, "id"), to: atAddress(network, addr)})
			}
		}
	}
	return links
}
