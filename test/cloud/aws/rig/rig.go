// SPDX-License-Identifier: Apache-2.0

// Package rig puts the AWS provider and the engine over a simulated cloud, with
// caches of Services and nodes that its users fill by hand.
package rig

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	v1 "k8s.io/api/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/engine"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/aws"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// Cluster is a cluster's Services, endpoints and nodes, which outlive its
// controllers.
type Cluster struct {
	Services cache.Indexer
	Slices   cache.Indexer // EndpointSlices
	Nodes    cache.Indexer
	// Recorder takes the events. One that holds none drops them.
	Recorder record.EventRecorder
}

// NewCluster makes an empty cluster.
func NewCluster() *Cluster {
	return &Cluster{
		Services: cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}),
		Slices:   cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{}),
		Nodes:    cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{}),
		Recorder: &record.FakeRecorder{},
	}
}

// Name is that of the clusters in the flag --cluster-name.
const Name = "rig"

// Controller is one life of a controller: the provider with the engine.
type Controller struct {
	*engine.Engine
	Provider *aws.Provider
	cluster  *Cluster
	stop     context.CancelFunc
	ended    chan struct{}
}

// Environment is where the SDK finds credentials that the simulated cloud takes,
// as names and values of the environment.
func Environment() map[string]string {
	return map[string]string{
		"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CA_BUNDLE": "", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
	}
}

// Client is the provider's client, which keeps to the limits; those that AWS
// publishes for nil. Credentials are to be in the environment.
func Client(ctx context.Context, conf *cloudconfig.AWS, limits *api.Limits) (*api.Client, error) {
	return api.New(ctx, conf, api.Setup{HTTP: awssim.NewHTTPClient(), Limits: limits})
}

// NoLimits are those of a cloud that refuses no call for its haste.
func NoLimits() *api.Limits { return &api.Limits{} }

// ConfigText is a cloud-config for a site of a simulated cloud that listens at
// the URL, with more keys of section aws if there are any, each in a line of
// its own.
func ConfigText(site *awssim.Site, url string, more ...string) string {
	var text strings.Builder
	fmt.Fprintf(&text, `apiVersion: config.fairlead.dev/v1alpha1
kind: CloudConfig
aws:
  region: %s
  vpc: %s
  kubernetesClusterID: %s
  endpoints: {ec2: %[4]s, elasticLoadBalancing: %[4]s, elasticLoadBalancingV2: %[4]s, sts: %[4]s}
`, awssim.DefaultRegion, site.VPC, site.Cluster, url)
	for _, line := range more {
		text.WriteString("  " + line + "\n")
	}
	return text.String()
}

// Config is the cloud-config that the text says.
func Config(text string) (*cloudconfig.AWS, error) {
	conf, err := cloudconfig.Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	if conf.AWS == nil {
		return nil, fmt.Errorf("the cloud-config has no section aws: %v", conf.Faults)
	}
	return conf.AWS, nil
}

// Start starts a controller, which looks for no drift unless its engine is told
// to. It must be closed.
func Start(ctx context.Context, c *Cluster, client *api.Client, conf *cloudconfig.AWS) *Controller {
	ctx, stop := context.WithCancel(ctx)
	services, nodes := corelisters.NewServiceLister(c.Services), corelisters.NewNodeLister(c.Nodes)
	p := aws.New(aws.Options{
		Client: client, Config: conf, Cluster: Name, Services: services, Nodes: nodes,
		Slices: discoverylisters.NewEndpointSliceLister(c.Slices),
	})
	x := &Controller{
		Provider: p, cluster: c, stop: stop, ended: make(chan struct{}),
		Engine: engine.New(engine.Options{
			Provider: p, Registry: intent.Annotations(), Services: services, Nodes: nodes, Recorder: c.Recorder,
			Owns: Wants, Refresh: func(...plan.Key) {}, Clock: clock.RealClock{},
			Drift: cloudconfig.Drift{Mode: cloudconfig.DriftOff},
		}),
	}
	go func() {
		defer close(x.ended)
		var endpoints sync.WaitGroup
		endpoints.Go(func() { p.Run(ctx) })
		x.Run(ctx)
		endpoints.Wait()
	}()
	return x
}

// Wants reports whether the Service wants a load balancer.
func Wants(svc *v1.Service) bool {
	return svc.Spec.Type == v1.ServiceTypeLoadBalancer && svc.DeletionTimestamp == nil
}

// Close ends the controller in good order: steps in flight are finished.
func (x *Controller) Close() {
	x.stop()
	<-x.ended
}

// Sync does what the upstream controller does for a Service: one that wants a
// load balancer gets one, and its status; from others it is taken. One that is
// being deleted is then no more in the cluster.
func (x *Controller) Sync(ctx context.Context, svc *v1.Service) error {
	if Wants(svc) {
		status, err := x.EnsureLoadBalancer(ctx, Name, svc, nil)
		if err != nil {
			return err
		}
		return x.publish(svc, status)
	}
	if err := x.EnsureLoadBalancerDeleted(ctx, Name, svc); err != nil {
		return err
	}
	if svc.DeletionTimestamp != nil {
		return x.cluster.Services.Delete(svc)
	}
	return x.publish(svc, &v1.LoadBalancerStatus{})
}

// publish writes the status of a Service.
func (x *Controller) publish(svc *v1.Service, status *v1.LoadBalancerStatus) error {
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
