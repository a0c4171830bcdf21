// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

func (s *site) leftovers() *aws.Result {
	return aws.Leftovers(aws.Input{Settings: &s.settings, Observed: s.observed})
}

func TestNothingOfAServiceIsLeftOver(t *testing.T) {
	for _, name := range cases(t) {
		s := load(t, name)
		if got := text(t, s.leftovers()); got != nothing {
			t.Errorf("%s:\n%s", name, got)
		}
		s.settings.Tags.ID = "" // then nothing is known to be the cluster's
		s.services, s.observed.Services = nil, nil
		if got := text(t, s.leftovers()); got != nothing {
			t.Errorf("%s, without an id:\n%s", name, got)
		}
	}
}

func TestLeftoversOfServicesThatAreGone(t *testing.T) {
	for _, name := range cases(t) {
		t.Run(name, func(t *testing.T) {
			s := load(t, name)
			s.services, s.observed.Services = nil, nil
			r := s.leftovers()
			golden(t, "left over "+name, text(t, r))
			s.apply(t, r)
			s.empty(t)
			if got := text(t, s.leftovers()); got != nothing {
				t.Errorf("still:\n%s", got)
			}
		})
	}
}

func TestLeftoversOfAPeerThatWasCut(t *testing.T) {
	for _, name := range []string{"nlb-three-ports", "nlb-managed-group", "clb-default"} {
		t.Run(name, func(t *testing.T) {
			s := load(t, name)
			s.services, s.observed.Services = nil, nil
			// The load balancer went, and the peer with it.
			for arn := range s.observed.Networks {
				delete(s.observed.Networks, arn)
			}
			for lb := range s.observed.Classics {
				delete(s.observed.Classics, lb)
			}
			for _, g := range s.observed.TargetGroups {
				g.LoadBalancerArns = nil
			}
			s.apply(t, s.leftovers())
			s.empty(t)
		})
	}
}

func TestLeftoversBesideServicesThatLive(t *testing.T) {
	s := newSite(t)
	managed(&s.settings)
	s.service("lives")
	s.service("gone")
	s.service("classic", func(svc *v1.Service) { delete(svc.Annotations, annotation+"type") })
	s.settle(t, s.all(provider.Serve, provider.Edit))
	s.services = s.services[:1]
	s.observed.Services = s.services
	s.apply(t, s.leftovers())
	if got := text(t, s.compute(s.all(provider.Serve, provider.Resync))); got != nothing {
		t.Error(got)
	}
	s.remove(t, 0)
	s.empty(t)
}

func TestLeftoversOverTheWire(t *testing.T) {
	l := startLive(t, awssim.Options{})
	l.config.ManagedNLBSecurityGroups = true
	l.restart(t)
	before := string(l.cloud.State())
	s := newSite(t)
	svc := s.service("web")
	l.add(t, svc)
	l.must(t, -1, provider.Serve, provider.Edit, svc)
	if err := l.services.Delete(svc); err != nil {
		t.Fatal(err)
	}
	p, err := l.provider.Leftovers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range p.Decide().Plan.Steps {
		if err := p.Execute(t.Context(), st, nil); err != nil {
			t.Errorf("%s: %v", st.Target, err)
		}
	}
	if after := string(l.cloud.State()); after != before {
		t.Errorf("left behind:\n%s", after)
	}
}
