// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Limits of a security group, from the page on service limits.
const (
	maxSecurityRules = 1000
	maxRuleEntries   = 4000 // addresses of one side, and ports
)

// ruleLists are the plural fields of a rule and their singular ones.
func ruleLists() [][2]string {
	return [][2]string{
		{"sourceAddressPrefixes", "sourceAddressPrefix"},
		{"destinationAddressPrefixes", "destinationAddressPrefix"},
		{"sourcePortRanges", "sourcePortRange"},
		{"destinationPortRanges", "destinationPortRange"},
	}
}

// prepareSecurityGroup judges a security group and completes its rules.
func prepareSecurityGroup(w *write) *refusal {
	props := properties(w.next)
	if refused := w.fillChildren("securityRules"); refused != nil {
		return refused
	}
	before := child(w.priorDoc(), "properties")
	if before != nil {
		props["defaultSecurityRules"] = clone(before["defaultSecurityRules"])
	} else {
		props["defaultSecurityRules"] = defaultRules(w.id.path)
	}
	rules := elements(props, "securityRules")
	if len(rules) > maxSecurityRules {
		return bad("SecurityRuleLimitReached", "Security group %s cannot have more than %d rules; it has %d.",
			w.id.path, maxSecurityRules, len(rules))
	}
	taken := map[string]string{}
	counts := map[string]int{}
	for _, rule := range rules {
		if refused := checkSecurityRule(rule, counts); refused != nil {
			return refused
		}
		p := properties(rule)
		place := fmt.Sprintf("%s %s", text(p, "direction"), p["priority"])
		if other := taken[place]; other != "" {
			return bad("SecurityRuleConflict", "Security rule %s conflicts with rule %s. "+
				"Rules cannot have the same Priority and Direction.", text(rule, "name"), other)
		}
		taken[place] = text(rule, "name")
	}
	for field, n := range counts {
		if n > maxRuleEntries {
			return bad("SecurityGroupAddressLimitReached", "Security group %s cannot have more than %d entries in %s; it has %d.",
				w.id.path, maxRuleEntries, field, n)
		}
	}
	return nil
}

// checkSecurityRule judges one rule, completes it, and counts its entries.
func checkSecurityRule(rule object, counts map[string]int) *refusal {
	id, p := text(rule, "id"), properties(rule)
	for _, refused := range []*refusal{
		choice(p, "protocol", "", "*", "Tcp", "Udp", "Icmp", "Esp", "Ah"),
		choice(p, "access", "", "Allow", "Deny"),
		choice(p, "direction", "", "Inbound", "Outbound"),
	} {
		if refused != nil {
			return refused
		}
	}
	if n, ok := number(p, "priority"); !ok || n < 100 || n > 4096 {
		return bad("SecurityRuleInvalidPriority",
			"Security rule %s has invalid priority %v. Value must be in the range of 100 to 4096.", id, p["priority"])
	}
	for _, pair := range ruleLists() {
		many, one := pair[0], pair[1]
		orDefault(p, many, []any{})
		if text(p, one) == "" {
			delete(p, one)
		}
		list := strs(p, many)
		if (len(list) == 0) == (text(p, one) == "") {
			return bad("SecurityRuleParameterInvalid",
				"Security rule %s needs either %s or %s, and not both.", id, one, many)
		}
		counts[many] += max(len(list), 1)
		check := checkPorts
		if strings.Contains(many, "Address") {
			check = checkPrefixes
		}
		if len(list) == 0 {
			list = []string{text(p, one)}
		}
		if refused := check(id, many, list); refused != nil {
			return refused
		}
	}
	return checkFamilies(id, p)
}

// checkPorts judges port ranges.
func checkPorts(id, field string, list []string) *refusal {
	for _, s := range list {
		if s == "*" && len(list) == 1 {
			continue
		}
		low, high, isRange := strings.Cut(s, "-")
		if !isRange {
			high = low
		}
		a, errA := strconv.ParseUint(low, 10, 16)
		b, errB := strconv.ParseUint(high, 10, 16)
		if errA != nil || errB != nil || a > b {
			return bad("SecurityRuleInvalidPortRange",
				"Security rule has invalid Port range. Value provided: %s in %s of %s. "+
					"Value should be an integer OR integer range with '-' delimiter. Valid range 0-65535.", s, field, id)
		}
	}
	return nil
}

// checkPrefixes judges addresses: parsable, or a service tag alone, and no two
// that overlap.
func checkPrefixes(id, field string, list []string) *refusal {
	var seen []netip.Prefix
	for _, s := range list {
		prefix, ok := parseRange(s)
		if !ok {
			if !isTag(s) && (s != "*" || len(list) > 1) {
				return bad("SecurityRuleInvalidAddressPrefix",
					"Security rule has invalid Address prefix. Value provided: %s in %s of %s.", s, field, id)
			}
			continue
		}
		for _, other := range seen {
			if other.Overlaps(prefix) {
				return bad("SecurityRuleParameterContainsOverlappingAddresses",
					"Security rule %s: %s contains the overlapping addresses %s and %s.", id, field, other, prefix)
			}
			if other.Addr().Is6() != prefix.Addr().Is6() {
				return mixedFamilies(id)
			}
		}
		seen = append(seen, prefix)
	}
	return nil
}

// isTag knows service tags, which begin with a letter and may carry a region.
func isTag(s string) bool {
	return s != "" && (s[0] >= 'A' && s[0] <= 'Z' || s[0] >= 'a' && s[0] <= 'z') && !strings.ContainsAny(s, ":/")
}

func parseRange(s string) (netip.Prefix, bool) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	return p, err == nil
}

// checkFamilies refuses a rule from one family to the other.
func checkFamilies(id string, p object) *refusal {
	families := map[bool]bool{}
	for _, pair := range ruleLists()[:2] {
		for _, s := range append(strs(p, pair[0]), text(p, pair[1])) {
			if prefix, ok := parseRange(s); ok {
				families[prefix.Addr().Is6()] = true
			}
		}
	}
	if len(families) > 1 {
		return mixedFamilies(id)
	}
	return nil
}

func mixedFamilies(id string) *refusal {
	return bad("SecurityRuleParameterContainsMultipleAddressFamilies",
		"Security rule %s contains addresses of both IPv4 and IPv6.", id)
}

// defaultRules are what every security group has.
func defaultRules(group string) []any {
	rule := func(name, about, source, destination, access, direction string, priority int) object {
		p := object{
			"provisioningState": succeeded, "description": about, "protocol": "*", "sourcePortRange": "*",
			"destinationPortRange": "*", "sourceAddressPrefix": source, "destinationAddressPrefix": destination,
			"access": access, "priority": jsonNumber(priority), "direction": direction,
		}
		for _, pair := range ruleLists() {
			p[pair[0]] = []any{}
		}
		return object{
			"name": name, "id": group + "/defaultSecurityRules/" + name,
			"type": SecurityGroups + "/defaultSecurityRules", "properties": p,
		}
	}
	const network, in, out = "VirtualNetwork", "Inbound", "Outbound"
	return []any{
		rule("AllowVnetInBound", "Allow inbound traffic from all VMs in VNET", network, network, "Allow", in, 65000),
		rule("AllowAzureLoadBalancerInBound", "Allow inbound traffic from azure load balancer",
			"AzureLoadBalancer", "*", "Allow", in, 65001),
		rule("DenyAllInBound", "Deny all inbound traffic", "*", "*", "Deny", in, 65500),
		rule("AllowVnetOutBound", "Allow outbound traffic from all VMs to all VMs in VNET", network, network, "Allow", out, 65000),
		rule("AllowInternetOutBound", "Allow outbound traffic from all VMs to Internet", "*", "Internet", "Allow", out, 65001),
		rule("DenyAllOutBound", "Deny all outbound traffic", "*", "*", "Deny", out, 65500),
	}
}

// deriveSecurityGroup writes which subnets and interfaces use the group.
func deriveSecurityGroup(c *Cloud, r *resource) {
	r.answer = nil
	subnets, nics := splitUsers(c.index.from(r.id, linkGroup))
	setList(properties(r.doc), "subnets", references(subnets))
	setList(properties(r.doc), "networkInterfaces", references(nics))
}

func splitUsers(ids []string) (subnets, others []string) {
	for _, id := range ids {
		if strings.EqualFold(last(up(id, 1)), "subnets") {
			subnets = append(subnets, id)
		} else {
			others = append(others, id)
		}
	}
	return subnets, others
}

func securityGroupInUse(c *Cloud, r *resource) *refusal {
	if by := c.index.from(r.id, linkGroup); len(by) > 0 {
		return bad("InUseNetworkSecurityGroupCannotBeDeleted",
			"Network security group %s cannot be deleted because it is in use by the following resources: %s.",
			r.id, strings.Join(by, ", "))
	}
	return nil
}
