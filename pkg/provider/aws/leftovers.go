// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// Leftovers observes all that carries the cluster's tags and names, and belongs
// to no Service. The pass deletes it when its steps are executed; nothing else
// has a part in it. Without a cluster id it is refused: nothing tells what is the
// cluster's.
func (p *Provider) Leftovers(ctx context.Context) (provider.Pass, error) {
	s, err := p.settings(ctx)
	if err != nil {
		return nil, err
	}
	if s.Tags.ID == "" {
		return nil, &plan.Error{Kind: plan.Invalid, Reason: reasonNoID, Err: errors.New("the cluster has no id, so nothing tells what is left over from what is another cluster's; set kubernetesClusterID in the cloud-config")}
	}
	o, err := p.lists(ctx, s)
	if err != nil {
		return nil, err
	}
	if o.Services, err = provider.LoadBalancers(p.services); err != nil {
		return nil, err
	}
	if err := p.details(ctx, s, o, ReadsOfLeftovers(o)); err != nil {
		return nil, err
	}
	in := Input{Settings: s, Observed: o}
	return newPass(p, in, Leftovers(in)), nil
}

// ReadsOfLeftovers are the tags of all that may be the cluster's, by its name.
func ReadsOfLeftovers(o *Observed) Reads {
	var r Reads
	for arn, lb := range o.Networks {
		if name := awssdk.ToString(lb.LoadBalancerName); peerName.MatchString(name) || strings.HasPrefix(name, "k8s-") {
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
	t := newTurn(&in, nil)
	t.coming = t.findComing()
	l := newLeft(t)
	t.asks = l.asks()
	for _, a := range t.asks {
		l.remove(a)
	}
	t.secureNodes()
	for _, g := range l.groups() {
		t.deleteSecurityGroup(t.asks[0], g)
		st := &t.steps[len(t.steps)-1]
		for i := range t.steps {
			if kind := t.steps[i].Target.Kind; kind == kindNetwork || kind == kindClassic {
				st.Needs = append(st.Needs, t.steps[i].Target)
			}
		}
		*st = tidy(*st)
	}
	return t.result(map[plan.Key]error{})
}

// left finds what belongs to no Service.
type left struct {
	*turn
	keys map[plan.Key]bool // of Services
	live map[string]bool   // names of load balancers and groups of Services
	// owners are the Services that were, by the names of their load balancers;
	// those of target groups alone have no load balancer.
	owners map[string]plan.Key
	judged map[string]bool // names of load balancers that are there and nobody's
	loose  map[plan.Key]bool
}

func newLeft(t *turn) *left {
	l := &left{turn: t, keys: map[plan.Key]bool{}, live: map[string]bool{}, owners: map[string]plan.Key{}, judged: map[string]bool{}, loose: map[plan.Key]bool{}}
	for _, svc := range t.observed.Services {
		base := names.LoadBalancer(svc.UID)
		l.keys[plan.Key{Namespace: svc.Namespace, Name: svc.Name}] = true
		for _, name := range []string{
			base, names.ClassicGroup(base), names.NetworkGroup(t.settings.Cluster, svc.Namespace, svc.Name, svc.UID),
			names.NetworkGroup(t.settings.External.Cluster, svc.Namespace, svc.Name, svc.UID),
		} {
			l.live[name] = true
		}
	}
	return l
}

// keyOf is the Service that tags name; false when they are not the cluster's.
func (l *left) keyOf(tags map[string]string) (plan.Key, bool) {
	namespace, name, ok := strings.Cut(tags[names.TagService], "/")
	return plan.Key{Namespace: namespace, Name: name}, ok && l.settings.Tags.Owns(tags)
}

// asks remove what is left of Services that are gone.
func (l *left) asks() []*ask {
	for _, lb := range l.sortedNetworks() {
		l.balancer(awssdk.ToString(lb.LoadBalancerName), lb.Tags)
	}
	for name, c := range l.observed.Classics {
		l.balancer(name, c.Tags)
	}
	for _, g := range l.observed.TargetGroups {
		if key, ok := l.keyOf(g.Tags); ok && len(g.LoadBalancerArns) == 0 && !l.keys[key] {
			l.loose[key] = true
		}
	}
	for _, g := range l.observed.Groups {
		if l.settings.Tags.ID == "" || !l.settings.Tags.Has(ec2Tags(g.Tags)) {
			continue
		}
		for _, text := range rulesOf(g.IpPermissions) {
			name := names.RuleOf(text)
			_, network := l.networksByName[name]
			if peerName.MatchString(name) && !network && !l.live[name] {
				l.ownerless(name)
			}
		}
		name, ok := strings.CutPrefix(awssdk.ToString(g.GroupName), names.ClassicGroup(""))
		if _, classic := l.observed.Classics[name]; ok && !classic && !l.live[name] && l.settings.Tags.Owns(ec2Tags(g.Tags)) {
			l.ownerless(name)
		}
	}
	var out []*ask
	for _, name := range slices.Sorted(maps.Keys(l.owners)) {
		out = append(out, vanished(l.owners[name], name))
		delete(l.loose, l.owners[name])
	}
	for _, key := range slices.SortedFunc(maps.Keys(l.loose), plan.CompareKeys) {
		out = append(out, vanished(key, ""))
	}
	if len(out) == 0 && len(l.groups()) > 0 {
		out = append(out, vanished(plan.Key{}, ""))
	}
	return out
}

func (l *left) balancer(name string, tags map[string]string) {
	if key, ok := l.keyOf(tags); ok && peerName.MatchString(name) && !l.live[name] {
		l.owners[name], l.judged[name] = key, true
	}
}

// ownerless notes the name of a load balancer whose Service nothing tells.
func (l *left) ownerless(name string) {
	if _, known := l.owners[name]; !known {
		l.owners[name] = plan.Key{}
	}
}

// vanished is a Service that is not there any more.
func vanished(key plan.Key, name string) *ask {
	svc := &v1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	it := &provider.Item{Key: key, Service: svc, Want: provider.Remove, Cause: provider.Repair}
	return &ask{item: it, key: key, want: provider.Remove, kind: NetworkKind, base: name, name: name, place: name, mine: true, leftOver: true}
}

// remove deletes just what was judged: the load balancer with the name, with
// its target groups, and target groups without one. A Service of the same name
// may live again, and what its tags are on is not left over.
func (l *left) remove(a *ask) {
	var after []plan.ID
	var groups []*TargetGroup
	if _, judged := l.judged[a.name]; judged {
		if lb := l.networksByName[a.name]; lb != nil {
			groups, after = l.groupsOf(a, lb), l.deleteNetwork(a, lb)
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

// groups are the security groups that we or the peer made for load balancers
// that are gone, or that go.
func (l *left) groups() []*ec2types.SecurityGroup {
	used := map[string]bool{}
	for name, lb := range l.networksByName {
		for _, id := range lb.SecurityGroups {
			_, goes := l.owners[name]
			used[id] = used[id] || !goes
		}
	}
	for name, c := range l.observed.Classics {
		for _, id := range c.SecurityGroups {
			_, goes := l.owners[name]
			used[id] = used[id] || !goes
		}
	}
	var out []*ec2types.SecurityGroup
	for _, id := range slices.Sorted(maps.Keys(l.observed.Groups)) {
		g := l.observed.Groups[id]
		name, text := awssdk.ToString(g.GroupName), awssdk.ToString(g.Description)
		if id == l.backend && slices.ContainsFunc(l.coming, l.comesBehind) {
			continue
		}
		made := strings.HasPrefix(name, names.ClassicGroup("a")) || text == names.NetworkGroupDescription || text == names.BackendGroupDescription
		if made && !used[id] && !l.live[name] && l.settings.Tags.Owns(ec2Tags(g.Tags)) {
			out = append(out, g)
		}
	}
	return out
}
