// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"
	"regexp"
	"time"

	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
	"github.com/fairlead/fairlead/pkg/provider/aws/instances"
	"github.com/fairlead/fairlead/pkg/provider/aws/routes"
)

// machines are what is known of nodes' instances, for passes and for those who
// ask about nodes alike.
type machines struct{ *instances.Reader }

// of are the instances with the ids, those read before notBefore anew. What AWS
// does not know is missing.
func (m machines) of(ctx context.Context, ids []string, notBefore time.Time) (map[string]*Instance, error) {
	found, err := m.Find(ctx, ids, notBefore)
	if err != nil {
		return nil, err
	}
	out := make(map[string]*Instance, len(found))
	for id, x := range found {
		out[id] = &Instance{ID: x.ID, Groups: x.Groups, VPC: x.VPC, Zone: x.Zone, State: x.State}
	}
	return out, nil
}

// newMachines reads the instances of the nodes.
func (p *Provider) newMachines(c *api.Client, clk clock.PassiveClock, nodes corelisters.NodeLister) machines {
	conf := p.config.Load()
	types, err := regexp.Compile(conf.TopologyInstanceTypes)
	if err != nil || conf.TopologyInstanceTypes == "" {
		types = nil // of the configuration, where it is judged
	}
	if nodes == nil {
		nodes = corelisters.NewNodeLister(cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{}))
	}
	return machines{instances.NewReader(c, clk, instances.Options{
		Nodes: nodes, Families: conf.NodeIPFamilies, TopologyTypes: types, Cluster: p.where,
	})}
}

// newRoutes keeps the routes to the nodes.
func (p *Provider) newRoutes(c *api.Client, clk clock.PassiveClock, nodes corelisters.NodeLister) *routes.Routes {
	return routes.New(clk, routes.Options{
		Client: c, Nodes: nodes, Instances: p.machines.Reader, TableID: p.config.Load().RouteTableID, Cluster: p.where,
	})
}

// where is where the cluster is, and how it is marked.
func (p *Provider) where(ctx context.Context) (instances.Cluster, error) {
	s, err := p.settings(ctx, toAnswer)
	if err != nil {
		return instances.Cluster{}, err
	}
	return instances.Cluster{VPC: s.VPC, Tags: s.Tags}, nil
}

// Machines reads the instances of the nodes.
func (p *Provider) Machines() *instances.Reader { return p.machines.Reader }

// ofNodes is what of the configuration counts for nodes, from the start on.
func ofNodes(c *cloudconfig.AWS) []any {
	return []any{c.NodeIPFamilies, c.TopologyInstanceTypes, c.RouteTableID, c.NodeTags}
}
