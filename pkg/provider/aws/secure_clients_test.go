// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"slices"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// letIn is what the groups with the prefix of a name let in: protocol, port and
// range or prefix list.
func (s *site) letIn(prefix string) []string {
	var out []string
	for _, g := range s.observed.Groups {
		if !strings.HasPrefix(awssdk.ToString(g.GroupName), prefix) {
			continue
		}
		for _, p := range g.IpPermissions {
			for _, r := range p.IpRanges {
				out = append(out, awssdk.ToString(r.CidrIp))
			}
			for _, l := range p.PrefixListIds {
				out = append(out, awssdk.ToString(l.PrefixListId))
			}
		}
	}
	slices.Sort(out)
	return out
}

// adopted makes what is there a peer's.
func (s *site) adopted() {
	for _, lb := range s.observed.Networks {
		delete(lb.Tags, names.TagMade)
	}
}

func TestPrefixListsRestrictTheClients(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*v1.Service)
		want   []string
	}{
		{"lists alone", func(*v1.Service) {}, []string{"pl-1", "pl-2"}},
		{"lists and ranges", sourceRanges("192.0.2.0/24"), []string{"192.0.2.0/24", "pl-1", "pl-2"}},
		{"with the messages of path MTU discovery", with("enable-icmp-for-path-mtu-discovery", "on"), []string{"pl-1", "pl-2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			claimed(&s.settings)
			s.service("web", external, with("security-group-prefix-lists", "pl-1,pl-2"), c.change)
			s.settle(t, s.all(provider.Serve, provider.Edit))
			if diff := cmp.Diff(c.want, s.letIn("k8s-")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			s.adopted()
			if got := text(t, s.compute(s.all(provider.Serve, provider.Resync))); !strings.HasPrefix(got, nothing) {
				t.Errorf("adopted: %s", got)
			}
		})
	}
}

// Without a group the nodes let the clients in.
func TestPrefixListsRestrictTheClientsAtTheNodes(t *testing.T) {
	s := newSite(t)
	claimed(&s.settings)
	before := s.letIn("")
	s.service("web", external, with("security-group-prefix-lists", "pl-1", "disable-nlb-sg", "true"))
	s.settle(t, s.all(provider.Serve, provider.Edit))
	after := s.letIn("")
	if !slices.Contains(after, "pl-1") || slices.Contains(after, "0.0.0.0/0") != slices.Contains(before, "0.0.0.0/0") {
		t.Errorf("the nodes let in %v, before %v", after, before)
	}
	s.settle(t, s.all(provider.Remove, provider.Edit))
	s.empty(t)
}

// A list that is taken out of the annotation is let in no more. What a peer left
// stays until the Service is edited.
func TestPrefixListsThatAreTakenAwayGo(t *testing.T) {
	s := newSite(t)
	claimed(&s.settings)
	svc := s.service("web", external, with("security-group-prefix-lists", "pl-1,pl-2"))
	s.settle(t, s.all(provider.Serve, provider.Edit))
	with("security-group-prefix-lists", "pl-1")(svc)
	s.adopted()
	if got := text(t, s.compute(s.all(provider.Serve, provider.Resync))); !strings.HasPrefix(got, nothing) {
		t.Errorf("adopted: %s", got)
	}
	s.settle(t, s.all(provider.Serve, provider.Edit))
	if diff := cmp.Diff([]string{"pl-1"}, s.letIn("k8s-")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
