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
	"github.com/fairlead/fairlead/pkg/provider/aws"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

func TestFamiliesAreCountedApartAtTheNodes(t *testing.T) {
	s := newSite(t)
	var list []ec2types.IpPermission
	for i := range 40 {
		list = append(list, fromRange("tcp", int32(100+i), "192.0.2.0/24", ""))
	}
	for i := range 18 {
		list = append(list, ec2types.IpPermission{
			IpProtocol: awssdk.String("tcp"), FromPort: awssdk.Int32(int32(200 + i)), ToPort: awssdk.Int32(int32(200 + i)),
			Ipv6Ranges: []ec2types.Ipv6Range{{CidrIpv6: awssdk.String("2001:db8::/64")}},
		})
	}
	s.foreign(list...)
	s.service("web")
	if got := s.settle(t, s.all(provider.Serve, provider.Edit)); strings.Contains(got, "refused") {
		t.Error(got)
	}
}

// A node whose security group nobody knows keeps nothing open that the Service
// does not want anywhere.
func TestRangesNarrowThoughANodeIsNotKnown(t *testing.T) {
	s := newSite(t)
	svc := s.service("web")
	s.settle(t, s.all(provider.Serve, provider.Edit))
	for id := range s.observed.Instances {
		delete(s.observed.Instances, id)
		break
	}
	sourceRanges("10.0.0.0/8")(svc)
	s.settle(t, s.all(provider.Serve, provider.Edit))
	var got []string
	for _, r := range s.rules() {
		if strings.Contains(r, names.ClientRule("")) {
			got = append(got, strings.Fields(r)[2])
		}
	}
	if diff := cmp.Diff([]string{"10.0.0.0/8"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	// What it wants stays in a group that is not known to guard nodes.
	before := s.rules()
	clear(s.observed.Instances)
	s.settle(t, s.all(provider.Serve, provider.Edit))
	if diff := cmp.Diff(before, s.rules()); diff != "" {
		t.Errorf("-before +after:\n%s", diff)
	}
}

func TestGivenGroupsAreLetInByTheAnnotationAlone(t *testing.T) {
	for _, manage := range []string{"false", "true"} {
		s := newSite(t)
		claimed(&s.settings)
		before := s.rules()
		s.service("web", external, with("security-groups", "sg-c79d4313baf0217ab", "manage-backend-security-group-rules", manage))
		s.settle(t, s.all(provider.Serve, provider.Edit))
		if same := slices.Equal(before, s.rules()); same != (manage == "false") {
			t.Errorf("manage %s: rules %v", manage, s.rules())
		}
		s.settle(t, s.all(provider.Remove, provider.Edit))
		s.empty(t)
	}
}

func TestNoRulesAtTheNodesWhereTheAnnotationForbidsThem(t *testing.T) {
	for _, manage := range []string{"false", "true"} {
		s := newSite(t)
		claimed(&s.settings)
		before := s.rules()
		s.service("web", external, with("disable-nlb-sg", "true", "manage-backend-security-group-rules", manage))
		for _, cause := range []provider.Cause{provider.Edit, provider.Resync} {
			s.settle(t, s.all(provider.Serve, cause))
			if same := slices.Equal(before, s.rules()); same != (manage == "false") {
				t.Errorf("manage %s, cause %d: rules %v", manage, cause, s.rules())
			}
		}
		s.settle(t, s.all(provider.Remove, provider.Edit))
		s.empty(t)
	}
}

// Health checks of addresses of IPv6 come from the subnets' prefixes of IPv6.
func TestHealthChecksOverIPv6AreLetIn(t *testing.T) {
	for _, c := range []struct {
		clients string
		want    int
	}{{"2001:db8:1::/48", 3}, {"::/0", 0}} {
		s := newSite(t)
		claimed(&s.settings)
		for i := range s.observed.Subnets {
			s.observed.Subnets[i].Ipv6CidrBlockAssociationSet = []ec2types.SubnetIpv6CidrBlockAssociation{{
				Ipv6CidrBlock: awssdk.String(fmt.Sprintf("2001:db8:0:%d::/64", i)), Ipv6CidrBlockState: &ec2types.SubnetCidrBlockState{State: ec2types.SubnetCidrBlockStateCodeAssociated},
			}}
		}
		s.service("web", external, sourceRanges(c.clients), with("ip-address-type", "dualstack", "disable-nlb-sg", "true"), func(svc *v1.Service) {
			svc.Spec.IPFamilies = []v1.IPFamily{v1.IPv6Protocol}
			svc.Annotations[annotation+"nlb-target-type"] = "ip"
			svc.Spec.Ports[0].TargetPort.IntVal = 8080
		})
		s.settle(t, s.all(provider.Serve, provider.Edit))
		var got int
		for _, p := range s.observed.Groups[nodesGroup].IpPermissions {
			for _, r := range p.Ipv6Ranges {
				if strings.HasPrefix(awssdk.ToString(r.Description), names.HealthRule("")) && awssdk.ToInt32(p.FromPort) == 8080 {
					got++
				}
			}
			for _, r := range p.IpRanges {
				if strings.HasPrefix(awssdk.ToString(r.Description), names.HealthRule("")) {
					t.Errorf("clients %s: health checks over IPv4 are let in", c.clients)
				}
			}
		}
		if got != c.want {
			t.Errorf("clients %s: health checks are let in from %d subnets, want %d", c.clients, got, c.want)
		}
		s.settle(t, s.all(provider.Remove, provider.Edit))
		s.empty(t)
	}
}

// rangesAt are the ranges of ports at which a security group lets the shared one
// in.
func (s *site) rangesAt(id string) []string {
	var out []string
	for _, r := range sources(s.observed.Groups[id]) {
		if strings.HasSuffix(r, names.BackendRule) {
			out = append(out, strings.Fields(r)[1])
		}
	}
	return out
}

// Ranges that load balancers share stay wide where a node may be whose security
// group is not known, and narrow once it is.
func TestSharedRangesNarrowOnceANodeIsKnown(t *testing.T) {
	for _, c := range []struct {
		peers string
		lost  bool // one group is never listed
	}{{}, {lost: true}, {peers: names.TagMade}, {names.TagMade, true}} {
		s, peers, lost := newSite(t), c.peers, c.lost
		managed(&s.settings)
		s.observed.Groups["sg-pool"] = &ec2types.SecurityGroup{GroupId: awssdk.String("sg-pool"), GroupName: awssdk.String("pool"), VpcId: awssdk.String(s.settings.VPC)}
		node, _ := names.InstanceID(s.nodes[0].Spec.ProviderID)
		s.observed.Instances[node].Groups = []string{"sg-pool"}
		s.service("web")
		svc := s.service("moves", ports(tcp("a", 80, 31000)))
		s.settle(t, s.all(provider.Serve, provider.Edit))
		for _, lb := range s.observed.Networks {
			delete(lb.Tags, peers)
		}
		svc.Spec.Ports[0].NodePort = 30090
		was := s.observed.Instances[node]
		look := func(what, want string, cause provider.Cause) {
			t.Helper()
			s.settle(t, s.all(provider.Serve, cause))
			if got := strings.Join(s.rangesAt("sg-pool"), ", "); got != want {
				t.Errorf("without tag %q, %s: %s, want %s", peers, what, got, want)
			}
		}
		delete(s.observed.Instances, node)
		look("the node is not listed", "30080-31000", provider.Edit)
		s.observed.Instances[node] = &aws.Instance{ID: node, VPC: was.VPC, Groups: []string{"sg-pool", "sg-new"}}
		look("a group of it is not", "30080-31000", provider.Nodes)
		if !lost {
			s.observed.Instances[node] = was
		}
		s.observed.Lost = map[string]bool{"sg-new": true}
		look("all is, or nobody waits for it", "30080-30090", provider.Nodes)
		if got := strings.Join(s.rangesAt(nodesGroup), ", "); got != "30080-30090" {
			t.Errorf("without tag %q, the other group: %s", peers, got)
		}
	}
}

// A new Service gets rules at a node of which one security group is not listed:
// where another one is known to have the tag of the cluster, at once; else when
// nobody waits for it any more.
func TestNewServicesGetRulesThoughAGroupIsNotListed(t *testing.T) {
	for name, c := range map[string]struct {
		groups []string
		lost   []string
		at     string // the group that gets rules; empty: none
		told   bool
	}{
		"one has the tag":                     {[]string{nodesGroup, "sg-hidden"}, nil, nodesGroup, false},
		"one has the tag, one is lost":        {[]string{"sg-hidden", nodesGroup}, []string{"sg-hidden"}, nodesGroup, false},
		"one has no tag":                      {[]string{"sg-pool", "sg-hidden"}, nil, "", false},
		"one has no tag, one is lost":         {[]string{"sg-hidden", "sg-pool"}, []string{"sg-hidden"}, "sg-pool", true},
		"one has no tag, one of two is lost":  {[]string{"sg-hidden", "sg-late", "sg-pool"}, []string{"sg-hidden"}, "", true},
		"the only one is lost":                {[]string{"sg-hidden"}, []string{"sg-hidden"}, "", true},
		"the only one is not listed for long": {[]string{"sg-hidden"}, nil, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.observed.Groups["sg-pool"] = &ec2types.SecurityGroup{GroupId: awssdk.String("sg-pool"), GroupName: awssdk.String("pool"), VpcId: awssdk.String(s.settings.VPC)}
			for _, i := range s.observed.Instances {
				i.Groups = c.groups
			}
			s.observed.Lost = map[string]bool{}
			for _, id := range c.lost {
				s.observed.Lost[id] = true
			}
			s.service("web")
			before := map[string]int{}
			for id, g := range s.observed.Groups {
				before[id] = len(g.IpPermissions)
			}
			told := s.settle(t, s.all(provider.Serve, provider.Edit))
			for _, id := range []string{nodesGroup, "sg-pool"} {
				if got := len(s.observed.Groups[id].IpPermissions) > before[id]; got != (id == c.at) {
					t.Errorf("%s gets rules: %t", id, got)
				}
			}
			if got := strings.Contains(told, "EC2 has not listed"); got != c.told {
				t.Errorf("the user is told:\n%s", told)
			}
		})
	}
}
