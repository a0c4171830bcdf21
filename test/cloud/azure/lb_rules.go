// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"fmt"
	"slices"
	"strings"
)

// choice refuses a value that is not one of a list, and spells it as the list
// does. A missing value becomes the fallback; with an empty fallback it is
// refused.
func choice(props object, field, fallback string, allowed ...string) *refusal {
	if props[field] == nil && fallback != "" {
		props[field] = fallback
	}
	value := text(props, field)
	for _, a := range allowed {
		if strings.EqualFold(a, value) {
			props[field] = a
			return nil
		}
	}
	return invalidField(field, fmt.Sprint(props[field]), "must be one of "+strings.Join(allowed, ", "))
}

// between refuses a number outside of a range. A missing one becomes the
// fallback; a negative fallback refuses it.
func between(props object, field string, fallback, low, high int) *refusal {
	if props[field] == nil && fallback >= 0 {
		props[field] = jsonNumber(fallback)
	}
	n, ok := number(props, field)
	if !ok || n < low || n > high {
		return invalidField(field, fmt.Sprint(props[field]), fmt.Sprintf("must be between %d and %d", low, high))
	}
	return nil
}

func invalidField(field, value, rule string) *refusal {
	return bad("InvalidRequestFormat", "Cannot parse the request.").because("InvalidJsonValue",
		"Value '%s' of property '%s' is not valid: it %s.", value, field, rule)
}

// checkProbes judges and completes the probes.
func checkProbes(w *write) *refusal {
	for _, probe := range elements(child(w.next, "properties"), "probes") {
		id, props := text(probe, "id"), properties(probe)
		for _, refused := range []*refusal{
			choice(props, "protocol", "", "Tcp", "Http", "Https"),
			between(props, "port", -1, 1, 65535),
			between(props, "intervalInSeconds", 15, 5, 2147483646),
			between(props, "numberOfProbes", 1, 1, 2147483647),
			between(props, "probeThreshold", 1, 1, 100),
			choice(props, "noHealthyBackendsBehavior", "AllProbedDown", "AllProbedDown", "AllProbedUp"),
		} {
			if refused != nil {
				return refused
			}
		}
		path := text(props, "requestPath")
		if web := text(props, "protocol") != "Tcp"; web != (path != "") {
			return bad("ProbeRequestPathInvalid",
				"Probe %s: a request path is required for Http and Https and not allowed for Tcp.", id)
		}
		if text(props, "protocol") == "Https" && text(w.next, "sku", "name") == "Basic" {
			return bad("HttpsProbeNotSupportedForBasicSku", "Probe %s: Https needs a Standard load balancer.", id)
		}
	}
	return nil
}

// ruleFacts are what two rules are compared by.
type ruleFacts struct {
	id, frontend, protocol string
	port, backendPort      int
	pools                  []string
	floating               bool
}

// checkRules judges and completes the load balancing rules.
func checkRules(w *write) *refusal {
	rules := elements(child(w.next, "properties"), "loadBalancingRules")
	facts := make([]ruleFacts, 0, len(rules))
	members := map[string]map[family]bool{}
	for _, pool := range elements(child(w.next, "properties"), "backendAddressPools") {
		members[key(text(pool, "id"))] = w.cloud.memberFamilies(pool)
	}
	for _, rule := range rules {
		f, refused := w.checkRule(rule, members)
		if refused != nil {
			return refused
		}
		facts = append(facts, f)
	}
	return compareRules(facts)
}

func (w *write) checkRule(rule object, members map[string]map[family]bool) (ruleFacts, *refusal) {
	id, props := text(rule, "id"), properties(rule)
	for _, refused := range []*refusal{
		choice(props, "protocol", "", "Tcp", "Udp", "All"),
		between(props, "frontendPort", -1, 0, 65534),
		between(props, "backendPort", 0, 0, 65535),
		between(props, "idleTimeoutInMinutes", 4, 4, 100),
		choice(props, "loadDistribution", "Default", "Default", "SourceIP", "SourceIPProtocol"),
	} {
		if refused != nil {
			return ruleFacts{}, refused
		}
	}
	for _, field := range []string{"enableFloatingIP", "enableTcpReset", "disableOutboundSnat"} {
		orDefault(props, field, false)
	}
	f := ruleFacts{id: id, protocol: text(props, "protocol"), floating: isTrue(props, "enableFloatingIP")}
	f.port, _ = number(props, "frontendPort")
	f.backendPort, _ = number(props, "backendPort")
	frontend, refused := w.local("frontendIPConfigurations", reference(props, "frontendIPConfiguration"), id)
	if refused != nil {
		return f, refused
	}
	f.frontend = key(text(frontend, "id"))
	if refused := w.checkRuleReferences(rule, &f); refused != nil {
		return f, refused
	}
	own := w.cloud.frontendFamily(frontend)
	for _, pool := range f.pools {
		for other := range members[pool] {
			if other != own {
				return f, bad("LoadBalancingRuleIPVersionMismatch",
					"Rule %s: its frontend and the members of %s are of different IP versions.", id, pool)
			}
		}
	}
	return f, w.checkAllPorts(f, child(frontend, "properties"))
}

// checkRuleReferences judges the pools and the probe of a rule.
func (w *write) checkRuleReferences(rule object, f *ruleFacts) *refusal {
	props := properties(rule)
	one := reference(props, "backendAddressPool")
	if list := rulePools(rule); one != "" {
		if len(list) > 0 && (len(list) > 1 || !strings.EqualFold(list[0], one)) {
			// Which of the two Azure would believe is not known: a writer must not leave it open.
			return bad("LoadBalancingRuleBackendAddressPoolsDiffer",
				"Rule %s: backendAddressPool and backendAddressPools name different pools.", f.id)
		}
		props["backendAddressPools"] = references([]string{one})
	} else if len(list) == 1 {
		props["backendAddressPool"] = object{"id": list[0]}
	}
	if len(rulePools(rule)) > 1 && text(w.next, "sku", "name") != "Gateway" {
		return bad("LoadBalancingRuleHasSeveralPools", "Rule %s: several pools need a Gateway load balancer.", f.id)
	}
	for _, pool := range rulePools(rule) {
		if _, refused := w.local("backendAddressPools", pool, f.id); refused != nil {
			return refused
		}
		f.pools = append(f.pools, key(pool))
	}
	if probe := reference(props, "probe"); probe != "" {
		if _, refused := w.local("probes", probe, f.id); refused != nil {
			return refused
		}
	}
	return nil
}

// checkAllPorts judges rules for all protocols and all ports.
func (w *write) checkAllPorts(f ruleFacts, frontend object) *refusal {
	private := reference(frontend, "subnet") != ""
	standard := text(w.next, "sku", "name") == "Standard"
	switch {
	case f.protocol != "All" && f.port == 0:
		return bad("LoadBalancingRuleAllPortsNeedsProtocolAll", "Rule %s: frontend port 0 needs protocol All.", f.id)
	case f.protocol != "All" && f.backendPort == 0:
		return bad("LoadBalancingRuleBackendPortInvalid", "Rule %s: backend port 0 needs protocol All.", f.id)
	case f.protocol == "All" && (!private || !standard):
		return bad("LoadBalancingRuleProtocolAllNotSupported",
			"Rule %s: protocol All is supported on internal load balancers of Standard sku alone.", f.id)
	case f.protocol == "All" && f.port == 0 && f.backendPort != 0:
		return bad("LoadBalancingRuleBackendPortInvalid", "Rule %s: all ports need backend port 0.", f.id)
	case f.floating && private && text(frontend, "privateIPAddressVersion") == "IPv6":
		return bad("FloatingIPNotSupportedForInternalIPv6",
			"Rule %s: floating IP is not supported on an internal IPv6 frontend.", f.id)
	}
	return nil
}

// compareRules refuses rules that are in each other's way.
func compareRules(facts []ruleFacts) *refusal {
	fronts, backs := map[string]string{}, map[string]string{}
	onFrontend := map[string][]ruleFacts{}
	for _, f := range facts {
		front := fmt.Sprintf("%s %s %d", f.frontend, f.protocol, f.port)
		if other := fronts[front]; other != "" {
			return bad("RulesUseSameFrontendPortProtocolAndIPConfig",
				"Load balancing rules %s and %s use the same frontend IP configuration, protocol %s and frontend port %d.",
				other, f.id, f.protocol, f.port)
		}
		fronts[front] = f.id
		onFrontend[f.frontend] = append(onFrontend[f.frontend], f)
		for _, pool := range f.pools {
			back := fmt.Sprintf("%s %s %d", pool, f.protocol, f.backendPort)
			code := "RulesUseSameBackendPortProtocolAndPool"
			if f.floating {
				back += " " + f.frontend
				code += "AndFrontendIPWithFloatingIPEnabled"
			}
			if other := backs[back]; other != "" {
				return bad(code, "Load balancing rules %s and %s use the same protocol %s and backend port %d, "+
					"and must not be used with the same backend address pool %s.",
					other, f.id, f.protocol, f.backendPort, pool)
			}
			backs[back] = f.id
		}
	}
	for _, list := range onFrontend {
		all := slices.IndexFunc(list, func(f ruleFacts) bool { return f.protocol == "All" && f.port == 0 })
		if all >= 0 && len(list) > 1 {
			return bad("LoadBalancingRuleAllPortsMustBeAlone",
				"Rule %s takes all ports of its frontend, which has %d rules.", list[all].id, len(list))
		}
	}
	return nil
}

// checkOutbound judges and completes the outbound rules.
func checkOutbound(w *write) *refusal {
	props := child(w.next, "properties")
	fronts := map[string]string{}
	for _, rule := range elements(props, "outboundRules") {
		id, p := text(rule, "id"), properties(rule)
		for _, refused := range []*refusal{
			choice(p, "protocol", "", "Tcp", "Udp", "All"),
			between(p, "idleTimeoutInMinutes", 4, 4, 100),
			between(p, "allocatedOutboundPorts", 0, 0, 64000),
		} {
			if refused != nil {
				return refused
			}
		}
		if _, refused := w.local("backendAddressPools", reference(p, "backendAddressPool"), id); refused != nil {
			return refused
		}
		list := elements(p, "frontendIPConfigurations")
		if len(list) == 0 {
			return bad("OutboundRuleNeedsFrontend", "Outbound rule %s names no frontend.", id)
		}
		for _, f := range list {
			frontend, refused := w.local("frontendIPConfigurations", text(f, "id"), id)
			if refused != nil {
				return refused
			}
			if reference(child(frontend, "properties"), "subnet") != "" {
				return bad("OutboundRuleNeedsPublicFrontend", "Outbound rule %s needs public frontends.", id)
			}
			fronts[key(text(frontend, "id"))] = id
		}
	}
	for _, rule := range elements(props, "loadBalancingRules") {
		p := child(rule, "properties")
		by := fronts[key(reference(p, "frontendIPConfiguration"))]
		if by != "" && !isTrue(p, "disableOutboundSnat") {
			return bad("LoadBalancingRuleMustDisableSNATSinceSameFrontendIPConfigurationIsReferencedByOutboundRule",
				"Load balancing rule %s must disable SNAT since its frontend is referenced by outbound rule %s.",
				text(rule, "id"), by)
		}
	}
	return nil
}

// checkNAT judges the inbound NAT rules and pools.
func checkNAT(w *write) *refusal {
	for _, array := range []string{"inboundNatRules", "inboundNatPools"} {
		for _, rule := range elements(child(w.next, "properties"), array) {
			p := properties(rule)
			if _, refused := w.local("frontendIPConfigurations",
				reference(p, "frontendIPConfiguration"), text(rule, "id")); refused != nil {
				return refused
			}
		}
	}
	return nil
}
