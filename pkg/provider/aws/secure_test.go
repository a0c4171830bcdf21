// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

const mtu = "icmp 3-4 0.0.0.0/0 kubernetes.io/rule/nlb/mtu"

// deleted lets a user delete Services.
func (s *site) deleted(list ...int) {
	for _, i := range list {
		s.services[i].DeletionTimestamp = &metav1.Time{}
	}
}

func TestTwoDeletedAtOnceLeaveNoRuleForPathMTU(t *testing.T) {
	for name, remove := range map[string]func(*testing.T, *site){
		"in one pass": func(t *testing.T, s *site) {
			t.Helper()
			s.settle(t, s.all(provider.Remove, provider.Edit))
		},
		"in passes that overlap": func(t *testing.T, s *site) {
			t.Helper()
			first := s.begin(t, s.one(0, provider.Remove, provider.Edit))
			s.settle(t, s.one(1, provider.Remove, provider.Edit))
			first.end(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.service("a")
			s.service("b")
			s.settle(t, s.all(provider.Serve, provider.Edit))
			s.deleted(0, 1)
			remove(t, s)
			s.empty(t)
		})
	}
}

// foreign is what another cluster has in the nodes' group.
func (s *site) foreign(list ...ec2types.IpPermission) {
	g := *s.observed.Groups[nodesGroup]
	g.IpPermissions = append(slices.Clone(g.IpPermissions), list...)
	s.observed.Groups[nodesGroup] = &g
}

func fromRange(protocol string, port int32, cidr, text string) ec2types.IpPermission {
	return ec2types.IpPermission{IpProtocol: awssdk.String(protocol), FromPort: awssdk.Int32(port), ToPort: awssdk.Int32(port), IpRanges: []ec2types.IpRange{{CidrIp: awssdk.String(cidr), Description: awssdk.String(text)}}}
}

func fromSource(protocol string, port int32, id, text string) ec2types.IpPermission {
	return ec2types.IpPermission{IpProtocol: awssdk.String(protocol), FromPort: awssdk.Int32(port), ToPort: awssdk.Int32(port), UserIdGroupPairs: []ec2types.UserIdGroupPair{{GroupId: awssdk.String(id), Description: awssdk.String(text)}}}
}

func mtuFrom(cidr string) ec2types.IpPermission {
	p := fromRange("icmp", 3, cidr, names.MTURule)
	p.ToPort = awssdk.Int32(4)
	return p
}

// A rule for path MTU discovery says not whose it is.
func TestRulesForPathMTUOfAnotherClusterStay(t *testing.T) {
	for _, c := range []struct {
		name    string
		foreign []ec2types.IpPermission
		stay    []string // ranges
	}{
		{"nobody else is there", []ec2types.IpPermission{mtuFrom("192.0.2.0/24")}, nil},
		{"clients of another's", []ec2types.IpPermission{mtuFrom("192.0.2.0/24"), mtuFrom("198.51.100.0/24"), fromRange("tcp", 31000, "192.0.2.0/24", names.ClientRule("another"))}, []string{"192.0.2.0/24"}},
		{"the same clients", []ec2types.IpPermission{fromRange("tcp", 31000, "0.0.0.0/0", names.ClientRule("another"))}, []string{"0.0.0.0/0"}},
		{"another's shared group", []ec2types.IpPermission{mtuFrom("192.0.2.0/24"), fromSource("tcp", 31000, "sg-another", names.BackendRule)}, []string{"0.0.0.0/0", "192.0.2.0/24"}},
		{"another's given group", []ec2types.IpPermission{mtuFrom("192.0.2.0/24"), fromSource("tcp", 31000, "sg-another", names.GroupRule("another"))}, []string{"0.0.0.0/0", "192.0.2.0/24"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			s.service("web")
			s.settle(t, s.all(provider.Serve, provider.Edit))
			s.foreign(c.foreign...)
			s.remove(t, 0)
			var stay []string
			for _, r := range s.rules() {
				if rest, ok := strings.CutPrefix(r, "icmp 3-4 "); ok {
					cidr, _, _ := strings.Cut(rest, " ")
					stay = append(stay, cidr)
				}
			}
			if diff := cmp.Diff(c.stay, stay); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestGroupsOfOtherNodesAreLeftAlone(t *testing.T) {
	s := newSite(t)
	other := ec2types.SecurityGroup{GroupId: awssdk.String("sg-other"), GroupName: awssdk.String("nodes.other"), VpcId: awssdk.String(s.settings.VPC), IpPermissions: []ec2types.IpPermission{mtuFrom("0.0.0.0/0")}}
	s.observed.Groups["sg-other"] = &other
	s.service("web")
	s.settle(t, s.all(provider.Serve, provider.Edit))
	s.remove(t, 0)
	if diff := cmp.Diff([]string{mtu}, sources(s.observed.Groups["sg-other"])); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A load balancer of another cluster with the same port of health checks holds a
// rule where it has its own, and nowhere else.
func TestHealthRulesOfAnotherClusterStay(t *testing.T) {
	for _, shared := range []bool{true, false} {
		s := newSite(t)
		s.settings.Probes = aws.SharedProbe
		s.service("web")
		s.settle(t, s.all(provider.Serve, provider.Edit))
		for _, lb := range maps.Clone(s.observed.Networks) {
			theirs := *lb
			theirs.LoadBalancerArn, theirs.LoadBalancerName, theirs.Tags = awssdk.String("theirs"), awssdk.String("theirs"), nil
			s.observed.Networks["theirs"] = &theirs
		}
		for _, g := range maps.Clone(s.observed.TargetGroups) {
			theirs := *g
			theirs.TargetGroupArn, theirs.TargetGroupName, theirs.Tags, theirs.LoadBalancerArns = awssdk.String("group"), awssdk.String("group"), nil, []string{"theirs"}
			s.observed.TargetGroups["group"] = &theirs
		}
		if shared {
			s.foreign(fromRange("tcp", 31000, "0.0.0.0/0", names.ClientRule("theirs")))
		}
		s.remove(t, 0)
		var health int
		for _, r := range s.rules() {
			if strings.HasPrefix(r, "tcp 10256") && strings.HasSuffix(r, names.HealthRule("theirs")) {
				health++
			}
		}
		if want := map[bool]int{true: 3, false: 0}[shared]; health != want {
			t.Errorf("shared %t: %d rules for health checks, want %d: %v", shared, health, want, s.rules())
		}
	}
}

// checked gives a Service a port of health checks that others have too.
func checked(svc *v1.Service) { with("healthcheck-port", "31999")(svc) }

// Of two load balancers with one port of health checks one goes. The other's
// are let in still, whatever lets them in.
func TestSharedHealthPortOutlivesEither(t *testing.T) {
	bare := func(svc *v1.Service) { external(svc); with("disable-nlb-sg", "true")(svc) }
	nlb := func(*v1.Service) {}
	given := with("security-groups", "sg-c79d4313baf0217ab")
	for _, c := range []struct {
		name     string
		settings []func(*aws.Settings)
		a, b     func(*v1.Service)
	}{
		{"two without groups", nil, nlb, nlb},
		{"two behind the shared group", []func(*aws.Settings){managed}, nlb, nlb},
		{"one behind the shared group, one with a given one", []func(*aws.Settings){managed}, nlb, given},
		{"external without groups, and the peer's form", []func(*aws.Settings){claimed}, bare, nlb},
		{"external, and the peer's form", []func(*aws.Settings){claimed}, external, nlb},
		{"external, and the peer's form with groups", []func(*aws.Settings){claimed, managed}, external, nlb},
		{"external without groups, and the peer's form with groups", []func(*aws.Settings){claimed, managed}, bare, nlb},
	} {
		for first := range 2 {
			for _, together := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s, %d goes, made together %t", c.name, first, together), func(t *testing.T) {
					s := newSite(t)
					for _, f := range c.settings {
						f(&s.settings)
					}
					s.service("a", c.a, checked)
					s.service("b", c.b, checked)
					if together {
						s.settle(t, s.all(provider.Serve, provider.Edit))
					} else {
						s.settle(t, s.one(0, provider.Serve, provider.Edit))
						s.settle(t, s.one(1, provider.Serve, provider.Edit))
					}
					s.remove(t, first)
					alone := newSite(t)
					alone.settings, alone.serial = s.settings, 500
					alone.service("a", c.a, checked)
					alone.service("b", c.b, checked)
					alone.settle(t, alone.one(1-first, provider.Serve, provider.Edit))
					if diff := cmp.Diff(alone.plain(), s.plain()); diff != "" {
						t.Errorf("-had the other never been +got:\n%s", diff)
					}
					if got := text(t, s.compute(s.all(provider.Serve, provider.Resync))); !strings.HasPrefix(got, nothing) {
						t.Error(got)
					}
					s.remove(t, 0)
					s.empty(t)
				})
			}
		}
	}
}

// plain are the rules of the nodes with the names of groups in place of ids.
func (s *site) plain() []string {
	var out []string
	for _, r := range s.rules() {
		for id, g := range s.observed.Groups {
			r = strings.ReplaceAll(r, id+" ", awssdk.ToString(g.GroupName)+" ")
		}
		out = append(out, r)
	}
	slices.Sort(out)
	return out
}

// What goes with a load balancer that went before its Service is found by its
// names.
func TestRulesOfALoadBalancerThatWentFirstGo(t *testing.T) {
	for name, change := range map[string]func(*v1.Service){
		"internal": with("disable-nlb-sg", "true"), "internet-facing": with("disable-nlb-sg", "true", "scheme", "internet-facing"),
		"by its own name": with("disable-nlb-sg", "true", "name", "front"),
	} {
		for _, plain := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, annotations gone %t", name, plain), func(t *testing.T) {
				if plain && name == "by its own name" {
					return // nothing tells the name
				}
				s := newSite(t)
				claimed(&s.settings)
				svc := s.service("web", external, change)
				s.settle(t, s.all(provider.Serve, provider.Edit))
				clear(s.observed.Networks)
				clear(s.observed.TargetGroups)
				if plain {
					clear(svc.Annotations)
				}
				s.settle(t, s.all(provider.Remove, provider.Edit))
				s.empty(t)
			})
		}
	}
}

// A rule that bears the name of a load balancer of another Service is not that
// of one that asked for the name.
func TestRulesOfAnotherServiceStay(t *testing.T) {
	s := newSite(t)
	claimed(&s.settings)
	s.service("a", external, with("disable-nlb-sg", "true", "name", "front"))
	s.service("b", external, with("disable-nlb-sg", "true", "name", "front"))
	a := s.begin(t, s.one(0, provider.Serve, provider.Edit))
	before := s.rules()
	s.settle(t, s.one(1, provider.Remove, provider.Edit))
	if diff := cmp.Diff(before, s.rules()); diff != "" {
		t.Errorf("-before +after:\n%s", diff)
	}
	a.end(t)
	if got := text(t, s.compute(s.one(0, provider.Serve, provider.Resync))); !strings.HasPrefix(got, nothing) {
		t.Error(got)
	}
}

// The group for clients is found though the form that it was named by is gone.
func TestGroupOfAnotherFormGoes(t *testing.T) {
	s := newSite(t)
	claimed(&s.settings)
	s.settings.External.Cluster = "another-name"
	svc := s.service("web", external)
	s.settle(t, s.all(provider.Serve, provider.Edit))
	clear(svc.Annotations)
	s.settle(t, s.all(provider.Remove, provider.Edit))
	s.empty(t)
}

// Where the nodes' groups are left alone, the group that load balancers share
// has no use.
func TestNoSharedGroupWithoutRulesAtTheNodes(t *testing.T) {
	for name, change := range map[string]func(*v1.Service){"nlb": func(*v1.Service) {}, "external": external, "external, given groups": func(svc *v1.Service) {
		external(svc)
		with("security-groups", "sg-c79d4313baf0217ab", "manage-backend-security-group-rules", "true")(svc)
	}} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			managed(&s.settings)
			claimed(&s.settings)
			s.settings.NodeRules = false
			s.service("web", change)
			if got := s.settle(t, s.all(provider.Serve, provider.Edit)); strings.Contains(got, "fairlead-traffic") {
				t.Error(got)
			}
			s.remove(t, 0)
			s.empty(t)
			// One that was made before stays on its load balancers, and goes with the
			// last of them, unless the nodes let it in still.
			s.settings.NodeRules = true
			s.service("web", change)
			s.settle(t, s.all(provider.Serve, provider.Edit))
			s.settings.NodeRules = false
			if got := text(t, s.compute(s.all(provider.Serve, provider.Resync))); !strings.HasPrefix(got, nothing) {
				t.Error(got)
			}
			g := *s.observed.Groups[nodesGroup]
			g.IpPermissions = newSite(t).observed.Groups[nodesGroup].IpPermissions
			s.observed.Groups[nodesGroup] = &g
			s.remove(t, 0)
			s.empty(t)
		})
	}
}

func TestRulesOfTheOwnGroupAreCountedFirst(t *testing.T) {
	many := func(n int) func(*v1.Service) {
		return func(svc *v1.Service) {
			svc.Spec.LoadBalancerSourceRanges = nil
			for i := range n {
				svc.Spec.LoadBalancerSourceRanges = append(svc.Spec.LoadBalancerSourceRanges, fmt.Sprintf("192.0.2.%d/32", i))
			}
		}
	}
	for name, form := range map[string]func(*v1.Service){"nlb": func(*v1.Service) {}, "classic": without("type")} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			managed(&s.settings)
			svc := s.service("web", form, many(31))
			s.service("other", form)
			r := s.compute(s.all(provider.Serve, provider.Edit))
			golden(t, "own group is full "+name, text(t, s.compute(s.one(0, provider.Serve, provider.Edit))))
			if err := r.Refused[plan.Key{Namespace: "default", Name: "web"}]; plan.KindOf(err) != plan.Exhausted || len(r.Refused) != 1 {
				t.Errorf("%v", r.Refused)
			}
			// One more fits, and what has no room at once comes after what goes.
			s.settings.RuleLimit = 62
			s.settle(t, s.all(provider.Serve, provider.Edit))
			s.settings.RuleLimit = 60
			if r := s.compute(s.all(provider.Serve, provider.Edit)); len(r.Refused) > 0 {
				t.Errorf("a group with more rules has another limit: %v", r.Refused)
			}
			many(5)(svc)
			s.settle(t, s.all(provider.Serve, provider.Edit))
			svc.Spec.LoadBalancerSourceRanges = nil
			for i := range 30 {
				svc.Spec.LoadBalancerSourceRanges = append(svc.Spec.LoadBalancerSourceRanges, fmt.Sprintf("198.51.100.%d/32", i))
			}
			s.settle(t, s.one(0, provider.Serve, provider.Edit))
		})
	}
}

// AWS counts rules of each family.
func TestFamiliesAreCountedApart(t *testing.T) {
	s := newSite(t)
	claimed(&s.settings)
	svc := s.service("web", external, with("ip-address-type", "dualstack"))
	for i := range 40 {
		svc.Spec.LoadBalancerSourceRanges = append(svc.Spec.LoadBalancerSourceRanges, fmt.Sprintf("192.0.2.%d/32", i), fmt.Sprintf("2001:db8::%d/128", i))
	}
	for i := range s.observed.Subnets {
		s.observed.Subnets[i].Ipv6CidrBlockAssociationSet = []ec2types.SubnetIpv6CidrBlockAssociation{{Ipv6CidrBlock: awssdk.String("2001:db8::/64"), Ipv6CidrBlockState: &ec2types.SubnetCidrBlockState{State: ec2types.SubnetCidrBlockStateCodeAssociated}}}
	}
	s.settle(t, s.all(provider.Serve, provider.Edit))
}
