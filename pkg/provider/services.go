// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
)

// LoadBalancers are all Services that want a load balancer, or have one.
func LoadBalancers(services corelisters.ServiceLister) ([]*v1.Service, error) {
	all, err := services.List(labels.Everything())
	if err != nil {
		return nil, fmt.Errorf("list Services: %w", err)
	}
	var out []*v1.Service
	for _, svc := range all {
		if svc.Spec.Type == v1.ServiceTypeLoadBalancer || len(svc.Status.LoadBalancer.Ingress) > 0 {
			out = append(out, svc)
		}
	}
	return out, nil
}
