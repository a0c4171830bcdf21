// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider"
)

// TestAddressesThatCannotBeDoNotStopWhatIsThere: the peer reads addresses when
// it makes a load balancer, so each edit is served, and nothing moves.
func TestAddressesThatCannotBeDoNotStopWhatIsThere(t *testing.T) {
	for name, change := range map[string][]func(*v1.Service){
		"internal with elastic IPs":        {with("internal", "true", "eip-allocations", "eipalloc-1,eipalloc-2,eipalloc-3")},
		"public with private addresses":    {with("private-ipv4-addresses", "10.0.96.9,10.0.112.9,10.0.128.9")},
		"fewer elastic IPs than named":     {with("subnets", "public-us-east-1b,public-us-east-1a", "eip-allocations", "eipalloc-1")},
		"fewer elastic IPs than are found": {with("eip-allocations", "eipalloc-1")},
		"no elastic IP":                    {with("eip-allocations", "192.0.2.1")},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, nil)
			svc := p.service("web")
			p.keep(svc)
			p.ensure(svc)
			for _, f := range change {
				f(svc)
			}
			svc.Spec.Ports = append(svc.Spec.Ports, tcp("more", 8443, 30843))
			for _, cause := range []provider.Cause{provider.Edit, provider.Resync} {
				r := p.compute(p.all(provider.Serve, cause))
				got := text(t, r)
				if len(r.Refused) > 0 || !strings.Contains(got, "8443") {
					t.Errorf("cause %d: the new port is not served:\n%s", cause, got)
				}
				if strings.Contains(got, "to replace") || strings.Contains(got, "aws/loadBalancerSubnets") {
					t.Errorf("cause %d: it moves:\n%s", cause, got)
				}
			}
		})
	}
}

// TestALoadBalancerIsNotMadeWithoutTheAddressesThatWereAskedFor has one that was
// deleted by hand, of which the status still tells.
func TestALoadBalancerIsNotMadeWithoutTheAddressesThatWereAskedFor(t *testing.T) {
	p := newPeer(t, nil)
	svc := p.service("web", with("eip-allocations", "192.0.2.1"), shown)
	p.keep(svc)
	r := p.compute(p.all(provider.Serve, provider.Resync))
	got := text(t, r)
	if want := "cannot be; correct it, as it would be made with other addresses"; len(r.Steps) > 0 || !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant ... %s", got, want)
	}
}

// TestAsManyTagsAsThePeerServes: its own two and 48 of the user are all that AWS
// allows; ours is left out.
func TestAsManyTagsAsThePeerServes(t *testing.T) {
	for name, change := range map[string]func(*v1.Service){"a network load balancer": func(*v1.Service) {}, "a classic one": classic} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.service("web", change, with("additional-resource-tags", manyTags(48)))
			s.settle(t, s.all(provider.Serve, provider.Edit))
			if n := len(s.observed.Networks) + len(s.observed.Classics); n != 1 {
				t.Errorf("%d load balancers", n)
			}
			s.settle(t, s.all(provider.Remove, provider.Edit))
			s.empty(t)
		})
	}
}
