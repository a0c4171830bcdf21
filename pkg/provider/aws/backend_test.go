// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead/fairlead/pkg/provider"
)

// backendRules are the rules of the nodes that let the shared group in, without
// its id.
func (s *site) backendRules() []string {
	var out []string
	for _, r := range s.rules() {
		if head, ok := strings.CutSuffix(r, " fairlead.dev/rule/nlb=shared"); ok {
			out = append(out, head[:strings.LastIndexByte(head, ' ')])
		}
	}
	return out
}

func TestOneRuleLetsManyLoadBalancersIn(t *testing.T) {
	s := newSite(t)
	managed(&s.settings)
	const n = 70 // more than a group has rules
	for i := range n {
		s.service(fmt.Sprint("web", i))
	}
	s.settle(t, s.all(provider.Serve, provider.Edit))
	if diff := cmp.Diff([]string{"tcp 30080-30149"}, s.backendRules()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	// One more within the range needs no rule; one outside widens it, and what
	// is far away has a rule of its own.
	s.service("inside", ports(tcp("a", 80, 30100)))
	if got := s.settle(t, s.one(n, provider.Serve, provider.Edit)); strings.Contains(got, "nodeSecurityGroup") {
		t.Error(got)
	}
	s.service("outside", ports(tcp("a", 80, 31000), udp("b", 53, 31001)))
	s.settle(t, s.one(n+1, provider.Serve, provider.Edit))
	if diff := cmp.Diff([]string{"tcp 10256-10256", "tcp 30080-31000", "udp 31001-31001"}, s.backendRules()); diff != "" {
		t.Errorf("widened: -want +got:\n%s", diff)
	}
	if got := text(t, s.compute(s.all(provider.Serve, provider.Resync))); got != nothing {
		t.Error(got)
	}
	// All but one go, one after the other and together.
	s.remove(t, n+1)
	if diff := cmp.Diff([]string{"tcp 30080-30149"}, s.backendRules()); diff != "" {
		t.Errorf("narrowed: -want +got:\n%s", diff)
	}
	b := s.all(provider.Remove, provider.Edit)
	b.Items = b.Items[1:]
	s.settle(t, b)
	s.services, s.observed.Services = s.services[:1], s.services[:1]
	if got := text(t, s.compute(s.all(provider.Serve, provider.Resync))); got != nothing {
		t.Error(got)
	}
	s.remove(t, 0)
	s.empty(t)
}

func TestPeersRulesStayBesideTheSharedGroup(t *testing.T) {
	s := load(t, "nlb-managed-group")
	s.service("new")
	s.settle(t, s.one(1, provider.Serve, provider.Edit))
	if got := text(t, s.compute(s.all(provider.Serve, provider.Resync))); got != nothing {
		t.Error(got)
	}
	s.remove(t, 0)
	s.remove(t, 0)
	s.empty(t)
}
