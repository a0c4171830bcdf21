// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"slices"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
)

// publicSubnet adds a subnet with the role of public load balancers, in a zone
// of its own.
func (s *site) publicSubnet(id, zone string, free int32) {
	sub := ec2types.Subnet{
		SubnetId: awssdk.String(id), AvailabilityZone: awssdk.String(zone), VpcId: awssdk.String(s.settings.VPC), AvailableIpAddressCount: awssdk.Int32(free),
		Tags: []tag{{Key: awssdk.String("kubernetes.io/role/elb"), Value: awssdk.String("1")}},
	}
	s.observed.Subnets = append(s.observed.Subnets, sub)
	s.observed.ZoneTypes[zone] = "availability-zone"
	for i := range s.observed.RouteTables {
		t := &s.observed.RouteTables[i]
		if slices.ContainsFunc(t.Routes, func(r ec2types.Route) bool { return strings.HasPrefix(awssdk.ToString(r.GatewayId), "igw") }) {
			t.Associations = append(slices.Clone(t.Associations), ec2types.RouteTableAssociation{SubnetId: awssdk.String(id)})
		}
	}
}

// TestClassicFollowsItsSubnets adds subnets, as the peer does at every sync, but
// none that AWS would refuse.
func TestClassicFollowsItsSubnets(t *testing.T) {
	s := newSite(t)
	s.service("web", classic)
	s.settle(t, s.all(provider.Serve, provider.Edit))
	s.publicSubnet("subnet-d", "us-east-1d", 200)
	s.publicSubnet("subnet-e", "us-east-1e", 3)
	golden(t, "classic gets a new subnet", s.settle(t, s.all(provider.Serve, provider.Resync)))
}

// TestAFullSubnetTakesNoZoneAway gives a zone a subnet that would count first,
// but is nearly full: what the load balancer has there stays, and a new one
// gets the other subnet of the zone.
func TestAFullSubnetTakesNoZoneAway(t *testing.T) {
	for kind, change := range map[string]func(*v1.Service){"classic": classic, "network": with("type", "nlb")} {
		s := newSite(t)
		s.service("web", change)
		s.settle(t, s.all(provider.Serve, provider.Edit))
		s.publicSubnet("subnet-0", "us-east-1a", 5)
		if got := text(t, s.compute(s.all(provider.Serve, provider.Resync))); got != nothing {
			t.Errorf("%s:\n%s", kind, got)
		}
		s.service("new", change)
		s.settle(t, s.all(provider.Serve, provider.Edit))
		for _, lb := range s.observed.Networks {
			if n := len(lb.AvailabilityZones); n != 3 {
				t.Errorf("%s is in %d zones", *lb.LoadBalancerName, n)
			}
		}
		for name, lb := range s.observed.Classics {
			if n := len(lb.Subnets); n != 3 {
				t.Errorf("%s is in %d subnets", name, n)
			}
		}
	}
}

// The first annotation whose number of items is wrong is named, at each pass.
func TestOneAnnotationOfAddressesIsNamedAlways(t *testing.T) {
	s := newSite(t)
	claimed(&s.settings)
	s.service("web", external, with("ip-address-type", "dualstack", "private-ipv4-addresses", "10.0.96.9,10.0.112.9", "ipv6-addresses", "2600:1f18::9,2600:1f18::a"))
	s.withIPv6()
	for range 20 {
		if got := text(t, s.compute(s.all(provider.Serve, provider.Edit))); !strings.Contains(got, "private-ipv4-addresses is 2, and that of subnets 3") {
			t.Fatal(got)
		}
	}
}

func TestClassicStaysInItsLastSubnetOfAZone(t *testing.T) {
	s := newSite(t)
	svc := s.service("web", classic, with("subnets", "public-us-east-1a"))
	s.settle(t, s.all(provider.Serve, provider.Edit))
	with("subnets", "private-us-east-1a")(svc)
	golden(t, "classic stays in its last subnet", text(t, s.compute(s.all(provider.Serve, provider.Edit))))
}

// TestASchemeThatThePeerLeftStaysUntilAnEdit changes the annotation of what the
// peer made: it never changes the scheme.
func TestASchemeThatThePeerLeftStaysUntilAnEdit(t *testing.T) {
	s := load(t, "clb-default")
	svc := s.services[0].DeepCopy()
	svc.Annotations = map[string]string{annotation + "internal": "true", annotation + "subnets": "public-us-east-1a,public-us-east-1b,public-us-east-1c"}
	s.services, s.observed.Services = []*v1.Service{svc}, []*v1.Service{svc}
	got := text(t, s.compute(s.all(provider.Serve, provider.Resync)))
	if !strings.HasPrefix(got, nothing) || !strings.Contains(got, "AdoptedAsIs") {
		t.Errorf("at a resync:\n%s", got)
	}
	if got := text(t, s.compute(s.all(provider.Serve, provider.Edit))); !strings.Contains(got, "1 to replace") {
		t.Errorf("at an edit:\n%s", got)
	}
}

// TestRulesOfOtherGroupsForAGivenGroupStay lets a group of the user's in at
// another one of his: that is none of ours.
func TestRulesOfOtherGroupsForAGivenGroupStay(t *testing.T) {
	s := newSite(t)
	s.service("web", classic, with("security-groups", extraGroup))
	s.settle(t, s.all(provider.Serve, provider.Edit))
	s.observed.Groups["sg-db"] = &ec2types.SecurityGroup{
		GroupId: awssdk.String("sg-db"), GroupName: awssdk.String("db"), VpcId: awssdk.String(s.settings.VPC),
		IpPermissions: []ec2types.IpPermission{{IpProtocol: awssdk.String("-1"), UserIdGroupPairs: []ec2types.UserIdGroupPair{{GroupId: awssdk.String(extraGroup)}}}},
	}
	s.settle(t, s.all(provider.Remove, provider.Edit))
	if got := sources(s.observed.Groups["sg-db"]); len(got) != 1 {
		t.Errorf("rules of the user's group: %v", got)
	}
	delete(s.observed.Groups, "sg-db")
	s.empty(t)
}

// TestALeftoverOfTheOtherTypeGoes begins with load balancers of both types:
// the change of the type was cut before an address was shown.
func TestALeftoverOfTheOtherTypeGoes(t *testing.T) {
	s := newSite(t)
	svc := s.service("web")
	s.settle(t, s.all(provider.Serve, provider.Edit))
	networks := s.observed.Networks
	s.observed.Networks = map[string]*aws.Network{}
	classic(svc)
	if err := s.applySome(t, s.compute(s.all(provider.Serve, provider.Edit)), 3); err != nil {
		t.Fatal(err)
	}
	if len(s.observed.Classics) != 1 {
		t.Fatal("there is no classic one")
	}
	s.observed.Networks = networks
	s.settle(t, s.all(provider.Serve, provider.Resync))
	if len(s.observed.Networks)+len(s.observed.TargetGroups) > 0 || len(s.observed.Classics) != 1 {
		t.Errorf("%d networks, %d target groups, %d classics", len(s.observed.Networks), len(s.observed.TargetGroups), len(s.observed.Classics))
	}
	s.settle(t, s.all(provider.Remove, provider.Edit))
	s.empty(t)
}
