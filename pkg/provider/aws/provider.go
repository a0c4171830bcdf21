// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	v1 "k8s.io/api/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	cloudprovider "k8s.io/cloud-provider"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
	"github.com/fairlead/fairlead/pkg/provider/wire"
)

// group is the one group: the Services of a cluster share reads and the rules
// of the nodes' security groups.
const group provider.Group = "aws"

// Options are what the provider is made of.
type Options struct {
	Client  *api.Client
	Config  *cloudconfig.AWS
	Cluster string // --cluster-name
	// Services list all of the cluster, and must have synced before the first
	// pass.
	Services corelisters.ServiceLister
	// Slices are the endpoints of Services, for addresses of pods as targets; nil
	// where the cloud config does not claim the Services that ask for them.
	Slices discoverylisters.EndpointSliceLister
	Clock  clock.PassiveClock // the real one unless set
	// Nodes are all of the cluster, for the answers about nodes; nil where nobody
	// asks.
	Nodes corelisters.NodeLister
}

// Provider is AWS.
type Provider struct {
	client    *api.Client
	cluster   string
	config    atomic.Pointer[cloudconfig.AWS]
	registry  *intent.Registry
	services  corelisters.ServiceLister
	slices    discoverylisters.EndpointSliceLister
	nodes     corelisters.NodeLister // nil: nobody asks
	clock     clock.PassiveClock
	machines  *machines
	instances cloudprovider.InstancesV2 // nil: nobody asks
	routes    cloudprovider.Routes      // nil: nobody asks
	changed   provider.Again
	moved     provider.Again // endpoints did

	mu   sync.Mutex
	self *Self // of the controller's own instance; nil: not read
	// memory is what is known of AWS; nil: nothing. It is changed with mu held.
	memory *Observed
	// forgotten counts how often all was forgotten: what was being read then is
	// not remembered.
	forgotten int
	// learned are the calls since reading began.
	learned []learned
	reading bool
	// deletions are of what lists may still show, creations of what they do not
	// show yet.
	deletions deletions
	creations creations

	// unlooked are the looks at addresses that AWS refused, and that were told.
	unlooked map[string]bool

	// Of Observe alone, which is never called twice at once: what AWS does not list
	// yet, what of it nobody waits for any more, instances that do not run though
	// their nodes are ready, and nodes of which something cannot be read.
	unlisted provider.Sought
	unfound  *wire.Lately // security groups that AWS did not list when it was asked for them
	lost     map[string]bool
	sleepers provider.Sought
	unread   provider.Sought
}

var _ provider.Provider = (*Provider)(nil)

// New returns a provider. Run must run for targets to follow endpoints.
func New(o Options) *Provider {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	p := &Provider{
		client: o.Client, cluster: o.Cluster, registry: intent.Annotations(), services: o.Services, slices: o.Slices, nodes: o.Nodes, clock: o.Clock,
		changed: provider.NewAgain(), moved: provider.NewAgain(), unlisted: newUnlisted(), sleepers: newUnlisted(), unread: provider.Sought{First: firstListing, Longest: longestListing}, unlooked: map[string]bool{}, unfound: wire.NewLately(o.Clock, firstListing),
	}
	p.config.Store(o.Config)
	p.machines = p.newMachines(o.Client, o.Clock, o.Nodes)
	if o.Nodes != nil {
		p.instances, p.routes = p.machines.Instances(), p.newRoutes(o.Client, o.Clock, o.Nodes)
	}
	return p
}

// Run begins passes for changes of endpoints, until ctx ends.
func (p *Provider) Run(ctx context.Context) { p.changed.Gather(ctx, p.moved, endpointWindow) }

// Update makes a new configuration count from the next pass on. Where the cloud
// is and who speaks to it is read at the start alone.
func (p *Provider) Update(ctx context.Context, c *cloudconfig.Config) {
	if c.AWS == nil {
		return
	}
	old := p.config.Swap(c.AWS)
	if reflect.DeepEqual(old, c.AWS) {
		return
	}
	if !reflect.DeepEqual(atStart(old), atStart(c.AWS)) {
		klog.FromContext(ctx).Info("The cloud-config changed in what is read at the start alone: restart the controller")
	}
	p.mu.Lock()
	p.self = nil // it was asked for what the old one left open
	p.mu.Unlock()
	p.forget()
	p.changed.Ask()
}

// atStart is what counts from the start on.
func atStart(c *cloudconfig.AWS) []any {
	return append(ofNodes(c), c.Region, c.Zone, c.Profile, c.Role, c.Endpoints, c.Overrides, c.Controller.Claim)
}

// settings are those of the configuration now. What it leaves open is asked of
// the controller's own instance, once for each configuration. A task that needs the cluster's id is
// refused without one.
func (p *Provider) settings(ctx context.Context, to task) (*Settings, error) {
	c := p.config.Load()
	self, err := p.whoAmI(ctx, c)
	if err != nil {
		return nil, err
	}
	s := NewSettings(c, p.cluster, p.client.Region, *self)
	s.Registry = p.registry
	if err := s.needsID(to); err != nil {
		return nil, err
	}
	return s, nil
}

// whoAmI is what the controller's own instance says; nobody is asked when the
// configuration says enough.
func (p *Provider) whoAmI(ctx context.Context, c *cloudconfig.AWS) (*Self, error) {
	if c.VPC != "" && (c.ClusterID != "" || c.AllowUntagged) {
		return &Self{}, nil
	}
	p.mu.Lock()
	self := p.self
	p.mu.Unlock()
	if self == nil {
		var err error
		if self, err = p.readSelf(ctx, c); err != nil {
			return nil, err
		}
		p.mu.Lock()
		if p.config.Load() == c {
			p.self = self
		}
		p.mu.Unlock()
	}
	return self, nil
}

// readSelf finds out what the controller's own instance says of the cluster.
func (p *Provider) readSelf(ctx context.Context, c *cloudconfig.AWS) (*Self, error) {
	i, err := p.client.Instance(ctx)
	if err != nil {
		return nil, err
	}
	self := &Self{VPC: i.VPC, Subnet: i.Subnet}
	if c.ClusterID != "" {
		return self, nil
	}
	page, err := api.Call(ctx, p.client.EC2.DescribeInstances, &ec2.DescribeInstancesInput{InstanceIds: []string{i.ID}})
	if err != nil {
		return nil, err
	}
	for _, r := range page.Reservations {
		for j := range r.Instances {
			self.ClusterID, self.LegacyTag = names.ClusterOf(ec2Tags(r.Instances[j].Tags))
		}
	}
	if self.ClusterID == "" && !c.AllowUntagged {
		return nil, &plan.Error{Kind: plan.Invalid, Reason: ReasonNoClusterID, Err: fmt.Errorf("instance %s of this controller has no tag kubernetes.io/cluster/ID, which tells what belongs to the cluster; set kubernetesClusterID in the cloud-config, or tag the instance; or set allowUntagged to go on without an id", i.ID)}
	}
	return self, nil
}

// Name is aws.
func (p *Provider) Name() string { return intent.AWS }

// Group is the same for all Services.
func (p *Provider) Group(*v1.Service) provider.Group { return group }

// NodeFingerprint is what targets depend on: the instance, whether it may have
// been stopped or started, which shows in whether the node is ready, and by
// annotations any label. Empty for what is no instance.
func (p *Provider) NodeFingerprint(n *v1.Node) string {
	id, ok := names.InstanceID(n.Spec.ProviderID)
	if !ok {
		return ""
	}
	var b strings.Builder
	b.WriteString(id)
	if notReady(n) {
		b.WriteString(" not ready")
	}
	for _, key := range slices.Sorted(maps.Keys(n.Labels)) {
		b.WriteString(" " + key + "=" + n.Labels[key])
	}
	return b.String()
}

// Changed receives when the configuration changed, or endpoints that are targets.
func (p *Provider) Changed() <-chan struct{} { return p.changed }

// Instances are the answers about nodes.
func (p *Provider) Instances() cloudprovider.InstancesV2 { return p.instances }

// Routes keeps the route table; nil when that is nobody's task.
func (p *Provider) Routes() cloudprovider.Routes { return p.routes }

// Find says yes and asks nobody: what there is of a Service, the pass that
// removes it finds out for many at once, and it costs no write when there is
// nothing.
func (p *Provider) Find(_ context.Context, svc *v1.Service) (*v1.LoadBalancerStatus, bool, error) {
	return svc.Status.LoadBalancer.DeepCopy(), true, nil
}
