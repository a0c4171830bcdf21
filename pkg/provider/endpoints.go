// SPDX-License-Identifier: Apache-2.0

package provider

import (
	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

// Endpoints are the endpoints that load balancers follow.
type Endpoints struct {
	Services corelisters.ServiceLister
	// Follows reports whether the load balancer of the Service follows its
	// endpoints.
	Follows func(*v1.Service) bool
	// Same reports whether a change is none for the load balancer of the Service,
	// which does. What is made has no slice before, and what is deleted none
	// after.
	Same func(svc *v1.Service, old, cur *discoveryv1.EndpointSlice) bool
	// Moved is asked when there is a change that counts.
	Moved Again
}

// Handler takes what happens to EndpointSlices. Those that are there at the start
// change nothing.
func (e Endpoints) Handler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(obj any, initial bool) {
			if !initial {
				e.changed(nil, sliceOf(obj))
			}
		},
		UpdateFunc: func(old, cur any) { e.changed(sliceOf(old), sliceOf(cur)) },
		DeleteFunc: func(obj any) { e.changed(sliceOf(obj), nil) },
	}
}

func (e Endpoints) changed(old, cur *discoveryv1.EndpointSlice) {
	es := cur
	if es == nil {
		es = old
	}
	if es == nil {
		return
	}
	svc, err := e.Services.Services(es.Namespace).Get(es.Labels[discoveryv1.LabelServiceName])
	if err != nil || !e.Follows(svc) || e.Same(svc, old, cur) {
		return // a Service that comes later brings a pass of its own
	}
	e.Moved.Ask()
}

func sliceOf(obj any) *discoveryv1.EndpointSlice {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	es, _ := obj.(*discoveryv1.EndpointSlice)
	return es
}
