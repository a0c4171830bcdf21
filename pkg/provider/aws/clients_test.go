// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
)

// TestClientsThatAreNotLetIn tells of ranges of clients that do nothing, or let
// nobody in; without the load balancer's name.
func TestClientsThatAreNotLetIn(t *testing.T) {
	const (
		judged = `spec.loadBalancerSourceRanges has no effect: annotation security-groups names the security groups of load balancer NAME, whose rules are left alone; let the clients in there, and remove it`
		six    = `spec.loadBalancerSourceRanges has IPv6 ranges alone, and load balancer NAME has IPv4 addresses alone, so that nobody can connect; add IPv4 ranges`
		dual   = `, or set annotation ip-address-type to dualstack`
	)
	given, four, v6 := with("security-groups", extraGroup), sourceRanges("10.0.0.0/8"), sourceRanges("2001:db8::/32")
	for name, tt := range map[string]struct {
		settings func(*aws.Settings)
		changes  []func(*v1.Service)
		want     []string
	}{
		"given groups of external":      {nil, []func(*v1.Service){external, given, four}, []string{judged}},
		"given groups of nlb":           {managed, []func(*v1.Service){given, four}, []string{judged}},
		"given groups of a classic one": {nil, []func(*v1.Service){classic, given, four}, []string{judged}},
		"the group of the cloud-config": {func(s *aws.Settings) { s.ClassicGroup = extraGroup }, []func(*v1.Service){classic, four}, []string{strings.Replace(judged, "annotation security-groups", "elbSecurityGroup of the cloud-config", 1)}},
		"by annotation": {nil, []func(*v1.Service){external, given, func(svc *v1.Service) {
			svc.Annotations[v1.AnnotationLoadBalancerSourceRangesKey] = "10.0.0.0/8"
		}}, []string{strings.Replace(judged, "spec.loadBalancerSourceRanges", "annotation "+v1.AnnotationLoadBalancerSourceRangesKey, 1)}},
		"by the other annotation": {nil, []func(*v1.Service){external, given, func(svc *v1.Service) {
			svc.Annotations["service.kubernetes.io/load-balancer-source-ranges"] = "10.0.0.0/8"
		}}, []string{strings.Replace(judged, "spec.loadBalancerSourceRanges", "annotation service.kubernetes.io/load-balancer-source-ranges", 1)}},
		"given groups alone":             {nil, []func(*v1.Service){external, given}, nil},
		"a group of its own":             {nil, []func(*v1.Service){external, four}, nil},
		"IPv6 alone on external":         {nil, []func(*v1.Service){external, v6}, []string{six + dual}},
		"IPv6 alone on nlb":              {nil, []func(*v1.Service){v6}, []string{six}},
		"IPv6 alone on a classic one":    {nil, []func(*v1.Service){classic, v6}, []string{six}},
		"IPv6 and IPv4":                  {nil, []func(*v1.Service){sourceRanges("2001:db8::/32", "10.0.0.0/8")}, nil},
		"IPv6 beside prefix lists":       {nil, []func(*v1.Service){external, v6, with("security-group-prefix-lists", "pl-1")}, nil},
		"IPv6 on one with both families": {nil, []func(*v1.Service){external, v6, with("ip-address-type", "dualstack")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			claimed(&s.settings)
			s.withIPv6()
			if tt.settings != nil {
				tt.settings(&s.settings)
			}
			svc := s.service("web", tt.changes...)
			for _, when := range []string{"new", "there"} {
				got := s.warnings(provider.Edit)
				for i, text := range got {
					before, after, found := strings.Cut(text, "load balancer ")
					if found {
						got[i] = before + "load balancer NAME" + after[strings.IndexAny(after, " ,"):]
					}
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("%s: got\n%s\nwant\n%s", when, strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
				}
				s.settle(t, s.all(provider.Serve, provider.Edit))
				shown(svc)
			}
		})
	}
}

// TestClientsOfALoadBalancerThatIsFoundWithBothFamilies: what is there counts.
func TestClientsOfALoadBalancerThatIsFoundWithBothFamilies(t *testing.T) {
	s := newSite(t)
	claimed(&s.settings)
	s.withIPv6()
	svc := s.service("web", external, sourceRanges("2001:db8::/32"), with("ip-address-type", "dualstack"))
	s.settle(t, s.all(provider.Serve, provider.Edit))
	without("ip-address-type")(svc)
	if got := s.warnings(provider.Edit); len(got) > 0 {
		t.Errorf("got %q", got)
	}
}

// TestAPortOfBothProtocolsIsSaidToHaveNoTLS with and without a list of the ports.
func TestAPortOfBothProtocolsIsSaidToHaveNoTLS(t *testing.T) {
	const without, name = "port 853 is UDP too, so it is served without TLS; ", "give UDP another port, or name the ports with TLS in annotation ssl-ports"
	for listed, want := range map[string]string{"": name, "*": name, "853": "leave it out of annotation ssl-ports"} {
		s := newSite(t)
		claimed(&s.settings)
		svc := s.service("dns", external, with("ssl-cert", certificates), ports(tcp("tls", 853, 30853), udp("quic", 853, 30853)))
		if listed != "" {
			with("ssl-ports", listed)(svc)
		}
		if got := s.warnings(provider.Edit); !slices.Equal(got, []string{without + want}) {
			t.Errorf("%q: got %q", listed, got)
		}
	}
}

// TestATypeThatNobodyKnowsIsToldOnce: it counts as none for a new Service, and is
// refused where a network load balancer serves.
func TestATypeThatNobodyKnowsIsToldOnce(t *testing.T) {
	s := newSite(t)
	s.service("web", with("type", "NLB"))
	if got := s.warnings(provider.Edit); !slices.Equal(got, []string{`annotation type is "NLB", but must be exactly one of nlb, external, nlb-ip; it counts as not set`}) {
		t.Errorf("new: got %q", got)
	}
	s = newSite(t)
	svc := s.service("web")
	s.settle(t, s.all(provider.Serve, provider.Edit))
	shown(svc)
	with("type", "NLB")(svc)
	want := `refused: a load balancer of type nlb serves, but annotation type is "NLB", which asks for a classic one, with which the address would go; write nlb, or make a new Service`
	if got := s.warnings(provider.Edit); !slices.Equal(got, []string{want}) {
		t.Errorf("served: got %q", got)
	}
}
