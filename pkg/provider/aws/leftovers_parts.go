// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// readsOfParts are the load balancers that Services may share, by the tags that
// were read before: Services that are gone may have left listeners there.
func readsOfParts(s *Settings, o *Observed) Reads {
	w := newWishes(s, o)
	if s.Claims != AlsoLoadBalancerController || !s.External.told() {
		return Reads{}
	}
	for arn, lb := range o.Networks {
		namespace, service, ok := s.External.ServiceOf(lb.Tags)
		others := slices.ContainsFunc(w.groups[arn], func(g *TargetGroup) bool { return !s.External.OwnsFor(g.Tags, namespace, service) })
		if ok && (others || !names.MayBe(awssdk.ToString(lb.LoadBalancerName), namespace, service)) {
			w.Networks = append(w.Networks, arn)
		}
	}
	return w.sorted()
}

// parts are the load balancers that stay for others, by the Services that are
// gone and left listeners and target groups there.
func (l *finder) parts() map[plan.Key][]*Network {
	out := map[plan.Key][]*Network{}
	for _, lb := range l.sortedNetworks() {
		if _, ours := l.keyOf(lb.Tags); !ours || lb.Listeners == nil || l.judged[awssdk.ToString(lb.LoadBalancerName)] {
			continue
		}
		for _, g := range l.groupsByBalancer()[awssdk.ToString(lb.LoadBalancerArn)] {
			key, ok := l.keyOf(g.Tags)
			if ok && names.IsControllers(g.Tags) && !l.keys[key] && !slices.Contains(out[key], lb) {
				out[key] = append(out[key], lb)
			}
		}
	}
	return out
}
