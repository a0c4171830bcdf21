// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"context"

	v1 "k8s.io/api/core/v1"
	cloudprovider "k8s.io/cloud-provider"
)

// cloud is a provider as the upstream controllers know one.
type cloud struct {
	name      string
	balancer  cloudprovider.LoadBalancer
	instances cloudprovider.InstancesV2 // nil: none
	routes    cloudprovider.Routes      // nil: none
}

var _ cloudprovider.Interface = cloud{}

// Initialize does nothing: the provider is ready when it is made.
func (cloud) Initialize(cloudprovider.ControllerClientBuilder, <-chan struct{}) {}

func (c cloud) LoadBalancer() (cloudprovider.LoadBalancer, bool) { return c.balancer, true }
func (c cloud) InstancesV2() (cloudprovider.InstancesV2, bool) {
	return c.instances, c.instances != nil
}
func (c cloud) Routes() (cloudprovider.Routes, bool) { return c.routes, c.routes != nil }
func (c cloud) ProviderName() string                 { return c.name }
func (cloud) HasClusterID() bool                     { return true }

// Instances, Zones and Clusters are the old interfaces that InstancesV2
// replaces, or that nobody calls.
func (cloud) Instances() (cloudprovider.Instances, bool) { return nil, false }
func (cloud) Zones() (cloudprovider.Zones, bool)         { return nil, false }
func (cloud) Clusters() (cloudprovider.Clusters, bool)   { return nil, false }

// quietBalancer keeps calls that fail while the process stops from returning:
// the upstream controller would write an event for each, though the next
// leader makes them again at once.
type quietBalancer struct {
	cloudprovider.LoadBalancer
	view *ServiceView
}

func (b quietBalancer) EnsureLoadBalancer(ctx context.Context, cluster string, svc *v1.Service, nodes []*v1.Node) (*v1.LoadBalancerStatus, error) {
	status, err := b.LoadBalancer.EnsureLoadBalancer(ctx, cluster, svc, nodes)
	if err != nil {
		b.view.hold()
	}
	return status, err
}

func (b quietBalancer) EnsureLoadBalancerDeleted(ctx context.Context, cluster string, svc *v1.Service) error {
	err := b.LoadBalancer.EnsureLoadBalancerDeleted(ctx, cluster, svc)
	if err != nil {
		b.view.hold()
	}
	return err
}
