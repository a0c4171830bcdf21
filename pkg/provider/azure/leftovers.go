// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"context"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure/arm"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// Leftovers observes all that bears the cluster's tags and the names of
// Services, and then asks who lives. It is a pass over Services that were.
func (p *Provider) Leftovers(ctx context.Context, living provider.Living) (provider.Pass, error) {
	s := p.settings()
	first := &Observed{}
	var err error
	collection := names.Collection(s.Subscription, s.loadBalancerGroup(), names.LoadBalancers)
	if first.LoadBalancers, err = p.client.List(ctx, collection, nil); err != nil && !arm.NotFound(err) {
		return nil, err
	}
	// Who lives is not known yet: all that may be gone says where to look.
	candidates := Leftovers(s, first).Batch.Items
	known, err := provider.LoadBalancers(p.services)
	if err != nil {
		return nil, err
	}
	observed, err := p.observe(ctx, s, known, candidates, ReadsOfLeftovers(s, candidates, known))
	if err != nil {
		return nil, err
	}
	all, err := living(ctx)
	if err != nil {
		return nil, err
	}
	observed.Services = provider.Holders(all)
	if err := provesCluster(s, observed); err != nil {
		return nil, err
	}
	in := Leftovers(s, observed)
	result, err := Compute(in)
	if err != nil {
		return nil, err
	}
	membership, err := p.membership(ctx, in, result)
	if err != nil {
		return nil, err
	}
	return newPass(p, in, result, membership), nil
}

// ReadsOfLeftovers is what Services that may be gone need, and the resource
// groups that others name for their public IPs: one that is gone may have left
// some there.
func ReadsOfLeftovers(s *Settings, gone []provider.Item, known []*v1.Service) Reads {
	r := ReadsOf(s, gone)
	groups := map[string]string{}
	for _, group := range r.PublicIPGroups {
		groups[names.Key(group)] = group
	}
	for _, svc := range known {
		if group := publicIPGroup(s, svc.Annotations); intent.IsAzureGroupName(group) && groups[names.Key(group)] == "" {
			groups[names.Key(group)] = group
		}
	}
	r.PublicIPGroups = values(groups)
	return r
}

// Leftovers is the input that stands for the Services that are gone: those
// whose names are on parts of load balancers, and whose tags are on public IPs,
// and that are not among o.Services. They are to be removed by the rules by
// which a Service is removed that lives.
func Leftovers(s *Settings, o *Observed) Input {
	in := Input{Settings: s, Observed: o, Leftovers: true}
	w, err := newWorld(&in)
	if err != nil {
		return in // Compute says it
	}
	f := newFinder(w)
	for _, b := range w.sortedBalancers() {
		f.balancer(b)
	}
	for _, p := range w.sortedPublicIPs() {
		if tagged := names.Services(p.serviceTag()); len(tagged) > 0 && w.proves(p) {
			f.publicIP(p, tagged)
		}
	}
	in.Batch.Items = f.items()
	return in
}
