// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/test/bench/stand"
	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/azure/rig"
	"github.com/fairlead/fairlead/test/cloud/harness"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// Kinds of clusters, as keys of the cloud-config.
const (
	nicPools    = ""
	nodeIPPools = `, "loadBalancerBackendPoolConfigurationType": "nodeIP"`
	twoConfigs  = nodeIPPools + `, "multipleStandardLoadBalancerConfigurations": [
		{"name": "kubernetes", "primaryVMSet": "nodepool1"}, {"name": "second", "primaryVMSet": "nodepool2"}]`
)

// standOptions say what a stand is.
type standOptions struct {
	nodes   int
	config  string // more keys of the cloud-config
	latency azuresim.Latencies
	budget  stand.Budget
	// families are those of nodes and Services; IPv4 if none.
	families []v1.IPFamily
	// waits bounds the Retry-After that the cloud asks for; 0 is as Azure does.
	waits time.Duration
	// quiet is how long no call may come before a change of nodes counts as
	// done: longer than the engine's window of such changes and a slow write.
	quiet time.Duration
}

// dualStack is IPv4 and IPv6.
func dualStack() []v1.IPFamily { return []v1.IPFamily{v1.IPv4Protocol, v1.IPv6Protocol} }

// balancers is how many load balancers there are.
func (o standOptions) balancers() int {
	if o.config == twoConfigs {
		return 2
	}
	return 1
}

// ground is one cluster on one simulated cloud, with a controller. One Service
// is served from the start, so that the nodes are in the pools of all load
// balancers before anything is measured.
type ground struct {
	*stand.Stand
	standOptions
	sim    *azuresim.Cloud
	server *sim.Server
	site   *azuresim.Site
	sets   []string // ids of scale sets
}

// pageSize is how many resources a page of a list holds: what Azure's lists of
// machines hold.
const pageSize = 120

// newSite makes a stand without a controller, in which no call takes time.
func newSite(o standOptions) (*ground, error) {
	s := &ground{standOptions: o, sim: azuresim.New(azuresim.Options{PageSize: pageSize, MaxRetryAfter: o.waits})}
	s.Stand = &stand.Stand{
		Cluster: harness.NewCluster(), Shape: o.shape, Served: hasAddress, Quiet: o.quiet,
		Calls: stand.Calls{
			Reset: s.sim.ResetCalls, Counts: func() sim.Counts { return s.sim.Counts().Counts },
			All: func() []sim.Call { return sim.Plain(s.sim.Calls()) },
		},
	}
	var err error
	if s.site, err = s.sim.NewSite(azuresim.SiteOptions{Group: "rig", Prefixes: prefixes(o.families)}); err != nil {
		return nil, err
	}
	if o.config == twoConfigs {
		s.sets = []string{s.site.UniformScaleSet("nodepool1", o.nodes-o.nodes/2), s.site.UniformScaleSet("nodepool2", o.nodes/2)}
	} else {
		s.sets = []string{s.site.UniformScaleSet("nodepool1", o.nodes)}
	}
	conf, err := rig.Config(rig.ConfigText(s.site, o.config))
	if err != nil {
		return nil, err
	}
	s.Start = func(ctx context.Context) (*harness.Controller, error) {
		client, err := rig.Client(s.server.URL)
		if err != nil {
			return nil, err
		}
		return rig.Start(ctx, s.Cluster, client, conf), nil
	}
	for i := range o.nodes {
		if err := s.Cluster.Nodes.Add(s.node(i)); err != nil {
			return nil, err
		}
	}
	s.server = s.sim.Start()
	return s, nil
}

// prefixes are those of the subnet; none stands for the simulator's own.
func prefixes(families []v1.IPFamily) []netip.Prefix {
	if len(families) < 2 {
		return nil
	}
	return []netip.Prefix{netip.MustParsePrefix("10.240.0.0/16"), netip.MustParsePrefix("fd00:240::/64")}
}

// newGround makes a stand. It must be closed.
func newGround(ctx context.Context, o standOptions) (*ground, error) {
	s, err := newSite(o)
	if err != nil {
		return nil, err
	}
	if err := s.serveFirst(ctx); err != nil {
		s.close()
		return nil, err
	}
	s.sim.SetLatency(o.latency)
	if o.budget == stand.Published {
		s.sim.SetThrottle(azuresim.PublishedThrottle())
	}
	return s, s.Restart(ctx)
}

// serveFirst serves one Service on each load balancer: the emptiest is chosen.
func (s *ground) serveFirst(ctx context.Context) error {
	if err := s.Restart(ctx); err != nil {
		return err
	}
	for range s.sets {
		if err := s.Create(ctx, s.Services(1)); err != nil {
			return err
		}
	}
	return nil
}

func (s *ground) close() {
	s.Close()
	s.server.Close()
}

// node is the i-th node, an instance of a scale set.
func (s *ground) node(i int) *v1.Node {
	set, instance := s.sets[0], i
	if first := s.nodes - s.nodes/2; len(s.sets) > 1 && i >= first {
		set, instance = s.sets[1], i-first
	}
	const first = 4 // the addresses before are the platform's
	n := &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%03d", i)},
		Spec:       v1.NodeSpec{ProviderID: fmt.Sprintf("azure://%s/virtualMachines/%d", set, instance)},
		Status: v1.NodeStatus{Addresses: []v1.NodeAddress{
			{Type: v1.NodeInternalIP, Address: fmt.Sprintf("10.240.%d.%d", (i+first)>>8, (i+first)&255)},
		}},
	}
	if len(s.families) > 1 {
		n.Status.Addresses = append(n.Status.Addresses, v1.NodeAddress{Type: v1.NodeInternalIP, Address: fmt.Sprintf("fd00:240::%x", i+first)})
	}
	return n
}

// shape gives a Service the families of the stand.
func (o standOptions) shape(svc *v1.Service) {
	if len(o.families) > 0 {
		svc.Spec.IPFamilies = o.families
	}
}

// hasAddress checks that a status has one.
func hasAddress(status *v1.LoadBalancerStatus) error {
	if len(status.Ingress) == 0 {
		return errors.New("there is no address")
	}
	return nil
}
