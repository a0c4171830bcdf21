// SPDX-License-Identifier: Apache-2.0

// Package harness plays a cluster's life over a provider, the engine and a
// simulated cloud: Services and nodes come, change and go, the controller is
// killed or its calls are spoiled at any write, and the ends of such lives are
// compared. Each cloud brings its scenarios, its faults and a picture of its
// state.
package harness

import (
	"errors"
	"fmt"
	"slices"

	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
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

// Namespace is that of all Services of NewService.
const Namespace = "shop"

// Service is a Service of the namespace as it is now, for changes; nil when it
// is not there.
func (c *Cluster) Service(name string) *v1.Service {
	obj, ok, _ := c.Services.GetByKey(Namespace + "/" + name)
	svc, is := obj.(*v1.Service)
	if !ok || !is {
		return nil
	}
	return svc.DeepCopy()
}

// Names are those of all Services of the namespace.
func (c *Cluster) Names() []string {
	var out []string
	for _, svc := range listOf[*v1.Service](c.Services) {
		out = append(out, svc.Name)
	}
	slices.Sort(out)
	return out
}

// publish writes the status of a Service.
func (c *Cluster) publish(svc *v1.Service, status *v1.LoadBalancerStatus) error {
	obj, exists, err := c.Services.Get(svc)
	if err != nil || !exists {
		return errors.Join(err, fmt.Errorf("the Service %s/%s is not in the cluster", svc.Namespace, svc.Name))
	}
	now, ok := obj.(*v1.Service)
	if !ok {
		return fmt.Errorf("the Service %s/%s is %T", svc.Namespace, svc.Name, obj)
	}
	now = now.DeepCopy()
	now.Status.LoadBalancer = *status
	return c.Services.Update(now)
}

// listOf are the objects of an indexer.
func listOf[T any](from cache.Indexer) []T {
	var out []T
	for _, obj := range from.List() {
		if x, ok := obj.(T); ok {
			out = append(out, x)
		}
	}
	return out
}

// Replace lets an indexer hold these objects alone.
func Replace[T any](to cache.Indexer, objects []T) error {
	list := make([]any, len(objects))
	for i := range objects {
		list[i] = objects[i]
	}
	return to.Replace(list, "")
}
