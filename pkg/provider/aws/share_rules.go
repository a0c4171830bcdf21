// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"maps"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// realm says which rules of a load balancer's group for clients a Service may
// take away.
type realm struct {
	own, others map[int32]bool // ports of listeners
	// rest: those at ports that nobody has; head: those without ports.
	rest, head bool
}

// realmOf is that of a Service of the load balancer, which has all when it is
// there alone.
func (t *turn) realmOf(a *ask, lb *Network) realm {
	out := realm{own: map[int32]bool{}, others: map[int32]bool{}, rest: true, head: true}
	serves := a.share != nil && a.share.lb == lb
	if !serves && !slices.Contains(a.leaves, lb) {
		return out
	}
	if lb == nil { // it is made, and its group may be there
		lb = &Network{LoadBalancer: elbv2types.LoadBalancer{LoadBalancerName: awssdk.String(a.share.name)}}
	}
	if serves {
		for _, m := range a.mappings {
			out.own[int32(m.port)] = true
		}
	}
	name := awssdk.ToString(lb.LoadBalancerName)
	// One that comes may have its rules already, and no listener yet.
	for key, svc := range t.living {
		for i := range svc.Spec.Ports {
			if port := svc.Spec.Ports[i].Port; key != a.key && !out.own[port] && intent.AWSNameOf(svc) == name {
				out.others[port] = true
			}
		}
	}
	for i := range lb.Listeners {
		l := &lb.Listeners[i]
		port := awssdk.ToInt32(l.Port)
		g := t.observed.TargetGroups[forwardsTo(l)]
		switch key, ok := t.listenerOf(l); {
		case out.own[port] || out.others[port]:
		case g != nil && g.Tags == nil:
			out.others[port] = true
		case ok && key == a.key:
			out.own[port] = true
		case ok && t.living[key] != nil:
			out.others[port] = true
		}
	}
	out.head = serves && !a.follows()
	out.rest = out.head || (!a.outlived && t.firstAt(lb) == a)
	return out
}

// firstAt is the Service of the batch that looks after what no Service has: the
// head, or else the first.
func (t *turn) firstAt(lb *Network) *ask {
	var first *ask
	for _, a := range t.asks {
		serves := a.share != nil && a.share.lb == lb && a.want == provider.Serve
		if serves && !a.follows() {
			return a
		}
		for _, x := range a.leaves {
			serves = serves || x == lb
		}
		if first == nil && serves {
			first = a
		}
	}
	return first
}

// has reports whether the rule may be taken away.
func (x realm) has(r rule) bool {
	if r.protocol != "tcp" && r.protocol != "udp" {
		return x.head
	}
	for port := range x.others {
		if r.spans(port) {
			return false
		}
	}
	return x.rest || (r.from == r.to && x.own[r.from])
}

// putClientRules lets the clients of a Service's own ports in at a load balancer
// whose head is another one. Groups that are given are left alone.
func (t *turn) putClientRules(a *ask) error {
	clients := a.share.clients
	if clients == nil {
		return nil
	}
	want := a.listenerRules()
	maps.DeleteFunc(want, func(r rule, _ string) bool { return r.protocol == protocolICMP || r.protocol == protocolICMPv6 })
	return t.putRules(a, groupRules{name: clients.name, target: partRules(clients.name, a), group: clients.ref, want: want, realm: t.realmOf(a, a.network)})
}

// partRules is the step for a Service's own rules in the group of another one's
// load balancer.
func partRules(group string, a *ask) plan.ID {
	return plan.ID{Kind: kindGroupRules, Name: group + " " + a.key.String()}
}

// dropClientRules takes away the rules of a Service that leaves.
func (t *turn) dropClientRules(a *ask, lb *Network) (plan.ID, bool) {
	g := t.clientsOf(lb)
	if g == nil {
		return plan.ID{}, false
	}
	realm := t.realmOf(a, lb)
	surplus := rulesOf(g.IpPermissions)
	maps.DeleteFunc(surplus, func(r rule, _ string) bool { return !realm.has(r) })
	id := partRules(awssdk.ToString(g.GroupName), a)
	if len(surplus) > 0 {
		t.add(a, plan.Step{Action: plan.Update, Target: id, Why: ruleDiffs(nil, surplus)}, ruleCalls(Ref{ID: awssdk.ToString(g.GroupId)}, nil, surplus)...)
	}
	return id, len(surplus) > 0
}

// putPartTags brings new tags of a user's edit to the target groups and
// listeners of a Service that shares a load balancer.
func (t *turn) putPartTags(a *ask) {
	if !a.strict() || a.network == nil {
		return
	}
	for _, g := range t.partsOf(a.key, a.network) {
		diffs := changed(a.tags, g.Tags)
		if len(diffs) == 0 {
			continue
		}
		tags := map[string]string{}
		for _, d := range diffs {
			tags[d.Field] = d.Want
		}
		in := &elbv2.AddTagsInput{ResourceArns: []string{awssdk.ToString(g.TargetGroupArn)}, Tags: elbv2Tags(tags)}
		for i := range a.network.Listeners {
			if l := &a.network.Listeners[i]; forwardsTo(l) == awssdk.ToString(g.TargetGroupArn) {
				in.ResourceArns = append(in.ResourceArns, awssdk.ToString(l.ListenerArn))
			}
		}
		t.add(a, plan.Step{Action: plan.Update, Target: plan.ID{Kind: kindTags, Name: awssdk.ToString(g.TargetGroupName)}, Why: diffs}, in)
	}
}

// clientsName is the name of the group for the clients of the Service's load
// balancer: the one that is there, whoever made it, or else a new one. One that
// stays with a load balancer that the Service leaves is not its own any more.
func (t *turn) clientsName(a *ask, cluster string) string {
	if g := t.clientsOf(a.network); a.external && g != nil {
		return awssdk.ToString(g.GroupName)
	}
	uid := a.item.Service.UID
	for again := 1; ; again++ {
		name := names.NetworkGroup(cluster, a.key.Namespace, a.key.Name, uid)
		if g := t.groupNamed(name); g == nil || !t.stays(a, g) {
			return name
		}
		uid = types.UID(fmt.Sprintf("%s#%d", a.item.Service.UID, again))
	}
}

// stays reports whether a group with the Service's name is another one's, or
// will be.
func (t *turn) stays(a *ask, g *ec2types.SecurityGroup) bool {
	key, ok := t.serviceOf(ec2Tags(g.Tags))
	return (ok && key != a.key) || slices.ContainsFunc(a.leaves, func(lb *Network) bool { return slices.Contains(lb.SecurityGroups, awssdk.ToString(g.GroupId)) })
}

// clientsMadeFor are the groups for clients with the Service's name or tags,
// but for those that stay.
func (t *turn) clientsMadeFor(a *ask) []*ec2types.SecurityGroup {
	var out []*ec2types.SecurityGroup
	named := t.networkGroupNames(a)
	for _, id := range slices.Sorted(maps.Keys(t.observed.Groups)) {
		g := t.observed.Groups[id]
		tags := ec2Tags(g.Tags)
		key, _ := t.serviceOf(tags)
		made := slices.ContainsFunc(named, func(name string) bool { return t.groupNamed(name) == g }) || (key == a.key && !a.outlived && t.settings.External.IsClients(tags))
		if made && !t.stays(a, g) {
			out = append(out, g)
		}
	}
	return out
}
