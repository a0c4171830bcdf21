// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"fmt"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// A peer may have left load balancers of both types with one name. The one that
// does not serve stays until the Service is edited, with its group and what the
// nodes let in for it; then all of it goes.
func TestALoadBalancerOfTheOtherTypeKeepsItsGroup(t *testing.T) {
	for name, serves := range map[string]func(*v1.Service){"nlb": with("type", "nlb"), "classic": without("type")} {
		for what, settings := range map[string]func(*aws.Settings){"with groups": managed, "without": func(*aws.Settings) {}} {
			t.Run(fmt.Sprintf("%s serves, network ones %s", name, what), func(t *testing.T) {
				s, other := newSite(t), newSite(t)
				settings(&s.settings)
				settings(&other.settings)
				other.serial = 500
				svc := s.service("web")
				other.service("web", without("type"))
				s.settle(t, s.all(provider.Serve, provider.Edit))
				other.settle(t, other.all(provider.Serve, provider.Edit))
				s.observed.Classics = other.observed.Classics
				for id, g := range other.observed.Groups {
					if s.observed.Groups[id] == nil {
						s.observed.Groups[id] = g
						all := fromSource("-1", 0, id, "")
						all.FromPort, all.ToPort = nil, nil
						s.foreign(all)
					}
				}
				for _, c := range s.observed.Classics {
					delete(c.Tags, names.TagMade)
				}
				s.adopted()
				serves(svc)
				host := map[string]string{}
				for _, lb := range s.observed.Networks {
					host["nlb"] = awssdk.ToString(lb.DNSName)
				}
				for _, c := range s.observed.Classics {
					host["classic"] = awssdk.ToString(c.DNSName)
				}
				svc.Status.LoadBalancer.Ingress = []v1.LoadBalancerIngress{{Hostname: host[name]}}
				if r := s.compute(s.all(provider.Serve, provider.Resync)); len(r.Steps) > 0 {
					t.Errorf("adopted:\n%s", text(t, r))
				}
				s.settle(t, s.all(provider.Serve, provider.Edit))
				if len(s.observed.Networks)+len(s.observed.Classics) != 1 {
					t.Errorf("%d network and %d classic load balancers", len(s.observed.Networks), len(s.observed.Classics))
				}
				s.settle(t, s.all(provider.Remove, provider.Edit))
				s.empty(t)
			})
		}
	}
}
