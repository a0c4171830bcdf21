// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
)

// tail is a pass whose private steps are under way.
type tail struct {
	*site
	result *aws.Result
	done   map[plan.ID]bool
	known  aws.Known
}

// begin does the shared steps of a pass, and private ones of some kinds.
func (s *site) begin(t *testing.T, batch provider.Batch, kinds ...string) *tail {
	t.Helper()
	x := &tail{site: s, result: s.compute(batch), done: map[plan.ID]bool{}, known: aws.Known{}}
	x.do(t, func(st plan.Step) bool { return st.Shared || slices.Contains(kinds, st.Target.Kind) })
	return x
}

// end does what is left.
func (x *tail) end(t *testing.T) {
	t.Helper()
	x.do(t, func(plan.Step) bool { return true })
}

func (x *tail) do(t *testing.T, which func(plan.Step) bool) {
	t.Helper()
	p, err := plan.New(x.result.Steps)
	if err != nil {
		t.Fatal(err)
	}
	chosen := map[plan.ID]bool{}
	for _, st := range slices.Backward(p.Steps) {
		if which(st) || chosen[st.Target] {
			chosen[st.Target] = true
			for _, n := range st.Needs {
				chosen[n] = true
			}
		}
	}
	for _, st := range p.Steps {
		if !chosen[st.Target] || x.done[st.Target] {
			continue
		}
		x.done[st.Target] = true
		for _, c := range x.result.Writes[st.Target].Calls {
			call, err := aws.Resolve(c, x.known)
			if err != nil {
				t.Fatal(err)
			}
			out, err := x.answer(call)
			if err != nil {
				t.Fatalf("%s: %v", st.Target, err)
			}
			if made := x.observed.Learn(call, out); made != "" {
				x.known[st.Target] = made
			}
		}
	}
}

// While the load balancer of one Service is being made, others come and go.
func TestPortsOfALoadBalancerInTheMakingStayOpen(t *testing.T) {
	for name, kinds := range map[string][]string{
		"nothing is made": nil, "the load balancer is made": {"aws/loadBalancer"}, "target groups are made": {"aws/loadBalancer", "aws/targets"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			managed(&s.settings)
			s.service("a", ports(tcp("x", 80, 31000), udp("y", 53, 31001)))
			s.service("b", ports(tcp("x", 80, 32000)))
			s.service("c", ports(tcp("x", 80, 30000)))
			s.settle(t, s.one(2, provider.Serve, provider.Edit))
			a := s.begin(t, s.one(0, provider.Serve, provider.Edit), kinds...)
			s.settle(t, s.one(1, provider.Serve, provider.Edit))
			want := []string{"tcp 10256-10256", "tcp 30000-32000", "udp 31001-31001"}
			if diff := cmp.Diff(want, s.backendRules()); diff != "" {
				t.Errorf("another one came: -want +got:\n%s", diff)
			}
			s.remove(t, 2)
			want[1] = "tcp 31000-32000"
			if diff := cmp.Diff(want, s.backendRules()); diff != "" {
				t.Errorf("another one went: -want +got:\n%s", diff)
			}
			a.end(t)
			for i := range s.services {
				if got := text(t, s.compute(s.one(i, provider.Serve, provider.Resync))); !strings.HasPrefix(got, nothing) {
					t.Errorf("%d alone: %s", i, got)
				}
			}
			if got := text(t, s.compute(s.all(provider.Serve, provider.Resync))); !strings.HasPrefix(got, nothing) {
				t.Error(got)
			}
			s.remove(t, 0)
			s.remove(t, 0)
			s.empty(t)
		})
	}
}

func TestSharedGroupWaitsForALoadBalancerInTheMaking(t *testing.T) {
	s := newSite(t)
	managed(&s.settings)
	s.service("a")
	s.service("b")
	s.settle(t, s.one(1, provider.Serve, provider.Edit))
	a := s.begin(t, s.one(0, provider.Serve, provider.Edit))
	s.remove(t, 1)
	a.end(t)
	if got := text(t, s.compute(s.all(provider.Serve, provider.Resync))); got != nothing {
		t.Error(got)
	}
	s.remove(t, 0)
	s.empty(t)
}

// What is not served opens nothing, and does not hold open what it never had.
func TestServicesThatAreNotServedOpenNoPorts(t *testing.T) {
	s := newSite(t)
	managed(&s.settings)
	s.service("refused", with("subnets", "nowhere"), ports(tcp("x", 80, 31000)))
	s.service("worse", with("target-group-attributes", "no=way"), ports(tcp("x", 80, 31100)))
	s.service("elsewhere", with("type", "external"), ports(tcp("x", 80, 31200)))
	s.service("classic", without("type"), ports(tcp("x", 80, 31300)))
	s.service("given", with("security-groups", nodesGroup), ports(tcp("x", 80, 31400)))
	gone := s.service("gone", ports(tcp("x", 80, 31500)))
	gone.DeletionTimestamp = &metav1.Time{}
	foreign := s.service("foreign", ports(tcp("x", 80, 31600)))
	foreign.Spec.LoadBalancerClass = new("example.com/other")
	s.service("low", ports(tcp("x", 80, 30000)))
	s.service("high", ports(tcp("x", 80, 32000)))
	s.settle(t, s.one(7, provider.Serve, provider.Edit))
	s.settle(t, s.one(8, provider.Serve, provider.Edit))
	if diff := cmp.Diff([]string{"tcp 30000-32000"}, s.backendRules()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	// The first may have been the cause of the range. With the rest of the
	// cluster in view it is known not to be.
	s.remove(t, 8)
	batch := s.all(provider.Serve, provider.Resync)
	batch.Items = slices.Delete(batch.Items, 5, 7)
	s.settle(t, batch)
	if diff := cmp.Diff([]string{"tcp 30000-30000"}, s.backendRules()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	s.settle(t, s.one(7, provider.Serve, provider.Resync))
	if diff := cmp.Diff([]string{"tcp 30000-30000"}, s.backendRules()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A range narrows when the load balancer that needed it has left its ports, not
// before.
func TestRangeNarrowsAfterThePortsAreLeft(t *testing.T) {
	s := newSite(t)
	managed(&s.settings)
	s.service("a", ports(tcp("x", 80, 30000)))
	b := s.service("b", ports(tcp("x", 80, 31000)))
	s.settle(t, s.all(provider.Serve, provider.Edit))
	ports(tcp("x", 80, 30001))(b)
	r := s.compute(s.all(provider.Serve, provider.Edit))
	i := slices.IndexFunc(r.Steps, func(st plan.Step) bool { return st.Target.Kind == "aws/nodeSecurityGroupLeftovers" })
	if i < 0 {
		t.Fatal(text(t, r))
	}
	if key := (plan.Key{Namespace: "default", Name: "b"}); !slices.Contains(r.Steps[i].Serves, key) || !slices.ContainsFunc(r.Steps[i].Needs, func(id plan.ID) bool { return id.Kind == "aws/listener" }) {
		t.Errorf("serves %v, needs %v", r.Steps[i].Serves, r.Steps[i].Needs)
	}
	s.settle(t, s.all(provider.Serve, provider.Edit))
	if diff := cmp.Diff([]string{"tcp 30000-30001"}, s.backendRules()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// The last load balancer that is seen goes while another with the same port of
// health checks is being made.
func TestHealthChecksOfALoadBalancerInTheMakingStayOpen(t *testing.T) {
	for name, change := range map[string]func(*aws.Settings){"by subnets": func(*aws.Settings) {}, "by the shared group": managed} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			change(&s.settings)
			s.settings.Probes = aws.SharedProbe
			s.service("a")
			s.service("b")
			s.settle(t, s.one(0, provider.Serve, provider.Edit))
			b := s.begin(t, s.one(1, provider.Serve, provider.Edit))
			s.remove(t, 0)
			if !slices.ContainsFunc(s.rules(), func(r string) bool { return strings.Contains(r, "10256") }) {
				t.Error("health checks of b are shut out")
			}
			b.end(t)
			s.settle(t, s.all(provider.Serve, provider.Resync))
			s.remove(t, 0)
			s.empty(t)
		})
	}
}

// Classic load balancers that have one group between them are let in by one
// rule.
func TestGroupOfAClassicLoadBalancerInTheMakingIsLetIn(t *testing.T) {
	s := newSite(t)
	s.settings.ClassicGroup = "sg-c79d4313baf0217ab"
	s.service("a", without("type"))
	s.service("b", without("type"))
	s.settle(t, s.one(0, provider.Serve, provider.Edit))
	b := s.begin(t, s.one(1, provider.Serve, provider.Edit))
	s.remove(t, 0)
	b.end(t)
	if got := text(t, s.compute(s.all(provider.Serve, provider.Resync))); !strings.HasPrefix(got, nothing) {
		t.Error(got)
	}
	s.remove(t, 0)
	s.empty(t)
}
