// SPDX-License-Identifier: Apache-2.0

package azure_test

import (
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// What is removed where nobody could look is told of.
func TestRemovalWithoutAResourceGroupWarns(t *testing.T) {
	s := empty(t)
	web := newService("web", "TCP:80")
	web.Status.LoadBalancer.Ingress = []v1.LoadBalancerIngress{{IP: "20.60.0.101"}}
	s.observed.MissingGroups = []string{"rig"}
	r := s.compute(t, s.batch(item(web, provider.Remove, provider.Edit)))
	want := `resource group "rig" (resourceGroup of the cloud config) is not there, and nothing of the Service was looked for in it; if that is the wrong group, look for what is left in the right one`
	if n := r.Notices[keyOf("web")]; len(n) != 1 || n[0].Message != want {
		t.Errorf("got %v", n)
	}
}

// A load balancer without any node is made, and one Warning says what is missing.
func TestNoNodeBehindALoadBalancerWarns(t *testing.T) {
	labelled := func(key, value string) *v1.Node {
		n := &v1.Node{}
		n.Name, n.Labels = "n", map[string]string{key: value}
		return n
	}
	for name, tt := range map[string]struct {
		nodes   []*v1.Node
		prepare func(*site)
		want    string // begins the sentence; empty: none
	}{
		"none may serve":             {want: provider.WhyNoNode},
		"none is Azure's":            {nodes: []*v1.Node{labelled("kubernetes.azure.com/managed", "false")}, want: "all nodes that load balancers may send to have label kubernetes.azure.com/managed=false, or are of the control plane"},
		"one is":                     {nodes: []*v1.Node{labelled("kubernetes.azure.com/managed", "true")}},
		"members are left to others": {prepare: func(s *site) { s.settings.Preconfigured = map[names.Exposure]bool{names.Public: true} }},
	} {
		t.Run(name, func(t *testing.T) {
			s := empty(t)
			s.nodes = tt.nodes
			if tt.prepare != nil {
				tt.prepare(s)
			}
			web := newService("web", "TCP:80")
			r := s.compute(t, s.edits(web))
			got := r.Notices[keyOf("web")]
			switch {
			case len(r.Places) != 1:
				t.Errorf("not served: %v", r.Refused)
			case tt.want == "" && len(got) > 0, tt.want != "" && (len(got) != 1 || got[0].Reason != provider.ReasonNoTargets || !got[0].Warning || !strings.Contains(got[0].Message, ": "+tt.want)):
				t.Errorf("told %v, want %q", got, tt.want)
			}
		})
	}
}
