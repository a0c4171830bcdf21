// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"cmp"
	"fmt"
	"slices"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
)

// LoadBalancers are all Services that want a load balancer, or have one.
func LoadBalancers(services corelisters.ServiceLister) ([]*v1.Service, error) {
	all, err := services.List(labels.Everything())
	if err != nil {
		return nil, fmt.Errorf("list Services: %w", err)
	}
	var out []*v1.Service
	for _, svc := range all {
		if hasLoadBalancer(svc) {
			out = append(out, svc)
		}
	}
	return out, nil
}

// hasLoadBalancer reports whether the Service wants a load balancer, or shows one.
func hasLoadBalancer(svc *v1.Service) bool {
	return svc.Spec.Type == v1.ServiceTypeLoadBalancer || len(svc.Status.LoadBalancer.Ingress) > 0
}

// KeyOf is the key of the Service.
func KeyOf(svc *v1.Service) plan.Key { return plan.Key{Namespace: svc.Namespace, Name: svc.Name} }

// Replaced reports whether another Service has the name by now: what is told by
// the name is that one's.
func Replaced(services []*v1.Service, svc *v1.Service) bool {
	return slices.ContainsFunc(services, func(x *v1.Service) bool {
		return x.Namespace == svc.Namespace && x.Name == svc.Name && x.UID != svc.UID
	})
}

// OlderFirst orders Services by age, and those of one age by key.
func OlderFirst(a, b *v1.Service) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), plan.CompareKeys(KeyOf(a), KeyOf(b)))
}
