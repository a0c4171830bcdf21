// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
)

// sharing is a site with Services that name one load balancer, a node port
// apart: old, then young and last.
func sharing(t *testing.T, change ...func(*v1.Service)) *site {
	t.Helper()
	s := newSite(t)
	claimed(&s.settings)
	for i, name := range []string{"old", "young", "last"} {
		svc := s.service(name, append([]func(*v1.Service){external, with("name", "front"), ports(tcp("a", int32(80+i), int32(30080+i)))}, change...)...)
		svc.CreationTimestamp = metav1.Unix(int64(i), 0)
	}
	return s
}

// delete lets the user delete a Service.
func (s *site) delete(name string) {
	svc := s.named(name)
	svc.DeletionTimestamp = &metav1.Time{}
}

func (s *site) named(name string) *v1.Service {
	i := slices.IndexFunc(s.services, func(svc *v1.Service) bool { return svc.Name == name })
	return s.services[i]
}

// batch is one of the Services with the names, or all.
func (s *site) batch(cause provider.Cause, list ...string) provider.Batch {
	b := provider.Batch{Nodes: s.nodes}
	for _, svc := range s.services {
		want := provider.Serve
		if svc.DeletionTimestamp != nil || svc.Spec.Type != v1.ServiceTypeLoadBalancer {
			want = provider.Remove
		}
		if len(list) == 0 || slices.Contains(list, svc.Name) {
			b.Items = append(b.Items, item(svc, want, cause))
		}
	}
	return b
}

// publish writes statuses, and forgets Services that are deleted.
func (s *site) publish(r *aws.Result) {
	for key, place := range r.Places {
		if host := s.observed.Hostname(place); host != "" && r.Refused[key] == nil {
			s.named(key.Name).Status.LoadBalancer.Ingress = []v1.LoadBalancerIngress{{Hostname: host}}
		}
	}
}

// pass settles the Services with the names, or all, as the engine does.
func (s *site) pass(t *testing.T, list ...string) string {
	t.Helper()
	b := s.batch(provider.Edit, list...)
	got := s.settle(t, b)
	s.publish(s.compute(b))
	s.services = slices.DeleteFunc(slices.Clone(s.services), func(svc *v1.Service) bool {
		return svc.DeletionTimestamp != nil && (len(list) == 0 || slices.Contains(list, svc.Name))
	})
	s.observed.Services = s.services
	return got
}

// quiet checks that nothing is to be done, for all Services and for each alone.
func (s *site) quiet(t *testing.T, when string) {
	t.Helper()
	lists := [][]string{nil}
	for _, svc := range s.services {
		lists = append(lists, []string{svc.Name})
	}
	for _, list := range lists {
		for _, cause := range []provider.Cause{provider.Resync, provider.Edit, provider.Nodes} {
			if r := s.compute(s.batch(cause, list...)); len(r.Steps)+len(r.Refused) > 0 {
				t.Errorf("%s, %v, cause %d:\n%s", when, list, cause, text(t, r))
			}
		}
	}
}

// listeners are the ports of the load balancer with the name; nil when it is not
// there.
func (s *site) listeners(name string) []int32 {
	for _, lb := range s.observed.Networks {
		if *lb.LoadBalancerName == name {
			out := []int32{}
			for _, l := range lb.Listeners {
				out = append(out, *l.Port)
			}
			slices.Sort(out)
			return out
		}
	}
	return nil
}

func (s *site) network(t *testing.T, name string) *aws.Network {
	t.Helper()
	for _, lb := range s.observed.Networks {
		if *lb.LoadBalancerName == name {
			return lb
		}
	}
	t.Fatalf("no load balancer %s", name)
	return nil
}

// guards are the ways in which the clients of a shared load balancer are let in.
func guards() map[string][]func(*v1.Service) {
	return map[string][]func(*v1.Service){
		"a group of its own": nil,
		"given groups":       {with("security-groups", extraGroup)},
		"given and shared":   {with("security-groups", extraGroup, "manage-backend-security-group-rules", "true")},
		"no groups":          {with("disable-nlb-sg", "true")},
		"ranges, no groups":  {with("disable-nlb-sg", "true"), sourceRanges("192.0.2.0/24", "198.51.100.0/24")},
		"ranges":             {sourceRanges("192.0.2.0/24"), with("enable-icmp-for-path-mtu-discovery", "on", "security-group-prefix-lists", "pl-1")},
		"addresses of pods":  {with("nlb-target-type", "ip")},
	}
}

func TestServicesShareALoadBalancer(t *testing.T) {
	for name, change := range guards() {
		t.Run(name, func(t *testing.T) {
			s := sharing(t, change...)
			s.pass(t)
			if diff := cmp.Diff([]int32{80, 81, 82}, s.listeners("front")); diff != "" || len(s.observed.Networks) != 1 {
				t.Errorf("%d load balancers: -want +got:\n%s", len(s.observed.Networks), diff)
			}
			s.quiet(t, "all together")
			for _, svc := range s.services {
				if got := svc.Status.LoadBalancer.Ingress; len(got) != 1 || got[0].Hostname != "front.elb.us-east-1.amazonaws.com" {
					t.Errorf("status %v", got)
				}
			}
			together := s.picture()
			s = sharing(t, change...)
			for _, svc := range s.services {
				s.pass(t, svc.Name)
			}
			s.quiet(t, "one after the other")
			if diff := cmp.Diff(together, s.picture()); diff != "" {
				t.Errorf("-together +one after the other:\n%s", diff)
			}
			for _, order := range [][]string{{"old", "young", "last"}, {"young", "last", "old"}, {"last", "old", "young"}} {
				s = sharing(t, change...)
				s.pass(t)
				for i, goes := range order {
					s.delete(goes)
					s.pass(t, goes)
					if i == 2 {
						s.empty(t)
						break
					}
					want := slices.DeleteFunc([]int32{80, 81, 82}, func(p int32) bool {
						return slices.Contains(order[:i+1], []string{"old", "young", "last"}[p-80])
					})
					if diff := cmp.Diff(want, s.listeners("front")); diff != "" {
						t.Errorf("%v, %s is gone: -want +got:\n%s", order, goes, diff)
					}
					s.pass(t)
					s.quiet(t, fmt.Sprint(order, " without ", goes))
				}
			}
			s = sharing(t, change...)
			s.pass(t)
			for _, svc := range s.services {
				s.delete(svc.Name)
			}
			s.pass(t)
			s.empty(t)
		})
	}
}

// What happens to Services that share, one thing after the other, each with all
// Services in the pass or only the one that it happens to.
type happening struct {
	name string
	to   string
	does func(*site)
}

func happenings() []happening {
	edit := func(name, to string, change ...func(*v1.Service)) happening {
		return happening{name, to, func(s *site) {
			for _, c := range change {
				c(s.named(to))
			}
		}}
	}
	gone := func(to string) happening { return happening{"delete " + to, to, func(s *site) { s.delete(to) }} }
	return []happening{
		edit("ports of young", "young", ports(tcp("a", 181, 30181), udp("b", 53, 30053))),
		edit("ranges of old", "old", sourceRanges("192.0.2.0/24")),
		edit("node port of last", "last", ports(tcp("a", 82, 30999))),
		edit("attributes of old", "old", with("attributes", "load_balancing.cross_zone.enabled=true", "additional-resource-tags", "team=web")),
		edit("tags of young", "young", with("additional-resource-tags", "team=db")),
		edit("young leaves", "young", with("name", "back"), without("security-groups")),
		edit("young is back", "young", with("name", "front")),
		gone("old"),
		edit("last takes a port of old", "last", ports(tcp("a", 80, 30999))),
		edit("the head leaves", "young", with("name", "back"), without("security-groups")),
		gone("young"),
		gone("last"),
	}
}

// begin is the site when the first happenings are over.
func begin(t *testing.T, change []func(*v1.Service), n int) *site {
	t.Helper()
	s := sharing(t, change...)
	s.pass(t)
	for _, h := range happenings()[:n] {
		h.does(s)
		s.pass(t)
	}
	return s
}

// Each happening is cut after each of its steps, and the next pass does the
// rest.
func TestWhatHappensToAShareIsCutAtEachStep(t *testing.T) {
	for _, name := range []string{"a group of its own", "given groups", "ranges, no groups"} {
		change := guards()[name]
		t.Run(name, func(t *testing.T) {
			for i, h := range happenings() {
				whole := begin(t, change, i)
				h.does(whole)
				alone := begin(t, change, i)
				h.does(alone)
				alone.pass(t, h.to)
				alone.pass(t)
				steps := len(whole.compute(whole.batch(provider.Edit)).Steps)
				whole.pass(t)
				whole.quiet(t, h.name)
				want := whole.picture()
				if diff := cmp.Diff(want, alone.picture()); diff != "" {
					t.Errorf("%s: -all in the pass +it alone first:\n%s", h.name, diff)
				}
				for n := range steps {
					s := begin(t, change, i)
					h.does(s)
					if err := s.applySome(t, s.compute(s.batch(provider.Edit)), n); err != nil {
						t.Fatalf("%s: %v", h.name, err)
					}
					s.pass(t)
					if diff := cmp.Diff(want, s.picture()); diff != "" {
						t.Errorf("%s, cut after %d steps: -undisturbed +got:\n%s", h.name, n, diff)
					}
				}
			}
			whole := begin(t, change, len(happenings()))
			whole.empty(t)
		})
	}
}

// A shared load balancer that somebody deleted is made with the group that it
// had, in which each Service leaves the rules of the others: one pass is enough.
func TestASharedLoadBalancerThatIsMadeAnewKeepsTheRulesOfAll(t *testing.T) {
	s := sharing(t)
	s.pass(t)
	clear(s.observed.Networks)
	if got := s.pass(t); strings.Contains(got, "aws/securityGroupRules") {
		t.Errorf("rules of clients are changed:\n%s", got)
	}
	s.quiet(t, "made anew")
}
