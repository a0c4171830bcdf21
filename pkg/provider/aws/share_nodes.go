// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// outside are the load balancer's target groups that the batch does not decide
// about, where inBatch are the names of load balancers that it decides about.
// Those of a shared one are told by their tags.
func (t *turn) outside(lb *Network, inBatch map[string]bool) []*TargetGroup {
	var out []*TargetGroup
	for _, g := range t.groupsByBalancer()[awssdk.ToString(lb.LoadBalancerArn)] {
		key, ok := t.serviceOf(g.Tags)
		a := t.inBatch[key]
		switch {
		case ok && a != nil && a.want != provider.Keep:
		case ok && t.living[key] != nil, !inBatch[awssdk.ToString(lb.LoadBalancerName)]:
			out = append(out, g)
		}
	}
	return out
}

// touches reports whether a Service of the batch has, or had, a part of the load
// balancer.
func (t *turn) touches(lb *Network, inBatch map[string]bool) bool {
	return inBatch[awssdk.ToString(lb.LoadBalancerName)] || slices.ContainsFunc(t.asks, func(a *ask) bool { return slices.Contains(a.leaves, lb) })
}

// isAt reports whether rules with the load balancer's name may be for the
// Service.
func (a *ask) isAt(lb string) bool {
	return a.name == lb || slices.ContainsFunc(a.leaves, func(x *Network) bool { return awssdk.ToString(x.LoadBalancerName) == lb })
}

// alsoAt are the Services of the batch that a rule with the description may be
// for, the given one first.
func (t *turn) alsoAt(a *ask, text string) []*ask {
	out := []*ask{a}
	for _, x := range t.asks {
		if lb := names.RuleOf(text); lb != "" && x != a && x.decided() && x.isAt(lb) {
			out = append(out, x)
		}
	}
	return out
}

// holdParts adds the rules that Services outside the batch need at the nodes for
// their parts of a load balancer.
func (t *turn) holdParts(held described, lb *Network, groups []*TargetGroup) {
	name := awssdk.ToString(lb.LoadBalancerName)
	parts := map[plan.Key][]*TargetGroup{}
	for _, g := range groups {
		key, _ := t.serviceOf(g.Tags)
		parts[key] = append(parts[key], g)
	}
	for _, part := range parts {
		for _, id := range lb.SecurityGroups {
			held.holdSource(id, names.GroupRule(name), part)
		}
	}
	for _, g := range t.observed.Groups {
		for r, text := range rulesOf(g.IpPermissions) {
			if text == names.ClientRule(name) && slices.ContainsFunc(groups, func(g *TargetGroup) bool { return g.reachedBy(r) }) {
				held[r] = text
			}
			if names.RuleOf(text) == name && slices.ContainsFunc(groups, (*TargetGroup).namedPort) {
				held[r] = text // only the pods tell the ports
			}
		}
	}
}

// holdComingParts adds what the nodes let in already for Services whose parts of
// a load balancer are being made, while others of its Services are in the batch.
func (t *turn) holdComingParts(held described) {
	for _, a := range t.coming {
		if a.network == nil || !slices.ContainsFunc(t.asks, func(x *ask) bool { return x.isAt(a.name) }) {
			continue
		}
		var ports []int32
		for _, m := range a.mappings {
			ports = append(ports, t.portsOf(a, m)...)
		}
		for _, g := range t.observed.Groups {
			for r, text := range rulesOf(g.IpPermissions) {
				if names.RuleOf(text) == a.name && slices.ContainsFunc(ports, r.spans) {
					held[r] = text
				}
			}
		}
	}
}

// reachedBy reports whether the rule is for the port of the target group.
func (g *TargetGroup) reachedBy(r rule) bool {
	return r.from == awssdk.ToInt32(g.Port) && r.to == r.from && slices.Contains(transports(g.Protocol), r.protocol)
}

// holdSource adds the rules that let a security group to one Service's target
// groups: as groupRules has them.
func (d described) holdSource(id, text string, groups []*TargetGroup) {
	let := func(protocol string, from, to int32) {
		d[rule{protocol: protocol, from: from, to: to, kind: fromGroup, source: id}] = text
	}
	var tcp []int32
	for _, protocol := range []string{"tcp", "udp"} {
		var list []int32
		for _, g := range groups {
			if slices.Contains(transports(g.Protocol), protocol) {
				list = append(list, awssdk.ToInt32(g.Port))
			}
		}
		if len(list) > 0 {
			let(protocol, slices.Min(list), slices.Max(list))
		}
		if protocol == "tcp" {
			tcp = list
		}
	}
	for _, g := range groups {
		if port := g.healthPort(); len(tcp) == 0 || port < slices.Min(tcp) || slices.Max(tcp) < port {
			let("tcp", port, port)
		}
	}
}
