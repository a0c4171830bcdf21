// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"

	v1 "k8s.io/api/core/v1"
)

// ReasonOtherCluster is the reason for judging nothing of a cluster that may be
// another one than the one that was asked for.
const ReasonOtherCluster = "OtherCluster"

// Collector is a provider that makes objects outside the cluster, and knows by
// their names and tags which Services they were made for.
type Collector interface {
	// Leftovers is a pass that deletes what was made for Services that are gone,
	// and nothing else: what a Service has that lives, what other clusters have,
	// and what nothing proves to be the cluster's stays. The Services of the pass
	// are those that were; what nothing names is served for a key without a
	// namespace.
	//
	// All of the cloud is read before living is called, once: it lists the
	// Services of all namespaces as they are then. So what is made for a Service
	// that comes meanwhile is known to be that one's, or was not seen.
	//
	// It fails with a *plan.Error with ReasonOtherCluster where nothing that lives
	// shows that it was told of this cluster, and not of another one.
	Leftovers(ctx context.Context, living Living) (Pass, error)
}

// Living lists the Services of all namespaces.
type Living func(ctx context.Context) ([]*v1.Service, error)

// Holders are the Services that may have something in a cloud: they want a load
// balancer, have an address, or are kept by somebody until something is removed.
func Holders(all []*v1.Service) []*v1.Service {
	var out []*v1.Service
	for _, svc := range all {
		if hasLoadBalancer(svc) || len(svc.Finalizers) > 0 {
			out = append(out, svc)
		}
	}
	return out
}
