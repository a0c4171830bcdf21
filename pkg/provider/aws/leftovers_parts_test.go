// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
	"github.com/fairlead/fairlead/pkg/provider/providertest"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// forget lets a Service be gone that no controller saw going.
func (s *site) forget(list ...string) {
	s.services = slices.DeleteFunc(slices.Clone(s.services), func(svc *v1.Service) bool { return slices.Contains(list, svc.Name) })
	s.observed.Services = s.services
}

// shared is a site with three Services on one load balancer, whose tags prove
// what is the cluster's.
func shared(t *testing.T, change ...func(*v1.Service)) *site {
	t.Helper()
	s := sharing(t, change...)
	told(&s.settings)
	s.pass(t)
	return s
}

// front is the load balancer that the Services share.
func (s *site) front() *aws.Network {
	for _, lb := range s.observed.Networks {
		return lb
	}
	return nil
}

// What is left of a Service on a load balancer that others share is what a pass
// takes away that sees it going, but for the head's name, which the next pass
// gives away.
func TestPartsOfServicesThatAreGoneAreLeftOver(t *testing.T) {
	for name, change := range guards() {
		t.Run(name, func(t *testing.T) {
			for _, gone := range [][]string{{"old"}, {"young"}, {"last"}, {"old", "last"}, {"young", "last"}} {
				seen := shared(t, change...)
				for _, svc := range gone {
					seen.delete(svc)
					seen.pass(t, svc)
				}
				seen.pass(t)
				s := shared(t, change...)
				s.forget(gone...)
				s.apply(t, s.leftovers())
				var want []int32
				for i, svc := range []string{"old", "young", "last"} {
					if !slices.Contains(gone, svc) {
						want = append(want, int32(80+i))
					}
				}
				if diff := cmp.Diff(want, s.listeners("front")); diff != "" || len(s.observed.TargetGroups) != len(want) {
					t.Errorf("%v: %d target groups, listeners -want +got:\n%s", gone, len(s.observed.TargetGroups), diff)
				}
				if got := text(t, s.leftovers()); got != nothing {
					t.Errorf("%v, still:\n%s", gone, got)
				}
				s.pass(t)
				if diff := cmp.Diff(seen.picture(), s.picture()); diff != "" {
					t.Errorf("%v: -seen going +collected:\n%s", gone, diff)
				}
			}
		})
	}
}

func TestPartsThatAreLeftOver(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*testing.T, *site)
	}{
		{"of a follower", func(_ *testing.T, s *site) { s.forget("young") }},
		{"of the head", func(_ *testing.T, s *site) { s.forget("old") }},
		{"of a follower with a port that another one asks for", func(_ *testing.T, s *site) {
			ports(tcp("a", 82, 30082), tcp("b", 81, 31081))(s.named("last"))
			s.forget("young")
		}},
		{"of one with a load balancer of its own", func(t *testing.T, s *site) {
			t.Helper()
			with("name", "back")(s.named("young"))
			r := s.compute(s.batch(provider.Edit, "young"))
			n := slices.IndexFunc(r.Steps, func(st plan.Step) bool { return st.Action == plan.Delete })
			if err := s.applySome(t, r, n); err != nil {
				t.Fatal(err)
			}
			s.forget("young")
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := shared(t)
			tc.change(t, s)
			golden(t, "left over parts "+tc.name, text(t, s.leftovers()))
		})
	}
}

func TestPartsThatAreNotLeftOver(t *testing.T) {
	for name, change := range map[string]func(*site){
		"all live":                     func(*site) {},
		"nobody claims them":           func(s *site) { s.forget("young"); s.settings.Claims = aws.PeerOnly },
		"only the flag names":          func(s *site) { s.forget("young"); s.settings.External.Told = false },
		"they are another cluster's":   func(s *site) { s.forget("young"); s.settings.External.Cluster = "other" },
		"they are those of an Ingress": func(s *site) { s.forget("young"); s.tagAll("ingress.k8s.aws/stack", "default/web") },
		"listeners cannot be read":     func(s *site) { s.forget("young"); s.front().Listeners = nil },
		"one with the name lives again": func(s *site) {
			again := s.named("young").DeepCopy()
			again.UID = "99999999-0000-0000-0000-000000000000"
			s.forget("young")
			s.services = append(s.services, again)
			s.observed.Services = s.services
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := shared(t)
			change(s)
			if r := s.leftovers(); len(r.Steps) > 0 {
				t.Error(text(t, r))
			}
		})
	}
}

// Over the wire the listeners are found, and what lives is not touched.
func TestPartsAreCollectedOverTheWire(t *testing.T) {
	for _, gone := range []int{0, 1} {
		l := startClaimed(t, awssim.Options{})
		before := string(l.cloud.State())
		s := newSite(t)
		list := []*v1.Service{
			s.service("first", external, with("name", "front")),
			s.service("second", external, with("name", "front"), ports(tcp("a", 81, 30081))),
		}
		for _, svc := range list {
			l.add(t, svc)
		}
		l.must(t, -1, provider.Serve, provider.Edit, list...)
		if err := l.services.Delete(list[gone]); err != nil {
			t.Fatal(err)
		}
		l.knowNodes(t)
		p, err := l.provider.Leftovers(t.Context(), func(context.Context) ([]*v1.Service, error) { return list[1-gone : 2-gone], nil })
		if err != nil {
			t.Fatal(err)
		}
		for _, st := range providertest.Decide(t, p).Plan.Steps {
			if err := p.Execute(t.Context(), st, nil); err != nil {
				t.Errorf("%s: %v", st.Target, err)
			}
		}
		after := string(l.cloud.State())
		for i, port := range []string{"30080", "30081"} {
			name := []string{"k8s-default-first-", "k8s-default-second-"}[i]
			if strings.Contains(after, name) == (i == gone) && strings.Contains(after, port) == (i == gone) {
				t.Errorf("%s is gone; of %s:\n%s", list[gone].Name, list[i].Name, after)
			}
		}
		l.must(t, -1, provider.Serve, provider.Edit, list[1-gone])
		l.must(t, -1, provider.Remove, provider.Edit, list[1-gone])
		if after := string(l.cloud.State()); after != before {
			t.Errorf("left behind:\n%s", after)
		}
	}
}
