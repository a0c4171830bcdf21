// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// securityGroup is the security group with the rules of ours that lead to the
// Service's addresses; false when there are none and none are wanted.
func (e *explanation) securityGroup() (provider.Part, bool) {
	for _, ip := range statusOf(e.service) {
		e.addresses[ip.String()] = true
	}
	wants := false
	if e.ask != nil {
		for _, list := range e.ask.destinations {
			for _, d := range list {
				e.addresses[destinationKey(d)] = true
			}
		}
		wants = len(e.ask.grants()) > 0
	}
	g := e.after.group
	if g == nil {
		name := e.before.settings.SecurityGroup
		return provider.Part{What: "security group " + name, State: "not there, so clients cannot be let in"}, name != "" && wants
	}
	c := provider.Comparison{Says: provisioningState(g.first), Here: true, Wanted: true}
	out := provider.Part{What: "security group " + g.Name, State: c.Whole()}
	for _, r := range g.sorted() {
		if part, leads := e.securityRule(r); leads {
			out.Parts = append(out.Parts, part)
		}
	}
	e.told[g.target()] = len(out.Parts) > 0
	return out, len(out.Parts) > 0
}

// securityRule is a rule of ours with those of its destinations that are the
// Service's.
func (e *explanation) securityRule(r *ownRule) (provider.Part, bool) {
	mine := func(list []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(d string) bool { return !e.addresses[destinationKey(d)] })
	}
	now, added, removed := mine(r.destinations), mine(r.added), mine(r.removed)
	if len(now) == 0 && len(removed) == 0 {
		return provider.Part{}, false
	}
	c := provider.Comparison{Says: provisioningState(e.before.group.rules.raw(r.name)), Here: r.have != nil, Wanted: len(r.destinations) > 0, Equal: true}
	out := provider.Part{What: fmt.Sprintf("rule %s, priority %d%s", r.name, r.priority, e.ownersText(r, slices.Concat(now, removed)))}
	says := r.says() + " to "
	for _, d := range now {
		if r.have != nil && slices.Contains(added, d) {
			c.Equal = false
			out.Parts = append(out.Parts, provider.Part{What: says + d, State: provider.StateMissing})
			continue
		}
		out.Parts = append(out.Parts, provider.Part{What: says + d})
	}
	for _, d := range removed {
		c.Equal = false
		out.Parts = append(out.Parts, provider.Part{What: says + d, State: provider.StateLeaving})
	}
	if r.have != nil && r.grant != nil && !r.grant.says(r.have) {
		c.Equal = false
		out.Parts = append(out.Parts, provider.Part{What: "it says " + describeGrant(r.have) + " instead"})
	}
	out.State = c.State()
	return out, true
}

// ownersText names the Services that a rule to the destinations is for, where
// others than this one have a part in it.
func (e *explanation) ownersText(r *ownRule, destinations []string) string {
	others := map[string]bool{}
	for _, svc := range e.before.observed.Services {
		key := provider.KeyOf(svc)
		leads := slices.ContainsFunc(e.after.destinationsOfOther(svc), func(ip netip.Addr) bool {
			return slices.ContainsFunc(destinations, func(d string) bool { return destinationKey(d) == ip.String() })
		})
		if key != e.key && leads && r.isFor(svc) {
			others[key.String()] = true
		}
	}
	if len(others) == 0 {
		return ""
	}
	const most = 3
	list := provider.Few(slices.Sorted(maps.Keys(others)), most)
	if r.isFor(e.service) {
		list = append([]string{"this Service"}, list...)
	}
	return ", for " + strings.Join(list, ", ")
}

// isFor reports whether a rule lets clients in at ports of the Service, or keeps
// them out at all.
func (r *ownRule) isFor(svc *v1.Service) bool {
	if r.have == nil {
		return r.grant != nil && (r.grant.deny || overlap(securityPorts(svc)[r.grant.protocol], r.grant.ports))
	}
	ports, plain := r.have.ports()
	return names.Same(r.have.Properties.Access, "Deny") || !plain || overlap(securityPorts(svc)[r.have.Properties.Protocol], ports)
}

func overlap(a, b []uint16) bool {
	return slices.ContainsFunc(a, func(p uint16) bool { return slices.Contains(b, p) })
}

// says is the rule in short, destinations apart.
func (r *ownRule) says() string {
	if r.grant != nil {
		return strings.TrimSpace(r.grant.String())
	}
	return describeGrant(r.have)
}

// describeGrant is a rule that is there in short, destinations apart.
func describeGrant(r *securityRule) string {
	p := &r.Properties
	ports := p.DestinationPortRanges
	if p.DestinationPortRange != "" {
		ports = append([]string{p.DestinationPortRange}, ports...)
	}
	text := fmt.Sprintf("%s %s from %s", p.Protocol, strings.Join(ports, ","), strings.TrimSpace(countOf(r.sources(), "")))
	if names.Same(p.Access, "Deny") {
		text = "deny " + text
	}
	return text
}
