// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
)

// apply does the steps of a plan, in its order, in memory.
func (s *site) apply(t *testing.T, r *aws.Result) {
	t.Helper()
	if err := s.applySome(t, r, len(r.Steps)); err != nil {
		t.Fatal(err)
	}
}

// applySome does the first steps of a plan.
func (s *site) applySome(t *testing.T, r *aws.Result, steps int) error {
	t.Helper()
	p, err := plan.New(r.Steps)
	if err != nil {
		t.Fatal(err)
	}
	known := aws.Known{}
	for _, st := range p.Steps[:min(steps, len(p.Steps))] {
		for _, c := range r.Writes[st.Target].Calls {
			call, err := aws.Resolve(c, known)
			if err != nil {
				return fmt.Errorf("%s: %w", st.Target, err)
			}
			out, err := s.answer(call)
			if err != nil {
				return fmt.Errorf("%s: %w", st.Target, err)
			}
			if made := s.observed.Learn(call, out); made != "" {
				known[st.Target] = made
			}
		}
	}
	return nil
}

func (s *site) id(kind string) string {
	s.serial++
	return fmt.Sprintf("%s-%d", kind, s.serial)
}

// settle computes, applies and computes again until nothing is left; that must
// be at once.
func (s *site) settle(t *testing.T, batch provider.Batch) string {
	t.Helper()
	r := s.compute(batch)
	first := text(t, r)
	s.apply(t, r)
	again := s.compute(batch)
	if len(again.Steps) != 0 {
		t.Errorf("not settled after\n%sstill:\n%s", first, text(t, again))
	}
	return first
}

// answer is what AWS says to a call, as far as the provider learns from it, and
// what it refuses.
func (s *site) answer(call aws.Call) (any, error) {
	switch in := call.(type) {
	case *elbv2.CreateLoadBalancerInput:
		return s.createNetwork(in)
	case *elbv2.CreateTargetGroupInput:
		return s.createGroup(in)
	case *elbv2.CreateListenerInput:
		return s.createListener(in)
	case *elbv2.ModifyListenerInput:
		return s.modifyListener(in)
	case *elbv2.ModifyTargetGroupInput:
		return s.modifyGroup(in)
	case *elbv2.SetSubnetsInput:
		out := &elbv2.SetSubnetsOutput{}
		out.AvailabilityZones = zonesOf(in.SubnetMappings)
		return out, nil
	case *elbv2.DeleteTargetGroupInput:
		if g := s.observed.TargetGroups[*in.TargetGroupArn]; g == nil || len(g.LoadBalancerArns) > 0 {
			return nil, errors.New("ResourceInUse, or not there")
		}
	case *elbv2.DeleteLoadBalancerInput:
		if s.observed.Networks[*in.LoadBalancerArn] == nil {
			return nil, errors.New("LoadBalancerNotFound")
		}
	case *elbv2.RegisterTargetsInput:
		if s.observed.TargetGroups[*in.TargetGroupArn] == nil || len(in.Targets) > 1000 {
			return nil, errors.New("TargetGroupNotFound, or too many")
		}
	case *elbv2.DeregisterTargetsInput, *elbv2.ModifyLoadBalancerAttributesInput, *elbv2.ModifyTargetGroupAttributesInput,
		*elbv2.AddTagsInput, *elbv2.RemoveTagsInput, *elbv2.DeleteListenerInput, *elbv2.SetSecurityGroupsInput, *elbv2.SetIpAddressTypeInput,
		*elbv2.AddListenerCertificatesInput, *elbv2.ModifyListenerAttributesInput, *elbv2.RemoveListenerCertificatesInput:
	default:
		return s.answerEC2(call)
	}
	return done{}, nil
}

// done is the answer of a call from which nothing is learned.
type done struct{}

func zonesOf(mappings []elbv2types.SubnetMapping) []elbv2types.AvailabilityZone {
	var out []elbv2types.AvailabilityZone
	for _, m := range mappings {
		z := elbv2types.AvailabilityZone{SubnetId: m.SubnetId}
		if m.AllocationId != nil || m.PrivateIPv4Address != nil || m.IPv6Address != nil {
			z.LoadBalancerAddresses = []elbv2types.LoadBalancerAddress{{AllocationId: m.AllocationId, PrivateIPv4Address: m.PrivateIPv4Address, IPv6Address: m.IPv6Address}}
		}
		out = append(out, z)
	}
	return out
}

func (s *site) createNetwork(in *elbv2.CreateLoadBalancerInput) (any, error) {
	for _, n := range s.observed.Networks {
		if *n.LoadBalancerName == *in.Name {
			return nil, errors.New("DuplicateLoadBalancerName")
		}
	}
	for _, g := range in.SecurityGroups {
		if s.observed.Groups[g] == nil {
			return nil, fmt.Errorf("InvalidSecurityGroup: %s", g)
		}
	}
	scheme := in.Scheme
	if scheme == "" {
		scheme = elbv2types.LoadBalancerSchemeEnumInternetFacing
	}
	family := in.IpAddressType
	if family == "" {
		family = elbv2types.IpAddressTypeIpv4
	}
	out := &elbv2.CreateLoadBalancerOutput{LoadBalancers: []elbv2types.LoadBalancer{{
		LoadBalancerArn: awssdk.String(s.id("lb")), LoadBalancerName: in.Name, Scheme: scheme, Type: in.Type, IpAddressType: family,
		DNSName: awssdk.String(*in.Name + ".elb.us-east-1.amazonaws.com"), SecurityGroups: in.SecurityGroups,
		AvailabilityZones: zonesOf(in.SubnetMappings), VpcId: awssdk.String(s.settings.VPC),
	}}}
	return out, nil
}

func (s *site) createGroup(in *elbv2.CreateTargetGroupInput) (any, error) {
	for _, g := range s.observed.TargetGroups {
		if *g.TargetGroupName == *in.Name {
			return nil, errors.New("DuplicateTargetGroupName")
		}
	}
	g := elbv2types.TargetGroup{
		TargetGroupArn: awssdk.String(s.id("tg")), TargetGroupName: in.Name, Port: in.Port, Protocol: in.Protocol, TargetType: in.TargetType, VpcId: in.VpcId,
		HealthCheckProtocol: in.HealthCheckProtocol, HealthCheckPort: in.HealthCheckPort, HealthCheckPath: in.HealthCheckPath,
		HealthCheckIntervalSeconds: in.HealthCheckIntervalSeconds, HealthCheckTimeoutSeconds: in.HealthCheckTimeoutSeconds,
		HealthyThresholdCount: in.HealthyThresholdCount, UnhealthyThresholdCount: in.UnhealthyThresholdCount,
	}
	g.Matcher, g.IpAddressType = in.Matcher, in.IpAddressType
	if g.HealthCheckTimeoutSeconds == nil {
		g.HealthCheckTimeoutSeconds = awssdk.Int32(map[elbv2types.ProtocolEnum]int32{elbv2types.ProtocolEnumHttp: 6}[in.HealthCheckProtocol])
		if *g.HealthCheckTimeoutSeconds == 0 {
			*g.HealthCheckTimeoutSeconds = 10
		}
	}
	return &elbv2.CreateTargetGroupOutput{TargetGroups: []elbv2types.TargetGroup{g}}, nil
}

func (s *site) createListener(in *elbv2.CreateListenerInput) (any, error) {
	n := s.observed.Networks[*in.LoadBalancerArn]
	if n == nil {
		return nil, errors.New("LoadBalancerNotFound")
	}
	for _, l := range n.Listeners {
		if *l.Port == *in.Port {
			return nil, errors.New("DuplicateListener")
		}
	}
	l := elbv2types.Listener{
		ListenerArn: awssdk.String(s.id("listener")), LoadBalancerArn: in.LoadBalancerArn, Port: in.Port, Protocol: in.Protocol,
		DefaultActions: in.DefaultActions, Certificates: in.Certificates, SslPolicy: in.SslPolicy, AlpnPolicy: in.AlpnPolicy,
	}
	if err := s.forwards(&l); err != nil {
		return nil, err
	}
	return &elbv2.CreateListenerOutput{Listeners: []elbv2types.Listener{l}}, nil
}

// forwards checks that a listener may forward to its target group.
func (s *site) forwards(l *elbv2types.Listener) error {
	g := s.observed.TargetGroups[*l.DefaultActions[0].TargetGroupArn]
	switch {
	case g == nil:
		return errors.New("TargetGroupNotFound")
	case len(g.LoadBalancerArns) > 0 && g.LoadBalancerArns[0] != *l.LoadBalancerArn:
		return errors.New("TargetGroupAssociationLimit")
	}
	if l.Protocol == elbv2types.ProtocolEnumTls && l.SslPolicy == nil {
		l.SslPolicy = awssdk.String("ELBSecurityPolicy-2016-08")
	}
	return nil
}

func (s *site) modifyListener(in *elbv2.ModifyListenerInput) (any, error) {
	for _, n := range s.observed.Networks {
		for _, l := range n.Listeners {
			if *l.ListenerArn != *in.ListenerArn {
				continue
			}
			l.Protocol, l.DefaultActions, l.Certificates = in.Protocol, in.DefaultActions, in.Certificates
			if in.SslPolicy != nil { // what is left out stays
				l.SslPolicy = in.SslPolicy
			}
			if len(in.AlpnPolicy) > 0 {
				l.AlpnPolicy = in.AlpnPolicy
			}
			if l.Protocol != elbv2types.ProtocolEnumTls {
				l.SslPolicy, l.AlpnPolicy = nil, nil
			}
			return &elbv2.ModifyListenerOutput{Listeners: []elbv2types.Listener{l}}, s.forwards(&l)
		}
	}
	return nil, errors.New("ListenerNotFound")
}

func (s *site) modifyGroup(in *elbv2.ModifyTargetGroupInput) (any, error) {
	had := s.observed.TargetGroups[*in.TargetGroupArn]
	if had == nil {
		return nil, errors.New("TargetGroupNotFound")
	}
	g := had.TargetGroup
	g.HealthCheckProtocol, g.HealthCheckPort, g.HealthCheckPath = in.HealthCheckProtocol, in.HealthCheckPort, in.HealthCheckPath
	g.HealthCheckIntervalSeconds, g.HealthyThresholdCount, g.UnhealthyThresholdCount = in.HealthCheckIntervalSeconds, in.HealthyThresholdCount, in.UnhealthyThresholdCount
	g.Matcher = in.Matcher
	if in.HealthCheckTimeoutSeconds != nil {
		g.HealthCheckTimeoutSeconds = in.HealthCheckTimeoutSeconds
	}
	return &elbv2.ModifyTargetGroupOutput{TargetGroups: []elbv2types.TargetGroup{g}}, nil
}

func (s *site) answerEC2(call aws.Call) (any, error) {
	switch in := call.(type) {
	case *ec2.CreateSecurityGroupInput:
		for _, g := range s.observed.Groups {
			if *g.GroupName == *in.GroupName {
				return nil, errors.New("InvalidGroup.Duplicate")
			}
		}
		return &ec2.CreateSecurityGroupOutput{GroupId: awssdk.String(s.id("sg"))}, nil
	case *ec2.DeleteSecurityGroupInput:
		for _, n := range s.observed.Networks {
			if slices.Contains(n.SecurityGroups, *in.GroupId) {
				return nil, errors.New("DependencyViolation: load balancer")
			}
		}
		for _, c := range s.observed.Classics {
			if slices.Contains(c.SecurityGroups, *in.GroupId) {
				return nil, errors.New("DependencyViolation: classic load balancer")
			}
		}
		for _, g := range s.observed.Groups {
			for _, p := range g.IpPermissions {
				for _, x := range p.UserIdGroupPairs {
					if *x.GroupId == *in.GroupId && *g.GroupId != *in.GroupId {
						return nil, errors.New("DependencyViolation: rule")
					}
				}
			}
		}
		return done{}, nil
	case *ec2.CreateTagsInput, *ec2.AuthorizeSecurityGroupIngressInput, *ec2.RevokeSecurityGroupIngressInput, *ec2.UpdateSecurityGroupRuleDescriptionsIngressInput:
		return done{}, nil
	}
	return s.answerClassic(call)
}

// served are the step targets that serve a Service.
func served(r *aws.Result) map[plan.Key]int {
	out := map[plan.Key]int{}
	for _, st := range r.Steps {
		for _, k := range st.Serves {
			out[k]++
		}
	}
	return out
}
