// SPDX-License-Identifier: Apache-2.0

package awssim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// group makes a target group.
func (r *rig) targetGroup(name string, change func(*elb.CreateTargetGroupInput)) (types.TargetGroup, error) {
	in := &elb.CreateTargetGroupInput{Name: &name, Port: aws.Int32(30080), Protocol: types.ProtocolEnumTcp, VpcId: &r.site.VPC}
	change(in)
	out, err := r.elbv2.CreateTargetGroup(r.t.Context(), in)
	if err != nil {
		return types.TargetGroup{}, err
	}
	return out.TargetGroups[0], nil
}

func plain(*elb.CreateTargetGroupInput) {}

func TestTargetGroupsHaveTheDefaultsOfAWS(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{})
	g := must(r.targetGroup("tcp", plain))(t)
	if g.HealthCheckProtocol != "TCP" || *g.HealthCheckPort != "traffic-port" || *g.HealthCheckTimeoutSeconds != 10 ||
		*g.HealthCheckIntervalSeconds != 30 || *g.HealthyThresholdCount != 5 || *g.UnhealthyThresholdCount != 2 ||
		g.HealthCheckPath != nil || g.Matcher != nil || g.TargetType != "instance" || len(g.LoadBalancerArns) != 0 {
		t.Errorf("over TCP it is %+v", g)
	}
	web := func(in *elb.CreateTargetGroupInput) { in.HealthCheckProtocol = types.ProtocolEnumHttp }
	h := must(r.targetGroup("http", web))(t)
	if *h.HealthCheckTimeoutSeconds != 6 || *h.HealthCheckPath != "/" || *h.Matcher.HttpCode != "200-399" {
		t.Errorf("over HTTP it is %+v", h)
	}
	if again := must(r.targetGroup("http", web))(t); *again.TargetGroupArn != *h.TargetGroupArn {
		t.Error("another one was made")
	}
	_, err := r.targetGroup("http", plain)
	refused(t, err, "DuplicateTargetGroupName")
	modified := must(r.elbv2.ModifyTargetGroup(t.Context(), &elb.ModifyTargetGroupInput{
		TargetGroupArn: g.TargetGroupArn, HealthCheckProtocol: types.ProtocolEnumHttp, HealthCheckPath: aws.String("/healthz"),
	}))(t).TargetGroups[0]
	if *modified.HealthCheckPath != "/healthz" || *modified.HealthCheckTimeoutSeconds != 6 {
		t.Errorf("modified it is %+v", modified)
	}
}

func TestRefusesTargetGroupsThatCannotBe(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{})
	for name, c := range map[string]struct {
		change func(*elb.CreateTargetGroupInput)
		code   string
	}{
		"no port":               {func(in *elb.CreateTargetGroupInput) { in.Port = nil }, "ValidationError"},
		"a protocol of ALB":     {func(in *elb.CreateTargetGroupInput) { in.Protocol = types.ProtocolEnumHttp }, "ValidationError"},
		"a check by UDP":        {func(in *elb.CreateTargetGroupInput) { in.HealthCheckProtocol = types.ProtocolEnumUdp }, "ValidationError"},
		"an interval too short": {func(in *elb.CreateTargetGroupInput) { in.HealthCheckIntervalSeconds = aws.Int32(4) }, "ValidationError"},
		"a timeout too long": {func(in *elb.CreateTargetGroupInput) {
			in.HealthCheckIntervalSeconds, in.HealthCheckTimeoutSeconds = aws.Int32(5), aws.Int32(6)
		}, "ValidationError"},
		"a threshold too low":  {func(in *elb.CreateTargetGroupInput) { in.HealthyThresholdCount = aws.Int32(1) }, "ValidationError"},
		"a path over TCP":      {func(in *elb.CreateTargetGroupInput) { in.HealthCheckPath = aws.String("/") }, "InvalidConfigurationRequest"},
		"a named port":         {func(in *elb.CreateTargetGroupInput) { in.HealthCheckPort = aws.String("http") }, "ValidationError"},
		"another VPC":          {func(in *elb.CreateTargetGroupInput) { in.VpcId = aws.String("vpc-0") }, "ValidationError"},
		"no checks of machine": {func(in *elb.CreateTargetGroupInput) { in.HealthCheckEnabled = aws.Bool(false) }, "InvalidConfigurationRequest"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.targetGroup("a", c.change)
			refused(t, err, c.code)
		})
	}
	g := must(r.targetGroup("udp", func(in *elb.CreateTargetGroupInput) { in.Protocol = types.ProtocolEnumUdp }))(t)
	_, err := r.elbv2.ModifyTargetGroupAttributes(t.Context(), &elb.ModifyTargetGroupAttributesInput{
		TargetGroupArn: g.TargetGroupArn,
		Attributes:     []types.TargetGroupAttribute{{Key: aws.String("preserve_client_ip.enabled"), Value: aws.String("false")}},
	})
	refused(t, err, "ValidationError")
}

func TestRefusesTargetsThatCannotBe(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{Families: "dualstack"})
	tg := r.targets("web", 30080)
	if err := r.cloud.SetPower(r.nodes[1], "stopped"); err != nil {
		t.Fatal(err)
	}
	refused(t, r.register(tg, r.nodes[0], "i-0123"), "InvalidTarget")
	refused(t, r.register(tg, r.nodes[0], r.nodes[1]), "InvalidTarget")
	if n := r.health(tg); len(n) != 0 {
		t.Errorf("a refused call left targets: %v", n)
	}
	addresses := must(r.targetGroup("ip", func(in *elb.CreateTargetGroupInput) { in.TargetType = types.TargetTypeEnumIp }))(t)
	for id, code := range map[string]string{
		"10.0.0.7": "", "10.0.96.4": "", "192.168.0.1": "InvalidTarget", "8.8.8.8": "InvalidTarget", "2600:1f18:1000::1": "InvalidTarget", "i-0": "InvalidTarget",
	} {
		err := r.register(*addresses.TargetGroupArn, id)
		if code == "" && err != nil {
			t.Errorf("%s: %v", id, err)
		} else if code != "" {
			refused(t, err, code)
		}
	}
	six := must(r.targetGroup("ip6", func(in *elb.CreateTargetGroupInput) {
		in.TargetType, in.IpAddressType = types.TargetTypeEnumIp, types.TargetGroupIpAddressTypeEnumIpv6
	}))(t)
	if err := r.register(*six.TargetGroupArn, "2600:1f18:1000::1"); err != nil {
		t.Error(err)
	}
	r.cloud.SetLimits(awssim.Limits{TargetsPerGroup: 1})
	refused(t, r.register(tg, r.nodes[0], r.nodes[2]), "TooManyTargets")
}

func TestHealthTakesTheCourseOfATarget(t *testing.T) {
	r := newRig(t, awssim.Options{Timing: awssim.Timing{InitialHealth: time.Minute, Drain: -1}}, awssim.SiteOptions{})
	lb, tg := r.balancer("web"), r.targets("web", 30080)
	if err := r.register(tg, r.nodes...); err != nil {
		t.Fatal(err)
	}
	expect := func(when string, want map[types.TargetHealthStateEnum]int) {
		t.Helper()
		if got := r.health(tg); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	expect("with no load balancer", map[types.TargetHealthStateEnum]int{"unused": 3})
	r.listener(lb, tg, 80)
	expect("at first", map[types.TargetHealthStateEnum]int{"initial": 3})
	r.cloud.Advance(time.Minute)
	expect("with no rule", map[types.TargetHealthStateEnum]int{"unhealthy": 3})
	if err := r.open(r.site.NodeGroup, 30000, 32767); err != nil {
		t.Fatal(err)
	}
	r.cloud.SetHealth(func(h awssim.HealthCheck) bool { return h.Target != r.nodes[0] || h.Port != 30080 })
	expect("when one does not answer", map[types.TargetHealthStateEnum]int{"healthy": 2, "unhealthy": 1})
	must(r.elbv2.DeregisterTargets(t.Context(), &elb.DeregisterTargetsInput{
		TargetGroupArn: &tg, Targets: []types.TargetDescription{{Id: &r.nodes[0]}, {Id: aws.String("i-never")}},
	}))(t)
	expect("when one leaves", map[types.TargetHealthStateEnum]int{"healthy": 2, "draining": 1})
	r.cloud.Advance(300 * time.Second)
	expect("when it has left", map[types.TargetHealthStateEnum]int{"healthy": 2})
	if err := r.cloud.SetPower(r.nodes[1], "stopped"); err != nil {
		t.Fatal(err)
	}
	expect("when one stops", map[types.TargetHealthStateEnum]int{"healthy": 1, "unused": 1})
	if err := r.cloud.SetPower(r.nodes[1], "terminated"); err != nil {
		t.Fatal(err)
	}
	expect("when it ends", map[types.TargetHealthStateEnum]int{"healthy": 1})
}

func TestRefusesListenersThatCannotBe(t *testing.T) {
	r := newRig(t, awssim.Options{Limits: awssim.Limits{NetworkListeners: 2}}, awssim.SiteOptions{})
	lb, other := r.balancer("web"), r.balancer("other")
	tg := r.targets("web", 30080)
	udp := must(r.targetGroup("udp", func(in *elb.CreateTargetGroupInput) { in.Protocol = types.ProtocolEnumUdp }))(t)
	l := r.listener(lb, tg, 80)
	if again := r.listener(lb, tg, 80); again != l {
		t.Error("another listener was made")
	}
	with := func(balancer string, change func(*elb.CreateListenerInput)) error {
		in := listenerInput(balancer, tg, 443)
		change(in)
		_, err := r.elbv2.CreateListener(t.Context(), in)
		return err
	}
	tls := func(in *elb.CreateListenerInput) {
		in.Protocol = types.ProtocolEnumTls
		in.Certificates = []types.Certificate{{CertificateArn: aws.String("arn:aws:acm:us-east-1:123456789012:certificate/1")}}
	}
	for name, c := range map[string]struct {
		balancer string
		change   func(*elb.CreateListenerInput)
		code     string
	}{
		"a port that is taken": {lb, func(in *elb.CreateListenerInput) {
			in.Port, in.DefaultActions[0].TargetGroupArn = aws.Int32(80), udp.TargetGroupArn
			in.Protocol = types.ProtocolEnumUdp
		}, "DuplicateListener"},
		"another protocol than its group":  {lb, func(in *elb.CreateListenerInput) { in.Protocol = types.ProtocolEnumUdp }, "IncompatibleProtocols"},
		"the group of another":             {other, func(*elb.CreateListenerInput) {}, "TargetGroupAssociationLimit"},
		"a group that is not there":        {lb, func(in *elb.CreateListenerInput) { in.DefaultActions[0].TargetGroupArn = aws.String("arn:x") }, "TargetGroupNotFound"},
		"TLS without a certificate":        {lb, func(in *elb.CreateListenerInput) { in.Protocol = types.ProtocolEnumTls }, "CertificateNotFound"},
		"TLS with a certificate of no one": {lb, func(in *elb.CreateListenerInput) { tls(in); in.Certificates[0].CertificateArn = aws.String("x") }, "CertificateNotFound"},
		"TLS with an unknown policy":       {lb, func(in *elb.CreateListenerInput) { tls(in); in.SslPolicy = aws.String("mine") }, "SSLPolicyNotFound"},
		"a certificate over TCP":           {lb, func(in *elb.CreateListenerInput) { tls(in); in.Protocol = types.ProtocolEnumTcp }, "InvalidConfigurationRequest"},
		"a load balancer that is not":      {"arn:x", func(*elb.CreateListenerInput) {}, "LoadBalancerNotFound"},
	} {
		t.Run(name, func(t *testing.T) { refused(t, with(c.balancer, c.change), c.code) })
	}
	if err := with(lb, tls); err != nil {
		t.Fatal(err)
	}
	refused(t, with(lb, func(in *elb.CreateListenerInput) { in.Port = aws.Int32(81) }), "TooManyListeners")
	for _, got := range must(r.elbv2.DescribeListeners(t.Context(), &elb.DescribeListenersInput{LoadBalancerArn: &lb}))(t).Listeners {
		if *got.Port == 443 && *got.SslPolicy != "ELBSecurityPolicy-2016-08" {
			t.Errorf("the policy is %s", *got.SslPolicy)
		}
	}
}

func TestListenersMoveBetweenGroups(t *testing.T) {
	r := newRig(t, awssim.Options{Timing: awssim.Timing{Release: time.Second}}, awssim.SiteOptions{})
	lb, a, b := r.balancer("web"), r.targets("a", 30080), r.targets("b", 30081)
	l := r.listener(lb, a, 80)
	must(r.elbv2.ModifyListener(t.Context(), &elb.ModifyListenerInput{
		ListenerArn: &l, DefaultActions: []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: &b}},
	}))(t)
	must(r.elbv2.DeleteTargetGroup(t.Context(), &elb.DeleteTargetGroupInput{TargetGroupArn: &a}))(t)
	found := must(r.elbv2.DescribeTargetGroups(t.Context(), &elb.DescribeTargetGroupsInput{LoadBalancerArn: &lb}))(t).TargetGroups
	if len(found) != 1 || *found[0].TargetGroupArn != b {
		t.Errorf("the groups are %+v", found)
	}
	must(r.elbv2.ModifyListenerAttributes(t.Context(), &elb.ModifyListenerAttributesInput{
		ListenerArn: &l, Attributes: []types.ListenerAttribute{{Key: aws.String("tcp.idle_timeout.seconds"), Value: aws.String("60")}},
	}))(t)
	tls := must(r.elbv2.ModifyListener(t.Context(), &elb.ModifyListenerInput{
		ListenerArn: &l, Protocol: types.ProtocolEnumTls, AlpnPolicy: []string{"HTTP2Optional"},
		Certificates: []types.Certificate{{CertificateArn: aws.String("arn:aws:acm:us-east-1:123456789012:certificate/1")}},
	}))(t).Listeners[0]
	more := []types.Certificate{{CertificateArn: aws.String("arn:aws:acm:us-east-1:123456789012:certificate/2")}}
	must(r.elbv2.AddListenerCertificates(t.Context(), &elb.AddListenerCertificatesInput{ListenerArn: tls.ListenerArn, Certificates: more}))(t)
	certs := must(r.elbv2.DescribeListenerCertificates(t.Context(), &elb.DescribeListenerCertificatesInput{ListenerArn: &l}))(t).Certificates
	if len(certs) != 2 || !*certs[0].IsDefault || *certs[1].IsDefault {
		t.Errorf("the certificates are %+v", certs)
	}
	must(r.elbv2.RemoveListenerCertificates(t.Context(), &elb.RemoveListenerCertificatesInput{ListenerArn: &l, Certificates: more}))(t)
	must(r.elbv2.DeleteLoadBalancer(t.Context(), &elb.DeleteLoadBalancerInput{LoadBalancerArn: &lb}))(t)
	_, err := r.elbv2.DeleteTargetGroup(t.Context(), &elb.DeleteTargetGroupInput{TargetGroupArn: &b})
	refused(t, err, "ResourceInUse")
	r.cloud.Advance(time.Second)
	must(r.elbv2.DeleteTargetGroup(t.Context(), &elb.DeleteTargetGroupInput{TargetGroupArn: &b}))(t)
}
