// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"slices"
	"testing"

	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
)

// healthy are the targets of the load balancers of site: all healthy, but of the
// node port that is sick.
func (s *site) healthy(t *testing.T, sick int32) aws.Look {
	t.Helper()
	l := s.look(t, "")
	for arn, g := range s.observed.TargetGroups {
		l.Health.Groups[arn] = map[aws.Target]elbv2types.TargetHealth{}
		for x := range g.Targets {
			h := elbv2types.TargetHealth{State: elbv2types.TargetHealthStateEnumHealthy}
			if x.Port == sick {
				h = elbv2types.TargetHealth{State: elbv2types.TargetHealthStateEnumUnhealthy, Reason: elbv2types.TargetHealthReasonEnumFailedHealthChecks}
			}
			l.Health.Groups[arn][x] = h
		}
	}
	return l
}

func TestExplainsAShare(t *testing.T) {
	nobody := func(*testing.T, *site) {}
	for _, tc := range []struct {
		name, of string
		first    []string // have a pass before; nil: all
		change   func(*testing.T, *site)
		like     []func(*v1.Service)
	}{
		{name: "the head", of: "old", change: nobody},
		{name: "a follower", of: "young", change: nobody},
		{name: "a follower without groups", of: "young", change: nobody, like: guards()["no groups"]},
		{name: "a follower that waits", of: "young", first: []string{"nobody"}, change: nobody},
		{name: "a follower that comes", of: "young", first: []string{"old"}, change: nobody},
		{name: "a follower whose port is taken", of: "last", first: []string{"old", "young"}, change: func(_ *testing.T, s *site) {
			ports(tcp("a", 81, 30082))(s.named("last"))
		}},
		{name: "a follower that is served and refused", of: "young", change: func(_ *testing.T, s *site) {
			with("scheme", "internet-facing")(s.named("young"))
		}},
		{name: "a follower that names another one", of: "young", change: func(_ *testing.T, s *site) {
			with("name", "back")(s.named("young"))
		}},
		{name: "a follower that is deleted", of: "young", change: func(_ *testing.T, s *site) { s.delete("young") }},
		{name: "the head is deleted", of: "old", change: func(_ *testing.T, s *site) { s.delete("old") }},
		{name: "the heir of one that is gone", of: "young", change: func(_ *testing.T, s *site) {
			s.services = slices.DeleteFunc(s.services, func(svc *v1.Service) bool { return svc.Name == "old" })
			s.observed.Services = s.services
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := sharing(t, tc.like...)
			s.pass(t, tc.first...)
			tc.change(t, s)
			golden(t, "explain share "+tc.name, s.explain(t, s.batch(provider.Edit, tc.of), s.healthy(t, 30081)))
		})
	}
}
