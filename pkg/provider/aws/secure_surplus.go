// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"maps"
	"slices"
	"strconv"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// held are the rules that load balancers outside the batch need, each with its
// description.
type held struct {
	ours described
	// theirs are those of load balancers that are not known to be this cluster's,
	// by name: they count in the groups that bear the name.
	theirs map[rule][]string
	// sources are the network load balancers by their security groups.
	sources map[string][]heldSource
}

// heldRules are what target groups tell, and clients.
func (t *turn) heldRules() held {
	inBatch := map[string]bool{}
	for _, a := range t.asks {
		if a.want != provider.Keep && !a.elsewhere {
			inBatch[a.name] = true
		}
	}
	out := held{ours: described{}, theirs: map[rule][]string{}, sources: map[string][]heldSource{}}
	for _, lb := range t.sortedNetworks() {
		name := awssdk.ToString(lb.LoadBalancerName)
		groups := t.outside(lb, inBatch)
		if inBatch[name] && len(groups) == 0 {
			continue
		}
		if t.touches(lb, inBatch) {
			t.holdParts(out.ours, lb, groups)
		} else {
			out.holdSources(lb, groups)
		}
		if len(lb.SecurityGroups) > 0 && !t.descriptions[names.ClientRule(name)] {
			continue // the nodes let its group in
		}
		ours := t.isOurs(name)
		for _, r := range t.healthRulesOf(lb, groups) {
			if ours {
				out.ours[r] = names.HealthRule(name)
			} else {
				out.theirs[r] = append(out.theirs[r], name)
			}
		}
	}
	t.holdClassics(out.ours, inBatch)
	t.holdBlind(out.ours)
	t.holdComing(out.ours)
	t.holdComingParts(out.ours)
	for _, svc := range t.observed.Services {
		kind, elsewhere := kindOf(svc, t.settings.Claims)
		if kind == NetworkKind && !elsewhere && lives(svc) && !inBatch[names.LoadBalancer(svc.UID)] && intent.AWSFormOf(svc) != intent.AWSExternal {
			out.ours.let(sourceRanges(svc), rule{protocol: protocolICMP, from: icmpType, to: icmpCode}, names.MTURule)
		}
	}
	return out
}

// holdBlind adds what Services of the batch want at nodes whose security groups
// are not known: any group may be one of those.
func (t *turn) holdBlind(held described) {
	for _, a := range t.asks {
		if a.blind() {
			maps.Copy(held, t.nodeRules(a))
		}
	}
}

// healthRulesOf are the rules that let the health checks of a load balancer in.
func (t *turn) healthRulesOf(lb *Network, groups []*TargetGroup) []rule {
	if len(groups) == 0 {
		return nil
	}
	subnets := lb.subnets()
	var out []rule
	for _, g := range groups {
		for _, r := range t.subnetPrefixes(subnets, g.IpAddressType) {
			r.protocol, r.from, r.to = "tcp", g.healthPort(), g.healthPort()
			out = append(out, r)
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

// surplus are the rules of the batch's Services that nobody wants, those that
// get another load balancer's name, and the Services that they were for. What
// is for path MTU discovery belongs to no one: as the peer leaves it behind, it
// is looked at when the group is written anyway.
func (t *turn) surplus(g *nodeGroup, held held) (surplus, renamed described, owners []*ask) {
	surplus, renamed = described{}, described{}
	for _, r := range sortedRules(g.have) {
		text, wanted := g.want[r]
		if wanted && g.have[r] == text {
			continue
		}
		a := t.ownerOf(g, r)
		if a == nil {
			a = t.shutOut(g, r)
		}
		if a == nil && !wanted && t.letsShared(r) && g.have[r] == names.BackendRule {
			if list := t.narrowing(); len(list) > 0 {
				surplus[r], owners = g.have[r], append(owners, list...)
			}
			continue
		}
		if a == nil || (t.asFound(a) && names.RuleOf(g.have[r]) == a.name) {
			continue
		}
		switch text, ok := needed(g, held, r); {
		case !ok:
			surplus[r], owners = g.have[r], append(owners, t.alsoAt(a, g.have[r])...)
		case g.changesHands(r, text):
			renamed[r], owners = text, append(owners, t.alsoAt(a, g.have[r])...)
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
		if _, ok := needed(g, held, r); text == names.MTURule && !ok && t.provesOurs(g, r.source) {
			surplus[r] = text
		}
	}
	return surplus, renamed, owners
}

// changesHands reports whether a rule bears the name of a Service's load
// balancer, which needs it no more, and another one does.
func (g *nodeGroup) changesHands(r rule, text string) bool {
	have := g.have[r]
	return text != have && names.RuleOf(have) != "" && names.RuleOf(text) != "" &&
		!slices.ContainsFunc(g.asked[r], func(a *ask) bool { return a.name == names.RuleOf(have) })
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
func needed(g *nodeGroup, held held, r rule) (string, bool) {
	if text, ok := g.want[r]; ok {
		return text, true
	}
	if text, ok := held.ours[r]; ok {
		return text, true
	}
	for _, name := range held.theirs[r] {
		if g.bears(name) {
			return names.HealthRule(name), true
		}
	}
	if _, ok := held.ours[rule{kind: fromGroup, source: r.source}]; ok && r.kind == fromGroup {
		return "", true
	}
	for _, x := range held.sources[r.source] {
		if r.kind == fromGroup && x.needs(g, r) {
			return names.GroupRule(x.name), true
		}
	}
	return "", false
}

// bears reports whether a rule of the group bears the load balancer's name.
func (g *nodeGroup) bears(name string) bool {
	for _, text := range g.have {
		if names.RuleOf(text) == name {
			return true
		}
	}
	return false
}

// provesOurs reports whether a rule for path MTU discovery in the group can be
// nobody else's. It says not whose it is; but a cluster that has one in a group
// has there a rule for the clients, or for its load balancers' groups, too. And
// the group must guard our nodes.
func (t *turn) provesOurs(g *nodeGroup, clients string) bool {
	for r, text := range g.have {
		name := names.RuleOf(text)
		switch {
		case name == "" || t.isOurs(name) || t.letsShared(r):
		case r.kind == fromGroup || r.source == clients:
			return false
		}
	}
	return t.isGuard(g.id)
}

// isOurs reports whether the load balancer with the name is, or was, that of a
// Service of the cluster.
func (t *turn) isOurs(name string) bool {
	if t.ours == nil {
		t.ours = map[string]bool{}
		for _, svc := range t.observed.Services {
			t.ours[names.LoadBalancer(svc.UID)] = true
		}
		for _, a := range slices.Concat(t.asks, t.coming) {
			for _, name := range append(t.formerNames(a), a.name) {
				t.ours[name] = true
			}
		}
	}
	if t.ours[name] {
		return true
	}
	lb := t.networksByName[name]
	return lb != nil && (t.settings.Tags.Owns(lb.Tags) || t.settings.External.Owns(lb.Tags) || slices.Contains(lb.SecurityGroups, t.backend))
}

// ownerOf is the Service of the batch that a rule of the group is for: by its
// description, or by the group that it lets in. One of the latter is ours as we
// write it, and at the nodes whatever it says, as for the peer.
func (t *turn) ownerOf(g *nodeGroup, r rule) *ask {
	if lb := names.RuleOf(g.have[r]); lb != "" {
		if a := t.owners()[lb]; a != nil && !t.otherTypeNeeds(a, r) {
			return a
		}
		return nil
	}
	if plain := r == allFrom(r.source) && g.have[r] == ""; !plain && !t.isGuard(g.id) {
		return nil
	}
	for _, a := range t.asks {
		if a.decided() && r.kind == fromGroup && a.letsGo(t, r) {
			return a
		}
	}
	return nil
}

// otherTypeNeeds reports whether the rule lets in a load balancer with the name
// of the Service's, but of the other type, that stays.
func (t *turn) otherTypeNeeds(a *ask, r rule) bool {
	if !a.serve() {
		return false
	}
	if a.kind == ClassicKind {
		return t.networksByName[a.name] != nil && r != allFrom(r.source) && !t.changesGroups(kindNetwork, a.name, &elbv2.SetSecurityGroupsInput{})
	}
	c := t.observed.Classics[a.base]
	return c != nil && r == allFrom(r.source) && slices.Contains(c.SecurityGroups, r.source) && !t.changesGroups(kindClassic, a.base, &elb.ApplySecurityGroupsToLoadBalancerInput{})
}

// decided reports whether the pass decides which rules the Service's are.
func (a *ask) decided() bool {
	return !a.elsewhere && a.want != provider.Keep
}

// owners are the Services of the batch by the names of load balancers whose
// rules are theirs: of those that they have, and those that they had.
func (t *turn) owners() map[string]*ask {
	if t.ownersByName != nil {
		return t.ownersByName
	}
	out := map[string]*ask{}
	for _, a := range t.asks {
		if out[a.name] == nil && a.decided() {
			out[a.name] = a
		}
	}
	for _, a := range t.asks {
		for _, lb := range a.leaves {
			if name := awssdk.ToString(lb.LoadBalancerName); out[name] == nil && a.decided() {
				out[name] = a
			}
		}
	}
	others := map[string]bool{}
	for _, a := range t.coming {
		others[a.name] = true
	}
	for _, a := range t.asks {
		if !a.decided() {
			continue
		}
		for _, name := range t.formerNames(a) {
			if out[name] == nil && !others[name] {
				out[name] = a
			}
		}
	}
	t.ownersByName = out
	return out
}

// blind reports whether it is not known which security groups guard the nodes
// of a Service that is served.
func (a *ask) blind() bool { return a.serve() && a.unseen }

// letsGo reports whether the rule lets in a security group that we made for the
// Service, and which is to be deleted.
func (a *ask) letsGo(t *turn, r rule) bool {
	for _, name := range append(t.networkGroupNames(a), names.ClassicGroup(a.name)) {
		g := t.groupNamed(name)
		if g != nil && awssdk.ToString(g.GroupId) == r.source && t.ownsGroup(a, ec2Tags(g.Tags)) {
			return !a.uses(r.source) && !slices.Contains(a.nodeSources, Ref{ID: r.source}) && !t.inUse(r.source)
		}
	}
	return false
}
