// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"net/netip"
	"strings"
)

// preparePrivateLink judges a private link service.
func preparePrivateLink(w *write) *refusal {
	props := properties(w.next)
	for _, array := range w.kind.children {
		if refused := w.fillChildren(array); refused != nil {
			return refused
		}
	}
	before := child(w.priorDoc(), "properties")
	if before != nil {
		props["privateEndpointConnections"] = clone(before["privateEndpointConnections"])
		if w.childArray == "privateEndpointConnections" {
			w.dropConnection(props)
		}
	}
	copyField(props, before, "alias")
	if text(props, "alias") == "" {
		props["alias"] = strings.ToLower(w.id.name()) + "." + w.cloud.guid() + "." + text(w.next, "location") +
			".azure.privatelinkservice"
	}
	orDefault(props, "enableProxyProtocol", false)
	for _, field := range []string{"fqdns"} {
		orDefault(props, field, []any{})
	}
	for _, field := range []string{"visibility", "autoApproval"} {
		orDefault(ensure(props, field), "subscriptions", []any{})
	}
	if refused := w.checkServedFrontends(props); refused != nil {
		return refused
	}
	return w.placePrivateLink(props)
}

// dropConnection takes out the connection that a DELETE names.
func (w *write) dropConnection(props object) {
	kept := []any{}
	for _, e := range elements(props, "privateEndpointConnections") {
		if !strings.EqualFold(text(e, "name"), w.childName) {
			kept = append(kept, e)
		}
	}
	props["privateEndpointConnections"] = kept
}

// checkServedFrontends judges the frontends of a private link service: one of a
// Standard load balancer, and no other service on it.
func (w *write) checkServedFrontends(props object) *refusal {
	list := elements(props, "loadBalancerFrontendIpConfigurations")
	if len(list) == 0 {
		return bad("PrivateLinkServiceWithoutFrontend", "Private link service %s names no frontend.", w.resourceID())
	}
	for _, f := range list {
		id := text(f, "id")
		if refused := w.cloud.settled(id, w.resourceID()); refused != nil {
			return refused
		}
		lb := w.cloud.find(id)
		if text(lb.doc, "sku", "name") != "Standard" {
			return bad("PrivateLinkServiceNeedsStandardLoadBalancer", "Load balancer %s is not of Standard sku.", lb.id)
		}
		for _, by := range w.cloud.index.from(id, linkFrontend) {
			if !strings.EqualFold(by, w.resourceID()) {
				return bad("PrivateLinkServiceFrontendInUse", "Frontend %s is in use by private link service %s.", id, by)
			}
		}
		for _, rule := range elements(child(lb.doc, "properties"), "loadBalancingRules") {
			p := child(rule, "properties")
			if strings.EqualFold(reference(p, "frontendIPConfiguration"), id) && isTrue(p, "enableFloatingIP") && public(lb.doc) {
				return bad("PrivateLinkServiceNotSupportedWithFloatingIP",
					"Private link service %s: rule %s of its public frontend has floating IP.", w.resourceID(), text(rule, "id"))
			}
		}
	}
	return nil
}

// maxPrivateLinkIPs is how many IP configurations a private link service may
// have: 8, from the page on private link.
const maxPrivateLinkIPs = 8

// placePrivateLink gives the IP configurations their addresses.
func (w *write) placePrivateLink(props object) *refusal {
	list := elements(props, "ipConfigurations")
	if len(list) == 0 || len(list) > maxPrivateLinkIPs {
		return bad("PrivateLinkServiceInvalidIPConfigurationCount",
			"Private link service %s has %d IP configurations; 1 to %d are allowed.", w.resourceID(), len(list), maxPrivateLinkIPs)
	}
	taken := map[netip.Addr]bool{}
	for _, config := range list {
		id, p := text(config, "id"), properties(config)
		orDefault(p, "privateIPAddressVersion", "IPv4")
		orDefault(p, "privateIPAllocationMethod", "Dynamic")
		orDefault(p, "primary", false)
		subnet := reference(p, "subnet")
		if refused := w.cloud.settled(subnet, id); refused != nil {
			return refused
		}
		if text(w.cloud.findChild(subnet), "properties", "privateLinkServiceNetworkPolicies") != "Disabled" {
			return bad("PrivateLinkServiceCannotBeCreatedInSubnetThatHasNetworkPoliciesEnabled",
				"Private link service %s cannot be created in a subnet %s since it has private link service "+
					"network policies enabled.", w.resourceID(), subnet)
		}
		place := placement{holder: id, subnet: subnet, taken: taken}
		before := child(w.priorChild("ipConfigurations", text(config, "name")), "properties")
		place.keep, _ = netip.ParseAddr(text(before, "privateIPAddress"))
		if strings.EqualFold(text(p, "privateIPAllocationMethod"), "Static") {
			if place.static = text(p, "privateIPAddress"); place.static == "" {
				return bad("PrivateIPAddressMissing", "IP configuration %s is static and names no address.", id)
			}
		}
		addr, refused := w.cloud.place(place)
		if refused != nil {
			return refused
		}
		taken[addr] = true
		p["privateIPAddress"] = addr.String()
	}
	return nil
}

func privateLinkLinks(r *resource) []link {
	var links []link
	props := child(r.doc, "properties")
	for _, f := range elements(props, "loadBalancerFrontendIpConfigurations") {
		links = append(links, link{kind: linkFrontend, from: r.id, to: key(text(f, "id"))})
	}
	for _, config := range elements(props, "ipConfigurations") {
		p := child(config, "properties")
		addr, _ := netip.ParseAddr(text(p, "privateIPAddress"))
		links = append(links, link{kind: linkSubnet, from: text(config, "id"), to: key(reference(p, "subnet")), addr: addr})
	}
	return links
}

func privateLinkInUse(_ *Cloud, r *resource) *refusal {
	if list := elements(child(r.doc, "properties"), "privateEndpointConnections"); len(list) > 0 {
		return bad("CannotDeletePrivateLinkServiceWithPrivateEndPointConnections",
			"Private link service %s cannot be deleted since it has private endpoint connections.", r.id)
	}
	return nil
}
