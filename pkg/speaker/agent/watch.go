// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/fairlead/fairlead/pkg/speaker"
)

// byService indexes EndpointSlices by the Service that they belong to.
const byService = "service"

// cluster is the speaker's picture of the cluster: what it needs of Services,
// EndpointSlices and its own Node, and no more.
type cluster struct {
	node     string
	services cache.SharedIndexInformer
	slices   cache.SharedIndexInformer
	nodes    cache.SharedIndexInformer
	running  sync.WaitGroup
}

// newCluster prepares the watches of a node's speaker; events tell the inbox.
func newCluster(client API, node string, in *inbox) (*cluster, error) {
	c := &cluster{node: node}
	c.services = cache.NewSharedIndexInformer(client.Services(), &v1.Service{}, 0, cache.Indexers{})
	c.slices = cache.NewSharedIndexInformer(client.EndpointSlices(), &discoveryv1.EndpointSlice{}, 0, cache.Indexers{
		byService: func(obj any) ([]string, error) {
			if s, ok := obj.(*discoveryv1.EndpointSlice); ok {
				return []string{speaker.ServiceOf(s).String()}, nil
			}
			return nil, fmt.Errorf("%T is no EndpointSlice", obj)
		},
	})
	c.nodes = cache.NewSharedIndexInformer(client.Node(node), &v1.Node{}, 0, cache.Indexers{})
	err := errors.Join(c.services.SetTransform(c.strip), c.slices.SetTransform(c.strip), c.nodes.SetTransform(c.strip))
	_, err1 := c.services.AddEventHandler(changes(func(obj any) {
		if s, ok := obj.(*v1.Service); ok {
			in.service(types.NamespacedName{Namespace: s.Namespace, Name: s.Name})
		}
	}))
	_, err2 := c.slices.AddEventHandler(changes(func(obj any) {
		if s, ok := obj.(*discoveryv1.EndpointSlice); ok {
			in.service(speaker.ServiceOf(s))
		}
	}))
	_, err3 := c.nodes.AddEventHandler(changes(func(any) { in.nudge() }))
	return c, errors.Join(err, err1, err2, err3)
}

// changes calls touch for every object that an event is about, unless nothing
// that was kept of it has changed.
func changes(touch func(obj any)) cache.ResourceEventHandlerFuncs {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: touch,
		UpdateFunc: func(old, obj any) {
			if !same(old, obj) {
				touch(old) // a slice may move to another Service
				touch(obj)
			}
		},
		DeleteFunc: func(obj any) {
			if d, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = d.Obj
			}
			touch(obj)
		},
	}
}

// same compares what was kept of two objects, apart from the version.
func same(a, b any) bool {
	switch a := a.(type) {
	case *v1.Service:
		b, ok := b.(*v1.Service)
		return ok && reflect.DeepEqual(a.Spec, b.Spec) && reflect.DeepEqual(a.Status, b.Status) &&
			reflect.DeepEqual(a.Labels, b.Labels) && a.DeletionTimestamp.Equal(b.DeletionTimestamp)
	case *discoveryv1.EndpointSlice:
		b, ok := b.(*discoveryv1.EndpointSlice)
		return ok && a.AddressType == b.AddressType && speaker.ServiceOf(a) == speaker.ServiceOf(b) &&
			reflect.DeepEqual(a.Endpoints, b.Endpoints)
	case *v1.Node:
		b, ok := b.(*v1.Node)
		return ok && speaker.NodeFrom(a.Name, a).Equal(speaker.NodeFrom(b.Name, b))
	default:
		return false
	}
}

// start runs the watches until ctx ends, and waits for the first complete
// picture. It returns false when waiting ended before.
func (c *cluster) start(ctx, waiting context.Context) bool {
	for _, i := range []cache.SharedIndexInformer{c.services, c.slices, c.nodes} {
		c.running.Go(func() { i.RunWithContext(ctx) })
	}
	return cache.WaitForCacheSync(waiting.Done(), c.services.HasSynced, c.slices.HasSynced, c.nodes.HasSynced)
}

// stop waits until the watches have ended; their ctx must have.
func (c *cluster) stop() { c.running.Wait() }

// own returns the speaker's node as it is now.
func (c *cluster) own() speaker.Node {
	obj, ok, err := c.nodes.GetStore().GetByKey(c.node)
	if n, is := obj.(*v1.Node); err == nil && ok && is {
		return speaker.NodeFrom(c.node, n)
	}
	return speaker.NodeFrom(c.node, nil)
}

// service returns a Service and its EndpointSlices; nil when there is none.
func (c *cluster) service(key types.NamespacedName) (*v1.Service, []*discoveryv1.EndpointSlice) {
	obj, ok, err := c.services.GetStore().GetByKey(key.String())
	svc, is := obj.(*v1.Service)
	if err != nil || !ok || !is {
		return nil, nil
	}
	if svc.Spec.Type != v1.ServiceTypeLoadBalancer {
		return svc, nil
	}
	objs, err := c.slices.GetIndexer().ByIndex(byService, key.String())
	if err != nil {
		return svc, nil
	}
	out := make([]*discoveryv1.EndpointSlice, 0, len(objs))
	for _, o := range objs {
		if s, ok := o.(*discoveryv1.EndpointSlice); ok {
			out = append(out, s)
		}
	}
	return svc, out
}

// all returns the keys of all Services.
func (c *cluster) all() map[types.NamespacedName]struct{} {
	out := map[types.NamespacedName]struct{}{}
	for _, key := range c.services.GetStore().ListKeys() {
		if ns, name, err := cache.SplitMetaNamespaceKey(key); err == nil {
			out[types.NamespacedName{Namespace: ns, Name: name}] = struct{}{}
		}
	}
	return out
}
