// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"fmt"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/fairlead/fairlead/pkg/provider"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// AWS keeps the case of names in DNS, and the API server takes lower case alone.
// What the status has already is not written again.
func TestTheStatusHasNamesInLowerCase(t *testing.T) {
	l := startClaimed(t, awssim.Options{})
	svc := newSite(t).service("web", external, with("name", "Front"))
	l.add(t, svc)
	host := l.must(t, -1, provider.Serve, provider.Edit, svc)[keyOf(svc)].Ingress[0].Hostname
	if !strings.HasPrefix(host, "front-") || len(validation.IsDNS1123Subdomain(host)) > 0 {
		t.Errorf("hostname %q", host)
	}
	for _, has := range []string{host, "F" + host[1:]} {
		svc.Status.LoadBalancer.Ingress = []v1.LoadBalancerIngress{{Hostname: has}}
		if got := l.must(t, 0, provider.Serve, provider.Resync, svc)[keyOf(svc)].Ingress[0].Hostname; got != has {
			t.Errorf("the status has %q and gets %q", has, got)
		}
	}
}

// Blanks around the port of health checks are none of AWS's business.
func TestBlanksAroundThePortOfHealthChecks(t *testing.T) {
	for name, c := range map[string]struct {
		form       func(*v1.Service)
		port, want string
	}{
		"classic":          {without("type"), " 8080 ", `"Target":"TCP:8080"`},
		"nlb":              {with("type", "nlb"), " 8080 ", `"HealthCheckPort":"8080"`},
		"external":         {external, " 8080 ", `"HealthCheckPort":"8080"`},
		"external by name": {external, " http ", `"HealthCheckPort":"30080"`},
	} {
		t.Run(name, func(t *testing.T) {
			l := startClaimed(t, awssim.Options{})
			svc := newSite(t).service("web", c.form, with("healthcheck-port", c.port), ports(tcp("http", 80, 30080)))
			l.add(t, svc)
			l.must(t, -1, provider.Serve, provider.Edit, svc)
			l.restart(t)
			l.must(t, 0, provider.Serve, provider.Drift, svc)
			if state := string(l.cloud.State()); !strings.Contains(strings.ReplaceAll(state, `": "`, `":"`), c.want) {
				t.Errorf("no %s in\n%s", c.want, state)
			}
		})
	}
}

// AWS takes no group twice: what is written twice counts once, in its order.
func TestAGroupThatIsNamedTwiceCountsOnce(t *testing.T) {
	for name, form := range map[string]func(*v1.Service){"classic": without("type"), "nlb": with("type", "nlb"), "external": external} {
		t.Run(name, func(t *testing.T) {
			l := startClaimed(t, awssim.Options{})
			l.config.ManagedNLBSecurityGroups = true
			l.restart(t)
			groups := []string{l.site.Group("one"), l.site.Group("two")}
			twice := strings.Join([]string{groups[1], groups[0], groups[1]}, ",")
			svc := newSite(t).service("web", form, with("security-groups", twice))
			l.add(t, svc)
			l.must(t, -1, provider.Serve, provider.Edit, svc)
			l.must(t, 0, provider.Serve, provider.Edit, svc)
		})
	}
}

// A load balancer that was made without groups cannot get some by what the
// sentence said before it was made.
func TestGroupsForALoadBalancerThatWasMadeWithout(t *testing.T) {
	s := newSite(t)
	svc := s.service("web")
	s.settle(t, s.all(provider.Serve, provider.Edit))
	managed(&s.settings)
	with("security-groups", "sg-c79d4313baf0217ab")(svc)
	got := text(t, s.compute(s.all(provider.Serve, provider.Edit)))
	if want := "make a new Service, whose load balancer gets them, or remove the annotation"; !strings.Contains(got, want) || strings.Contains(got, "nlbSecurityGroupMode") {
		t.Errorf("got\n%s\nwant %s", got, want)
	}
}

// A Service that joins another one's load balancer has its scheme where it says
// none itself, whether that is made already or not.
func TestAFollowerHasTheSchemeOfTheHead(t *testing.T) {
	s := newSite(t)
	claimed(&s.settings)
	s.service("old", external, with("name", "front", "scheme", "internet-facing"))
	s.service("young", external, with("name", "front"), ports(tcp("a", 81, 30081)))
	if got := s.settle(t, s.all(provider.Serve, provider.Edit)); strings.Contains(got, "refused") {
		t.Error(got)
	}
}

// The cure for too many ports of one Service is no other name.
func TestTooManyPortsOfOneService(t *testing.T) {
	for name, change := range map[string]func(*v1.Service){"nlb": func(*v1.Service) {}, "external": external, "external, with a name": func(svc *v1.Service) { external(svc); with("name", "front")(svc) }} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			claimed(&s.settings)
			svc := s.service("web", change)
			svc.Spec.Ports = nil
			for p := range int32(51) {
				svc.Spec.Ports = append(svc.Spec.Ports, tcp(fmt.Sprint("p", p), 1000+p, 30000+p))
			}
			got := text(t, s.compute(s.all(provider.Serve, provider.Edit)))
			if want := "would have 51 listeners, and AWS gives it at most 50; take ports away, or give some of them to another Service"; !strings.Contains(got, want) {
				t.Errorf("got\n%s\nwant %s", got, want)
			}
		})
	}
}

// Why a Service has no room at the nodes is told once, however many rules others
// have there meanwhile.
func TestWhyThereIsNoRoomStaysTheSame(t *testing.T) {
	s := newSite(t)
	s.settings.RuleLimit = 6
	var told []string
	for i := range 3 {
		s.service(fmt.Sprint("small", i))
		s.settle(t, s.all(provider.Serve, provider.Edit))
		big := newSite(t).service("zbig", sourceRanges("192.0.2.0/25", "192.0.2.128/25", "198.51.100.0/24", "203.0.113.0/24", "203.0.114.0/24"))
		b := s.all(provider.Serve, provider.Edit)
		b.Items = append(b.Items, item(big, provider.Serve, provider.Edit))
		r := s.compute(b)
		err := r.Refused[keyOf(big)]
		if err == nil {
			t.Fatalf("with %d others: not refused", i+1)
		}
		told = append(told, err.Error())
	}
	if told[0] != told[1] || told[1] != told[2] {
		t.Errorf("told %q", told)
	}
	for _, want := range []string{"nlbSecurityGroupMode Managed", "securityGroupRuleLimit"} {
		if !strings.Contains(told[0], want) {
			t.Errorf("%s: no %s", told[0], want)
		}
	}
}
