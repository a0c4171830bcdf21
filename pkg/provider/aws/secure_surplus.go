// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"slices"
	"strconv"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// heldRules are those that load balancers outside the batch need, each with its
// description: what their target groups tell, and their clients.
func (t *turn) heldRules() described {
	inBatch := map[string]bool{}
	for _, a := range t.asks {
		if a.want != provider.Keep && !a.elsewhere {
			inBatch[a.name] = true
		}
	}
	out := described{}
	for _, lb := range t.sortedNetworks() {
		name := awssdk.ToString(lb.LoadBalancerName)
		if inBatch[name] {
			continue
		}
		var subnets []string
		for i := range lb.AvailabilityZones {
			subnets = append(subnets, awssdk.ToString(lb.AvailabilityZones[i].SubnetId))
		}
		prefixes := t.subnetPrefixes(subnets)
		for _, g := range t.observed.TargetGroups {
			if slices.Contains(g.LoadBalancerArns, awssdk.ToString(lb.LoadBalancerArn)) {
				out.holdGroup(name, prefixes, g)
			}
		}
		for _, id := range lb.SecurityGroups {
			out[rule{kind: fromGroup, source: id}] = name
		}
	}
	t.holdClassics(out, inBatch)
	for _, svc := range t.observed.Services {
		name := names.LoadBalancer(svc.UID)
		kind, elsewhere := kindOf(svc, t.settings.Claims)
		if kind == NetworkKind && !elsewhere && !inBatch[name] && intent.AWSFormOf(svc) != intent.AWSExternal {
			out.let(sourceRanges(svc), rule{protocol: protocolICMP, from: icmpType, to: icmpCode}, names.MTURule)
		}
	}
	return out
}

// healthPort is the port of the nodes that health checks ask.
func (g *TargetGroup) healthPort() int32 {
	if n, err := strconv.ParseUint(awssdk.ToString(g.HealthCheckPort), 10, 16); err == nil {
		return int32(n)
	}
	return awssdk.ToInt32(g.Port)
}

// holdGroup adds the health checks of a target group.
func (d described) holdGroup(lb string, prefixes []string, g *TargetGroup) {
	port := g.healthPort()
	for _, p := range prefixes {
		d[rule{protocol: "tcp", from: port, to: port, kind: fromIPv4, source: p}] = names.HealthRule(lb)
	}
}

// surplus are the rules of the batch's Services that nobody wants, those that
// get another load balancer's name, and the Services that they were for. What
// is for path MTU discovery belongs to no one: as the peer leaves it behind, it
// is looked at when the group is written anyway.
func (t *turn) surplus(g *nodeGroup, held described) (surplus, renamed described, owners []*ask) {
	surplus, renamed = described{}, described{}
	for _, r := range sortedRules(g.have) {
		text, wanted := g.want[r]
		if wanted && g.have[r] == text {
			continue
		}
		a := t.ownerOf(r, g.have[r])
		if a == nil {
			a = t.shutOut(g, r)
		}
		if a == nil && !wanted {
			if a = t.shares(r); a != nil {
				surplus[r], owners = g.have[r], append(owners, a)
			}
			continue
		}
		if a == nil {
			continue
		}
		switch text, ok := needed(g, held, r); {
		case !ok:
			surplus[r], owners = g.have[r], append(owners, a)
		case g.changesHands(r, text, a):
			renamed[r], owners = text, append(owners, a)
		}
	}
	if len(surplus)+len(g.want.minus(g.have)) == 0 {
		strict := append(g.strict(), t.removing()...)
		if len(strict) == 0 {
			return surplus, renamed, owners
		}
		owners = append(owners, strict...)
	}
	for r, text := range g.have {
		if _, ok := needed(g, held, r); text == names.MTURule && !ok {
			surplus[r] = text
		}
	}
	return surplus, renamed, owners
}

// changesHands reports whether a rule bears the name of a Service's load
// balancer, which needs it no more, and another one does.
func (g *nodeGroup) changesHands(r rule, text string, a *ask) bool {
	have := g.have[r]
	return text != have && names.RuleOf(have) != "" && names.RuleOf(text) != "" && !slices.Contains(g.asked[r], a)
}

// strict are the Services that want rules here, and whose leftovers are not the
// peer's.
func (g *nodeGroup) strict() []*ask {
	var out []*ask
	for _, r := range sortedRules(g.asked) {
		for _, a := range g.asked[r] {
			if a.strict() && !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	return out
}

// removing are the Services of the batch whose load balancers go.
func (t *turn) removing() []*ask {
	var out []*ask
	for _, a := range t.asks {
		if a.want == provider.Remove && !a.elsewhere {
			out = append(out, a)
		}
	}
	return out
}

// needed is the description of a rule that somebody needs.
func needed(g *nodeGroup, held described, r rule) (string, bool) {
	if text, ok := g.want[r]; ok {
		return text, true
	}
	if text, ok := held[r]; ok {
		return text, true
	}
	_, ok := held[rule{kind: fromGroup, source: r.source}]
	return "", ok && r.kind == fromGroup
}

// ownerOf is the Service of the batch that a rule is for: by its description,
// or by the group that it lets in.
func (t *turn) ownerOf(r rule, text string) *ask {
	for _, a := range t.asks {
		if a.elsewhere || a.want == provider.Keep || a.blind() {
			continue
		}
		if lb := names.RuleOf(text); lb != "" {
			if lb == a.name {
				return a
			}
			continue
		}
		if r.kind == fromGroup && a.letsGo(t, r) {
			return a
		}
	}
	return nil
}

// blind reports whether it is not known which security groups guard the nodes
// of a Service that is served.
func (a *ask) blind() bool { return a.serve() && a.unseen }

// letsGo reports whether the rule lets in a security group that we made for the
// Service, and which is to be deleted.
func (a *ask) letsGo(t *turn, r rule) bool {
	for _, name := range []string{t.networkGroupName(a), names.ClassicGroup(a.name)} {
		g := t.groupNamed(name)
		if g != nil && awssdk.ToString(g.GroupId) == r.source && t.settings.Tags.Owns(ec2Tags(g.Tags)) {
			return !a.uses(r.source) && !slices.Contains(a.nodeSources, Ref{ID: r.source})
		}
	}
	return false
}
