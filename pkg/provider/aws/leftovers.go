// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// Leftovers observes all that carries the cluster's tags and names, and then
// asks who lives. What is told by the tags of one Service, or the name of its
// load balancer, and belongs to none that lives is deleted.
func (p *Provider) Leftovers(ctx context.Context, living provider.Living) (provider.Pass, error) {
	s, err := p.settings(ctx, toCollect)
	if err != nil {
		return nil, err
	}
	o, err := p.lists(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, reads := range []func(*Settings, *Observed) Reads{ReadsOfLeftovers, readsOfParts} {
		if err := p.details(ctx, s, o, reads(s, o)); err != nil {
			return nil, err
		}
	}
	nodes, err := p.tagsOfNodes(ctx)
	if err != nil {
		return nil, err
	}
	all, err := living(ctx)
	if err != nil {
		return nil, err
	}
	o.Services = provider.Holders(all)
	if err := provesCluster(s, o, nodes); err != nil {
		return nil, err
	}
	if err := provesName(s, o); err != nil {
		return nil, err
	}
	in := Input{Settings: s, Observed: o, Leftovers: true}
	return newPass(p, in, Leftovers(in)), nil
}

// ReadsOfLeftovers are the tags of all that may be the cluster's, by its name.
// Where Services of the AWS Load Balancer Controller are claimed, load balancers
// may have any name.
func ReadsOfLeftovers(s *Settings, o *Observed) Reads {
	var r Reads
	for arn, lb := range o.Networks {
		name := awssdk.ToString(lb.LoadBalancerName)
		if s.External.told() || peerName.MatchString(name) || strings.HasPrefix(name, "k8s-") {
			r.Tags = append(r.Tags, arn)
		}
	}
	for arn, g := range o.TargetGroups {
		if strings.HasPrefix(awssdk.ToString(g.TargetGroupName), "k8s-") {
			r.Tags = append(r.Tags, arn)
		}
	}
	for name := range o.Classics {
		if peerName.MatchString(name) {
			r.ClassicTags = append(r.ClassicTags, name)
		}
	}
	slices.Sort(r.Tags)
	slices.Sort(r.ClassicTags)
	return r
}

// Leftovers are the deletions of what belongs to no Service: load balancers,
// target groups and security groups with the cluster's tags, and rules of the
// nodes that bear the name of a load balancer that is not there.
func Leftovers(in Input) *Result {
	in, _ = in.keepForms()
	t := newTurn(&in, nil)
	t.coming = t.findComing()
	l := newFinder(t)
	for _, a := range l.asks() {
		if a.key != (plan.Key{}) && in.Without[a.key] {
			continue
		}
		t.asks = append(t.asks, a)
		if len(a.leaves) > 0 {
			t.inBatch[a.key] = a
		}
	}
	t.ours = nil // it knows the asks from now on
	for _, a := range t.asks {
		l.remove(a)
		t.leave(a)
	}
	t.secureNodes()
	for _, g := range l.groups() {
		l.removeGroup(g)
	}
	refused := map[plan.Key]error{}
	for object, err := range in.Observed.Unread {
		refused[plan.Key{Name: in.Observed.nameOf(object)}] = err
	}
	return t.result(refused)
}

// nameOf is the name of an object that is known by its ARN.
func (o *Observed) nameOf(object string) string {
	if lb, ok := o.Networks[object]; ok {
		return awssdk.ToString(lb.LoadBalancerName)
	}
	if g, ok := o.TargetGroups[object]; ok {
		return awssdk.ToString(g.TargetGroupName)
	}
	return object
}

// vanished is a Service that is not there any more.
func vanished(key plan.Key, name string) *ask {
	if key == (plan.Key{}) {
		key.Name = name
	}
	svc := &v1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	it := &provider.Item{Key: key, Service: svc, Want: provider.Remove, Cause: provider.Repair}
	return &ask{item: it, key: key, want: provider.Remove, kind: NetworkKind, base: name, name: name, place: name, mine: true, outlived: true}
}

// remove deletes just what was judged: the load balancer with the name, with
// its target groups, and target groups without one. A Service of the same name
// may live again, and what its tags are on is not left over.
func (l *finder) remove(a *ask) {
	var after []plan.ID
	var groups []*TargetGroup
	if _, judged := l.judged[a.name]; judged {
		if lb := l.networksByName[a.name]; lb != nil {
			groups, after = l.groupsAt(a, lb), l.deleteNetwork(a, lb)
		}
		l.removeClassic(a)
	}
	if !l.keys[a.key] {
		for _, g := range l.groupsOf(a, nil) {
			if len(g.LoadBalancerArns) == 0 && !slices.Contains(groups, g) {
				groups = append(groups, g)
			}
		}
	}
	for _, g := range groups {
		l.deleteGroup(a, g, after)
	}
}

// groupsAt are the target groups of a load balancer that goes: of the Service, and
// of others that are gone and shared it.
func (l *finder) groupsAt(a *ask, lb *Network) []*TargetGroup {
	out := l.groupsOf(a, lb)
	for _, g := range l.groupsByBalancer()[awssdk.ToString(lb.LoadBalancerArn)] {
		if key, ok := l.keyOf(g.Tags); ok && !l.keys[key] && !slices.Contains(out, g) {
			out = append(out, g)
		}
	}
	return out
}

// removeGroup deletes a security group after the load balancers that have it.
func (l *finder) removeGroup(g *ec2types.SecurityGroup) {
	id := awssdk.ToString(g.GroupId)
	var owner *ask
	var after []plan.ID
	for _, a := range l.turn.asks {
		lb, c := l.networksByName[a.name], l.observed.Classics[a.name]
		if lb != nil && slices.Contains(lb.SecurityGroups, id) {
			owner, after = a, append(after, plan.ID{Kind: kindNetwork, Name: a.name})
		}
		if c != nil && slices.Contains(c.SecurityGroups, id) {
			owner, after = a, append(after, plan.ID{Kind: kindClassic, Name: a.name})
		}
		if owner == nil && (l.ownsClassicGroup(a, id) || l.isGroupOf(a, g)) {
			owner = a
		}
	}
	if owner == nil || len(after) > 1 {
		owner = vanished(plan.Key{}, "")
	}
	l.deleteSecurityGroup(owner, g)
	st := &l.steps[len(l.steps)-1]
	st.Needs = append(st.Needs, after...)
	*st = tidy(*st)
}
