// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// Services that come one after the other, one of which no node may serve, have
// the rules that they would have together.
func TestRulesDoNotDependOnWhoIsLookedAtTogether(t *testing.T) {
	nowhere := with("target-node-labels", "zone=nowhere")
	for name, forms := range map[string][]func(*v1.Service){
		"external": {external}, "network": {}, "classic": {classic}, "external without rules": {external, with("manage-backend-security-group-rules", "false")},
	} {
		for order, lists := range map[string][2][]func(*v1.Service){
			"nobody's comes last":  {nil, {nowhere}},
			"nobody's comes first": {{nowhere}, nil},
			"both are served":      {nil, nil},
			"nobody serves any":    {{nowhere}, {nowhere}},
		} {
			for ports1, ports2 := range map[int32]int32{31596: 31476, 31477: 31597} {
				t.Run(name+" "+order, func(t *testing.T) {
					l := startClaimed(t, awssim.Options{})
					l.config.ManagedNLBSecurityGroups = true
					l.restart(t)
					s := newSite(t)
					one := s.service("one", append(append([]func(*v1.Service){ports(tcp("a", 80, ports1))}, forms...), lists[0]...)...)
					two := s.service("two", append(append([]func(*v1.Service){ports(tcp("a", 81, ports2))}, forms...), lists[1]...)...)
					for _, svc := range []*v1.Service{one, two} {
						l.add(t, svc)
						l.must(t, -1, provider.Serve, provider.Edit, svc)
					}
					l.must(t, 0, provider.Serve, provider.Resync, one, two)
					l.must(t, 0, provider.Serve, provider.Repair, one, two)
					l.restart(t)
					l.must(t, 0, provider.Serve, provider.Resync, two)
				})
			}
		}
	}
}
