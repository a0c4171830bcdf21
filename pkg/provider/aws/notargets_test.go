// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"strings"
	"testing"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
)

// selecting gives the Service a selector.
func selecting(svc *v1.Service) { svc.Spec.Selector = map[string]string{"app": "web"} }

// podsOn is an endpoint of the Service web on a node, at port http.
func (s *site) podsOn(node string) {
	s.pods(8080, "10.0.96.20", "10.0.112.21")
	for _, slice := range s.observed.Slices[plan.Key{Namespace: "default", Name: "web"}] {
		slice.Endpoints[0].NodeName = &node
	}
}

// TestNothingCanServe says in one sentence why, for each kind of load balancer,
// and nothing where something can.
func TestNothingCanServe(t *testing.T) {
	pods := []func(*v1.Service){external, selecting, with("nlb-target-type", "ip")}
	state := func(s *site, list []*v1.Node, name ec2types.InstanceStateName) {
		for _, n := range list {
			i := *s.observed.Instances[idOf(n)]
			i.State = name
			s.observed.Instances[i.ID] = &i
		}
	}
	for name, tt := range map[string]struct {
		edit    []func(*v1.Service)
		prepare func(*site)
		want    string // begins the sentence; empty: none
	}{
		"nodes serve":               {},
		"no node may":               {prepare: func(s *site) { s.nodes = nil }, want: "the cluster has no node that load balancers may send to: it has none, or all have label " + v1.LabelNodeExcludeBalancers},
		"no node is an instance":    {prepare: func(s *site) { s.nodes = []*v1.Node{{}} }, want: "no node is an EC2 instance that AWS is not ending; "},
		"all instances end":         {prepare: func(s *site) { state(s, s.nodes, ec2types.InstanceStateNameShuttingDown) }, want: "no node is an EC2 instance that AWS is not ending; "},
		"all instances are stopped": {prepare: func(s *site) { state(s, s.nodes, ec2types.InstanceStateNameStopped) }, want: "the instances of all nodes that may serve are stopped; start one"},
		"one instance runs":         {prepare: func(s *site) { state(s, s.nodes[1:], ec2types.InstanceStateNameStopped) }},
		"no instance is known yet":  {prepare: func(s *site) { s.observed.Instances = map[string]*aws.Instance{} }},
		"no node has the label":     {edit: []func(*v1.Service){with("target-node-labels", "role=nosuch,zone")}, want: "annotation " + annotation + "target-node-labels asks for nodes with role=nosuch,zone, and none that may serve has that; label nodes"},
		"one node has the label":    {edit: []func(*v1.Service){with("target-node-labels", "role=web")}, prepare: func(s *site) { s.nodes[0].Labels = map[string]string{"role": "web"} }},
		"pods are not ready":        {edit: pods, prepare: func(s *site) { s.pods(8080, "10.0.112.21") }, want: "no pod behind the Service is ready; "},
		"a pod is ready":            {edit: pods, prepare: func(s *site) { s.podsOn("n0") }},
		"pods are not known yet":    {edit: pods},
		"no node, and pods serve":   {edit: pods, prepare: func(s *site) { s.podsOn("n0"); s.nodes = nil }},
		"no pod is there":           {edit: pods, prepare: func(s *site) { s.pods(8080) }, want: "no pod has the labels of spec.selector; "},
		"nothing writes endpoints":  {edit: append(pods, func(svc *v1.Service) { svc.Spec.Selector = nil }), want: "the Service has no selector, and nobody has written an EndpointSlice"},
		"pods have another port": {edit: pods, prepare: func(s *site) {
			s.podsOn("n0")
			for _, slice := range s.observed.Slices[plan.Key{Namespace: "default", Name: "web"}] {
				slice.Ports[0].Name = new("other")
			}
		}, want: "no ready pod has a port of the Service"},
		"Local, and pods elsewhere":     {edit: []func(*v1.Service){local}, prepare: func(s *site) { s.podsOn("elsewhere") }, want: "externalTrafficPolicy is Local, and no node that may serve has a ready pod of the Service"},
		"Local, and pods not ready":     {edit: []func(*v1.Service){local}, prepare: func(s *site) { s.pods(8080, "10.0.112.21") }, want: "externalTrafficPolicy is Local, and no node that may serve has a ready pod of the Service"},
		"Local, and a pod there":        {edit: []func(*v1.Service){local}, prepare: func(s *site) { s.podsOn(s.nodes[0].Name) }},
		"Local, and pods are not known": {edit: []func(*v1.Service){local}},
	} {
		for kind, form := range map[string]func(*v1.Service){"network": func(*v1.Service) {}, "classic": classic} {
			if kind == "classic" && strings.Contains(name, "pod") && !strings.HasPrefix(name, "Local") || strings.HasPrefix(name, "nothing writes") {
				continue
			}
			t.Run(name+", "+kind, func(t *testing.T) {
				s := newSite(t)
				claimed(&s.settings)
				svc := s.service("web", append([]func(*v1.Service){form}, tt.edit...)...)
				svc.Status.LoadBalancer.Ingress = []v1.LoadBalancerIngress{{Hostname: "web.elb"}}
				if tt.prepare != nil {
					tt.prepare(s)
				}
				var got []string
				for _, n := range s.compute(s.all(provider.Serve, provider.Edit)).Notices[keyOf(svc)] {
					if n.Reason == provider.ReasonNoTargets {
						got = append(got, n.Message)
						if !n.Warning {
							t.Error("it is no Warning")
						}
					}
				}
				const before = "the load balancer gets no target that can serve: "
				switch {
				case tt.want == "" && len(got) > 0, tt.want != "" && len(got) != 1:
					t.Errorf("told %q, want %q", got, tt.want)
				case tt.want != "" && !strings.HasPrefix(got[0], before+tt.want):
					t.Errorf("told %q, want %q", got[0], before+tt.want)
				}
			})
		}
	}
}

// Pods that are not ready yet are no news where the Service is new.
func TestANewServiceWaitsForItsPods(t *testing.T) {
	s := newSite(t)
	claimed(&s.settings)
	svc := s.service("web", external, selecting, with("nlb-target-type", "ip"))
	s.pods(8080, "10.0.112.21")
	for _, n := range s.compute(s.all(provider.Serve, provider.Edit)).Notices[keyOf(svc)] {
		t.Errorf("told %s: %s", n.Reason, n.Message)
	}
}
