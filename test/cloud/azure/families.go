// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"net/netip"
	"strings"
)

// family is an IP version.
type family uint8

const (
	v4 family = iota + 1
	v6
)

func familyOf(addr netip.Addr) family {
	if addr.Is6() {
		return v6
	}
	return v4
}

func familyNamed(version string) family {
	if strings.EqualFold(version, "IPv6") {
		return v6
	}
	return v4
}

// frontendFamily is the IP version of a frontend.
func (c *Cloud) frontendFamily(frontend object) family {
	p := child(frontend, "properties")
	for _, field := range []string{"publicIPAddress", "publicIPPrefix"} {
		if r := c.resources[key(reference(p, field))]; r != nil {
			return familyNamed(text(r.doc, "properties", "publicIPAddressVersion"))
		}
	}
	return familyNamed(text(p, "privateIPAddressVersion"))
}

// memberFamilies are the IP versions of a pool's members.
func (c *Cloud) memberFamilies(pool object) map[family]bool {
	found := map[family]bool{}
	for _, m := range ipMembers(pool) {
		if addr, err := netip.ParseAddr(text(m, "properties", "ipAddress")); err == nil {
			found[familyOf(addr)] = true
		}
	}
	for _, l := range c.index[key(text(pool, "id"))] {
		if l.kind == linkPool && l.addr.IsValid() {
			found[familyOf(l.addr)] = true
		}
	}
	return found
}

// checkMemberFamily refuses an IP configuration in a pool whose rules are for the
// other IP version.
func (c *Cloud) checkMemberFamily(lb *resource, pool string, config object) *refusal {
	props := child(lb.doc, "properties")
	for _, rule := range elements(props, "loadBalancingRules") {
		for _, of := range rulePools(rule) {
			if !strings.EqualFold(of, pool) {
				continue
			}
			id := reference(child(rule, "properties"), "frontendIPConfiguration")
			frontend := named(elements(props, "frontendIPConfigurations"), last(id))
			if c.frontendFamily(frontend) != familyNamed(text(config, "properties", "privateIPAddressVersion")) {
				return bad("LoadBalancingRuleIPVersionMismatch",
					"IP configuration %s and rule %s of its pool are of different IP versions.",
					text(config, "name"), text(rule, "id"))
			}
			break
		}
	}
	return nil
}
