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
type machines struct {
	*instances.Reader
	// doubts are by the names of nodes in doubt; of passes alone, of which there
	// is one at a time.
	doubts map[string]doubt
}

// doubt is what a node said when its instance was read for that, and when that
// was.
type doubt struct {
	said string
	at   time.Time
}

const (
	// instancesAge is how old the knowledge of instances may be: their security
	// groups hardly ever change.
	instancesAge = 10 * time.Minute
	// downAge is how old it may be for a node that is not ready, as long as the
	// node says so: when it is ready again its instance is read.
	downAge = time.Minute
	// startingAge is how old it may be for an instance that does not run though its
	// node is ready: AWS is behind by seconds.
	startingAge = 10 * time.Second
)

// of are the instances of the nodes now, no older than the age. Those that did
// not run when they were read, and those of nodes that are not ready, are read
// anew when the node says something else since, and else from time to time. What
// AWS does not know is missing. The error is why they could not be read; what was
// known of them before counts then, whatever its age.
func (m *machines) of(ctx context.Context, nodes []*v1.Node, now time.Time, age time.Duration) (map[string]*Instance, error) {
	found, err := m.Find(ctx, instanceIDs(nodes), now.Add(-age))
	if err != nil {
		return known(m.Known(instanceIDs(nodes))), err
	}
	doubts := map[string]doubt{}
	var due []string
	for _, n := range nodes {
		id, _ := names.InstanceID(n.Spec.ProviderID)
		x := found[id]
		if x == nil || (x.State == ec2types.InstanceStateNameRunning && !notReady(n)) {
			continue
		}
		wait := startingAge
		if notReady(n) {
			wait = downAge
		}
		d := m.doubts[n.Name]
		if said := readiness(n); d.said != said || now.Sub(d.at) >= wait {
			d = doubt{said, now}
			due = append(due, id)
		}
		doubts[n.Name] = d
	}
	again, err := m.Find(ctx, due, now)
	if err != nil {
		return known(found), err
	}
	m.doubts = doubts
	for _, id := range due {
		delete(found, id)
	}
	maps.Copy(found, again)
	return known(found), nil
}

// known is what passes need of instances.
func known(found map[string]*instances.Instance) map[string]*Instance {
	out := make(map[string]*Instance, len(found))
	for id, x := range found {
		out[id] = &Instance{ID: x.ID, Groups: x.Groups, VPC: x.VPC, Zone: x.Zone, State: x.State}
	}
	return out
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

// readiness is what the node says of whether it is ready, and since when.
func readiness(n *v1.Node) string {
	for _, c := range n.Status.Conditions {
		if c.Type == v1.NodeReady {
			return string(c.Status) + " " + c.LastTransitionTime.UTC().Format(time.RFC3339)
		}
	}
	return ""
}

// newMachines reads the instances of the nodes.
func (p *Provider) newMachines(c *api.Client, clk clock.PassiveClock, nodes corelisters.NodeLister) *machines {
	conf := p.config.Load()
	types, err := regexp.Compile(conf.TopologyInstanceTypes)
	if err != nil || conf.TopologyInstanceTypes == "" {
		types = nil // of the configuration, where it is judged
	}
	if nodes == nil {
		nodes = corelisters.NewNodeLister(cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{}))
	}
	return &machines{Reader: instances.NewReader(c, clk, instances.Options{
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
