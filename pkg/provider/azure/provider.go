// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	v1 "k8s.io/api/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	cloudprovider "k8s.io/cloud-provider"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure/arm"
	"github.com/fairlead/fairlead/pkg/provider/azure/machines"
	"github.com/fairlead/fairlead/pkg/provider/azure/routes"
)

// group is the one group: the Services of a cluster share its load balancers
// and its security group.
const group provider.Group = "azure"

// Options are what the provider is made of.
type Options struct {
	Client  *arm.Client
	Config  *cloudconfig.Azure
	Cluster string // --cluster-name
	// Services and Nodes list all of the cluster, and must have synced before
	// the first pass.
	Services corelisters.ServiceLister
	Nodes    corelisters.NodeLister
	Spread   Spread
	Clock    clock.PassiveClock // the real one unless set
}

// Provider is Azure.
type Provider struct {
	client   *arm.Client
	cluster  string
	config   atomic.Pointer[cloudconfig.Azure]
	services corelisters.ServiceLister
	nodes    corelisters.NodeLister
	spread   Spread
	several  bool // load balancer configurations from the start on
	clock    clock.PassiveClock
	machines *machines.Reader
	routes   *routes.Routes // nil: no route table is configured
	zones    zones
	absent   provider.Sought // of passes alone, of which there is one at a time
	changed  provider.Again
	moved    provider.Again // endpoints of a Service with a pool of its own did
}

var _ provider.Provider = (*Provider)(nil)

// New returns a provider. Run must run for routes to be written, and for pools to
// follow endpoints.
func New(o Options) *Provider {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	p := &Provider{
		client: o.Client, cluster: o.Cluster, services: o.Services, nodes: o.Nodes, clock: o.Clock,
		spread: o.Spread, several: len(o.Config.LoadBalancers) > 0,
		machines: machines.NewReader(o.Client, o.Clock, machineOptions(o.Config)),
		absent:   newAbsent(), changed: provider.NewAgain(), moved: provider.NewAgain(),
	}
	p.config.Store(o.Config)
	if o.Config.RouteTableName != "" {
		p.routes = routes.New(o.Client, o.Nodes, o.Clock, routeOptions(o.Config))
	}
	return p
}

// Run writes routes and follows endpoints, until ctx ends.
func (p *Provider) Run(ctx context.Context) {
	var running sync.WaitGroup
	if p.routes != nil {
		running.Go(func() { p.routes.Run(ctx) })
	}
	p.changed.Gather(ctx, p.moved, endpointWindow)
	running.Wait()
}

// Update makes a new configuration count from the next pass on. Where the cloud
// is, who speaks to it and which machines there are is read at the start alone.
func (p *Provider) Update(ctx context.Context, c *cloudconfig.Config) {
	if c.Azure == nil {
		return
	}
	old := p.config.Swap(c.Azure)
	if reflect.DeepEqual(old, c.Azure) {
		return
	}
	if !reflect.DeepEqual(atStart(old), atStart(c.Azure)) {
		klog.FromContext(ctx).Info("The cloud-config changed in what is read at the start alone: restart the controller")
	}
	p.changed.Ask()
}

// startOnly is what counts from the start on alone.
type startOnly struct {
	cloud                                      cloudconfig.AzureCloud
	cloudName, endpoint, userAgent             string
	tenant, networkTenant, networkSubscription string
	auth                                       cloudconfig.AzureAuth
	location                                   string // of the zones
	machines                                   machines.Options
	routes                                     routes.Options // zero: no route table
	several                                    bool
}

func atStart(c *cloudconfig.Azure) startOnly {
	s := startOnly{
		cloud: c.Cloud, cloudName: c.CloudName, endpoint: c.ResourceManagerEndpoint, userAgent: c.UserAgent,
		tenant: c.TenantID, networkTenant: c.NetworkResourceTenantID, networkSubscription: c.NetworkResourceSubscriptionID,
		auth: c.Auth, location: c.Location, machines: machineOptions(c), several: len(c.LoadBalancers) > 0,
	}
	if c.RouteTableName != "" {
		s.routes = routeOptions(c)
	}
	return s
}

// settings are those of the configuration now. Several load balancers that were
// added since the start wait for the next one, which reads what they depend on.
func (p *Provider) settings() *Settings {
	s := NewSettings(p.config.Load(), p.cluster)
	if !p.several {
		s.Configurations = nil
	}
	return s
}

// Name is azure.
func (p *Provider) Name() string { return intent.Azure }

// Group is the same for all Services.
func (p *Provider) Group(*v1.Service) provider.Group { return group }

// NodeFingerprint is what pools and rules depend on: the machine, its
// addresses, whether it may serve, and the labels by which a load balancer is
// chosen. Empty for a node that is not initialised yet, is no machine of
// Azure's, or is kept out of pools.
func (p *Provider) NodeFingerprint(n *v1.Node) string {
	if n.Spec.ProviderID == "" || unmanaged(n) || (controlPlane(n) && p.config.Load().LoadBalancer.ExcludeControlPlane) {
		return ""
	}
	ips := internalIPs(n)
	slices.SortFunc(ips, netip.Addr.Compare)
	texts := make([]string, len(ips))
	for i, ip := range ips {
		texts[i] = ip.String()
	}
	parts := []string{n.Spec.ProviderID, strings.Join(texts, ","), strings.ToLower(n.Labels[machines.GroupLabel])}
	for _, key := range p.nodeLabels() {
		value, has := n.Labels[key]
		parts = append(parts, fmt.Sprintf("%s=%s,%v", key, value, has))
	}
	return strings.Join(parts, " ")
}

// nodeLabels are the labels by which nodes are spread over several load
// balancers, sorted.
func (p *Provider) nodeLabels() []string {
	if !p.several {
		return nil
	}
	var out []string
	for _, c := range p.config.Load().LoadBalancers {
		if c.NodeSelector == nil {
			continue
		}
		requirements, _ := c.NodeSelector.Requirements()
		for _, r := range requirements {
			out = append(out, r.Key())
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Changed receives when the configuration changed, or the endpoints of a Service
// with a pool of its own.
func (p *Provider) Changed() <-chan struct{} { return p.changed }

// Instances answers for nodes from lists of machines.
func (p *Provider) Instances() cloudprovider.InstancesV2 { return p.machines.Instances() }

// Routes keeps the route table; nil when none is configured.
func (p *Provider) Routes() cloudprovider.Routes {
	if p.routes == nil {
		return nil
	}
	return p.routes
}

// Find says yes and asks nobody: what there is of a Service, the pass that
// removes it finds out for many at once, and it costs no write when there is
// nothing.
func (p *Provider) Find(_ context.Context, svc *v1.Service) (*v1.LoadBalancerStatus, bool, error) {
	return svc.Status.LoadBalancer.DeepCopy(), true, nil
}
