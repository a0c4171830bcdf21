// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// finder finds what belongs to no Service.
type finder struct {
	*turn
	keys map[plan.Key]bool // of Services
	live map[string]bool   // names of load balancers and groups of Services
	// owners are the Services that were, by the names of their load balancers;
	// those of target groups alone have no load balancer.
	owners map[string]plan.Key
	judged map[string]bool // names of load balancers that are there and nobody's
	loose  map[plan.Key]bool
}

func newFinder(t *turn) *finder {
	l := &finder{turn: t, keys: map[plan.Key]bool{}, live: map[string]bool{}, owners: map[string]plan.Key{}, judged: map[string]bool{}, loose: map[plan.Key]bool{}}
	for _, svc := range t.observed.Services {
		base := names.LoadBalancer(svc.UID)
		l.keys[provider.KeyOf(svc)] = true
		for _, name := range []string{
			base, names.ClassicGroup(base), names.NetworkGroup(t.settings.Cluster, svc.Namespace, svc.Name, svc.UID),
			names.NetworkGroup(t.settings.External.Cluster, svc.Namespace, svc.Name, svc.UID),
		} {
			l.live[name] = true
		}
		if name := strings.TrimSpace(svc.Annotations[intent.KeyAWSName]); name != "" {
			l.live[name] = true
		}
	}
	return l
}

// told reports whether the name under which the AWS Load Balancer Controller
// tags what it makes is more than a default: by the cloud config, or the
// cluster's id.
func (e *External) told() bool { return e.Told && e.Cluster != "" }

// keyOf is the Service that tags name; false when they are not the cluster's.
// What is the AWS Load Balancer Controller's counts when its Services are
// claimed, and never what it made for Ingresses and Gateways.
func (l *finder) keyOf(tags map[string]string) (plan.Key, bool) {
	switch {
	case names.IsForOthers(tags):
		return plan.Key{}, false
	case names.IsControllers(tags):
		namespace, name, ok := l.settings.External.ServiceOf(tags)
		return plan.Key{Namespace: namespace, Name: name}, ok && l.settings.Claims == AlsoLoadBalancerController && l.settings.External.told()
	}
	namespace, name, ok := strings.Cut(tags[names.TagService], "/")
	return plan.Key{Namespace: namespace, Name: name}, ok && l.settings.Tags.Owns(tags)
}

// asks remove what is left of Services that are gone.
func (l *finder) asks() []*ask {
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
	stray, held := false, l.heldRules()
	for _, g := range l.observed.Groups {
		if l.settings.Tags.ID != "" && l.settings.Tags.Has(ec2Tags(g.Tags)) {
			stray = l.rules(g, held) || stray
		}
	}
	var out []*ask
	for _, name := range slices.Sorted(maps.Keys(l.owners)) {
		out = append(out, vanished(l.owners[name], name))
		delete(l.loose, l.owners[name])
	}
	parts := l.parts()
	for key := range parts {
		l.loose[key] = true
	}
	for _, key := range slices.SortedFunc(maps.Keys(l.loose), plan.CompareKeys) {
		a := vanished(key, "")
		a.leaves = parts[key]
		out = append(out, a)
	}
	if len(out) == 0 && (stray || len(l.groups()) > 0) {
		out = append(out, vanished(plan.Key{}, ""))
	}
	return out
}

// balancer notes a load balancer of a Service that is gone: by the name, in which
// the Service's uid is, or where users may choose names by the tags alone.
func (l *finder) balancer(name string, tags map[string]string) {
	key, ok := l.keyOf(tags)
	gone := peerName.MatchString(name) && !l.live[name]
	if names.IsControllers(tags) {
		gone = !l.keys[key] && !l.live[name] // others may share it by its name
	}
	if ok && gone {
		l.owners[name], l.judged[name] = key, true
	}
}

// rules notes the load balancers whose names a security group of the cluster
// tells, and which are not there. It reports whether the group has a rule of all
// network load balancers that none needs.
func (l *finder) rules(g *ec2types.SecurityGroup, held held) (stray bool) {
	group := &nodeGroup{id: awssdk.ToString(g.GroupId), have: rulesOf(g.IpPermissions)}
	for r, text := range group.have {
		if text == names.MTURule && l.settings.NodeRules && l.provesOurs(group, r.source) {
			_, ok := needed(group, held, r)
			stray = stray || !ok
		}
		name := names.RuleOf(text)
		_, network := l.networksByName[name]
		if name != "" && text != names.BackendRule && !network && !l.mayLive(name) {
			l.ownerless(name)
		}
	}
	name, ok := strings.CutPrefix(awssdk.ToString(g.GroupName), names.ClassicGroup(""))
	if _, classic := l.observed.Classics[name]; ok && !classic && !l.live[name] && l.settings.Tags.Owns(ec2Tags(g.Tags)) {
		l.ownerless(name)
	}
	return stray
}

// mayLive reports whether a load balancer with the name may be that of a Service
// that lives.
func (l *finder) mayLive(name string) bool {
	if l.live[name] || peerName.MatchString(name) {
		return l.live[name]
	}
	for key := range l.keys {
		if names.MayBe(name, key.Namespace, key.Name) {
			return true
		}
	}
	return false
}

// ownerless notes the name of a load balancer whose Service nothing tells.
func (l *finder) ownerless(name string) {
	if _, known := l.owners[name]; !known {
		l.owners[name] = plan.Key{}
	}
}

// groups are the security groups that we or the peer made for load balancers
// that are gone, or that go.
func (l *finder) groups() []*ec2types.SecurityGroup {
	used := map[string]bool{}
	for name, lb := range l.networksByName {
		for _, id := range lb.SecurityGroups {
			used[id] = used[id] || !l.goes(name)
		}
	}
	for name, c := range l.observed.Classics {
		for _, id := range c.SecurityGroups {
			used[id] = used[id] || !l.goes(name)
		}
	}
	var out []*ec2types.SecurityGroup
	for _, id := range slices.Sorted(maps.Keys(l.observed.Groups)) {
		if g := l.observed.Groups[id]; !used[id] && l.madeForGone(g) {
			out = append(out, g)
		}
	}
	return out
}

// goes reports whether the load balancer with the name is deleted by this pass.
func (l *finder) goes(name string) bool {
	key, owned := l.owners[name]
	return owned && !l.without[key] && !l.without[plan.Key{Name: name}]
}

// madeForGone reports whether a controller made the security group, and for no
// Service that lives.
func (l *finder) madeForGone(g *ec2types.SecurityGroup) bool {
	name, text, tags := awssdk.ToString(g.GroupName), awssdk.ToString(g.Description), ec2Tags(g.Tags)
	key, ok := l.keyOf(tags)
	switch {
	case l.live[name] || names.IsForOthers(tags):
		return false
	case names.IsControllers(tags):
		return ok && !l.keys[key] && text == names.NetworkGroupDescription
	}
	if awssdk.ToString(g.GroupId) == l.backend && slices.ContainsFunc(l.coming, l.comesBehind) {
		return false // it is made before the load balancers that get it
	}
	made := strings.HasPrefix(name, names.ClassicGroup("a")) || text == names.NetworkGroupDescription || text == names.BackendGroupDescription
	return made && l.settings.Tags.Owns(tags)
}

// isGroupOf reports whether the tags of a security group name the Service.
func (l *finder) isGroupOf(a *ask, g *ec2types.SecurityGroup) bool {
	key, ok := l.keyOf(ec2Tags(g.Tags))
	return ok && key == a.key
}
