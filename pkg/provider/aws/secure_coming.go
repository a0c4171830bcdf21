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
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// lives reports whether the Service wants a load balancer that may be ours.
func lives(svc *v1.Service) bool {
	return svc.DeletionTimestamp == nil && intent.Wants(svc, "", intent.ClassOf(intent.AWS), intent.AWSControllerClass)
}

// findComing are the Services outside the batch whose load balancers were not
// seen whole: private steps of an earlier pass make them beside this one. What
// that pass opened for them at the nodes stays open, though nothing there needs
// it yet. Nothing is opened for them here: one that is refused would never use
// it.
func (t *turn) findComing() []*ask {
	inBatch := map[plan.Key]bool{}
	for _, a := range t.asks {
		inBatch[a.key] = inBatch[a.key] || !a.outlived
	}
	attached := t.groupsByBalancer()
	var out []*ask
	for _, svc := range t.observed.Services {
		key := provider.KeyOf(svc)
		kind, elsewhere := kindOf(svc, t.settings.Claims)
		if inBatch[key] || elsewhere || !lives(svc) || t.seemsWhole(svc, kind, attached) {
			continue
		}
		in, problems := intent.New(svc, intent.AWS, t.settings.Registry)
		if intent.Refusal(problems) != nil {
			continue
		}
		a := newAsk(&provider.Item{Key: key, Service: svc, Want: provider.Serve, Cause: provider.Resync, Intent: in}, t, nil)
		if kind == NetworkKind && !t.maps(a, attached) {
			continue
		}
		out = append(out, a)
	}
	return out
}

// groupsByBalancer are the target groups by the ARNs of their load balancers.
func (t *turn) groupsByBalancer() map[string][]*TargetGroup {
	if t.attached != nil {
		return t.attached
	}
	out := map[string][]*TargetGroup{}
	for _, arn := range slices.Sorted(maps.Keys(t.observed.TargetGroups)) {
		g := t.observed.TargetGroups[arn]
		for _, arn := range g.LoadBalancerArns {
			out[arn] = append(out[arn], g)
		}
	}
	t.attached = out
	return out
}

// seemsWhole is a quick look at what most Services have: a load balancer with a
// target group for each node port.
func (t *turn) seemsWhole(svc *v1.Service, kind Kind, attached map[string][]*TargetGroup) bool {
	name := names.LoadBalancer(svc.UID)
	if kind == ClassicKind {
		return t.observed.Classics[name] != nil
	}
	lb := t.networksByName[name]
	if lb == nil {
		return false
	}
	for i := range svc.Spec.Ports {
		if !slices.ContainsFunc(attached[awssdk.ToString(lb.LoadBalancerArn)], func(g *TargetGroup) bool {
			return awssdk.ToInt32(g.Port) == svc.Spec.Ports[i].NodePort
		}) {
			return false
		}
	}
	return true
}

// maps fills in the Service's ports, and reports whether one has no target group
// at its load balancer yet.
func (t *turn) maps(a *ask, attached map[string][]*TargetGroup) bool {
	var err error
	if a.mappings, err = t.mappingsOf(a); err != nil {
		return false
	}
	a.network = t.networksByName[a.name]
	if a.network == nil {
		return true
	}
	return slices.ContainsFunc(a.mappings, func(m *mapping) bool {
		return !slices.ContainsFunc(attached[awssdk.ToString(a.network.LoadBalancerArn)], m.fits)
	})
}

// comesBehind reports whether the load balancer that is being made has the
// shared group, or will.
func (t *turn) comesBehind(a *ask) bool {
	if a.kind != NetworkKind || !t.settings.NodeRules {
		return false
	}
	if a.network != nil {
		return slices.Contains(a.network.SecurityGroups, t.backend)
	}
	return t.hasGroups(a) && a.sharesGroup()
}

// holdComing adds what the nodes let in already for load balancers that are
// being made: their health checks, from any subnet, and the groups of classic
// ones.
func (t *turn) holdComing(held described) {
	for _, a := range t.coming {
		if a.kind == ClassicKind {
			if given := a.list(intent.KeyAWSSecurityGroups); len(given) > 0 {
				held[allFrom(given[0])] = names.GroupRule(a.name)
			} else if t.settings.ClassicGroup != "" {
				held[allFrom(t.settings.ClassicGroup)] = names.GroupRule(a.name)
			}
			continue
		}
		if t.comesBehind(a) {
			continue
		}
		for _, m := range a.mappings {
			for _, port := range t.healthPorts(a, m) {
				for i := range t.observed.Subnets {
					for _, r := range prefixesOf(&t.observed.Subnets[i], m.family) {
						r.protocol, r.from, r.to = "tcp", port, port
						held[r] = names.HealthRule(a.name)
					}
				}
			}
		}
	}
}
