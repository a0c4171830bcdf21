// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"fmt"
	"net/http"
	"testing"
)

func securityRule(name string, priority int, change ...string) object {
	p := object{
		"protocol": "Tcp", "access": "Allow", "direction": "Inbound", "priority": priority,
		"sourceAddressPrefix": "Internet", "sourcePortRange": "*",
		"destinationAddressPrefix": "20.50.0.2", "destinationPortRanges": []any{"80"},
	}
	for i := 0; i+1 < len(change); i += 2 {
		p[change[i]] = change[i+1]
	}
	return object{"name": name, "properties": p}
}

func TestSecurityGroupRefuses(t *testing.T) {
	const bad = http.StatusBadRequest
	at := func(r *rig) string { return r.site.SecurityGroup }
	runRefusals(t, []refusalCase{
		{"a priority used twice", at, func(_ *rig, d object) {
			add(d, "securityRules", securityRule("a", 500))
			add(d, "securityRules", securityRule("b", 500))
		}, bad, "SecurityRuleConflict"},
		{"a priority under 100", at, func(_ *rig, d object) {
			add(d, "securityRules", securityRule("a", 99))
		}, bad, "SecurityRuleInvalidPriority"},
		{"both families in one rule", at, func(_ *rig, d object) {
			add(d, "securityRules", securityRule("a", 500, "sourceAddressPrefix", "2001:db8::/32"))
		}, bad, "SecurityRuleParameterContainsMultipleAddressFamilies"},
		{"addresses that overlap", at, func(_ *rig, d object) {
			rule := securityRule("a", 500, "sourceAddressPrefix", "")
			properties(rule)["sourceAddressPrefixes"] = []any{"203.0.113.0/24", "203.0.113.7"}
			add(d, "securityRules", rule)
		}, bad, "SecurityRuleParameterContainsOverlappingAddresses"},
		{"one address and a list of them", at, func(_ *rig, d object) {
			rule := securityRule("a", 500)
			properties(rule)["sourceAddressPrefixes"] = []any{"203.0.113.0/24"}
			add(d, "securityRules", rule)
		}, bad, "SecurityRuleParameterInvalid"},
		{"what is no address", at, func(_ *rig, d object) {
			add(d, "securityRules", securityRule("a", 500, "sourceAddressPrefix", "203.0.113.0/33"))
		}, bad, "SecurityRuleInvalidAddressPrefix"},
		{"a port range upside down", at, func(_ *rig, d object) {
			rule := securityRule("a", 500)
			properties(rule)["destinationPortRanges"] = []any{"90-80"}
			add(d, "securityRules", rule)
		}, bad, "SecurityRuleInvalidPortRange"},
		{"more than 1000 rules", at, func(_ *rig, d object) {
			for i := range 1001 {
				add(d, "securityRules", securityRule(fmt.Sprintf("r%d", i), 100+i))
			}
		}, bad, "SecurityRuleLimitReached"},
		{"more than 4000 addresses", at, func(_ *rig, d object) {
			for rule := range 3 {
				list := []any{}
				for i := range 1500 {
					list = append(list, fmt.Sprintf("10.%d.%d.%d", rule, i/250, i%250))
				}
				e := securityRule(fmt.Sprintf("r%d", rule), 500+rule, "destinationAddressPrefix", "")
				properties(e)["destinationAddressPrefixes"] = list
				add(d, "securityRules", e)
			}
		}, bad, "SecurityGroupAddressLimitReached"},
	})
}

func TestNetworkRefuses(t *testing.T) {
	const bad = http.StatusBadRequest
	route := func(name, prefix, hop string) object {
		return object{"name": name, "properties": object{
			"addressPrefix": prefix, "nextHopType": "VirtualAppliance", "nextHopIpAddress": hop,
		}}
	}
	table := func(r *rig) string { return r.site.RouteTable }
	network := func(r *rig) string { return r.site.Network }
	runRefusals(t, []refusalCase{
		{"two routes to one prefix", table, func(_ *rig, d object) {
			add(d, "routes", route("a", "10.244.0.0/24", "10.240.0.4"))
			add(d, "routes", route("b", "10.244.0.0/24", "10.240.0.5"))
		}, bad, "RouteConflict"},
		{"a prefix with host bits", table, func(_ *rig, d object) {
			add(d, "routes", route("a", "10.244.0.1/24", "10.240.0.4"))
		}, bad, "InvalidCIDRNotation"},
		{"an appliance without an address", table, func(_ *rig, d object) {
			add(d, "routes", route("a", "10.244.0.0/24", ""))
		}, bad, "InvalidNextHopIpAddress"},
		{"to drop a subnet in use", network, func(_ *rig, d object) {
			properties(d)["subnets"] = []any{}
		}, bad, "InUseSubnetCannotBeDeleted"},
		{"subnets that overlap", network, func(_ *rig, d object) {
			add(d, "subnets", object{"name": "b", "properties": object{"addressPrefix": "10.240.8.0/24"}})
		}, bad, "NetcfgSubnetRangesOverlap"},
		{"a subnet outside of the network", network, func(_ *rig, d object) {
			add(d, "subnets", object{"name": "b", "properties": object{"addressPrefix": "192.0.2.0/24"}})
		}, bad, "NetcfgInvalidSubnet"},
	})
}
