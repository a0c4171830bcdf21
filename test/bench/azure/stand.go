// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/azure/rig"
	"github.com/fairlead/fairlead/test/cloud/harness"
)

// Kinds of clusters, as keys of the cloud-config.
const (
	nicPools    = ""
	nodeIPPools = `, "loadBalancerBackendPoolConfigurationType": "nodeIP"`
	twoConfigs  = nodeIPPools + `, "multipleStandardLoadBalancerConfigurations": [
		{"name": "kubernetes", "primaryVMSet": "nodepool1"}, {"name": "second", "primaryVMSet": "nodepool2"}]`
)

// Budgets that the stand is made with. The zero value is none.
type budget uint8

const (
	unlimited budget = iota + 1
	published        // azuresim.PublishedThrottle
)

// standOptions say what a stand is.
type standOptions struct {
	nodes   int
	config  string // more keys of the cloud-config
	latency azuresim.Latencies
	budget  budget
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

// stand is one cluster on one simulated cloud, with a controller. One Service
// is served from the start, so that the nodes are in the pools of all load
// balancers before anything is measured.
type stand struct {
	standOptions
	sim     *azuresim.Cloud
	server  *azuresim.Server
	site    *azuresim.Site
	sets    []string // ids of scale sets
	conf    *cloudconfig.Azure
	cluster *harness.Cluster
	ctl     *harness.Controller
	made    int // Services ever made
}

// pageSize is how many resources a page of a list holds: what Azure's lists of
// machines hold.
const pageSize = 120

// newSite makes a stand without a controller, in which no call takes time.
func newSite(o standOptions) (*stand, error) {
	s := &stand{standOptions: o, cluster: harness.NewCluster(), sim: azuresim.New(azuresim.Options{PageSize: pageSize, MaxRetryAfter: o.waits})}
	var err error
	if s.site, err = s.sim.NewSite(azuresim.SiteOptions{Group: "rig", Prefixes: prefixes(o.families)}); err != nil {
		return nil, err
	}
	if o.config == twoConfigs {
		s.sets = []string{s.site.UniformScaleSet("nodepool1", o.nodes-o.nodes/2), s.site.UniformScaleSet("nodepool2", o.nodes/2)}
	} else {
		s.sets = []string{s.site.UniformScaleSet("nodepool1", o.nodes)}
	}
	if s.conf, err = rig.Config(rig.ConfigText(s.site, o.config)); err != nil {
		return nil, err
	}
	for i := range o.nodes {
		if err := s.cluster.Nodes.Add(s.node(i)); err != nil {
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

// newStand makes a stand. It must be closed.
func newStand(ctx context.Context, o standOptions) (*stand, error) {
	s, err := newSite(o)
	if err != nil {
		return nil, err
	}
	if err := s.serveFirst(ctx); err != nil {
		s.close()
		return nil, err
	}
	s.sim.SetLatency(o.latency)
	if o.budget == published {
		s.sim.SetThrottle(azuresim.PublishedThrottle())
	}
	return s, s.restart(ctx)
}

// serveFirst serves one Service on each load balancer: the emptiest is chosen.
func (s *stand) serveFirst(ctx context.Context) error {
	if err := s.start(ctx); err != nil {
		return err
	}
	for range s.sets {
		if err := s.create(ctx, s.services(1)); err != nil {
			return err
		}
	}
	return nil
}

func (s *stand) close() {
	if s.ctl != nil {
		s.ctl.Close()
	}
	s.server.Close()
}

// start starts a controller with a client of its own.
func (s *stand) start(ctx context.Context) error {
	client, err := rig.Client(s.server.URL)
	if err != nil {
		return err
	}
	s.ctl = rig.Start(ctx, s.cluster, client, s.conf)
	return nil
}

func (s *stand) restart(ctx context.Context) error {
	s.ctl.Close()
	return s.start(ctx)
}

// node is the i-th node, an instance of a scale set.
func (s *stand) node(i int) *v1.Node {
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

// service is a Service with one public address and one port.
func service(i int) *v1.Service {
	return &v1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: fmt.Sprintf("web-%04d", i), UID: types.UID(fmt.Sprintf("%08d-0000-4000-8000-000000000000", i)),
			Finalizers:        []string{"service.kubernetes.io/load-balancer-cleanup"},
			CreationTimestamp: metav1.NewTime(time.Unix(int64(i), 0)),
		},
		Spec: v1.ServiceSpec{
			Type: v1.ServiceTypeLoadBalancer, ExternalTrafficPolicy: v1.ServiceExternalTrafficPolicyCluster,
			IPFamilies: []v1.IPFamily{v1.IPv4Protocol}, ClusterIP: "10.0.0.1",
			Ports: []v1.ServicePort{{Name: "http", Port: 80, NodePort: int32(30000 + i%2768), Protocol: v1.ProtocolTCP}},
		},
	}
}

// services are n new Services, which the cluster does not know yet.
func (s *stand) services(n int) []*v1.Service {
	out := make([]*v1.Service, n)
	for i := range out {
		out[i] = service(s.made)
		if len(s.families) > 0 {
			out[i].Spec.IPFamilies = s.families
		}
		s.made++
	}
	return out
}

// create adds the Services at once and waits until all have an address.
func (s *stand) create(ctx context.Context, services []*v1.Service) error {
	for _, svc := range services {
		if err := s.cluster.Services.Add(svc); err != nil {
			return err
		}
	}
	return s.ensure(ctx, services)
}

// ensure does what the upstream controller does at a start, and at each
// resync.
func (s *stand) ensure(ctx context.Context, services []*v1.Service) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, svc := range services {
		g.Go(func() error {
			now, err := s.now(svc)
			if err != nil {
				return err
			}
			if err := s.ctl.Sync(ctx, now); err != nil {
				return err
			}
			if now, err = s.now(svc); err == nil && len(now.Status.LoadBalancer.Ingress) == 0 {
				err = fmt.Errorf("%s has no address", now.Name)
			}
			return err
		})
	}
	return g.Wait()
}

// now is the Service as the cluster has it.
func (s *stand) now(svc *v1.Service) (*v1.Service, error) {
	obj, exists, err := s.cluster.Services.Get(svc)
	if now, ok := obj.(*v1.Service); ok && exists && err == nil {
		return now, nil
	}
	return nil, errors.Join(fmt.Errorf("%s is not in the cluster", svc.Name), err)
}

// all are the Services of the cluster.
func (s *stand) all() []*v1.Service {
	var out []*v1.Service
	for _, obj := range s.cluster.Services.List() {
		if svc, ok := obj.(*v1.Service); ok {
			out = append(out, svc)
		}
	}
	return out
}

// remove deletes the Services at once and waits until nothing is left of them.
func (s *stand) remove(ctx context.Context, services []*v1.Service) error {
	at := metav1.Now()
	var going []*v1.Service
	for _, svc := range services {
		now, err := s.now(svc)
		if err != nil {
			return err
		}
		now = now.DeepCopy()
		now.DeletionTimestamp = &at
		if err := s.cluster.Services.Update(now); err != nil {
			return err
		}
		going = append(going, now)
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, svc := range going {
		g.Go(func() error { return s.ctl.Sync(ctx, svc) })
	}
	return g.Wait()
}

// phase is what it took to do something.
type phase struct {
	took   time.Duration
	counts azuresim.Counts
	calls  []azuresim.Call
}

// measure does it and counts the calls.
func (s *stand) measure(act func() error) (*phase, error) {
	s.sim.ResetCalls()
	began := time.Now()
	err := act()
	return &phase{took: time.Since(began), counts: s.sim.Counts(), calls: s.sim.Calls()}, err
}
