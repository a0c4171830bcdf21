// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

const backendAddresses = "loadBalancerBackendAddresses"

// Limits of a Standard load balancer, from the page on service limits.
const (
	maxRules        = 1500
	maxFrontends    = 600
	maxRulesPerPool = 300
)

// prepareLoadBalancer judges a load balancer's document and completes it.
func prepareLoadBalancer(w *write) *refusal {
	if refused := w.checkSKU("Basic", "Standard", "Gateway"); refused != nil {
		return refused
	}
	for _, array := range w.kind.children {
		if refused := w.fillChildren(array); refused != nil {
			return refused
		}
	}
	for _, check := range []func(*write) *refusal{
		checkFrontends, checkPools, checkProbes, checkRules, checkOutbound, checkNAT, checkLimits, checkRemovedPools,
		checkRemovedFrontends,
	} {
		if refused := check(w); refused != nil {
			return refused
		}
	}
	return nil
}

// checkSKU allows one of the names, fills the tier, and refuses a change.
func (w *write) checkSKU(names ...string) *refusal {
	sku := ensure(w.next, "sku")
	orDefault(sku, "name", names[0])
	orDefault(sku, "tier", "Regional")
	name := text(sku, "name")
	at := slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
	if at < 0 {
		return bad("InvalidSku", "Sku %s of resource %s is not valid. Allowed are %s.",
			name, w.id.path, strings.Join(names, ", "))
	}
	sku["name"] = names[at]
	if w.prior == nil {
		return nil
	}
	if old := text(w.prior.doc, "sku", "name"); old != names[at] {
		return bad("SkuCannotBeChangedOnUpdate", "Sku property is set at creation time and cannot be changed "+
			"from %s to %s on resource update for resource %s.", old, names[at], w.prior.id)
	}
	return nil
}

// checkZones refuses other zones than those that a resource was made with.
func checkZones(id string, before, after object) *refusal {
	if before == nil {
		return nil
	}
	old, now := strs(before, "zones"), strs(after, "zones")
	slices.Sort(old)
	slices.Sort(now)
	if slices.Equal(old, now) {
		return nil
	}
	return bad("ResourceAvailabilityZonesCannotBeModified",
		"Resource %s has an existing availability zone constraint %s and the request has availability zone constraint %s, "+
			"which do not match. Zones cannot be added/updated/removed once the resource is created. "+
			"The resource cannot be updated from regional to zonal or vice-versa.", id, zoneText(old), zoneText(now))
}

func zoneText(zones []string) string {
	if len(zones) == 0 {
		return "NoZone"
	}
	return strings.Join(zones, ", ")
}

// checkFrontends judges the frontends and gives private ones their addresses.
func checkFrontends(w *write) *refusal {
	taken := map[netip.Addr]bool{}
	used := map[string]string{}
	public, private := "", ""
	for _, f := range elements(child(w.next, "properties"), "frontendIPConfigurations") {
		id, props := text(f, "id"), properties(f)
		pip, subnet := reference(props, "publicIPAddress"), reference(props, "subnet")
		prefix := reference(props, "publicIPPrefix")
		if refused := checkZones(id, w.priorChild("frontendIPConfigurations", text(f, "name")), f); refused != nil {
			return refused
		}
		var refused *refusal
		switch {
		case pip != "" && subnet != "", pip == "" && subnet == "" && prefix == "":
			return bad("LoadBalancerFrontendIPConfigurationNeedsPublicIPAddressOrSubnet",
				"Frontend IP configuration %s must reference either a public IP address or a subnet.", id)
		case subnet != "":
			private = id
			refused = w.placeFrontend(f, subnet, taken)
		case pip != "":
			public = id
			refused = w.checkFrontendIP(f, pip, used)
		default:
			public = id
			refused = w.cloud.settled(prefix, id)
		}
		if refused != nil {
			return refused
		}
	}
	if public != "" && private != "" {
		return bad("LoadBalancerUsesPublicAndPrivateFrontends",
			"Load balancer %s cannot have public frontends (%s) and private ones (%s).", w.id.path, public, private)
	}
	return nil
}

// placeFrontend completes a frontend in a subnet.
func (w *write) placeFrontend(f object, subnet string, taken map[netip.Addr]bool) *refusal {
	id, props := text(f, "id"), properties(f)
	orDefault(props, "privateIPAddressVersion", "IPv4")
	orDefault(props, "privateIPAllocationMethod", "Dynamic")
	if refused := w.cloud.settled(subnet, id); refused != nil {
		return refused
	}
	p := placement{holder: id, subnet: subnet, taken: taken, v6: text(props, "privateIPAddressVersion") == "IPv6"}
	if before := child(w.priorChild("frontendIPConfigurations", text(f, "name")), "properties"); before != nil &&
		strings.EqualFold(reference(before, "subnet"), subnet) {
		p.keep, _ = netip.ParseAddr(text(before, "privateIPAddress"))
	}
	if strings.EqualFold(text(props, "privateIPAllocationMethod"), "Static") {
		if p.static = text(props, "privateIPAddress"); p.static == "" {
			return bad("PrivateIPAddressMissing", "Frontend %s is static and names no private IP address.", id)
		}
	}
	addr, refused := w.cloud.place(p)
	if refused != nil {
		return refused
	}
	taken[addr] = true
	props["privateIPAddress"] = addr.String()
	return nil
}

// checkFrontendIP judges a frontend with a public IP.
func (w *write) checkFrontendIP(f object, pip string, used map[string]string) *refusal {
	id, props := text(f, "id"), properties(f)
	if refused := w.cloud.settled(pip, id); refused != nil {
		return refused
	}
	if other := used[key(pip)]; other != "" {
		return bad("PublicIPReferencedByMultipleIPConfigs",
			"Public IP address %s is referenced by multiple ipconfigs in resource %s: %s and %s.", pip, w.id.path, other, id)
	}
	used[key(pip)] = id
	for _, l := range w.cloud.index.of(pip, linkPublicIP) {
		if !strings.EqualFold(up(l.from, 2), w.resourceID()) {
			return bad("PublicIPAddressInUse",
				"Resource %s is referencing public IP address %s that is already allocated to resource %s.", id, pip, l.from)
		}
	}
	r := w.cloud.resources[key(pip)]
	if have, want := text(r.doc, "sku", "name"), text(w.next, "sku", "name"); have != want {
		return bad("PublicIPAndLBSkuDoNotMatch", "%s sku publicIp %s cannot be referenced by %s sku load balancer %s.",
			have, pip, want, w.id.path)
	}
	if !sameLocation(text(r.doc, "location"), text(w.next, "location")) {
		return notFoundReference(pip, id)
	}
	if len(strs(f, "zones")) > 0 {
		return bad("LoadBalancerFrontendWithPublicIPCannotHaveZones",
			"Frontend %s references a public IP address and cannot have zones of its own.", id)
	}
	delete(props, "privateIPAddress")
	orDefault(props, "privateIPAllocationMethod", "Dynamic")
	return nil
}

// internal reports whether the load balancer's frontends are private.
func internal(doc object) bool {
	for _, f := range elements(child(doc, "properties"), "frontendIPConfigurations") {
		if reference(child(f, "properties"), "subnet") != "" {
			return true
		}
	}
	return false
}

// public reports whether the load balancer's frontends are public.
func public(doc object) bool {
	return !internal(doc) && len(elements(child(doc, "properties"), "frontendIPConfigurations")) > 0
}

// checkLimits counts.
func checkLimits(w *write) *refusal {
	props := child(w.next, "properties")
	rules := elements(props, "loadBalancingRules")
	if n := len(rules) + len(elements(props, "inboundNatRules")); n > maxRules {
		return bad("LoadBalancerRuleCountLimitReached", "Load balancer %s cannot have more than %d rules; it has %d.",
			w.id.path, maxRules, n)
	}
	if n := len(elements(props, "frontendIPConfigurations")); n > maxFrontends {
		return bad("LoadBalancerFrontendIPConfigurationCountLimitReached",
			"Load balancer %s cannot have more than %d frontends; it has %d.", w.id.path, maxFrontends, n)
	}
	count := rulesByPool(rules)
	for _, pool := range elements(props, "backendAddressPools") {
		id := text(pool, "id")
		members := len(w.cloud.index.from(id, linkPool)) + len(ipMembers(pool))
		if n := count[key(id)]; n > maxRulesPerPool && members > 0 {
			return bad("RuleLimitPerNetworkInterfaceReached",
				"IP configurations in %s cannot have more than %d NAT or load balancing rules combined; they have %d.",
				id, maxRulesPerPool, n)
		}
	}
	return nil
}

// rulesByPool counts the rules of each pool.
func rulesByPool(rules []object) map[string]int {
	count := map[string]int{}
	for _, rule := range rules {
		for _, pool := range rulePools(rule) {
			count[key(pool)]++
		}
	}
	return count
}

// rulePools are the ids of the pools that a rule sends to.
func rulePools(rule object) []string {
	props := child(rule, "properties")
	var ids []string
	for _, p := range elements(props, "backendAddressPools") {
		ids = append(ids, text(p, "id"))
	}
	if one := reference(props, "backendAddressPool"); one != "" && len(ids) == 0 {
		ids = append(ids, one)
	}
	return ids
}

// checkRemovedFrontends refuses to drop a frontend that a private link serves.
func checkRemovedFrontends(w *write) *refusal {
	for _, f := range elements(child(w.priorDoc(), "properties"), "frontendIPConfigurations") {
		if named(elements(child(w.next, "properties"), "frontendIPConfigurations"), text(f, "name")) != nil {
			continue
		}
		if by := w.cloud.index.from(text(f, "id"), linkFrontend); len(by) > 0 {
			return refuse(http.StatusBadRequest, "LoadBalancerFrontendIPConfigurationInUseByPrivateLinkService",
				"Frontend %s cannot be removed: it is in use by %s.", text(f, "id"), strings.Join(by, ", "))
		}
	}
	return nil
}

// loadBalancerInUse refuses to delete what scale sets or private links use.
func loadBalancerInUse(c *Cloud, r *resource) *refusal {
	props := child(r.doc, "properties")
	for _, pool := range elements(props, "backendAddressPools") {
		if refused := c.poolInUse(r, text(pool, "id")); refused != nil {
			return refused
		}
	}
	for _, f := range elements(props, "frontendIPConfigurations") {
		if by := c.index.from(text(f, "id"), linkFrontend); len(by) > 0 {
			return bad("LoadBalancerInUseByPrivateLinkService",
				"Load balancer %s cannot be deleted: its frontend is in use by %s.", r.id, strings.Join(by, ", "))
		}
	}
	return nil
}
