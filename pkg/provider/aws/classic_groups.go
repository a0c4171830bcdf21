// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// wantClassicGroups are the security groups of a classic load balancer: those
// that the annotation names, or else the one of the configuration, or else one
// of its own; and those that another annotation adds. The nodes let the first
// in. Only the rules of its own are ours to write.
func (t *turn) wantClassicGroups(a *ask, b *classicBalancer) error {
	given, err := t.givenGroups(a, intent.KeyAWSSecurityGroups)
	if err != nil {
		return err
	}
	extra, err := t.givenGroups(a, intent.KeyAWSExtraSecurityGroups)
	if err != nil {
		return err
	}
	switch {
	case len(given) > 0:
		a.groups, a.judges = given, "annotation "+intent.KeyAWSSecurityGroups
	case t.settings.ClassicGroup != "":
		a.groups, a.judges = []Ref{{ID: t.settings.ClassicGroup}}, "elbSecurityGroup of the cloud-config"
	default:
		name := names.ClassicGroup(a.name)
		ref, err := t.ensureGroup(a, name, names.ClassicGroupDescription(a.name, a.key.Namespace, a.key.Name))
		if err != nil {
			return err
		}
		a.groups = []Ref{ref}
		if err := t.putGroupRules(a, name, ref, a.classicRules(b.listeners)); err != nil {
			return err
		}
	}
	a.nodeSources = []Ref{a.groups[0]}
	a.groups = union(a.groups, extra)
	return nil
}

// classicRules are those of the load balancer's own group.
func (a *ask) classicRules(listeners []classicListener) described {
	out := described{}
	for i := range listeners {
		out.let(a.clients(), rule{protocol: "tcp", from: listeners[i].port, to: listeners[i].port}, "")
	}
	out.let(a.clients(), rule{protocol: protocolICMP, from: icmpType, to: icmpCode}, "")
	return out
}

// putClassicGroups brings the groups of a load balancer that is there to what
// they shall be, after the nodes let the new ones in.
func (t *turn) putClassicGroups(a *ask, b *classicBalancer) {
	in := &elb.ApplySecurityGroupsToLoadBalancerInput{LoadBalancerName: awssdk.String(b.name)}
	st := plan.Step{Action: plan.Update, Target: plan.ID{Kind: kindGroups, Name: b.name}, Needs: t.listenersNeed(a)}
	in.SecurityGroups, st.Needs = refTexts(a.groups), append(st.Needs, stepsOf(a.groups)...)
	have := slices.Sorted(slices.Values(b.now.SecurityGroups))
	if slices.Equal(have, slices.Sorted(slices.Values(in.SecurityGroups))) {
		return
	}
	st.Why = []plan.Diff{{Field: "security groups", Have: strings.Join(have, ", "), Want: refNames(a.groups)}}
	t.add(a, st, in)
}

// ownsClassicGroup reports whether the security group is the one that was made
// for the Service's classic load balancer.
func (t *turn) ownsClassicGroup(a *ask, id string) bool {
	g := t.groupNamed(names.ClassicGroup(a.name))
	return g != nil && awssdk.ToString(g.GroupId) == id && t.ownsGroup(a, ec2Tags(g.Tags))
}

// dropClassicGroups deletes the security groups that were made for classic load
// balancers that are gone or have others.
func (t *turn) dropClassicGroups() {
	for _, a := range t.asks {
		if a.elsewhere || a.want == provider.Keep {
			continue
		}
		g := t.groupNamed(names.ClassicGroup(a.name))
		if g == nil || !t.ownsGroup(a, ec2Tags(g.Tags)) {
			continue
		}
		if id := awssdk.ToString(g.GroupId); !a.uses(id) && !t.inUse(id) {
			t.deleteSecurityGroup(a, g)
		}
	}
}

// allFrom is the rule with which nodes let a classic load balancer in.
func allFrom(group string) rule {
	return rule{protocol: allProtocols, from: -1, to: -1, kind: fromGroup, source: group}
}

// sourceText describes the rule with which nodes let the group in. That of a
// group of its own has none, as with the peer; of another one nothing else
// would tell whom it is for.
func (t *turn) sourceText(a *ask, g Ref) string {
	if g.ID == "" || t.ownsClassicGroup(a, g.ID) {
		return ""
	}
	return names.GroupRule(a.name)
}

// holdClassics adds what classic load balancers outside the batch need.
func (t *turn) holdClassics(held described, inBatch map[string]bool) {
	for _, name := range slices.Sorted(maps.Keys(t.observed.Classics)) {
		if inBatch[name] {
			continue
		}
		for _, id := range t.observed.Classics[name].SecurityGroups {
			held[rule{kind: fromGroup, source: id}] = name
			held[allFrom(id)] = names.GroupRule(name)
		}
	}
}

// groupsThatLetIn are the nodes' security groups that let in all of a group.
func (t *turn) groupsThatLetIn(source string) []string {
	var out []string
	for _, id := range slices.Sorted(maps.Keys(t.observed.Groups)) {
		if _, ok := rulesOf(t.observed.Groups[id].IpPermissions)[allFrom(source)]; ok && t.isGuard(id) {
			out = append(out, id)
		}
	}
	return out
}

// shutOut is the Service whose load balancer goes and for which the nodes let a
// group in that is not ours; nil when there is none.
func (t *turn) shutOut(g *nodeGroup, r rule) *ask {
	if r != allFrom(r.source) || !t.isGuard(g.id) {
		return nil
	}
	for _, a := range t.asks {
		if slices.Contains(a.lettingGo, r.source) {
			return a
		}
	}
	return nil
}

// leaving are the steps after which nothing of the Service needs what the nodes
// let in any more, but for those that wait for the nodes.
func (t *turn) leaving(a *ask) []plan.ID {
	if a.serve() && a.kind == NetworkKind && a.network == nil {
		return nil // there is nothing yet
	}
	kinds := []string{kindNetwork, kindGroups, kindListener, kindListeners}
	if len(a.lettingGo) == 0 {
		kinds = append(kinds, kindClassic)
	}
	return slices.DeleteFunc(t.targetsOfKind(a, kinds...), func(id plan.ID) bool {
		return slices.ContainsFunc(t.asks, func(x *ask) bool { return slices.Contains(x.leaving, id) })
	})
}

// putClassicSubnets moves the load balancer to the subnets that it shall have:
// as the peer does at every sync. A zone has one subnet at a time.
func (t *turn) putClassicSubnets(a *ask, b *classicBalancer) error {
	want, err := t.classicSubnets(a, b)
	if err != nil || len(want) == 0 {
		return err
	}
	have := b.now.Subnets
	missing, surplus := notIn(want, have), notIn(have, want)
	if len(missing)+len(surplus) == 0 {
		return nil
	}
	taken := map[string]bool{}
	for _, id := range have {
		taken[t.zoneOf(id)] = true
	}
	var first, then []string
	for _, id := range missing {
		if taken[t.zoneOf(id)] {
			then = append(then, id)
		} else {
			first = append(first, id)
		}
	}
	if len(surplus) == len(have) && len(first) == 0 {
		a.warn(ReasonUnsupported, fmt.Sprintf("load balancer %s stays in subnet %s: AWS cannot move a classic load balancer from its last subnet to %s in the same zone; add a subnet of another zone first", b.name, strings.Join(surplus, ", "), strings.Join(missing, ", ")))
		return nil
	}
	t.add(a, plan.Step{
		Action: plan.Update, Target: plan.ID{Kind: kindSubnets, Name: b.name},
		Why: []plan.Diff{{Field: "subnets", Have: strings.Join(slices.Sorted(slices.Values(have)), ", "), Want: strings.Join(slices.Sorted(slices.Values(want)), ", ")}},
	}, subnetCalls(b.name, first, surplus, then)...)
	return nil
}

func subnetCalls(name string, first, surplus, then []string) []Call {
	var out []Call
	attach := func(ids []string) {
		if len(ids) > 0 {
			out = append(out, &elb.AttachLoadBalancerToSubnetsInput{LoadBalancerName: awssdk.String(name), Subnets: ids})
		}
	}
	attach(first)
	if len(surplus) > 0 {
		out = append(out, &elb.DetachLoadBalancerFromSubnetsInput{LoadBalancerName: awssdk.String(name), Subnets: surplus})
	}
	attach(then)
	return out
}

// classicSubnets are the ids of the subnets that a load balancer which is there
// shall have; none when that cannot be told now. A subnet with too few
// addresses is no new one.
func (t *turn) classicSubnets(a *ask, b *classicBalancer) ([]string, error) {
	if a.has(intent.KeyAWSSubnets) {
		list, err := t.namedSubnets(a)
		return idsOf(list), err
	}
	if t.observed.RouteTables == nil {
		return nil, nil
	}
	list, _ := t.discover(a, b.now.Subnets)
	return idsOf(list), nil
}

// zoneOf is the zone of a subnet; empty when it is not known.
func (t *turn) zoneOf(subnet string) string {
	for i := range t.observed.Subnets {
		if awssdk.ToString(t.observed.Subnets[i].SubnetId) == subnet {
			return awssdk.ToString(t.observed.Subnets[i].AvailabilityZone)
		}
	}
	return ""
}
