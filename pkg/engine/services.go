// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"slices"

	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/fairlead/fairlead/pkg/provider"
)

// ServiceHandler takes what happens to Services. It is to be added to their
// informer. The refused Services of a group are tried again when a user edits one
// of it, since the upstream controller does not see every edit, and when the
// status of one shows an address no more, which is free only then.
func (e *Engine) ServiceHandler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(old, cur any) {
			was, is := serviceOf(old), serviceOf(cur)
			if was == nil || is == nil || was == is { // the last is a resync
				return
			}
			if leftAddress(was, is) || e.edited(was, is) {
				e.retryRefused(was, is)
			}
		},
		DeleteFunc: func(obj any) {
			if svc := serviceOf(obj); svc != nil && len(svc.Status.LoadBalancer.Ingress) > 0 {
				e.retryRefused(svc)
			}
		},
	}
}

// edited reports whether a user edited a Service that concerns us.
func (e *Engine) edited(was, is *v1.Service) bool {
	return (e.concerns(was) || e.concerns(is)) && e.fingerprint(was) != e.fingerprint(is)
}

func serviceOf(obj any) *v1.Service {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	svc, _ := obj.(*v1.Service)
	return svc
}

// leftAddress reports whether the status shows an address no more.
func leftAddress(was, is *v1.Service) bool {
	have := is.Status.LoadBalancer.Ingress
	return slices.ContainsFunc(was.Status.LoadBalancer.Ingress, func(old v1.LoadBalancerIngress) bool {
		return !slices.ContainsFunc(have, func(in v1.LoadBalancerIngress) bool { return in.IP == old.IP })
	})
}

// retryRefused asks for a pass over those that were refused in the groups of the
// Services: others share nothing with them.
func (e *Engine) retryRefused(services ...*v1.Service) {
	groups := map[provider.Group]struct{}{}
	for _, svc := range services {
		groups[e.Provider.Group(svc)] = struct{}{}
	}
	for name := range groups {
		select {
		case e.retries <- name:
		case <-e.stopped:
		}
	}
}
