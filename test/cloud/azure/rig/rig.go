// SPDX-License-Identifier: Apache-2.0

// Package rig puts the Azure provider and the engine over a simulated cloud,
// with caches of Services and nodes that its users fill by hand.
package rig

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	v1 "k8s.io/api/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/engine"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure"
	"github.com/fairlead/fairlead/pkg/provider/azure/arm"
	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
)

// Cluster is a cluster's Services and nodes, which outlive its controllers.
type Cluster struct {
	Services cache.Indexer
	Nodes    cache.Indexer
	// Recorder takes the events. One that holds none drops them.
	Recorder record.EventRecorder
}

// NewCluster makes an empty cluster.
func NewCluster() *Cluster {
	return &Cluster{
		Services: cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}),
		Nodes:    cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{}),
		Recorder: &record.FakeRecorder{},
	}
}

// Controller is one life of a controller: the provider with the engine.
type Controller struct {
	*engine.Engine
	Provider *azure.Provider
	cluster  *Cluster
	stop     context.CancelFunc
	ended    chan struct{}
}

// fixedToken is a credential that needs nobody.
type fixedToken struct{}

func (fixedToken) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "any", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// Client is the provider's client for a cloud that listens there.
func Client(url string) (*arm.Client, error) {
	return arm.New(arm.Options{
		Cloud:    arm.Cloud{Endpoint: url, Audience: "https://management.azure.com", Authority: "https://login.microsoftonline.com/"},
		Identity: arm.Identity{Credential: fixedToken{}},
	})
}

// ConfigText is a cloud-config for a site of the simulated cloud, as azure.json
// has it, with more keys if there are any.
func ConfigText(site *azuresim.Site, more string) string {
	return fmt.Sprintf(`{
		"tenantId": "22222222-2222-2222-2222-222222222222", "subscriptionId": %q, "resourceGroup": %q, "location": "eastus",
		"vnetName": "%[2]s-vnet", "subnetName": "%[2]s-subnet", "securityGroupName": "%[2]s-nsg", "routeTableName": "%[2]s-routes",
		"useManagedIdentityExtension": true, "loadBalancerSku": "standard"%s}`, azuresim.DefaultSubscription, site.Group, more)
}

// Config is the cloud-config of ConfigText.
func Config(site *azuresim.Site, more string) (*cloudconfig.Azure, error) {
	conf, err := cloudconfig.Parse([]byte(ConfigText(site, more)))
	if err != nil {
		return nil, err
	}
	if conf.Azure == nil {
		return nil, fmt.Errorf("site %s: the cloud-config has no section azure: %v", site.Network, conf.Faults)
	}
	return conf.Azure, nil
}

// Start starts a controller. It must be closed.
func Start(ctx context.Context, c *Cluster, client *arm.Client, conf *cloudconfig.Azure) *Controller {
	ctx, stop := context.WithCancel(ctx)
	services, nodes := corelisters.NewServiceLister(c.Services), corelisters.NewNodeLister(c.Nodes)
	p := azure.New(azure.Options{Client: client, Config: conf, Cluster: "kubernetes", Services: services, Nodes: nodes})
	x := &Controller{
		Provider: p, cluster: c, stop: stop, ended: make(chan struct{}),
		Engine: engine.New(engine.Options{
			Provider: p, Registry: intent.Annotations(), Services: services, Nodes: nodes, Recorder: c.Recorder,
			Owns:    func(s *v1.Service) bool { return s.Spec.Type == v1.ServiceTypeLoadBalancer },
			Refresh: func(...plan.Key) {}, Clock: clock.RealClock{},
			Drift: cloudconfig.Drift{Mode: cloudconfig.DriftOff},
		}),
	}
	go func() {
		defer close(x.ended)
		var running sync.WaitGroup
		running.Go(func() { p.Run(ctx) })
		x.Run(ctx)
		running.Wait()
	}()
	return x
}

// Close ends the controller in good order: steps in flight are finished.
func (x *Controller) Close() {
	x.stop()
	<-x.ended
}

// Ensure does what the upstream controller does for a Service that wants a load
// balancer, and writes its status.
func (x *Controller) Ensure(ctx context.Context, svc *v1.Service) error {
	status, err := x.EnsureLoadBalancer(ctx, "kubernetes", svc, nil)
	if err != nil {
		return err
	}
	obj, exists, err := x.cluster.Services.Get(svc)
	if err != nil || !exists {
		return errors.Join(err, fmt.Errorf("the Service %s/%s is not in the cluster", svc.Namespace, svc.Name))
	}
	now, ok := obj.(*v1.Service)
	if !ok {
		return fmt.Errorf("the Service %s/%s is %T", svc.Namespace, svc.Name, obj)
	}
	now = now.DeepCopy()
	now.Status.LoadBalancer = *status
	return x.cluster.Services.Update(now)
}

// Delete does what the upstream controller does for a Service that is being
// deleted, and removes it from the cluster.
func (x *Controller) Delete(ctx context.Context, svc *v1.Service) error {
	if err := x.EnsureLoadBalancerDeleted(ctx, "kubernetes", svc); err != nil {
		return err
	}
	return x.cluster.Services.Delete(svc)
}
