// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"context"
	"fmt"
	"slices"

	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure/machines"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// Spread are the caches that several load balancer configurations need, which
// must have synced before the first pass. With one configuration they are nil.
type Spread struct {
	// Namespaces have the labels that serviceNamespaceSelector is about.
	Namespaces corelisters.NamespaceLister
	// Endpoints are on the nodes that serve Services with the policy Local.
	Endpoints discoverylisters.EndpointSliceLister
}

// newConfigurations are several load balancers of a cloud-config.
func newConfigurations(list []cloudconfig.AzureLoadBalancerConfig) []Configuration {
	var out []Configuration
	for i := range list {
		c := &list[i]
		out = append(out, Configuration{
			Name: c.Name, Closed: !c.AllowServicePlacement, PrimarySet: c.PrimaryVMSet,
			Services: c.ServiceLabelSelector, Namespaces: c.ServiceNamespaceSelector, Nodes: c.NodeSelector,
		})
	}
	return out
}

// observeSpread adds what the choice among several load balancers depends on.
func (p *Provider) observeSpread(ctx context.Context, s *Settings, o *Observed, items []provider.Item) error {
	if !s.several() {
		return nil
	}
	var err error
	if o.NodeSets, err = p.nodeSets(ctx, o.Nodes); err != nil {
		return err
	}
	if p.spread.Namespaces != nil {
		all, err := p.spread.Namespaces.List(labels.Everything())
		if err != nil {
			return fmt.Errorf("list namespaces: %w", err)
		}
		o.Namespaces = make(map[string]map[string]string, len(all))
		for _, n := range all {
			o.Namespaces[n.Name] = n.Labels
		}
	}
	if p.spread.Endpoints == nil {
		return nil
	}
	o.EndpointNodes = map[plan.Key][]string{}
	for i := range items {
		if !isLocal(items[i].Service) {
			continue
		}
		if o.EndpointNodes[items[i].Key], err = p.endpointNodes(items[i].Key); err != nil {
			return err
		}
	}
	return nil
}

// nodeSets are the scale sets and availability sets of nodes whose provider ids
// do not say them, by node.
func (p *Provider) nodeSets(ctx context.Context, nodes []*v1.Node) (map[string]string, error) {
	var unsaid []*v1.Node
	for _, n := range nodes {
		if ref, ok := machines.ParseProviderID(n.Spec.ProviderID); ok && ref.ScaleSet == "" {
			unsaid = append(unsaid, n)
		}
	}
	out := make(map[string]string, len(unsaid))
	if len(unsaid) == 0 {
		return out, nil
	}
	snap, err := p.snapshot(ctx, machines.Scope{Nodes: unsaid, NotBefore: p.clock.Now().Add(-machinesAge)})
	if snap == nil {
		return nil, err
	}
	for _, n := range unsaid {
		if m := snap.Machine(n); m != nil {
			out[n.Name] = names.Last(m.Set())
		}
	}
	return out, nil
}

// endpointNodes are the nodes with endpoints of the Service, sorted. Whether
// one is ready is the health probe's business.
func (p *Provider) endpointNodes(key plan.Key) ([]string, error) {
	all, err := p.spread.Endpoints.EndpointSlices(key.Namespace).List(labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: key.Name}))
	if err != nil {
		return nil, fmt.Errorf("list the endpoints of %s: %w", key, err)
	}
	var out []string
	for _, es := range all {
		out = append(out, hostsOf(es)...)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
