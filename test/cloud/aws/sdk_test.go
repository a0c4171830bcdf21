// SPDX-License-Identifier: Apache-2.0

package awssim_test

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// rig is a site with three machines, and the SDK's clients.
type rig struct {
	t     *testing.T
	cloud *awssim.Cloud
	site  *awssim.Site
	nodes []string
	url   string
	ec2   *ec2.Client
	elb   *elasticloadbalancing.Client
	elbv2 *elasticloadbalancingv2.Client
	sts   *sts.Client
}

// config is the SDK's, pointed at a server, with no retries.
func config(url string) aws.Config {
	return aws.Config{
		Region: awssim.DefaultRegion, BaseEndpoint: aws.String(url), HTTPClient: awssim.NewHTTPClient(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIATEST", "secret", ""),
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} },
	}
}

func newRig(t *testing.T, o awssim.Options, s awssim.SiteOptions) *rig {
	t.Helper()
	r := &rig{t: t, cloud: awssim.New(o)}
	r.site = r.cloud.NewSite(s)
	r.nodes = r.site.Launch(3)
	r.connect()
	return r
}

func (r *rig) connect() {
	r.t.Helper()
	server := r.cloud.Start()
	r.t.Cleanup(server.Close)
	c := config(server.URL)
	r.url = server.URL
	r.ec2, r.elb = ec2.NewFromConfig(c), elasticloadbalancing.NewFromConfig(c)
	r.elbv2, r.sts = elasticloadbalancingv2.NewFromConfig(c), sts.NewFromConfig(c)
}

// must fails the test on an error.
func must[T any](out T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

// refused checks the code of an error answer.
func refused(t *testing.T, err error, code string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		t.Errorf("the error is %v, want code %s", err, code)
	}
}

// group makes a security group.
func (r *rig) group(name string) string {
	r.t.Helper()
	out := must(r.ec2.CreateSecurityGroup(r.t.Context(), &ec2.CreateSecurityGroupInput{
		GroupName: &name, Description: aws.String("for a test"), VpcId: &r.site.VPC,
	}))(r.t)
	return *out.GroupId
}

// balancer makes a network load balancer in the public subnets.
func (r *rig) balancer(name string, groups ...string) string {
	r.t.Helper()
	out := must(r.elbv2.CreateLoadBalancer(r.t.Context(), &elasticloadbalancingv2.CreateLoadBalancerInput{
		Name: &name, Type: types.LoadBalancerTypeEnumNetwork, Subnets: r.site.Public, SecurityGroups: groups,
	}))(r.t)
	return *out.LoadBalancers[0].LoadBalancerArn
}

// targets makes a target group of machines.
func (r *rig) targets(name string, port int32) string {
	r.t.Helper()
	out := must(r.elbv2.CreateTargetGroup(r.t.Context(), &elasticloadbalancingv2.CreateTargetGroupInput{
		Name: &name, Port: &port, Protocol: types.ProtocolEnumTcp, VpcId: &r.site.VPC,
		TargetType: types.TargetTypeEnumInstance,
	}))(r.t)
	return *out.TargetGroups[0].TargetGroupArn
}

// listener lets a load balancer forward a port to a target group.
func (r *rig) listener(balancer, targets string, port int32) string {
	r.t.Helper()
	out := must(r.elbv2.CreateListener(r.t.Context(), listenerInput(balancer, targets, port)))(r.t)
	return *out.Listeners[0].ListenerArn
}

func listenerInput(balancer, targets string, port int32) *elasticloadbalancingv2.CreateListenerInput {
	return &elasticloadbalancingv2.CreateListenerInput{
		LoadBalancerArn: &balancer, Port: &port, Protocol: types.ProtocolEnumTcp,
		DefaultActions: []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: &targets}},
	}
}

// register makes all the machines targets.
func (r *rig) register(targets string, ids ...string) error {
	in := &elasticloadbalancingv2.RegisterTargetsInput{TargetGroupArn: &targets}
	for _, id := range ids {
		in.Targets = append(in.Targets, types.TargetDescription{Id: &id})
	}
	_, err := r.elbv2.RegisterTargets(r.t.Context(), in)
	return err
}

// health counts the targets by state.
func (r *rig) health(targets string) map[types.TargetHealthStateEnum]int {
	r.t.Helper()
	out := must(r.elbv2.DescribeTargetHealth(r.t.Context(), &elasticloadbalancingv2.DescribeTargetHealthInput{
		TargetGroupArn: &targets,
	}))(r.t)
	n := map[types.TargetHealthStateEnum]int{}
	for _, d := range out.TargetHealthDescriptions {
		n[d.TargetHealth.State]++
	}
	return n
}

// open lets TCP ports in from everywhere.
func (r *rig) open(group string, from, to int32) error {
	_, err := r.ec2.AuthorizeSecurityGroupIngress(r.t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{
		GroupId: &group, IpPermissions: []ec2types.IpPermission{{
			IpProtocol: aws.String("tcp"), FromPort: &from, ToPort: &to,
			IpRanges: []ec2types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}},
		}},
	})
	return err
}

func TestANetworkLoadBalancerComesAndGoes(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{})
	before := normal(t, r.cloud)
	lb, tg := r.balancer("web"), r.targets("web", 30080)
	l := r.listener(lb, tg, 80)
	if err := r.register(tg, r.nodes...); err != nil {
		t.Fatal(err)
	}
	if n := r.health(tg); n[types.TargetHealthStateEnumUnhealthy] != 3 {
		t.Errorf("with no rule for them the targets are %v", n)
	}
	if err := r.open(r.site.NodeGroup, 30080, 30080); err != nil {
		t.Fatal(err)
	}
	if n := r.health(tg); n[types.TargetHealthStateEnumHealthy] != 3 {
		t.Errorf("with a rule for them the targets are %v", n)
	}
	found := must(r.elbv2.DescribeLoadBalancers(t.Context(), &elasticloadbalancingv2.DescribeLoadBalancersInput{Names: []string{"web"}}))(t)
	b := found.LoadBalancers[0]
	if *b.LoadBalancerArn != lb || b.State.Code != types.LoadBalancerStateEnumActive || len(b.AvailabilityZones) != 3 ||
		b.CreatedTime == nil || *b.VpcId != r.site.VPC || b.IpAddressType != types.IpAddressTypeIpv4 {
		t.Errorf("the load balancer is %+v", b)
	}
	_, err := r.elbv2.DeleteTargetGroup(t.Context(), &elasticloadbalancingv2.DeleteTargetGroupInput{TargetGroupArn: &tg})
	refused(t, err, "ResourceInUse")
	must(r.elbv2.DeleteListener(t.Context(), &elasticloadbalancingv2.DeleteListenerInput{ListenerArn: &l}))(t)
	for range 2 {
		must(r.elbv2.DeleteLoadBalancer(t.Context(), &elasticloadbalancingv2.DeleteLoadBalancerInput{LoadBalancerArn: &lb}))(t)
		must(r.elbv2.DeleteTargetGroup(t.Context(), &elasticloadbalancingv2.DeleteTargetGroupInput{TargetGroupArn: &tg}))(t)
	}
	_, err = r.elbv2.DescribeLoadBalancers(t.Context(), &elasticloadbalancingv2.DescribeLoadBalancersInput{Names: []string{"web"}})
	refused(t, err, "LoadBalancerNotFound")
	must(r.ec2.RevokeSecurityGroupIngress(t.Context(), &ec2.RevokeSecurityGroupIngressInput{
		GroupId: &r.site.NodeGroup, IpPermissions: []ec2types.IpPermission{{
			IpProtocol: aws.String("tcp"), FromPort: aws.Int32(30080), ToPort: aws.Int32(30080),
			IpRanges: []ec2types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}},
		}},
	}))(t)
	if after := normal(t, r.cloud); after != before {
		t.Error("something is left over")
	}
}

func normal(t *testing.T, c *awssim.Cloud) string {
	t.Helper()
	text, err := awssim.Normalise(c.State())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// filters make one filter.
func filters(name string, values ...string) []ec2types.Filter {
	return []ec2types.Filter{{Name: &name, Values: values}}
}
