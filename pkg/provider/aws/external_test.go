// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"maps"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// claimed lets the Services of the AWS Load Balancer Controller be ours.
func claimed(s *aws.Settings) {
	s.Claims = aws.AlsoLoadBalancerController
	s.External = aws.External{
		Controller: names.Controller{Cluster: "rig"}, Scheme: elbv2types.LoadBalancerSchemeEnumInternal,
		TargetType: elbv2types.TargetTypeEnumInstance, TLSPolicy: "ELBSecurityPolicy-2016-08",
	}
}

// withIPv6 gives all subnets addresses of both families. AWS does not tell which.
func (s *site) withIPv6() {
	for i := range s.observed.Subnets {
		s.observed.Subnets[i].Ipv6CidrBlockAssociationSet = []ec2types.SubnetIpv6CidrBlockAssociation{{}}
	}
}

func external(svc *v1.Service) {
	svc.Annotations[annotation+"type"] = "external"
	svc.Annotations[annotation+"nlb-target-type"] = "instance"
}

func class(svc *v1.Service) {
	delete(svc.Annotations, annotation+"type")
	svc.Spec.LoadBalancerClass = new("service.k8s.aws/nlb")
}

func externalChanges() []change {
	one := func(name string, after ...func(*v1.Service)) change {
		return change{name: "external " + name, settings: claimed, before: []func(*v1.Service){external}, after: after}
	}
	return []change{
		one("as it is"),
		one("scheme", with("scheme", "internet-facing")),
		one("local", local),
		one("tls", with("ssl-cert", certificates, "alpn-policy", "HTTP2Preferred")),
		one("listener attributes", with("listener-attributes.TCP-80", "tcp.idle_timeout.seconds=600")),
		one("private link", with("inbound-sg-rules-on-private-link-traffic", "off")),
		{name: "external addresses of both families", settings: claimed, site: (*site).withIPv6, before: []func(*v1.Service){external, with("ip-address-type", "dualstack", "subnets", "private-us-east-1a,private-us-east-1b", "private-ipv4-addresses", "10.0.96.9,10.0.112.9", "ipv6-addresses", "2600:1f18::9,2600:1f18::a")}},
		one("several certificates", with("ssl-cert", certificates+","+certificates+"0,"+certificates+"1")),
		{name: "external fewer certificates", settings: claimed, before: []func(*v1.Service){external, with("ssl-cert", certificates+","+certificates+"0,"+certificates+"1")}, after: []func(*v1.Service){with("ssl-cert", certificates+","+certificates+"1")}},
		one("attributes", with("attributes", "deletion_protection.enabled=true", "target-group-attributes", "deregistration_delay.timeout_seconds=30", "target-group-attributes.80", "stickiness.enabled=true", "proxy-protocol", "*")),
		one("without groups", with("disable-nlb-sg", "true")),
		one("given groups", with("security-groups", "sg-c79d4313baf0217ab", "manage-backend-security-group-rules", "true")),
		one("prefix lists and icmp", with("security-group-prefix-lists", "pl-1", "enable-icmp-for-path-mtu-discovery", "on")),
		one("tcp and udp", ports(tcp("a", 53, 30053), udp("b", 53, 30053))),
		one("health check", with("healthcheck-protocol", "HTTP", "healthcheck-port", "http", "healthcheck-success-codes", "200", "healthcheck-timeout", "4")),
		{name: "external by class", settings: claimed, before: []func(*v1.Service){class}},
		{name: "external by name", settings: claimed, before: []func(*v1.Service){external, with("name", "shop")}},
	}
}

func TestServicesOfTheLoadBalancerController(t *testing.T) {
	for _, c := range externalChanges() {
		t.Run(c.name, func(t *testing.T) {
			s := c.fresh(t)
			s.service("web", append(c.before, c.after...)...)
			golden(t, c.name, s.settle(t, s.all(provider.Serve, provider.Edit)))
			if got := text(t, s.compute(s.all(provider.Serve, provider.Resync))); !strings.HasPrefix(got, nothing) {
				t.Error(got)
			}
			s.settle(t, s.all(provider.Remove, provider.Edit))
			s.empty(t)
			s = c.start(t)
			s.settle(t, s.all(provider.Serve, provider.Edit))
			s.settle(t, s.all(provider.Remove, provider.Edit))
			s.empty(t)
			cutCreation(t, &c)
		})
	}
}

// TestWhatTheLoadBalancerControllerLeftNeedsNoWrite is about the names and tags
// of that controller, and its shared security group.
func TestWhatTheLoadBalancerControllerLeftNeedsNoWrite(t *testing.T) {
	s := newSite(t)
	claimed(&s.settings)
	s.service("web", external, with("ssl-cert", certificates))
	s.settle(t, s.all(provider.Serve, provider.Edit))
	for _, n := range s.observed.Networks {
		delete(n.Tags, names.TagMade)
		if want := map[string]string{
			"elbv2.k8s.aws/cluster": "rig", "service.k8s.aws/stack": "default/web", "service.k8s.aws/resource": "LoadBalancer",
		}; !maps.Equal(want, n.Tags) {
			t.Errorf("tags %v", n.Tags)
		}
	}
	for id, g := range s.observed.Groups {
		if strings.HasPrefix(awssdk.ToString(g.GroupName), "fairlead-") {
			theirs := *g
			theirs.GroupName = awssdk.String("k8s-traffic-rig-0123456789")
			theirs.Tags = []tag{{Key: awssdk.String("elbv2.k8s.aws/cluster"), Value: awssdk.String("rig")}, {Key: awssdk.String("elbv2.k8s.aws/resource"), Value: awssdk.String("backend-sg")}}
			s.observed.Groups[id] = &theirs
		}
	}
	for _, cause := range []provider.Cause{provider.Drift, provider.Resync, provider.Nodes} {
		if got := text(t, s.compute(s.all(provider.Serve, cause))); got != nothing {
			t.Errorf("cause %d:\n%s", cause, got)
		}
	}
	// Without the claim nothing of it is ours.
	s.settings.Claims = aws.PeerOnly
	for _, want := range []provider.Want{provider.Serve, provider.Remove} {
		if r := s.compute(s.all(want, provider.Edit)); len(r.Steps) > 0 {
			t.Error(text(t, r))
		}
	}
	claimed(&s.settings)
	s.settle(t, s.all(provider.Serve, provider.Edit))
	for key := range s.services[0].Annotations {
		if key != annotation+"type" {
			delete(s.services[0].Annotations, key)
		}
	}
	s.settle(t, s.all(provider.Remove, provider.Edit))
	if n := len(s.observed.Networks) + len(s.observed.TargetGroups); n > 0 {
		t.Errorf("%d left", n)
	}
}

func TestLoadBalancerOfThePeerServesOnWhenTheTypeBecomesExternal(t *testing.T) {
	s := load(t, "nlb-default")
	claimed(&s.settings)
	s.settings.External.Scheme = elbv2types.LoadBalancerSchemeEnumInternetFacing
	s.services[0].Annotations[annotation+"type"] = "external"
	s.services[0].Annotations[annotation+"nlb-target-type"] = "instance"
	if got := text(t, s.compute(s.all(provider.Serve, provider.Edit))); strings.Contains(got, "+ aws/loadBalancer ") || strings.Contains(got, "- aws/loadBalancer ") {
		t.Error(got)
	}
	s.settle(t, s.all(provider.Serve, provider.Edit))
	s.settle(t, s.all(provider.Remove, provider.Edit))
	s.empty(t)
}

// A group that the AWS Load Balancer Controller was given, or that somebody
// added, may be what the nodes let in: it stays until the Service is edited.
func TestGroupsOfTheLoadBalancerControllerStay(t *testing.T) {
	s := newSite(t)
	claimed(&s.settings)
	s.service("web", external)
	s.settle(t, s.all(provider.Serve, provider.Edit))
	own := 0
	for _, lb := range s.observed.Networks {
		delete(lb.Tags, names.TagMade)
		own, lb.SecurityGroups = len(lb.SecurityGroups), append(lb.SecurityGroups, extraGroup)
	}
	if got := text(t, s.compute(s.all(provider.Serve, provider.Resync))); got != nothing {
		t.Error(got)
	}
	s.settle(t, s.all(provider.Serve, provider.Edit))
	for _, lb := range s.observed.Networks {
		if len(lb.SecurityGroups) != own {
			t.Errorf("after an edit: %v", lb.SecurityGroups)
		}
	}
}

// What was made for a Service goes when the AWS Load Balancer Controller gets
// it, but for what that controller has its tags on.
func TestServiceThatBecomesTheLoadBalancerControllers(t *testing.T) {
	for _, kind := range []string{"nlb", ""} {
		s := newSite(t)
		managed(&s.settings)
		s.service("web", with("type", kind))
		s.settle(t, s.all(provider.Serve, provider.Edit))
		with("type", "external")(s.services[0])
		s.settle(t, s.all(provider.Remove, provider.Edit))
		s.empty(t)
	}
	s := newSite(t)
	managed(&s.settings)
	s.service("web")
	s.settle(t, s.all(provider.Serve, provider.Edit))
	with("type", "external")(s.services[0])
	for _, lb := range s.observed.Networks {
		lb.Tags["elbv2.k8s.aws/cluster"], lb.Tags["service.k8s.aws/stack"] = "rig", "default/web"
	}
	if got := text(t, s.compute(s.all(provider.Remove, provider.Edit))); got != nothing {
		t.Error(got)
	}
}
