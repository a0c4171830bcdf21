// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"time"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	v1 "k8s.io/api/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
	"github.com/fairlead/fairlead/pkg/provider/aws/instances"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
	"github.com/fairlead/fairlead/pkg/provider/aws/routes"
)

// machines are what is known of nodes' instances, for passes and for those who
// ask about nodes alike.
type machines struct{ *instances.Reader }

// instancesAge is how old the knowledge of instances may be: their security
// groups hardly ever change.
const instancesAge = 10 * time.Minute

// of are the instances of the nodes now. Those that did not run when they were
// read, and those of nodes that are not ready, are read anew. What AWS does not
// know is missing.
func (m machines) of(ctx context.Context, nodes []*v1.Node, now time.Time) (map[string]*Instance, error) {
	found, err := m.Find(ctx, instanceIDs(nodes), now.Add(-instancesAge))
	if err != nil {
		return nil, err
	}
	var doubtful []string
	for _, n := range nodes {
		id, _ := names.InstanceID(n.Spec.ProviderID)
		if x := found[id]; x != nil && (x.State != ec2types.InstanceStateNameRunning || notReady(n)) {
			doubtful = append(doubtful, id)
			delete(found, id)
		}
	}
	again, err := m.Find(ctx, doubtful, now)
	if err != nil {
		return nil, err
	}
	maps.Copy(found, again)
	out := make(map[string]*Instance, len(found))
	for id, x := range found {
		out[id] = &Instance{ID: x.ID, Groups: x.Groups, VPC: x.VPC, Zone: x.Zone, State: x.State}
	}
	return out, nil
}

func instanceIDs(nodes []*v1.Node) []string {
	var out []string
	for _, n := range nodes {
		if id, ok := names.InstanceID(n.Spec.ProviderID); ok {
			out = append(out, id)
		}
	}
	return out
}

// notReady reports whether the node is known not to be ready. One that says
// nothing of it is no reason for doubt.
func notReady(n *v1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c v1.NodeCondition) bool {
		return c.Type == v1.NodeReady && c.Status != v1.ConditionTrue
	})
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
