// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
)

// foreignSite is a site with a Service of the AWS Load Balancer Controller, and
// whether that controller would serve it. Nothing is in AWS yet.
func foreignSite(t *testing.T, pick []shape) (*lbc, bool) {
	t.Helper()
	s := newSite(t)
	claimed(&s.settings)
	extra := *s.observed.Groups[extraGroup]
	extra.GroupId, extra.Tags = awssdk.String("sg-web"), ec2TagsOf(map[string]string{"Name": "web group"})
	s.observed.Groups["sg-web"] = &extra
	for i := range s.observed.Subnets {
		s.observed.Subnets[i].Ipv6CidrBlockAssociationSet = []ec2types.SubnetIpv6CidrBlockAssociation{{
			Ipv6CidrBlock: awssdk.String(fmt.Sprintf("2600:1f18:0:%d::/64", i)), Ipv6CidrBlockState: &ec2types.SubnetCidrBlockState{State: ec2types.SubnetCidrBlockStateCodeAssociated},
		}}
	}
	s.observed.VPC = &ec2types.Vpc{
		VpcId: awssdk.String(s.settings.VPC),
		CidrBlockAssociationSet: []ec2types.VpcCidrBlockAssociation{
			{CidrBlock: awssdk.String("10.0.0.0/16"), CidrBlockState: &ec2types.VpcCidrBlockState{State: ec2types.VpcCidrBlockStateCodeAssociated}},
			{CidrBlock: awssdk.String("10.1.0.0/16"), CidrBlockState: &ec2types.VpcCidrBlockState{State: ec2types.VpcCidrBlockStateCodeDisassociated}},
		},
		Ipv6CidrBlockAssociationSet: []ec2types.VpcIpv6CidrBlockAssociation{
			{Ipv6CidrBlock: awssdk.String("2600:1f18::/56"), Ipv6CidrBlockState: &ec2types.VpcCidrBlockState{State: ec2types.VpcCidrBlockStateCodeAssociated}},
		},
	}
	svc := s.service("web", external)
	c := &lbc{s: s, svc: svc}
	for _, x := range pick {
		if x.svc != nil {
			x.svc(svc)
		}
		if x.lbc != nil {
			x.lbc(c)
		}
	}
	return c, c.possible()
}

func label(pick []shape) string {
	var out []string
	for _, x := range pick {
		if x.name != "" {
			out = append(out, x.name)
		}
	}
	return strings.Join(out, "; ")
}

// endpoints are the pods that the model has as targets.
func (c *lbc) endpoints() {
	var list []*discoveryv1.EndpointSlice
	for _, kind := range []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6} {
		prefix := map[discoveryv1.AddressType]string{discoveryv1.AddressTypeIPv4: "10.0.96.", discoveryv1.AddressTypeIPv6: "2600:1f18::"}[kind]
		slice := &discoveryv1.EndpointSlice{AddressType: kind, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{prefix + "20"}}, {Addresses: []string{prefix + "21"}}}}
		for i := range c.svc.Spec.Ports {
			p := &c.svc.Spec.Ports[i]
			slice.Ports = append(slice.Ports, discoveryv1.EndpointPort{Name: new(p.Name), Port: new(podPort(p))})
		}
		list = append(list, slice)
	}
	c.s.observed.Slices = map[plan.Key][]*discoveryv1.EndpointSlice{{Namespace: c.svc.Namespace, Name: c.svc.Name}: list}
}

// TestWhatTheLoadBalancerControllerCouldHaveMade walks through Services of
// that controller, and what it leaves behind for each.
func TestWhatTheLoadBalancerControllerCouldHaveMade(t *testing.T) {
	walked := 0
	for _, pick := range combinations(500) {
		c, ok := foreignSite(t, pick)
		if !ok {
			continue
		}
		walked++
		name := label(pick)
		before := c.s.inventory()
		c.endpoints()
		c.leave()
		for _, cause := range []provider.Cause{provider.Drift, provider.Resync, provider.Nodes, provider.Config} {
			for _, want := range []provider.Want{provider.Serve, provider.Keep} {
				if r := c.s.compute(c.s.all(want, cause)); len(r.Steps)+len(r.Refused) > 0 {
					t.Errorf("%s: cause %d, want %d:\n%s", name, cause, want, text(t, r))
				}
			}
		}
		claims := c.s.settings.Claims
		c.s.settings.Claims = aws.PeerOnly
		for _, want := range []provider.Want{provider.Serve, provider.Remove} {
			if r := c.s.compute(c.s.all(want, provider.Edit)); len(r.Steps) > 0 {
				t.Errorf("%s: not claimed:\n%s", name, text(t, r))
			}
		}
		c.s.settings.Claims = claims
		c.keepsItsAddress(t, name)
		c.goesWhole(t, name, before)
		if t.Failed() {
			return
		}
	}
	if walked < 500 {
		t.Errorf("only %d states", walked)
	}
}

// keepsItsAddress lets the user ask for repair, and then for nothing else.
func (c *lbc) keepsItsAddress(t *testing.T, name string) {
	t.Helper()
	zones := c.lb.AvailabilityZones
	got := c.s.settle(t, c.s.all(provider.Serve, provider.Repair))
	for _, bad := range []string{"aws/loadBalancer ", "aws/subnets ", "aws/targetGroup ", "aws/listener ", "aws/healthCheck ", "refused "} {
		if strings.Contains(got, bad) && !c.repairs(bad) {
			t.Errorf("%s: repaired:\n%s", name, got)
		}
	}
	if n := len(c.s.observed.Networks); n != 1 {
		t.Errorf("%s: %d load balancers:\n%s", name, n, got)
	}
	for _, lb := range c.s.observed.Networks {
		if !reflect.DeepEqual(zones, lb.AvailabilityZones) {
			t.Errorf("%s: it is in other zones:\n%s", name, got)
		}
	}
}

// repairs reports whether such a step is what docs/aws.md tells of: ports of UDP
// get a health check that is answered.
func (c *lbc) repairs(kind string) bool {
	return kind == "aws/healthCheck " && slices.ContainsFunc(c.svc.Spec.Ports, isUDP) && !c.byPods()
}

// goesWhole removes the Service: what was made for it goes, and nothing else.
// The shared group and its rules stay, as docs/aws.md says.
func (c *lbc) goesWhole(t *testing.T, name string, before []string) {
	t.Helper()
	got := c.s.settle(t, c.s.all(provider.Remove, provider.Edit))
	after := slices.DeleteFunc(c.s.inventory(), func(line string) bool {
		return strings.Contains(line, "k8s-traffic-rig-0123456789") || strings.HasSuffix(line, " "+lbcRule)
	})
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("%s: left behind (-before +after):\n%s\n%s", name, diff, got)
	}
}

// inventory is all that there is, without what it is like.
func (s *site) inventory() []string {
	var out []string
	for _, lb := range s.observed.Networks {
		out = append(out, "network "+*lb.LoadBalancerName)
	}
	for _, g := range s.observed.TargetGroups {
		out = append(out, "target group "+*g.TargetGroupName)
	}
	for _, id := range slices.Sorted(maps.Keys(s.observed.Groups)) {
		g := s.observed.Groups[id]
		out = append(out, fmt.Sprintf("group %s %s", id, *g.GroupName))
		for _, r := range sources(g) {
			out = append(out, fmt.Sprintf("rule of %s %s", id, r))
		}
	}
	slices.Sort(out)
	return out
}
