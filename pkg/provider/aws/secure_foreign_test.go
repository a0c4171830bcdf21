// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// users is a security group of a user, with rules.
func (s *site) users(id string, tags []tag, rules ...ec2types.IpPermission) {
	s.observed.Groups[id] = &ec2types.SecurityGroup{GroupId: awssdk.String(id), GroupName: awssdk.String("user " + id), VpcId: awssdk.String(s.settings.VPC), Tags: tags, IpPermissions: rules}
}

// shared is the id of the group that network load balancers share.
func (s *site) shared(t *testing.T) string {
	t.Helper()
	for id, g := range s.observed.Groups {
		if strings.HasPrefix(awssdk.ToString(g.GroupName), "fairlead-traffic") {
			return id
		}
	}
	t.Fatal("no shared group")
	return ""
}

// A user may let the shared group in elsewhere: with rules of their own, which
// nothing that happens to Services widens, narrows or takes away.
func TestUsersRulesFromTheSharedGroupAreLeftAlone(t *testing.T) {
	for name, tags := range map[string][]tag{
		"no tags": nil, "the cluster's tag": {{Key: awssdk.String("kubernetes.io/cluster/rig"), Value: awssdk.String("shared")}},
	} {
		for what, change := range map[string]func(*testing.T, *site){
			"one goes": func(t *testing.T, s *site) { t.Helper(); s.remove(t, 0) },
			"one is edited": func(t *testing.T, s *site) {
				t.Helper()
				ports(tcp("http", 80, 30999))(s.services[0])
				s.settle(t, s.one(0, provider.Serve, provider.Edit))
			},
			"one comes": func(t *testing.T, s *site) {
				t.Helper()
				s.service("c")
				s.settle(t, s.one(2, provider.Serve, provider.Edit))
			},
			"all go": func(t *testing.T, s *site) {
				t.Helper()
				s.remove(t, 0)
				b := s.one(0, provider.Remove, provider.Edit)
				if got := s.settle(t, b); !strings.Contains(got, "sg-db") || s.observed.Groups[s.shared(t)] == nil {
					t.Errorf("the shared group is in use, and that is to be told:\n%s", got)
				}
			},
		} {
			t.Run(name+", "+what, func(t *testing.T) {
				s := newSite(t)
				managed(&s.settings)
				s.service("a")
				s.service("b")
				s.settle(t, s.all(provider.Serve, provider.Edit))
				shared := s.shared(t)
				s.users("sg-db", tags, fromSource("tcp", 5432, shared, "NLBs to the database proxy"), fromSource("tcp", 30080, shared, ""))
				// In the nodes' group, too.
				s.foreign(fromSource("tcp", 9100, shared, "metrics"))
				before := sources(s.observed.Groups["sg-db"])
				change(t, s)
				if diff := cmp.Diff(before, sources(s.observed.Groups["sg-db"])); diff != "" {
					t.Errorf("-before +after:\n%s", diff)
				}
				if !slices.Contains(s.rules(), "tcp 9100-9100 "+shared+" metrics") {
					t.Errorf("the rule for metrics is gone: %v", s.rules())
				}
			})
		}
	}
}

// A group that guarded nodes once keeps of our rules what load balancers may
// need there, and loses the rest.
func TestFormerGroupsOfNodesAreNotWidened(t *testing.T) {
	s := newSite(t)
	managed(&s.settings)
	s.service("a")
	s.service("b", ports(tcp("far", 80, 31900)))
	s.settle(t, s.all(provider.Serve, provider.Edit))
	shared := s.shared(t)
	s.users("sg-old", nil, fromSource("tcp", 31900, shared, names.BackendRule), fromSource("tcp", 20000, shared, names.BackendRule))
	ports(tcp("http", 80, 30999))(s.services[0])
	s.settle(t, s.one(0, provider.Serve, provider.Edit))
	want := []string{fmt.Sprintf("tcp 31900-31900 %s %s", shared, names.BackendRule)}
	if diff := cmp.Diff(want, sources(s.observed.Groups["sg-old"])); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	s.remove(t, 0)
	s.remove(t, 0)
	if left := sources(s.observed.Groups["sg-old"]); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// What a user lets in from a Service's own group is theirs, as for the peer,
// which looks at the nodes' groups alone.
func TestUsersRulesFromAnOwnGroupAreLeftAlone(t *testing.T) {
	for name, form := range map[string][]func(*v1.Service){"nlb": nil, "classic": {without("type")}} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			managed(&s.settings)
			s.service("web", form...)
			s.settle(t, s.all(provider.Serve, provider.Edit))
			var own string
			for id, g := range s.observed.Groups {
				if id != nodesGroup && strings.HasPrefix(awssdk.ToString(g.GroupName), "k8s-") {
					own = id
				}
			}
			if own == "" {
				t.Fatal("no group of its own")
			}
			s.users("sg-db", nil, fromSource("tcp", 5432, own, "the web's database"))
			r := s.compute(s.all(provider.Remove, provider.Edit))
			for target := range r.Writes {
				if target.Name == "sg-db" {
					t.Errorf("%s is written:\n%s", target, text(t, r))
				}
			}
			if !strings.Contains(text(t, r), nodesGroup) && name == "classic" {
				t.Errorf("the nodes' own rule stays:\n%s", text(t, r))
			}
		})
	}
}
