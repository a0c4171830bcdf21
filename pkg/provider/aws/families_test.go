// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// AWS takes UDP on both families with source NAT prefixes alone, which nothing
// makes yet: such a Service is refused with one sentence before anything is made,
// and the cure that the sentence tells is one.
func TestUDPOnBothFamiliesIsRefusedBeforeAnythingIsMade(t *testing.T) {
	for name, change := range map[string]func(*v1.Service){
		"udp":         ports(udp("dns", 53, 30053)),
		"tcp and udp": ports(tcp("a", 53, 30053), udp("b", 53, 30053)),
		"prefixes": func(svc *v1.Service) {
			ports(udp("dns", 53, 30053))(svc)
			with("enable-prefix-for-ipv6-source-nat", "on")(svc)
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := startClaimed(t, awssim.Options{})
			svc := newSite(t).service("web", external, with("ip-address-type", "dualstack"), change)
			l.add(t, svc)
			d, _, err := l.pass(t, provider.Serve, provider.Edit, svc)
			want := "annotation " + annotation + `ip-address-type is "dualstack", but port 53 is UDP, which AWS takes there with source NAT prefixes alone, and these are not supported yet; write ipv4, or take the port away`
			if refused := d.Refused[keyOf(svc)]; err != nil || !d.Plan.Empty() || refused == nil || refused.Error() != want {
				t.Fatalf("%v, refused: %v\n%s", err, refused, d.Plan)
			}
			with("ip-address-type", "ipv4")(svc)
			l.must(t, -1, provider.Serve, provider.Edit, svc)
			with("ip-address-type", "dualstack")(svc)
			if d, _, err = l.pass(t, provider.Serve, provider.Edit, svc); err != nil || !d.Plan.Empty() || d.Refused[keyOf(svc)] == nil {
				t.Errorf("later: %v\n%s", err, d.Plan)
			}
		})
	}
}

// A port of UDP and addresses of IPv4 alone may come together.
func TestUDPComesAfterTheAddressesOfIPv6AreGone(t *testing.T) {
	l := startClaimed(t, awssim.Options{})
	svc := newSite(t).service("web", external, with("ip-address-type", "dualstack"))
	l.add(t, svc)
	l.must(t, -1, provider.Serve, provider.Edit, svc)
	ports(udp("dns", 53, 30053))(svc)
	with("ip-address-type", "ipv4")(svc)
	d, _, err := l.pass(t, provider.Serve, provider.Edit, svc)
	i := slices.IndexFunc(d.Plan.Steps, func(st plan.Step) bool { return st.Target.Kind == "aws/listener" && st.Action == plan.Create })
	if err != nil || i < 0 || !slices.ContainsFunc(d.Plan.Steps[i].Needs, func(id plan.ID) bool { return id.Kind == "aws/loadBalancerAddressType" }) {
		t.Errorf("%v\n%s", err, d.Plan)
	}
}

// What the head says of families counts for ports of the others, and theirs for
// what it may say.
func TestUDPOnASharedLoadBalancerOfBothFamilies(t *testing.T) {
	for name, together := range map[string]bool{"together": true, "later": false} {
		t.Run(name, func(t *testing.T) {
			l := startClaimed(t, awssim.Options{})
			s := newSite(t)
			head := s.service("head", external, with("name", "front", "ip-address-type", "dualstack"))
			other := s.service("other", external, with("name", "front"), ports(udp("dns", 53, 30053)))
			l.add(t, head)
			l.add(t, other)
			if !together {
				l.must(t, -1, provider.Serve, provider.Edit, head)
			}
			d, _, err := l.pass(t, provider.Serve, provider.Edit, head, other)
			refused := d.Refused[keyOf(other)]
			if err != nil || len(d.Refused) != 1 || refused == nil || !strings.Contains(refused.Error(), "ip-address-type of Service default/head") {
				t.Fatalf("%v, refused: %v", err, d.Refused)
			}
			with("ip-address-type", "ipv4")(head)
			l.must(t, -1, provider.Serve, provider.Edit, head)
			l.must(t, -1, provider.Serve, provider.Edit, head, other)
			with("ip-address-type", "dualstack")(head)
			d, _, err = l.pass(t, provider.Serve, provider.Edit, head, other)
			refused = d.Refused[keyOf(head)]
			if err != nil || len(d.Refused) != 1 || refused == nil || !strings.Contains(refused.Error(), "port 53 of Service default/other is UDP") {
				t.Errorf("%v, refused: %v", err, d.Refused)
			}
		})
	}
}

// Nothing answers by IPv4 for a Service of IPv6 alone: no load balancer of the
// peer's forms is made for it, and what the peer made stays as it is.
func TestAServiceOfIPv6AloneGetsNoLoadBalancerByIPv4(t *testing.T) {
	for name, form := range map[string]func(*v1.Service){"nlb": with("type", "nlb"), "classic": without("type")} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			svc := s.service("web", form)
			six := func(svc *v1.Service) { svc.Spec.IPFamilies = []v1.IPFamily{v1.IPv6Protocol} }
			six(svc)
			got := text(t, s.compute(s.all(provider.Serve, provider.Edit)))
			if want := "refused default/web: spec.ipFamilies is IPv6 alone"; !strings.HasPrefix(got, nothing) || !strings.Contains(got, want) {
				t.Errorf("got\n%s\nwant no step, and %s", got, want)
			}
			svc.Spec.IPFamilies = []v1.IPFamily{v1.IPv6Protocol, v1.IPv4Protocol}
			s.settle(t, s.all(provider.Serve, provider.Edit))
			s.adopted()
			six(svc)
			for _, cause := range []provider.Cause{provider.Resync, provider.Edit} {
				r := s.compute(s.all(provider.Serve, cause))
				if got := text(t, r); len(r.Steps)+len(r.Refused) > 0 || !strings.Contains(got, "spec.ipFamilies is IPv6 alone") {
					t.Errorf("cause %d:\n%s", cause, got)
				}
			}
		})
	}
}

// EC2 writes ranges of IPv6 as it likes: rules for those of subnets are made once.
func TestRangesThatAreWrittenInAnotherWayAreTheSame(t *testing.T) {
	l := startClaimed(t, awssim.Options{})
	svc := newSite(t).service("web", external, with("ip-address-type", "dualstack", "disable-nlb-sg", "true", "scheme", "internet-facing"), sourceRanges("192.0.2.0/24", "2001:db8::/32"), families(v1.IPv6Protocol))
	l.add(t, svc)
	l.must(t, -1, provider.Serve, provider.Edit, svc)
	for _, cause := range []provider.Cause{provider.Edit, provider.Drift} {
		l.restart(t)
		l.must(t, 0, provider.Serve, cause, svc)
	}
	before := string(l.cloud.State())
	if !strings.Contains(before, "2600:1f18:1000:") {
		t.Error("no rule has the range of a subnet")
	}
	l.must(t, -1, provider.Remove, provider.Edit, svc)
	for key, n := range l.cloud.Counts().Failed {
		t.Errorf("%s failed %d times", key, n)
	}
}

// A load balancer of both families that has UDP, from the AWS Load Balancer
// Controller, may get more of it.
func TestUDPOnBothFamiliesWithSourceNATStays(t *testing.T) {
	s := newSite(t)
	claimed(&s.settings)
	svc := s.service("web", external, with("ip-address-type", "ipv4"), ports(udp("dns", 53, 30053)))
	s.settle(t, s.all(provider.Serve, provider.Edit))
	for arn, lb := range maps.Clone(s.observed.Networks) {
		with := *lb
		with.IpAddressType, with.EnablePrefixForIpv6SourceNat = elbv2types.IpAddressTypeDualstack, elbv2types.EnablePrefixForIpv6SourceNatEnumOn
		s.observed.Networks[arn] = &with
	}
	s.adopted()
	with("ip-address-type", "dualstack", "enable-prefix-for-ipv6-source-nat", "on")(svc)
	if r := s.compute(s.all(provider.Serve, provider.Resync)); len(r.Refused) > 0 {
		t.Error(text(t, r))
	}
	svc.Spec.Ports = append(svc.Spec.Ports, udp("more", 54, 30054))
	s.settle(t, s.all(provider.Serve, provider.Edit))
	if !keeps(s, 54) {
		t.Error("the new port is not served")
	}
}

// keeps reports whether a load balancer has a listener on the port.
func keeps(s *site, port int32) bool {
	for _, lb := range s.observed.Networks {
		for i := range lb.Listeners {
			if *lb.Listeners[i].Port == port {
				return true
			}
		}
	}
	return false
}
