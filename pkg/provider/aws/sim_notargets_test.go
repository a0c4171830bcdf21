// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"slices"
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// TestNoNodeHasTheLabels makes the load balancer without targets, says so at each
// pass in the same words, and registers the node that gets the label.
func TestNoNodeHasTheLabels(t *testing.T) {
	for name, edit := range map[string]func(*v1.Service){"classic": classic, "network": func(*v1.Service) {}} {
		t.Run(name, func(t *testing.T) {
			l := startLive(t, awssim.Options{})
			svc := newSite(t).service("web", edit, with("target-node-labels", "role=web"))
			l.add(t, svc)
			told := func(cause provider.Cause) (out []provider.Notice) {
				t.Helper()
				d, _, err := l.pass(t, provider.Serve, cause, svc)
				if err != nil || len(d.Refused) > 0 {
					t.Fatal(err, d.Refused)
				}
				for _, n := range d.Notices[keyOf(svc)] {
					if n.Reason == provider.ReasonNoTargets {
						out = append(out, n)
					}
				}
				return out
			}
			first, second := told(provider.Edit), told(provider.Nodes)
			if len(first) != 1 || !slices.Equal(first, second) {
				t.Errorf("told %v, then %v", first, second)
			}
			l.nodes[0].Labels = map[string]string{"role": "web"}
			if again := told(provider.Nodes); len(again) > 0 {
				t.Errorf("told %v though a node serves", again)
			}
			if c := l.cloud.Counts(); c.Writes["elbv2.RegisterTargets"]+c.Writes["elb.RegisterInstancesWithLoadBalancer"] != 1 {
				t.Errorf("wrote %v", c.Writes)
			}
		})
	}
}
