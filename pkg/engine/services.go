// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"slices"

	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
)

// ServiceHandler takes what happens to Services. It is to be added to their
// informer. Refused Services are tried again when a user edits one, since the
// upstream controller does not see every edit, and when the status of one shows
// an address no more, which is free only then.
func (e *Engine) ServiceHandler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(old, cur any) {
			was, is := serviceOf(old), serviceOf(cur)
			if was == nil || is == nil {
				return
			}
			if fingerprint(was) != fingerprint(is) || leftAddress(was, is) {
				e.retryRefused()
			}
		},
		DeleteFunc: func(obj any) {
			if svc := serviceOf(obj); svc != nil && len(svc.Status.LoadBalancer.Ingress) > 0 {
				e.retryRefused()
			}
		},
	}
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

// retryRefused asks for a pass over all Services that were refused.
func (e *Engine) retryRefused() {
	select {
	case e.retries <- struct{}{}:
	default:
	}
}
