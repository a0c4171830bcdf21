// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
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

// Both prefixes that the AWS Load Balancer Controller reads mean the same.
func TestTheOtherPrefixCountsForExternalServices(t *testing.T) {
	const other = "service.kubernetes.io/aws-load-balancer-"
	for name, c := range map[string]struct{ edit, then []string }{
		"addresses of pods":     {edit: []string{"type", "nlb-ip"}},
		"another name":          {edit: []string{"type", "external", "name", "front"}, then: []string{"scheme", "internet-facing"}},
		"attributes of a port":  {edit: []string{"type", "external", "target-group-attributes.80", "stickiness.enabled=true"}},
		"attributes of its own": {edit: []string{"type", "external", "listener-attributes.TCP-80", "tcp.idle_timeout.seconds=600"}},
	} {
		var got []string
		for _, prefix := range []string{annotation, other} {
			s := newSite(t)
			claimed(&s.settings)
			svc := s.service("web")
			svc.Annotations = map[string]string{}
			annotate := func(pairs []string) {
				for i := 0; i < len(pairs); i += 2 {
					svc.Annotations[prefix+pairs[i]] = pairs[i+1]
				}
			}
			annotate(c.edit)
			s.pods(8080, "10.0.96.20", "10.0.112.21")
			b := s.settle(t, s.all(provider.Serve, provider.Edit))
			annotate(c.then)
			b += s.settle(t, s.all(provider.Serve, provider.Edit))
			reads := aws.ReadsOf(&s.settings, s.observed, s.all(provider.Serve, provider.Resync).Items)
			got = append(got, fmt.Sprintf("%s%+v", b, reads))
			if strings.Contains(b, "refused") {
				t.Errorf("%s:\n%s", name, b)
			}
		}
		if diff := cmp.Diff(got[0], got[1]); diff != "" {
			t.Errorf("%s, -usual prefix +other:\n%s", name, diff)
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
