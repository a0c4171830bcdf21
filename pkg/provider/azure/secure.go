// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// secure computes the security group: first the addresses of the batch's
// Services leave the rules that let in too much, then they join those that
// are wanted, and what leads nowhere is dropped.
func (t *turn) secure() {
	for _, a := range t.asks {
		if a.serve() {
			a.destinations = t.destinationsOf(a)
		}
	}
	if t.group == nil {
		t.refuseWithoutGroup()
		return
	}
	c := newCleaner(t)
	for _, r := range t.group.sorted() {
		c.clean(r)
	}
	c.collect()
	used := t.group.used()
	for _, a := range t.asks {
		if a.serve() && !t.admit(a, &used) {
			return
		}
	}
	for _, it := range t.kept {
		t.followNodes(it)
	}
	for _, a := range t.asks {
		if !t.leftovers {
			t.tagResource(&t.group.resource, a.key)
		}
	}
	t.group.save()
}

func (t *turn) refuseWithoutGroup() {
	for _, a := range t.asks {
		if a.serve() && t.settings.SecurityGroup == "" {
			t.refuse(a, refuse(ReasonSecurityGroupNotFound, "securityGroupName is not set in the cloud config, and no Service is served without it, as with cloud-provider-azure; set it to the name of the nodes' network security group"))
			continue
		}
		if a.serve() && len(a.grants()) > 0 {
			t.refuse(a, refuse(ReasonSecurityGroupNotFound, "network security group %q of the cloud config is not there, so clients cannot be let in; create it, or name the cluster's in securityGroupName and securityGroupResourceGroup",
				t.settings.SecurityGroup))
		}
	}
}

// admit adds the Service's addresses to the rules that it wants, unless the
// group would become too large. It is false when rules of a refused Service
// are left in the group.
func (t *turn) admit(a *ask, used *usage) bool {
	g := t.group
	var more usage
	grants := a.grants()
	for i := range grants {
		more.add(g.cost(&grants[i], a.destinations[grants[i].family]))
	}
	after := *used
	after.add(more)
	if limit := after.over(); limit != "" && more != (usage{}) {
		t.refuse(a, refuse(ReasonLimitReached, "network security group %s would pass %s, which is all that Azure allows, with the rules of Service %s; allow fewer ranges, or remove Services",
			g.Name, limit, a.key))
		return true
	}
	*used = after
	for i := range grants {
		if !g.join(&grants[i], a) {
			t.refuse(a, refuse(ReasonLimitReached, "network security group %s has no free priority from %d to %d for the rules of Service %s; remove rules",
				g.Name, names.FirstPriority, names.LastPriority, a.key))
			return false
		}
	}
	return true
}

// cost is what the rule adds to the group with these destinations.
func (g *securityGroup) cost(w *grant, destinations []string) usage {
	r, has := g.own[names.Key(w.name)]
	if !has || len(r.destinations) == 0 {
		return usage{1, len(w.sources), len(destinations)}
	}
	var u usage
	for _, d := range destinations {
		if !r.leadsTo(d) {
			u.destinations++
		}
	}
	return u
}

// join lets the rule lead to the Service's addresses; the rule is made when it
// is missing. It reports whether there was room.
func (g *securityGroup) join(w *grant, a *ask) bool {
	r, has := g.own[names.Key(w.name)]
	if !has {
		p := g.priority(w)
		if p == 0 {
			return false
		}
		g.taken[p] = true
		r = &ownRule{name: w.name, priority: p}
		g.own[names.Key(w.name)] = r
	}
	r.grant = w
	for _, d := range a.destinations[w.family] {
		if !r.leadsTo(d) {
			r.destinations = append(r.destinations, d)
			r.added = append(r.added, d)
			g.serves[a.key] = true
			g.gains = true
		}
	}
	if r.have != nil && !w.says(r.have) {
		g.serves[a.key] = true
	}
	return true
}

func (r *ownRule) leadsTo(destination string) bool {
	key := destinationKey(destination)
	return slices.ContainsFunc(r.destinations, func(d string) bool { return destinationKey(d) == key })
}

// says reports whether the rule that is there says the same, destinations
// apart.
func (g *grant) says(have *securityRule) bool {
	p := &have.Properties
	access := "Allow"
	ports := names.SortedPorts(g.ports)
	if g.deny {
		access, ports = "Deny", []string{"*"}
	}
	havePorts := p.DestinationPortRanges
	if p.DestinationPortRange != "" {
		havePorts = append([]string{p.DestinationPortRange}, havePorts...)
	}
	return names.Same(p.Protocol, g.protocol) && names.Same(p.Access, access) && names.Same(p.Direction, "Inbound") &&
		sameTexts(have.sources(), g.sources) && sameTexts(havePorts, ports) && p.SourcePortRange == "*"
}

// sameTexts compares as sets, without case.
func sameTexts(a, b []string) bool {
	key := func(list []string) []string {
		out := make([]string, len(list))
		for i, s := range list {
			out[i] = strings.ToLower(s)
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	return slices.Equal(key(a), key(b))
}

// followNodes lets new nodes into the rules of a Service whose new form is
// refused, where packets reach the nodes at their own addresses.
func (t *turn) followNodes(it *provider.Item) {
	if !noFloating(it.Service) {
		return
	}
	nodes := map[string]bool{}
	for _, n := range t.observed.Nodes {
		for _, ip := range internalIPs(n) {
			nodes[ip.String()] = true
		}
	}
	wanted := securityPorts(it.Service)
	for _, r := range t.group.sorted() {
		if r.have == nil || names.Same(r.have.Properties.Access, "Deny") || len(r.destinations) == 0 {
			continue
		}
		ports, plain := r.have.ports()
		if !plain || !slices.Equal(names.SortedPorts(ports), names.SortedPorts(wanted[r.have.Properties.Protocol])) || !nodes[destinationKey(r.destinations[0])] {
			continue
		}
		f := intent.FamilyOf(parseAddr(r.destinations[0]))
		for i := range t.nodes {
			if ip, ok := t.nodes[i].of(f); ok && !r.leadsTo(ip.String()) {
				r.destinations, r.added = append(r.destinations, ip.String()), append(r.added, ip.String())
				t.group.serves[it.Key] = true
				t.group.gains = true
			}
		}
	}
}

func (r *ownRule) changed() bool {
	if r.have == nil {
		return len(r.destinations) > 0
	}
	return len(r.added) > 0 || len(r.removed) > 0 || (r.grant != nil && !r.grant.says(r.have))
}

// save writes our rules into the document: those that are new by priority.
func (g *securityGroup) save() {
	rules := slices.SortedStableFunc(slices.Values(g.sorted()), func(a, b *ownRule) int { return a.priority - b.priority })
	for _, r := range rules {
		if !r.changed() {
			continue
		}
		g.diffs = append(g.diffs, r.diff())
		if len(r.destinations) == 0 && (r.have == nil || len(r.have.Properties.DestinationGroups) == 0) {
			g.rules.remove(r.name)
			continue
		}
		g.rules.put(r.name, r.write(g.rules.raw(r.name)))
	}
	g.raw = g.rules.save(g.raw, keySecurityRules)
}

func (r *ownRule) diff() plan.Diff {
	d := plan.Diff{Field: "rule " + r.name + " to", Have: countOf(r.removed, ""), Want: countOf(r.added, "")}
	d.Have, d.Want = strings.TrimSpace(d.Have), strings.TrimSpace(d.Want)
	switch {
	case r.have == nil:
		d.Field = "rule " + r.name
		d.Want = strings.TrimSpace(r.grant.String()) + " to " + d.Want
	case len(r.destinations) == 0:
		d.Field = "rule " + r.name
	case d.Have == "" && d.Want == "":
		d = plan.Diff{Field: "rule " + r.name, Have: "edited", Want: strings.TrimSpace(r.grant.String())}
	}
	return d
}

// write is the rule's document. Only what must be another is set.
func (r *ownRule) write(raw json.RawMessage) json.RawMessage {
	if r.have == nil || (r.grant != nil && !r.grant.says(r.have)) {
		raw = r.writeGrant(raw)
	}
	if r.have != nil && len(r.added) == 0 && len(r.removed) == 0 {
		return raw
	}
	return writeAddresses(raw, "destinationAddressPrefix", r.destinations)
}

func (r *ownRule) writeGrant(raw json.RawMessage) json.RawMessage {
	g := r.grant
	raw = set(raw, g.protocol, "properties", "protocol")
	raw = set(raw, "*", "properties", "sourcePortRange")
	raw = writeAddresses(raw, "sourceAddressPrefix", g.sources)
	if g.deny {
		raw = set(raw, "*", "properties", "destinationPortRange")
		raw = set(raw, "Deny", "properties", "access")
	} else {
		raw = unset(raw, "properties", "destinationPortRange")
		raw = set(raw, names.SortedPorts(g.ports), "properties", "destinationPortRanges")
		raw = set(raw, "Allow", "properties", "access")
	}
	raw = set(raw, r.priority, "properties", "priority")
	return set(raw, "Inbound", "properties", "direction")
}

// writeAddresses sets a list of addresses: one in the singular field, several
// sorted in the plural one.
func writeAddresses(raw json.RawMessage, name string, list []string) json.RawMessage {
	list = slices.Compact(slices.Sorted(slices.Values(list)))
	if len(list) == 1 {
		raw = set(raw, list[0], "properties", name)
		return set(raw, []string{}, "properties", name+"es")
	}
	raw = unset(raw, "properties", name)
	return set(raw, list, "properties", name+"es")
}
