// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// securityGroup is the security group with the rules of ours that lead to the
// Service's addresses; false when there are none and none are wanted.
func (e *explanation) securityGroup() (Part, bool) {
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
		return Part{What: "security group " + name, State: "not there, so clients cannot be let in"}, name != "" && wants
	}
	c := comparison{doc: g.first, here: true, wanted: true}
	out := Part{What: "security group " + g.Name, State: c.whole()}
	for _, r := range g.sorted() {
		if part, leads := e.securityRule(r); leads {
			out.Parts = append(out.Parts, part)
		}
	}
	return out, len(out.Parts) > 0
}

// securityRule is a rule of ours with those of its destinations that are the
// Service's.
func (e *explanation) securityRule(r *ownRule) (Part, bool) {
	mine := func(list []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(d string) bool { return !e.addresses[destinationKey(d)] })
	}
	now, added, removed := mine(r.destinations), mine(r.added), mine(r.removed)
	if len(now) == 0 && len(removed) == 0 {
		return Part{}, false
	}
	c := comparison{doc: e.before.group.rules.raw(r.name), here: r.have != nil, wanted: len(r.destinations) > 0, equal: true}
	out := Part{What: fmt.Sprintf("rule %s, priority %d", r.name, r.priority)}
	says := r.says() + " to "
	for _, d := range now {
		if r.have != nil && slices.Contains(added, d) {
			c.equal = false
			out.Parts = append(out.Parts, Part{What: says + d, State: stateMissing})
			continue
		}
		out.Parts = append(out.Parts, Part{What: says + d})
	}
	for _, d := range removed {
		c.equal = false
		out.Parts = append(out.Parts, Part{What: says + d, State: stateLeaving})
	}
	if r.have != nil && r.grant != nil && !r.grant.says(r.have) {
		c.equal = false
		out.Parts = append(out.Parts, Part{What: "it says " + describeGrant(r.have) + " instead"})
	}
	out.State = c.state()
	return out, true
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
