// SPDX-License-Identifier: Apache-2.0

// Package metal is the provider of bare metal. It gives Services addresses
// from pools; speakers announce them. Its cloud is the status of all Services,
// so it keeps nothing of its own but what it gave or took a moment ago.
package metal

import (
	"context"
	"maps"
	"net/netip"
	"reflect"
	"strings"
	"sync/atomic"

	v1 "k8s.io/api/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	cloudprovider "k8s.io/cloud-provider"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/ipam"
	"github.com/fairlead/fairlead/pkg/provider"
)

// group is the one group: all Services take addresses from the same pools.
const group provider.Group = "pools"

// Options are what the provider is made of.
type Options struct {
	// Services must list all Services of the cluster, of whatever class and
	// type, and must have synced before the first pass.
	Services corelisters.ServiceLister
	// Namespaces is for the namespaceSelectors of pools. Without it, or for a
	// namespace that it does not have, they see no labels.
	Namespaces corelisters.NamespaceLister
	Config     *cloudconfig.Config
}

// Provider is bare metal.
type Provider struct {
	services   corelisters.ServiceLister
	namespaces corelisters.NamespaceLister
	config     atomic.Pointer[settings]
	changed    provider.Again
	memory     *memory
}

var _ provider.Provider = (*Provider)(nil)

// settings are a configuration, made ready.
type settings struct {
	metal    cloudconfig.Metal
	complete ipam.Completeness
	pools    *ipam.Pools
}

// New returns a provider.
func New(o Options) *Provider {
	p := &Provider{
		services:   o.Services,
		namespaces: o.Namespaces,
		changed:    provider.NewAgain(),
		memory:     newMemory(),
	}
	p.config.Store(newSettings(o.Config))
	return p
}

func newSettings(c *cloudconfig.Config) *settings {
	s := &settings{complete: ipam.Complete}
	if c == nil {
		s.complete = ipam.Partial
	} else {
		if c.Metal != nil {
			s.metal = *c.Metal
		}
		if lacksPool(c.Faults) {
			s.complete = ipam.Partial
		}
	}
	s.pools = ipam.NewPools(s.metal.Pools, s.complete)
	return s
}

// lacksPool reports whether a pool was left out of the configuration. Then an
// address outside all pools may be of that one, and must not change.
func lacksPool(faults cloudconfig.Faults) bool {
	for _, f := range faults {
		pool := strings.HasPrefix(f.Object, "pool ")
		list := f.Object == "" && (strings.HasPrefix(f.Field, "metal.pools") || strings.Contains(f.Field, "address-pools"))
		if !f.Warning && (pool || list) {
			return true
		}
	}
	return false
}

// Update makes a new configuration count from the next pass on. When its pools
// differ, the Services are looked at again.
func (p *Provider) Update(c *cloudconfig.Config) {
	s := newSettings(c)
	old := p.config.Swap(s)
	if old.complete == s.complete && reflect.DeepEqual(old.metal.Pools, s.metal.Pools) {
		return
	}
	p.changed.Ask()
}

// NamespaceHandler takes what happens to namespaces. It is to be added to their
// informer, since pools may select by their labels.
func (p *Provider) NamespaceHandler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{UpdateFunc: func(old, cur any) {
		was, before := old.(*v1.Namespace)
		is, after := cur.(*v1.Namespace)
		if before && after && !maps.Equal(was.Labels, is.Labels) {
			p.changed.Ask()
		}
	}}
}

// Name is metal.
func (p *Provider) Name() string { return intent.Metal }

// Group is the same for all Services.
func (p *Provider) Group(*v1.Service) provider.Group { return group }

// NodeFingerprint is empty: addresses do not depend on nodes, and speakers
// watch their own.
func (p *Provider) NodeFingerprint(*v1.Node) string { return "" }

// Changed receives when the pools changed.
func (p *Provider) Changed() <-chan struct{} { return p.changed }

// Instances answers for the nodes from what they say of themselves.
func (p *Provider) Instances() cloudprovider.InstancesV2 { return instances{p} }

// Routes is nil: the pod network makes its own.
func (p *Provider) Routes() cloudprovider.Routes { return nil }

// Find reports the addresses of the Service: those given to it, else those in
// its status. Once they were released there is nothing left to remove, though
// the status may still show them.
func (p *Provider) Find(_ context.Context, svc *v1.Service) (*v1.LoadBalancerStatus, bool, error) {
	key := provider.KeyOf(svc)
	if r, ok := p.memory.recall(key, svc.UID); ok {
		if r.removed() {
			return nil, false, nil
		}
		return status(r.addresses), true, nil
	}
	if len(svc.Status.LoadBalancer.Ingress) == 0 {
		return nil, false, nil
	}
	return svc.Status.LoadBalancer.DeepCopy(), true, nil
}

// status is a load balancer status with the addresses. Traffic reaches the
// nodes with the address as its destination, which is the mode VIP.
func status(addresses []netip.Addr) *v1.LoadBalancerStatus {
	mode := v1.LoadBalancerIPModeVIP
	s := &v1.LoadBalancerStatus{}
	for _, a := range addresses {
		s.Ingress = append(s.Ingress, v1.LoadBalancerIngress{IP: a.String(), IPMode: &mode})
	}
	return s
}
