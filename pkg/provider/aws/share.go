// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"maps"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// share is a network load balancer that Services of the external form name in
// their annotation, most often one alone. Each has listeners and target groups
// of its own there.
type share struct {
	name    string
	lb      *Network      // nil: it is not there
	members []*v1.Service // those that live and name it, oldest first
	// head decides what is the load balancer's; nil: another Service has it, or
	// another cluster, and nobody may share it.
	head *v1.Service
	// clients is the group for the clients that the head's part of the pass makes
	// or finds; nil: there is none.
	clients *clientGroup
}

// clientGroup is the security group that lets the clients of a load balancer in.
type clientGroup struct {
	name string
	ref  Ref
}

// livesExternal reports whether the Service wants a load balancer of the
// external form.
func livesExternal(svc *v1.Service) bool {
	return lives(svc) && intent.AWSFormOf(svc) == intent.AWSExternal
}

// findLiving finds the Services of the external form, as the batch knows them.
func (t *turn) findLiving(in *Input) {
	t.living, t.tagged = map[plan.Key]*v1.Service{}, map[plan.Key][]*TargetGroup{}
	if t.settings.Claims != AlsoLoadBalancerController {
		return
	}
	for _, svc := range t.observed.Services {
		if livesExternal(svc) {
			t.living[provider.KeyOf(svc)] = svc
		}
	}
	for _, arn := range slices.Sorted(maps.Keys(t.observed.TargetGroups)) {
		g := t.observed.TargetGroups[arn]
		if key, ok := t.serviceOf(g.Tags); ok {
			t.tagged[key] = append(t.tagged[key], g)
		}
	}
	for i := range in.Batch.Items {
		it := &in.Batch.Items[i]
		known := t.living[it.Key]
		switch {
		case it.Want != provider.Remove && livesExternal(it.Service):
			t.living[it.Key] = it.Service
		case known != nil && known.UID == it.Service.UID:
			delete(t.living, it.Key)
		}
	}
}

// findShares finds who shares what, when the places of the batch's Services are
// known.
func (t *turn) findShares() {
	t.sharing = map[string]*share{}
	join := func(name string, svc *v1.Service) *share {
		s := t.sharing[name]
		if s == nil {
			s = &share{name: name, lb: t.networksByName[name]}
			t.sharing[name] = s
		}
		s.members = append(s.members, svc)
		return s
	}
	placed := map[plan.Key]bool{}
	for _, a := range t.asks {
		if placed[a.key] = a.want == provider.Serve; placed[a.key] && a.external && a.namesPlace() {
			a.share = join(a.name, a.item.Service)
		}
	}
	for key, svc := range t.living {
		if name := intent.AWSNameOf(svc); name != "" && !placed[key] && !t.shownElsewhere(svc, name) {
			join(name, svc)
		}
	}
	for _, s := range t.sharing {
		slices.SortFunc(s.members, provider.OlderFirst)
		s.head = t.headOf(s)
	}
	for _, a := range t.asks {
		a.leaves = t.leavesOf(a)
	}
}

// besides are the load balancers that Services beside the batch share with the
// head, and whether one of the batch needs a head that is beside it: that one has
// an address, and its load balancer is not there any more.
func (t *turn) besides() (awaited map[plan.ID]bool, headNeeded bool) {
	awaited = map[plan.ID]bool{}
	for name, s := range t.sharing {
		if s.head == nil {
			continue
		}
		here := 0 // members in the batch
		for _, svc := range s.members {
			if t.inBatch[provider.KeyOf(svc)] != nil {
				here++
			}
		}
		switch head := t.inBatch[provider.KeyOf(s.head)]; {
		case head != nil && here < len(s.members):
			awaited[plan.ID{Kind: kindNetwork, Name: name}] = true
		case head == nil && here > 0 && s.lb == nil && len(s.head.Status.LoadBalancer.Ingress) > 0:
			headNeeded = true
		}
	}
	return awaited, headNeeded
}

// namesPlace reports whether the load balancer has the name that the Service
// asks for. A later change of the annotation does nothing as long as the Service
// has one alone.
func (a *ask) namesPlace() bool { return intent.AWSNameOf(a.item.Service) == a.name }

// headOf is the Service that the load balancer's tags name, as long as it names
// the load balancer; or else the oldest one that it serves, or the oldest.
func (t *turn) headOf(s *share) *v1.Service {
	if s.lb == nil {
		return s.members[0]
	}
	owner, ok := t.serviceOf(s.lb.Tags)
	if !ok {
		return nil
	}
	holder := t.living[owner]
	switch {
	case holder == nil || t.leftTo(holder, s.lb) != nil:
		return t.firstServed(s.members, s.lb)
	case intent.AWSNameOf(holder) == s.name:
		return holder
	}
	return nil
}

// firstServed is the first of the Services that the load balancer serves, or else
// the first one: what is refused shall not decide for those that are served.
func (t *turn) firstServed(list []*v1.Service, lb *Network) *v1.Service {
	for _, svc := range list {
		if len(t.partsOf(provider.KeyOf(svc), lb)) > 0 {
			return svc
		}
	}
	return list[0]
}

// leftTo is a Service that is served by the load balancer of another one, which
// names it no more; nil when there is none.
func (t *turn) leftTo(holder *v1.Service, lb *Network) *v1.Service {
	name := awssdk.ToString(lb.LoadBalancerName)
	if intent.AWSNameOf(holder) == name {
		return nil
	}
	for _, key := range slices.SortedFunc(maps.Keys(t.living), plan.CompareKeys) {
		if svc := t.living[key]; key != provider.KeyOf(holder) && intent.AWSNameOf(svc) == name && shows(svc, lb.DNSName) {
			return svc
		}
	}
	return nil
}

// shownElsewhere reports whether another network load balancer serves.
func (t *turn) shownElsewhere(svc *v1.Service, name string) bool {
	if len(svc.Status.LoadBalancer.Ingress) == 0 {
		return false
	}
	for other, lb := range t.networksByName {
		if other != name && shows(svc, lb.DNSName) {
			return true
		}
	}
	return false
}

// serviceOf is the Service that tags of the external form name.
func (t *turn) serviceOf(tags map[string]string) (plan.Key, bool) {
	if t.settings.Claims != AlsoLoadBalancerController {
		return plan.Key{}, false
	}
	namespace, name, ok := t.settings.External.ServiceOf(tags)
	return plan.Key{Namespace: namespace, Name: name}, ok
}

// follows reports whether another Service decides what is the load balancer's.
func (a *ask) follows() bool {
	return a.share != nil && a.share.head != nil && provider.KeyOf(a.share.head) != a.key
}

// member is the Service that names the load balancer; nil when it does not.
func (s *share) member(key plan.Key) *v1.Service {
	for _, svc := range s.members {
		if provider.KeyOf(svc) == key {
			return svc
		}
	}
	return nil
}

// others are the living Services but one that name the load balancer, oldest
// first, and then those that it still serves.
func (t *turn) others(lb *Network, but plan.Key) []*v1.Service {
	var out []*v1.Service
	name := awssdk.ToString(lb.LoadBalancerName)
	if s := t.sharing[name]; s != nil {
		out = slices.DeleteFunc(slices.Clone(s.members), func(svc *v1.Service) bool { return provider.KeyOf(svc) == but })
	}
	if len(t.living) == 0 {
		return out
	}
	var served []*v1.Service
	for _, g := range t.groupsByBalancer()[awssdk.ToString(lb.LoadBalancerArn)] {
		key, ok := t.serviceOf(g.Tags)
		svc := t.living[key]
		if !ok || svc == nil || key == but || slices.Contains(slices.Concat(out, served), svc) {
			continue
		}
		if a := t.inBatch[key]; a == nil || a.want == provider.Keep || a.name == name {
			served = append(served, svc)
		}
	}
	slices.SortFunc(served, provider.OlderFirst)
	return append(out, served...)
}
