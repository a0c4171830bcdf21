// SPDX-License-Identifier: Apache-2.0

package awssim_test

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	classictypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/google/go-cmp/cmp"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// peer is the site of the golden states, on which a test makes the calls of the
// controller that left them.
type peer struct {
	*rig
	Public    []string
	VPC       string
	NodeGroup string
	Instances []struct{ ID string }
}

func newPeer(t *testing.T) *peer {
	t.Helper()
	p := &peer{rig: &rig{t: t, cloud: awssim.New(awssim.Options{})}}
	if err := json.Unmarshal(read(t, "site", "site.json"), p); err != nil {
		t.Fatal(err)
	}
	if err := p.cloud.Seed(read(t, "site", "state.json")); err != nil {
		t.Fatal(err)
	}
	p.connect()
	return p
}

// likened is a state without what the emulator that the golden states come
// from tells otherwise: attributes of today, hosted zones, zones and source
// groups of classic load balancers.
func likened(t *testing.T, c *awssim.Cloud) string {
	t.Helper()
	var tree map[string]any
	if err := json.Unmarshal([]byte(normal(t, c)), &tree); err != nil {
		t.Fatal(err)
	}
	drop(tree, "Attributes", "CanonicalHostedZoneId", "CanonicalHostedZoneNameID", "SourceSecurityGroup", "SecurityGroupArn")
	classics, ok := tree["ClassicLoadBalancers"].([]any)
	if !ok {
		t.Fatal("the state has no list of classic load balancers")
	}
	for _, lb := range classics {
		description, ok := lb.(map[string]any)["LoadBalancerDescription"].(map[string]any)
		if !ok {
			t.Fatal("a classic load balancer has no description")
		}
		delete(description, "AvailabilityZones")
	}
	data, err := json.MarshalIndent(tree, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// drop deletes fields wherever they are.
func drop(tree any, names ...string) {
	switch v := tree.(type) {
	case map[string]any:
		for _, name := range names {
			delete(v, name)
		}
		for _, child := range v {
			drop(child, names...)
		}
	case []any:
		for _, child := range v {
			drop(child, names...)
		}
	}
}

func TestTheCallsOfThePeerLeaveItsNetworkLoadBalancer(t *testing.T) {
	const name, service = "a20afbc7e7aeb41fba0b81f7176b2cbd", "default/nlb-managed-group"
	p := newPeer(t)
	tags := []types.Tag{
		{Key: aws.String("kubernetes.io/cluster/rig"), Value: aws.String("owned")},
		{Key: aws.String("kubernetes.io/service-name"), Value: aws.String(service)},
	}
	group := must(p.ec2.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{
		GroupName: aws.String("k8s-default-nlbmanag-555f7b900f"), VpcId: &p.VPC,
		Description: aws.String("[k8s] Managed SecurityGroup for LoadBalancer"),
		TagSpecifications: []ec2types.TagSpecification{{
			ResourceType: ec2types.ResourceTypeSecurityGroup,
			Tags:         []ec2types.Tag{{Key: aws.String("kubernetes.io/cluster/rig"), Value: aws.String("owned")}},
		}},
	}))(t)
	lb := must(p.elbv2.CreateLoadBalancer(t.Context(), &elb.CreateLoadBalancerInput{
		Name: aws.String(name), Type: types.LoadBalancerTypeEnumNetwork, Subnets: p.Public,
		SecurityGroups: []string{*group.GroupId}, Tags: tags,
	}))(t).LoadBalancers[0].LoadBalancerArn
	tg := must(p.elbv2.CreateTargetGroup(t.Context(), &elb.CreateTargetGroupInput{
		Name: aws.String("k8s-default-nlbmanag-3ac2da5cca"), Port: aws.Int32(31250), Protocol: types.ProtocolEnumTcp, VpcId: &p.VPC,
		TargetType: types.TargetTypeEnumInstance, HealthCheckProtocol: types.ProtocolEnumTcp, HealthCheckPort: aws.String("traffic-port"),
		HealthCheckIntervalSeconds: aws.Int32(30), HealthyThresholdCount: aws.Int32(3), UnhealthyThresholdCount: aws.Int32(3), Tags: tags,
	}))(t).TargetGroups[0].TargetGroupArn
	for _, m := range p.Instances {
		if err := p.register(*tg, m.ID); err != nil {
			t.Fatal(err)
		}
	}
	in := listenerInput(*lb, *tg, 80)
	in.Tags = tags
	must(p.elbv2.CreateListener(t.Context(), in))(t)
	everywhere := func(protocol, description string, from, to int32) ec2types.IpPermission {
		r := ec2types.IpRange{CidrIp: aws.String("0.0.0.0/0")}
		if description != "" {
			r.Description = &description
		}
		return ec2types.IpPermission{IpProtocol: &protocol, FromPort: &from, ToPort: &to, IpRanges: []ec2types.IpRange{r}}
	}
	if err := p.authorize(*group.GroupId, everywhere("tcp", "", 80, 80), everywhere("icmp", "", 3, 4)); err != nil {
		t.Fatal(err)
	}
	if err := p.authorize(p.NodeGroup, everywhere("tcp", "kubernetes.io/rule/nlb/client="+name, 31250, 31250),
		everywhere("icmp", "kubernetes.io/rule/nlb/mtu", 3, 4)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(likened(t, golden(t, "nlb-managed-group")), likened(t, p.cloud)); diff != "" {
		t.Errorf("-golden +made:\n%s", diff)
	}
}

func TestTheCallsOfThePeerLeaveItsClassicLoadBalancer(t *testing.T) {
	const name = "a0db34bab9b54405599d1472f8d1569d"
	p := newPeer(t)
	group := must(p.ec2.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{
		GroupName: aws.String("k8s-elb-" + name), VpcId: &p.VPC,
		Description: aws.String("Security group for Kubernetes ELB " + name + " (default/clb-proxy-protocol)"),
	}))(t).GroupId
	must(p.ec2.CreateTags(t.Context(), &ec2.CreateTagsInput{
		Resources: []string{*group}, Tags: []ec2types.Tag{{Key: aws.String("kubernetes.io/cluster/rig"), Value: aws.String("owned")}},
	}))(t)
	open := tcp(80, "0.0.0.0/0")
	open.IpRanges[0].Description = nil
	icmp := open
	icmp.IpProtocol, icmp.FromPort, icmp.ToPort = aws.String("icmp"), aws.Int32(3), aws.Int32(4)
	if err := p.authorize(*group, open, icmp); err != nil {
		t.Fatal(err)
	}
	must(p.elb.CreateLoadBalancer(t.Context(), &elasticloadbalancing.CreateLoadBalancerInput{
		LoadBalancerName: aws.String(name), Listeners: []classictypes.Listener{forward(80, 31050)}, Subnets: p.Public, SecurityGroups: []string{*group},
		Tags: []classictypes.Tag{
			{Key: aws.String("kubernetes.io/cluster/rig"), Value: aws.String("owned")},
			{Key: aws.String("kubernetes.io/service-name"), Value: aws.String("default/clb-proxy-protocol")},
		},
	}))(t)
	p.policy(name)
	must(p.elb.ModifyLoadBalancerAttributes(t.Context(), &elasticloadbalancing.ModifyLoadBalancerAttributesInput{
		LoadBalancerName: aws.String(name), LoadBalancerAttributes: &classictypes.LoadBalancerAttributes{
			AccessLog: &classictypes.AccessLog{}, ConnectionDraining: &classictypes.ConnectionDraining{},
			ConnectionSettings:     &classictypes.ConnectionSettings{IdleTimeout: aws.Int32(60)},
			CrossZoneLoadBalancing: &classictypes.CrossZoneLoadBalancing{},
		},
	}))(t)
	must(p.elb.ConfigureHealthCheck(t.Context(), &elasticloadbalancing.ConfigureHealthCheckInput{
		LoadBalancerName: aws.String(name), HealthCheck: &classictypes.HealthCheck{
			Target: aws.String("TCP:31050"), Interval: aws.Int32(10), Timeout: aws.Int32(5),
			HealthyThreshold: aws.Int32(2), UnhealthyThreshold: aws.Int32(6),
		},
	}))(t)
	all := ec2types.IpPermission{IpProtocol: aws.String("-1"), UserIdGroupPairs: []ec2types.UserIdGroupPair{{GroupId: group}}}
	if err := p.authorize(p.NodeGroup, all); err != nil {
		t.Fatal(err)
	}
	var instances []classictypes.Instance
	for _, m := range p.Instances {
		instances = append(instances, classictypes.Instance{InstanceId: &m.ID})
	}
	must(p.elb.RegisterInstancesWithLoadBalancer(t.Context(), &elasticloadbalancing.RegisterInstancesWithLoadBalancerInput{
		LoadBalancerName: aws.String(name), Instances: instances,
	}))(t)
	if diff := cmp.Diff(likened(t, golden(t, "clb-proxy-protocol")), likened(t, p.cloud)); diff != "" {
		t.Errorf("-golden +made:\n%s", diff)
	}
}

// policy turns on the proxy protocol.
func (p *peer) policy(name string) {
	p.t.Helper()
	must(p.elb.CreateLoadBalancerPolicy(p.t.Context(), &elasticloadbalancing.CreateLoadBalancerPolicyInput{
		LoadBalancerName: &name, PolicyName: aws.String("k8s-proxyprotocol-enabled"), PolicyTypeName: aws.String("ProxyProtocolPolicyType"),
		PolicyAttributes: []classictypes.PolicyAttribute{{AttributeName: aws.String("ProxyProtocol"), AttributeValue: aws.String("true")}},
	}))(p.t)
	must(p.elb.SetLoadBalancerPoliciesForBackendServer(p.t.Context(), &elasticloadbalancing.SetLoadBalancerPoliciesForBackendServerInput{
		LoadBalancerName: &name, InstancePort: aws.Int32(31050), PolicyNames: []string{"k8s-proxyprotocol-enabled"},
	}))(p.t)
}
