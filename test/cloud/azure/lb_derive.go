// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"net/netip"
	"strings"
)

// deriveLoadBalancer writes the back-references inside the document, and the
// members that interfaces bring.
func deriveLoadBalancer(c *Cloud, r *resource) {
	r.answer = nil
	props := properties(r.doc)
	fronts, pools, probes := backReferences{}, backReferences{}, backReferences{}
	for _, rule := range elements(props, "loadBalancingRules") {
		id, p := text(rule, "id"), child(rule, "properties")
		fronts.add(reference(p, "frontendIPConfiguration"), "loadBalancingRules", id)
		probes.add(reference(p, "probe"), "loadBalancingRules", id)
		for _, pool := range rulePools(rule) {
			pools.add(pool, "loadBalancingRules", id)
		}
	}
	for _, rule := range elements(props, "outboundRules") {
		id, p := text(rule, "id"), child(rule, "properties")
		pools.add(reference(p, "backendAddressPool"), "outboundRules", id)
		for _, f := range elements(p, "frontendIPConfigurations") {
			fronts.add(text(f, "id"), "outboundRules", id)
		}
	}
	for _, array := range []string{"inboundNatRules", "inboundNatPools"} {
		for _, rule := range elements(props, array) {
			fronts.add(reference(child(rule, "properties"), "frontendIPConfiguration"), array, text(rule, "id"))
		}
	}
	for _, f := range elements(props, "frontendIPConfigurations") {
		fronts.write(f, "loadBalancingRules", "outboundRules", "inboundNatRules", "inboundNatPools")
	}
	for _, probe := range elements(props, "probes") {
		probes.write(probe, "loadBalancingRules")
	}
	for _, pool := range elements(props, "backendAddressPools") {
		pools.write(pool, "loadBalancingRules", "outboundRules")
		c.deriveMembers(r, pool)
	}
}

// backReferences are ids by target and field.
type backReferences map[string]map[string][]string

func (b backReferences) add(to, field, from string) {
	if b[key(to)] == nil {
		b[key(to)] = map[string][]string{}
	}
	b[key(to)][field] = append(b[key(to)][field], from)
}

// write sets the fields of an element, and removes those that are empty.
func (b backReferences) write(e object, fields ...string) {
	for _, field := range fields {
		setList(properties(e), field, references(b[key(text(e, "id"))][field]))
	}
}

// deriveMembers writes what interfaces bring into a pool, and which interface
// has the address of a member.
func (c *Cloud) deriveMembers(r *resource, pool object) {
	props := properties(pool)
	for _, m := range ipMembers(pool) {
		p := properties(m)
		delete(p, "networkInterfaceIPConfiguration")
		addr, err := netip.ParseAddr(text(p, "ipAddress"))
		if err != nil {
			continue
		}
		at := atAddress(reference(props, "virtualNetwork"), addr)
		if owners := c.index.from(at, linkAddress); len(owners) > 0 {
			p["networkInterfaceIPConfiguration"] = object{"id": owners[0]}
		}
		m["etag"] = r.doc["etag"]
	}
	ids := c.index.from(text(pool, "id"), linkPool)
	setList(props, "backendIPConfigurations", references(ids))
	if len(ipMembers(pool)) > 0 {
		return
	}
	members := make([]any, len(ids))
	for i, id := range ids {
		name := memberName(id)
		members[i] = object{
			"name": name, "id": text(pool, "id") + "/" + backendAddresses + "/" + name,
			"etag": r.doc["etag"], "type": BackendPools + "/" + backendAddresses,
			"properties": object{
				"provisioningState":               text(pool, "properties", "provisioningState"),
				"networkInterfaceIPConfiguration": object{"id": id},
			},
		}
	}
	props[backendAddresses] = members
}

// memberName is how the server calls a member that an interface brings: group,
// scale set and instance where there is one, interface and IP configuration.
func memberName(ipConfiguration string) string {
	id, ok := parseID(ipConfiguration)
	if !ok || len(id.names) < 2 {
		return last(ipConfiguration)
	}
	n := len(id.names)
	parts := append([]string{id.group}, id.names[:n-2]...)
	return strings.Join(append(parts, id.names[n-2]+id.names[n-1]), "_")
}
