// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// The head's tags move before anything goes.
func TestNextHeadIsNamedBeforeAnythingGoes(t *testing.T) {
	s := sharing(t)
	s.pass(t)
	s.delete("old")
	golden(t, "share head goes", text(t, s.compute(s.batch(provider.Edit, "old"))))
	s.pass(t, "old")
	tags := s.network(t, "front").Tags
	if got := tags["service.k8s.aws/stack"]; got != "default/young" {
		t.Errorf("the head is %q", got)
	}
}

func TestFollowerWaitsForTheHead(t *testing.T) {
	s := sharing(t)
	r := s.compute(s.batch(provider.Edit, "young"))
	golden(t, "share waits", text(t, r))
	if err := r.Refused[plan.Key{Namespace: "default", Name: "young"}]; plan.KindOf(err) != plan.Transient {
		t.Errorf("kind %d", plan.KindOf(err))
	}
	// A head that is refused says so.
	ports(v1.ServicePort{Protocol: v1.ProtocolSCTP, Port: 1, NodePort: 30001})(s.named("old"))
	golden(t, "share waits for one that is refused", text(t, s.compute(s.batch(provider.Edit, "old", "young"))))
	ports(tcp("a", 80, 30080))(s.named("old"))
	s.pass(t, "old")
	s.pass(t, "young")
	if diff := cmp.Diff([]int32{80, 81}, s.listeners("front")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// from is the text from its first line that begins so.
func from(text, begins string) string {
	_, rest, _ := strings.Cut(text, begins)
	return begins + rest
}

func TestRefusalsOfAShare(t *testing.T) {
	many := func(from, to int32) func(*v1.Service) {
		return func(svc *v1.Service) {
			svc.Spec.Ports = nil
			for p := from; p <= to; p++ {
				svc.Spec.Ports = append(svc.Spec.Ports, tcp(fmt.Sprint("p", p), p, 30000+p))
			}
		}
	}
	for _, c := range []struct {
		name, refused string
		first         []string // have a pass of their own
		change        map[string]func(*v1.Service)
		lists         []int32
	}{
		{"a port of the older one", "young", nil, map[string]func(*v1.Service){"young": ports(udp("a", 80, 31000))}, []int32{80, 82}},
		{"a port of one that is served", "last", []string{"old", "young"}, map[string]func(*v1.Service){"last": ports(tcp("a", 81, 31000))}, []int32{80, 81}},
		{"a port of a younger one that is served", "young", []string{"old", "last"}, map[string]func(*v1.Service){"young": ports(tcp("a", 82, 31000))}, []int32{80, 82}},
		{"another scheme, together", "young", nil, map[string]func(*v1.Service){"young": with("scheme", "internet-facing")}, []int32{80, 82}},
		{"another scheme, later", "last", []string{"old", "young"}, map[string]func(*v1.Service){"last": with("scheme", "internet-facing")}, []int32{80, 81}},
		{"too many listeners", "last", nil, map[string]func(*v1.Service){"old": many(1000, 1030), "young": many(1100, 1110), "last": many(1200, 1209)}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := sharing(t)
			for name, change := range c.change {
				change(s.named(name))
			}
			if len(c.first) > 0 {
				s.pass(t, c.first...)
			}
			got := s.pass(t)
			if !strings.Contains(got, "refused default/"+c.refused+": ") || strings.Count(got, "refused ") != 1 {
				t.Error(got)
			}
			golden(t, "share refused "+strings.ReplaceAll(c.name, ",", ""), from(got, "refused "))
			if diff := cmp.Diff(c.lists, s.listeners("front")); c.lists != nil && diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			again := text(t, s.compute(s.batch(provider.Resync)))
			if strings.Contains(again, "aws/") || !strings.Contains(again, "refused default/"+c.refused+": ") {
				t.Errorf("again:\n%s", again)
			}
			for _, svc := range s.services {
				s.delete(svc.Name)
			}
			s.pass(t)
			s.empty(t)
		})
	}
}

// A port moves from one Service to another by one change of the listener.
func TestPortMovesToAnotherService(t *testing.T) {
	s := sharing(t)
	s.pass(t)
	ports(tcp("a", 8080, 30080))(s.named("old"))
	ports(tcp("a", 81, 30081), tcp("b", 80, 31080))(s.named("young"))
	golden(t, "share port moves", s.pass(t, "old", "young"))
	s.quiet(t, "then")
	if diff := cmp.Diff([]int32{80, 81, 82, 8080}, s.listeners("front")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// What is the load balancer's is the head's to say.
func TestHeadAloneDecidesWhatIsTheLoadBalancers(t *testing.T) {
	s := sharing(t)
	with("attributes", "load_balancing.cross_zone.enabled=true", "subnets", "private-us-east-1a")(s.named("young"))
	got := s.pass(t)
	golden(t, "share warning", from(got, "notice default/young"))
	if lb := s.network(t, "front"); len(lb.AvailabilityZones) != 3 || lb.Attributes["load_balancing.cross_zone.enabled"] == "true" {
		t.Errorf("%v %v", lb.AvailabilityZones, lb.Attributes)
	}
	// Another scheme would take the load balancer from the others.
	with("scheme", "internet-facing")(s.named("old"))
	r := s.compute(s.batch(provider.Edit))
	golden(t, "share refused scheme of the head", text(t, r))
	if len(r.Steps) > 0 {
		t.Error("it is written")
	}
}

// Nobody gets a load balancer of which the owner does not say its name.
func TestBothSidesNameWhatTheyShare(t *testing.T) {
	s := sharing(t)
	s.pass(t, "old")
	delete(s.named("old").Annotations, annotation+"name")
	got := text(t, s.compute(s.batch(provider.Edit)))
	if strings.Contains(got, "aws/") || strings.Count(got, "refused ") != 2 || strings.Contains(got, "refused default/old") {
		t.Error(got)
	}
	// One that has a load balancer of its own does not move either.
	s = sharing(t)
	delete(s.named("young").Annotations, annotation+"name")
	s.pass(t)
	with("name", "front")(s.named("young"))
	s.quiet(t, "named later")
	if len(s.observed.Networks) != 2 {
		t.Errorf("%d load balancers", len(s.observed.Networks))
	}
}

// A Service of another form lets go of what it shared.
func TestHeadOfAnotherFormLeaves(t *testing.T) {
	for _, kind := range []string{"nlb", ""} {
		s := sharing(t)
		s.pass(t)
		svc := s.named("old")
		svc.Status.LoadBalancer.Ingress = nil
		for key := range svc.Annotations {
			delete(svc.Annotations, key)
		}
		svc.Annotations[annotation+"type"] = kind
		s.pass(t)
		s.quiet(t, kind)
		if diff := cmp.Diff([]int32{81, 82}, s.listeners("front")); diff != "" {
			t.Errorf("%q: -want +got:\n%s", kind, diff)
		}
		for _, svc := range s.services {
			s.delete(svc.Name)
		}
		s.pass(t)
		s.empty(t)
	}
}

// A Service whose new form is refused keeps its part, and follows the nodes.
func TestRefusedServiceKeepsItsPart(t *testing.T) {
	s := sharing(t)
	s.pass(t)
	before := s.listeners("front")
	with("name", "-")(s.named("young"))
	s.delete("old")
	s.nodes = s.nodes[:2]
	s.pass(t)
	if diff := cmp.Diff(slices.DeleteFunc(before, func(p int32) bool { return p == 80 }), s.listeners("front")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, g := range s.observed.TargetGroups {
		n := 0
		for _, state := range g.Targets {
			if state != elbv2types.TargetHealthStateEnumDraining {
				n++
			}
		}
		if n != 2 {
			t.Errorf("%s has %d targets", awssdk.ToString(g.TargetGroupName), n)
		}
	}
	// It holds the load balancer when all others are gone.
	s.delete("last")
	s.pass(t)
	if diff := cmp.Diff([]int32{81}, s.listeners("front")); diff != "" {
		t.Errorf("alone: -want +got:\n%s", diff)
	}
	s.delete("young")
	s.pass(t)
	s.empty(t)
}

// What is refused decides nothing for those that are served.
func TestRefusedServiceIsNoHead(t *testing.T) {
	s := sharing(t)
	with("scheme", "internet-facing")(s.named("young"))
	s.pass(t)
	host := *s.network(t, "front").DNSName
	s.delete("old")
	s.pass(t, "old")
	s.pass(t)
	if got := s.network(t, "front").Tags["service.k8s.aws/stack"]; got != "default/last" {
		t.Errorf("the head is %q", got)
	}
	if got := *s.network(t, "front").DNSName; got != host {
		t.Errorf("the address was %s, and is %s", host, got)
	}
	if diff := cmp.Diff([]int32{82}, s.listeners("front")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// The tag names a Service that lives after the head went while no controller ran,
// and never one that is refused.
func TestHeadThatWentUnseenIsReplaced(t *testing.T) {
	for name, collect := range map[string]bool{"at the start": false, "after gc": true} {
		t.Run(name, func(t *testing.T) {
			s := sharing(t)
			told(&s.settings)
			with("scheme", "internet-facing")(s.named("young"))
			s.pass(t)
			s.forget("old")
			if collect {
				s.apply(t, s.leftovers())
			}
			got := s.pass(t)
			if head := s.network(t, "front").Tags["service.k8s.aws/stack"]; head != "default/last" {
				t.Errorf("the head is %q:\n%s", head, got)
			}
		})
	}
}

// Annotations may be gone when a Service goes.
func TestPartIsFoundByItsTags(t *testing.T) {
	for _, order := range [][]string{{"old", "young", "last"}, {"young", "old", "last"}} {
		s := sharing(t)
		s.pass(t)
		for _, name := range order {
			svc := s.named(name)
			clear(svc.Annotations)
			svc.Spec.Type = v1.ServiceTypeClusterIP
			s.pass(t, name)
			s.delete(name)
			s.pass(t, name)
		}
		s.empty(t)
	}
}

// Services whose names begin alike have target groups with names that begin
// alike.
func TestSharesOfServicesNamedAlike(t *testing.T) {
	s := newSite(t)
	claimed(&s.settings)
	for i := range 3 {
		s.service(fmt.Sprint("frontend-", i), external, with("name", "front"), ports(tcp("a", int32(80+i), int32(30080+i))))
	}
	s.pass(t)
	s.quiet(t, "all")
	ports(tcp("a", 8080, 30080))(s.named("frontend-0"))
	s.pass(t, "frontend-0")
	s.delete("frontend-1")
	s.pass(t, "frontend-1")
	s.pass(t)
	s.quiet(t, "two")
	if diff := cmp.Diff([]int32{82, 8080}, s.listeners("front")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if n := len(s.observed.TargetGroups); n != 2 {
		t.Errorf("%d target groups: %v", n, slices.Collect(maps.Keys(s.observed.TargetGroups)))
	}
}
