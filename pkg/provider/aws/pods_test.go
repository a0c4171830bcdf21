// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"testing"

	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// pods are the endpoints of the Service web, at one port; the last one is not
// ready.
func (s *site) pods(port int32, addresses ...string) {
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "default", Name: "web-1"},
		AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: new("http"), Port: new(port)}},
	}
	for i, ip := range addresses {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{ip}, Conditions: discoveryv1.EndpointConditions{Ready: new(i < len(addresses)-1)},
		})
	}
	s.observed.Slices = map[plan.Key][]*discoveryv1.EndpointSlice{{Namespace: "default", Name: "web"}: {slice}}
}

func TestTargetsOfOtherClustersStay(t *testing.T) {
	for _, want := range []provider.Want{provider.Serve, provider.Keep} {
		s := newSite(t)
		claimed(&s.settings)
		s.service("web", external, with("multi-cluster-target-group", "true"))
		s.settle(t, s.all(provider.Serve, provider.Edit))
		s.nodes = s.nodes[:1]
		if got := text(t, s.compute(s.all(want, provider.Nodes))); got != nothing {
			t.Error(got)
		}
	}
}

func TestAddressesOfPodsAreTargets(t *testing.T) {
	s := newSite(t)
	claimed(&s.settings)
	s.service("web", external, with("nlb-target-type", "ip"), func(svc *v1.Service) {
		svc.Spec.Ports[0].TargetPort, svc.Spec.Ports[0].NodePort = intstr.FromString("http"), 0
	})
	s.pods(8080, "10.0.96.20", "10.0.112.20", "10.0.112.21")
	golden(t, "addresses of pods", s.settle(t, s.all(provider.Serve, provider.Edit)))
	// A pod moves to another address and port; then all are gone, and none of
	// their addresses may stay.
	s.pods(9090, "10.0.96.20", "10.0.112.22", "10.0.112.21")
	golden(t, "pods move", s.settle(t, s.all(provider.Serve, provider.Resync)))
	s.pods(9090, "10.0.112.21")
	golden(t, "no pod is ready", s.settle(t, s.all(provider.Serve, provider.Resync)))
	s.pods(9090, "10.0.96.20", "10.0.112.21")
	golden(t, "a refused form follows the pods", s.settle(t, s.all(provider.Keep, provider.Resync)))
	s.pods(9090, "10.0.112.30", "10.0.112.21")
	for arn, n := range s.observed.Networks {
		unread := *n
		unread.Listeners = nil
		s.observed.Networks[arn] = &unread
		if got := text(t, s.compute(s.all(provider.Keep, provider.Resync))); got != nothing {
			t.Errorf("listeners are not read, and pods moved:\n%s", got)
		}
		s.observed.Networks[arn] = n
	}
	// Without any knowledge of endpoints nothing changes.
	s.observed.Slices = nil
	if got := text(t, s.compute(s.all(provider.Keep, provider.Resync))); got != nothing {
		t.Error(got)
	}
	s.settle(t, s.all(provider.Remove, provider.Edit))
	s.empty(t)
}
