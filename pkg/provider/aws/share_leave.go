// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"maps"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// ownsNetwork reports whether the load balancer is the Service's to delete: its
// tags say so, or those of a Service that is gone, and it is the last one there.
func (t *turn) ownsNetwork(a *ask, lb *Network) bool {
	if t.ownsFor(a, lb.Tags) {
		return true
	}
	key, ok := t.serviceOf(lb.Tags)
	return ok && a.want == provider.Remove && t.living[key] == nil && t.hasPart(a, lb) && len(t.others(lb, a.key)) == 0
}

// hasPart reports whether the Service has target groups at another one's load
// balancer, or goes and had them.
func (t *turn) hasPart(a *ask, lb *Network) bool {
	if len(t.partsOf(a.key, lb)) > 0 {
		return true
	}
	name := awssdk.ToString(lb.LoadBalancerName)
	owner, _ := t.serviceOf(lb.Tags)
	holder := t.living[owner]
	return a.want == provider.Remove && intent.AWSNameOf(a.item.Service) == name && (holder == nil || intent.AWSNameOf(holder) == name)
}

// partsOf are the target groups of the load balancer whose tags name the
// Service.
func (t *turn) partsOf(key plan.Key, lb *Network) []*TargetGroup {
	var out []*TargetGroup
	for _, g := range t.tagged[key] {
		if slices.Contains(g.LoadBalancerArns, awssdk.ToString(lb.LoadBalancerArn)) {
			out = append(out, g)
		}
	}
	return out
}

// leavesOf are the load balancers on which the Service has, or had, a part, and
// where it wants none, while the load balancer stays for others.
func (t *turn) leavesOf(a *ask) []*Network {
	if a.want == provider.Keep || a.outlived || len(t.settings.External.Cluster) == 0 {
		return nil
	}
	var out []*Network
	for _, lb := range t.sortedNetworks() {
		_, ok := t.serviceOf(lb.Tags)
		if !ok || (a.serve() && a.kind == NetworkKind && a.name == awssdk.ToString(lb.LoadBalancerName)) {
			continue
		}
		owned := t.ownsNetwork(a, lb)
		if (owned && len(t.others(lb, a.key)) > 0) || (!owned && t.hasPart(a, lb)) {
			out = append(out, lb)
		}
	}
	return out
}

// belongs reports whether a target group of the Service's load balancer is, by
// its tags, not another one's. The head has what those that are gone left.
func (t *turn) belongs(a *ask, g *TargetGroup) bool {
	key, ok := t.serviceOf(g.Tags)
	switch {
	case ok && key == a.key:
		return true
	case ok:
		x := t.inBatch[key]
		return !a.follows() && t.living[key] == nil && (x == nil || len(x.leaves) == 0)
	}
	return !a.follows()
}

// ownsListener reports whether a listener of the Service's load balancer is not
// another one's.
func (t *turn) ownsListener(a *ask, l *elbv2types.Listener) bool {
	g := t.observed.TargetGroups[forwardsTo(l)]
	if g == nil {
		return !a.follows()
	}
	return t.belongs(a, g)
}

// movesOn reports whether another Service of the batch gets the listener. What is
// left over is any Service's that asks for the port.
func (t *turn) movesOn(a *ask, lb *Network, port int32) bool {
	s := t.sharing[awssdk.ToString(lb.LoadBalancerName)]
	if s != nil && a.outlived {
		return slices.ContainsFunc(s.members, func(svc *v1.Service) bool { return hasPort(svc, uint16(port)) }) //nolint:gosec // AWS has ports up to 65535
	}
	return s != nil && slices.ContainsFunc(t.asks, func(x *ask) bool {
		return x != a && x.share == s && t.refused[x.key] == nil && hasPort(x.item.Service, uint16(port)) //nolint:gosec // AWS has ports up to 65535
	})
}

// inherited are the target groups of Services that are gone.
func (t *turn) inherited(a *ask, lb *Network) []*TargetGroup {
	var out []*TargetGroup
	for _, g := range t.groupsByBalancer()[awssdk.ToString(lb.LoadBalancerArn)] {
		if key, ok := t.serviceOf(g.Tags); ok && key != a.key && t.belongs(a, g) {
			out = append(out, g)
		}
	}
	return out
}

// forwarding are the listeners that forward to the target group.
func forwarding(lb *Network, g *TargetGroup) []plan.ID {
	var out []plan.ID
	for i := range lb.Listeners {
		if forwardsTo(&lb.Listeners[i]) == awssdk.ToString(g.TargetGroupArn) {
			out = append(out, listenerID(awssdk.ToString(lb.LoadBalancerName), awssdk.ToInt32(lb.Listeners[i].Port)))
		}
	}
	return out
}

// heirOf is the Service that is the head of a load balancer from now on; nil
// when it is the one that the tags name.
func (t *turn) heirOf(lb *Network) *v1.Service {
	owner, ok := t.serviceOf(lb.Tags)
	if !ok {
		return nil
	}
	if s := t.sharing[awssdk.ToString(lb.LoadBalancerName)]; s != nil && s.head != nil {
		if provider.KeyOf(s.head) == owner {
			return nil
		}
		return s.head
	}
	a := t.inBatch[owner]
	if a == nil || !slices.Contains(a.leaves, lb) {
		return nil
	}
	return t.firstServed(t.others(lb, owner), lb)
}

func ownerID(lb *Network) plan.ID {
	return plan.ID{Kind: kindOwner, Name: awssdk.ToString(lb.LoadBalancerName)}
}

// handOver lets tags name the next head of load balancers whose head is gone or
// leaves, before anything is deleted. The load balancer's tag is the last: it
// tells what is done.
func (t *turn) handOver() {
	for _, lb := range t.sortedNetworks() {
		heir := t.heirOf(lb)
		if heir == nil {
			continue
		}
		owner, _ := t.serviceOf(lb.Tags)
		st := plan.Step{Action: plan.Update, Target: ownerID(lb), Why: []plan.Diff{{Field: "head", Have: owner.String(), Want: provider.KeyOf(heir).String()}}}
		for _, a := range t.asks {
			leaves := a.key == owner && slices.Contains(a.leaves, lb)
			takes := a.key == provider.KeyOf(heir) && a.share != nil && a.share.lb == lb
			if leaves || takes {
				st.Serves = append(st.Serves, a.key)
			}
		}
		if len(st.Serves) == 0 {
			continue
		}
		tags := t.settings.External.StackTag(heir.Namespace, heir.Name)
		var calls []Call
		if g := t.clientsOf(lb); g != nil {
			if key, _ := t.serviceOf(ec2Tags(g.Tags)); key != provider.KeyOf(heir) {
				calls = append(calls, &ec2.CreateTagsInput{Resources: []string{awssdk.ToString(g.GroupId)}, Tags: sortedEC2Tags(tags)})
			}
		}
		t.addShared(st, append(calls, &elbv2.AddTagsInput{ResourceArns: []string{awssdk.ToString(lb.LoadBalancerArn)}, Tags: elbv2Tags(tags)})...)
	}
}

// tagsOf are the load balancer's tags, as they are when its head is the Service.
func (t *turn) tagsOf(a *ask, lb *Network) map[string]string {
	if a.share == nil || lb.Tags == nil {
		return lb.Tags
	}
	out := maps.Clone(lb.Tags)
	maps.Copy(out, t.settings.External.StackTag(a.key.Namespace, a.key.Name))
	return out
}

// leave takes the Service's part off load balancers that stay for others. What
// tells of the part, its listeners, goes after all else.
func (t *turn) leave(a *ask) {
	for _, lb := range a.leaves {
		first := []plan.ID{ownerID(lb)}
		for id := range t.observed.Groups {
			first = append(first, plan.ID{Kind: kindNodeLeftovers, Name: id})
		}
		if id, ok := t.dropClientRules(a, lb); ok {
			first = append(first, id)
		}
		first = tidy(plan.Step{Needs: first}).Needs
		moving := map[string]bool{} // target groups
		for i := range lb.Listeners {
			l := &lb.Listeners[i]
			port := awssdk.ToInt32(l.Port)
			if key, ok := t.listenerOf(l); !ok || key != a.key || t.movesOn(a, lb, port) {
				moving[forwardsTo(l)] = true
				continue
			}
			id := listenerID(awssdk.ToString(lb.LoadBalancerName), port)
			a.leaving = append(a.leaving, id)
			t.add(a, plan.Step{
				Action: plan.Delete, Target: id, Needs: first,
				Why: []plan.Diff{{Field: "listener", Have: fmt.Sprintf("%s to %s", l.Protocol, t.groupName(forwardsTo(l)))}},
			}, &elbv2.DeleteListenerInput{ListenerArn: l.ListenerArn})
		}
		for _, g := range t.partsOf(a.key, lb) {
			if a.outlived && moving[awssdk.ToString(g.TargetGroupArn)] {
				continue // the listener leads to it until the controller gives it away
			}
			t.deleteGroup(a, g, append(forwarding(lb, g), first...))
		}
	}
}

// left are the listeners that Services of the batch take off a load balancer:
// it is deleted after them.
func (t *turn) left(lb *Network) []plan.ID {
	var out []plan.ID
	if slices.ContainsFunc(t.asks, func(a *ask) bool { return slices.Contains(a.leaves, lb) }) {
		for i := range lb.Listeners {
			out = append(out, listenerID(awssdk.ToString(lb.LoadBalancerName), awssdk.ToInt32(lb.Listeners[i].Port)))
		}
	}
	return out
}

// clientsOf is the security group for the clients of a load balancer, of which
// one Service made it; nil when there is none.
func (t *turn) clientsOf(lb *Network) *ec2types.SecurityGroup {
	if lb == nil || t.settings.Claims != AlsoLoadBalancerController {
		return nil
	}
	for _, id := range lb.SecurityGroups {
		if g := t.observed.Groups[id]; g != nil && t.settings.External.IsClients(ec2Tags(g.Tags)) {
			return g
		}
	}
	return nil
}
