// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
)

// classic makes the Service one of a classic load balancer.
func classic(svc *v1.Service) { delete(svc.Annotations, annotation+"type") }

func without(suffixes ...string) func(*v1.Service) {
	return func(svc *v1.Service) {
		for _, s := range suffixes {
			delete(svc.Annotations, annotation+s)
		}
	}
}

const extraGroup = "sg-c79d4313baf0217ab"

// answerClassic is what AWS says to the calls of classic load balancers, as far
// as the provider learns from it, and what it refuses.
func (s *site) answerClassic(call aws.Call) (any, error) {
	if in, ok := call.(*elb.CreateLoadBalancerInput); ok {
		return s.createClassic(in)
	}
	c := s.classicOf(call)
	if c == nil {
		return nil, fmt.Errorf("LoadBalancerNotFound, or call %T is not known", call)
	}
	ports := map[int32]*elbtypes.ListenerDescription{}
	for i := range c.ListenerDescriptions {
		ports[c.ListenerDescriptions[i].Listener.LoadBalancerPort] = &c.ListenerDescriptions[i]
	}
	switch in := call.(type) {
	case *elb.CreateLoadBalancerListenersInput:
		for _, l := range in.Listeners {
			if ports[l.LoadBalancerPort] != nil {
				return nil, errors.New("DuplicateListener")
			}
		}
	case *elb.SetLoadBalancerPoliciesOfListenerInput:
		if ports[in.LoadBalancerPort] == nil || !slices.Contains(c.Policies.OtherPolicies, in.PolicyNames[0]) {
			return nil, errors.New("ListenerNotFound, or PolicyNotFound")
		}
	case *elb.SetLoadBalancerPoliciesForBackendServerInput:
		if !slices.ContainsFunc(c.ListenerDescriptions, func(d elbtypes.ListenerDescription) bool { return *d.Listener.InstancePort == *in.InstancePort }) {
			return nil, errors.New("InvalidConfigurationRequest: no listener has the port")
		}
	case *elb.DetachLoadBalancerFromSubnetsInput:
		if len(in.Subnets) >= len(c.Subnets) {
			return nil, errors.New("InvalidConfigurationRequest: at least one subnet")
		}
	case *elb.AttachLoadBalancerToSubnetsInput:
		for _, id := range in.Subnets {
			for _, other := range c.Subnets {
				if s.zone(id) == s.zone(other) {
					return nil, errors.New("InvalidConfigurationRequest: subnets in the same AZ")
				}
			}
		}
	}
	return struct{}{}, nil
}

func (s *site) zone(subnet string) string {
	for i := range s.observed.Subnets {
		if awssdk.ToString(s.observed.Subnets[i].SubnetId) == subnet {
			return awssdk.ToString(s.observed.Subnets[i].AvailabilityZone)
		}
	}
	return ""
}

func (s *site) createClassic(in *elb.CreateLoadBalancerInput) (any, error) {
	if s.observed.Classics[*in.LoadBalancerName] != nil {
		return nil, errors.New("DuplicateLoadBalancerName")
	}
	for _, id := range in.SecurityGroups {
		if s.observed.Groups[id] == nil {
			return nil, errors.New("InvalidSecurityGroup")
		}
	}
	return &elb.CreateLoadBalancerOutput{DNSName: awssdk.String(*in.LoadBalancerName + "-1.us-east-1.elb.amazonaws.com")}, nil
}

// classicOf is the load balancer that a call is about.
func (s *site) classicOf(call aws.Call) *aws.Classic {
	var name *string
	switch in := call.(type) {
	case *elb.DeleteLoadBalancerInput:
		name = in.LoadBalancerName
	case *elb.RegisterInstancesWithLoadBalancerInput:
		name = in.LoadBalancerName
	case *elb.DeregisterInstancesFromLoadBalancerInput:
		name = in.LoadBalancerName
	case *elb.ConfigureHealthCheckInput:
		name = in.LoadBalancerName
	case *elb.ModifyLoadBalancerAttributesInput:
		name = in.LoadBalancerName
	case *elb.ApplySecurityGroupsToLoadBalancerInput:
		name = in.LoadBalancerName
	case *elb.AttachLoadBalancerToSubnetsInput:
		name = in.LoadBalancerName
	case *elb.DetachLoadBalancerFromSubnetsInput:
		name = in.LoadBalancerName
	case *elb.AddTagsInput:
		name = &in.LoadBalancerNames[0]
	case *elb.RemoveTagsInput:
		name = &in.LoadBalancerNames[0]
	case *elb.CreateLoadBalancerListenersInput:
		name = in.LoadBalancerName
	case *elb.DeleteLoadBalancerListenersInput:
		name = in.LoadBalancerName
	case *elb.SetLoadBalancerListenerSSLCertificateInput:
		name = in.LoadBalancerName
	case *elb.CreateLoadBalancerPolicyInput:
		name = in.LoadBalancerName
	case *elb.SetLoadBalancerPoliciesOfListenerInput:
		name = in.LoadBalancerName
	case *elb.SetLoadBalancerPoliciesForBackendServerInput:
		name = in.LoadBalancerName
	}
	return s.observed.Classics[awssdk.ToString(name)]
}

// classicPicture is what there is of classic load balancers, without ids.
func (s *site) classicPicture(groups map[string]string) []string {
	var out []string
	for name, c := range s.observed.Classics {
		a := c.Attributes
		log := fmt.Sprint(a.AccessLog.Enabled, awssdk.ToString(a.AccessLog.S3BucketName), awssdk.ToInt32(a.AccessLog.EmitInterval))
		out = append(out, strings.Join([]string{
			"classic", name, *c.Scheme, texts(c.Tags), "log", log, "drain", fmt.Sprint(a.ConnectionDraining.Enabled, awssdk.ToInt32(a.ConnectionDraining.Timeout)),
			"idle", fmt.Sprint(*a.ConnectionSettings.IdleTimeout), "cross", fmt.Sprint(a.CrossZoneLoadBalancing.Enabled),
		}, " "))
		if h := c.HealthCheck; h != nil {
			out = append(out, fmt.Sprint("health ", *h.Target, *h.Interval, *h.Timeout, *h.HealthyThreshold, *h.UnhealthyThreshold))
		}
		for _, id := range c.Subnets {
			out = append(out, "subnet "+id)
		}
		for _, id := range c.SecurityGroups {
			out = append(out, "group "+groups[id])
		}
		for _, i := range c.Instances {
			out = append(out, "instance "+*i.InstanceId)
		}
		used := map[int32]bool{}
		for _, d := range c.ListenerDescriptions {
			l := d.Listener
			used[*l.InstancePort] = true
			out = append(out, fmt.Sprint("listener ", *l.Protocol, l.LoadBalancerPort, *l.InstanceProtocol, *l.InstancePort, awssdk.ToString(l.SSLCertificateId), d.PolicyNames))
		}
		for _, d := range c.BackendServerDescriptions {
			if used[*d.InstancePort] {
				out = append(out, fmt.Sprint("backend ", *d.InstancePort, d.PolicyNames))
			}
		}
	}
	return out
}

// TestNewClassicLoadBalancers makes, changes nothing more, and removes.
func TestNewClassicLoadBalancers(t *testing.T) {
	for _, c := range []struct {
		name     string
		settings func(*aws.Settings)
		change   []func(*v1.Service)
	}{
		{name: "classic"},
		{name: "classic local", change: []func(*v1.Service){local}},
		{name: "classic local probed at the traffic port", change: []func(*v1.Service){local, with("healthcheck-port", "traffic-port")}},
		{name: "classic internal", change: []func(*v1.Service){with("internal", "true")}},
		{name: "classic with tls and http", change: []func(*v1.Service){
			ports(tcp("http", 80, 30080), tcp("https", 443, 30443)), with("ssl-cert", certificates, "ssl-ports", "https", "backend-protocol", "http"),
		}},
		{name: "classic with tls to the nodes", change: []func(*v1.Service){with("ssl-cert", certificates, "backend-protocol", "ssl")}},
		{name: "classic with tls and a policy", change: []func(*v1.Service){
			ports(tcp("a", 443, 30443), tcp("b", 8443, 30444)), with("ssl-cert", certificates, "ssl-negotiation-policy", "ELBSecurityPolicy-TLS-1-2-2017-01"),
		}},
		{name: "classic http", change: []func(*v1.Service){with("backend-protocol", "http")}},
		{name: "classic with proxy protocol", change: []func(*v1.Service){ports(tcp("a", 80, 30080), tcp("b", 81, 30081)), with("proxy-protocol", "*")}},
		{name: "classic attributes", change: []func(*v1.Service){with(
			"access-log-enabled", "true", "access-log-s3-bucket-name", "logs", "access-log-s3-bucket-prefix", "web", "access-log-emit-interval", "5",
			"connection-draining-enabled", "true", "connection-draining-timeout", "60", "connection-idle-timeout", "120",
			"cross-zone-load-balancing-enabled", "true", "additional-resource-tags", "team=web",
		)}},
		{name: "classic health check by annotations", change: []func(*v1.Service){with(
			"healthcheck-protocol", "http", "healthcheck-port", "8080", "healthcheck-path", "/live", "healthcheck-interval", "15",
			"healthcheck-timeout", "3", "healthcheck-healthy-threshold", "3", "healthcheck-unhealthy-threshold", "4",
		)}},
		{name: "classic shared probe", settings: func(s *aws.Settings) { s.Probes = aws.SharedProbe }},
		{name: "classic with given groups", change: []func(*v1.Service){with("security-groups", extraGroup)}},
		{name: "classic with more groups", change: []func(*v1.Service){with("extra-security-groups", extraGroup)}},
		{name: "classic with the configured group", settings: func(s *aws.Settings) { s.ClassicGroup = extraGroup }},
		{name: "classic source ranges", change: []func(*v1.Service){sourceRanges("192.0.2.0/24", "198.51.100.0/24")}},
		{name: "classic without rules", settings: func(s *aws.Settings) { s.NodeRules = false }},
		{name: "classic on some nodes", change: []func(*v1.Service){with("target-node-labels", "topology.kubernetes.io/zone=us-east-1a")}},
		{name: "classic in named subnets", change: []func(*v1.Service){with("subnets", "public-us-east-1a,public-us-east-1b")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			if c.settings != nil {
				c.settings(&s.settings)
			}
			s.service("web", append([]func(*v1.Service){classic}, c.change...)...)
			var b strings.Builder
			b.WriteString(s.settle(t, s.all(provider.Serve, provider.Edit)))
			if got := text(t, s.compute(s.all(provider.Serve, provider.Resync))); got != nothing {
				t.Errorf("at a resync:\n%s", got)
			}
			b.WriteString("\nremoved:\n" + s.settle(t, s.all(provider.Remove, provider.Edit)))
			s.empty(t)
			golden(t, c.name, b.String())
		})
	}
}

func classicChanges() []change {
	list := []change{
		{name: "classic ports are added and taken away", after: []func(*v1.Service){ports(tcp("http", 80, 30080), tcp("https", 443, 30443))}, before: []func(*v1.Service){ports(tcp("http", 80, 30080), tcp("old", 81, 30081))}},
		{name: "classic another node port", after: []func(*v1.Service){ports(tcp("http", 80, 30999))}},
		{name: "classic another node port with proxy protocol", before: []func(*v1.Service){with("proxy-protocol", "*")}, after: []func(*v1.Service){ports(tcp("http", 80, 30999))}},
		{name: "classic proxy protocol off", before: []func(*v1.Service){with("proxy-protocol", "*")}, after: []func(*v1.Service){without("proxy-protocol")}},
		{name: "classic tls on", after: []func(*v1.Service){with("ssl-cert", certificates, "ssl-negotiation-policy", "ELBSecurityPolicy-TLS-1-2-2017-01")}},
		{name: "classic another certificate", before: []func(*v1.Service){with("ssl-cert", certificates)}, after: []func(*v1.Service){with("ssl-cert", certificates+"0")}},
		{name: "classic another policy", before: []func(*v1.Service){with("ssl-cert", certificates, "ssl-negotiation-policy", "ELBSecurityPolicy-2015-05")}, after: []func(*v1.Service){with("ssl-negotiation-policy", "ELBSecurityPolicy-TLS-1-2-2017-01")}},
		{name: "classic policy taken away", before: []func(*v1.Service){with("ssl-cert", certificates, "ssl-negotiation-policy", "ELBSecurityPolicy-2015-05")}, after: []func(*v1.Service){without("ssl-negotiation-policy")}},
		{name: "classic traffic policy local", after: []func(*v1.Service){local}},
		{name: "classic other source ranges", before: []func(*v1.Service){sourceRanges("192.0.2.0/24")}, after: []func(*v1.Service){sourceRanges("198.51.100.0/24")}},
		{name: "classic another scheme", after: []func(*v1.Service){with("internal", "true")}},
		{name: "classic given groups instead of its own", after: []func(*v1.Service){with("security-groups", extraGroup)}},
		{name: "classic its own group instead of given ones", before: []func(*v1.Service){with("security-groups", extraGroup)}, after: []func(*v1.Service){without("security-groups")}},
		{name: "classic more groups", after: []func(*v1.Service){with("extra-security-groups", extraGroup)}},
		{name: "classic fewer subnets", after: []func(*v1.Service){with("subnets", "public-us-east-1a,public-us-east-1b")}},
		{name: "classic other subnets", after: []func(*v1.Service){with("subnets", "public-us-east-1a,private-us-east-1b,private-us-east-1c")}},
		{name: "classic tags", after: []func(*v1.Service){with("additional-resource-tags", "team=web")}},
		{name: "classic tags are taken away", before: []func(*v1.Service){with("additional-resource-tags", "team=web,cost=1")}, after: []func(*v1.Service){with("additional-resource-tags", "team=db")}},
		{name: "classic attributes are changed", before: []func(*v1.Service){with("connection-draining-enabled", "true", "connection-draining-timeout", "60")}, after: []func(*v1.Service){with("cross-zone-load-balancing-enabled", "true", "connection-idle-timeout", "30"), without("connection-draining-timeout")}},
		{name: "classic fewer nodes", after: []func(*v1.Service){with("target-node-labels", "topology.kubernetes.io/zone=us-east-1a")}},
		{name: "classic becomes a network one before it has an address", after: []func(*v1.Service){with("type", "nlb")}},
		{name: "network becomes a classic one before it has an address", before: []func(*v1.Service){with("type", "nlb")}, after: []func(*v1.Service){classic}},
	}
	for i := range list {
		list[i].before = append([]func(*v1.Service){classic}, list[i].before...)
	}
	return list
}

func TestClassicChanges(t *testing.T) { testChanges(t, classicChanges()) }

func TestClassicCutAnywhere(t *testing.T) { testCutAnywhere(t, classicChanges()) }

func TestClassicRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		change []func(*v1.Service)
	}{
		{name: "classic sctp", change: []func(*v1.Service){ports(v1.ServicePort{Protocol: v1.ProtocolSCTP, Port: 1, NodePort: 30001})}},
		{name: "classic udp", change: []func(*v1.Service){ports(udp("dns", 53, 30053))}},
		{name: "classic no node ports", change: []func(*v1.Service){ports(tcp("a", 53, 0))}},
		{name: "classic unknown subnet", change: []func(*v1.Service){with("subnets", "nowhere")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			s.service("web", append([]func(*v1.Service){classic}, c.change...)...)
			s.service("other", classic)
			r := s.compute(s.one(0, provider.Serve, provider.Edit))
			if len(r.Refused) != 1 || len(r.Steps) > 0 {
				t.Errorf("refused %v, %d steps", r.Refused, len(r.Steps))
			}
			golden(t, "refused "+c.name, text(t, r))
			if n := served(s.compute(s.all(provider.Serve, provider.Edit))); len(n) != 1 {
				t.Errorf("served: %v", n)
			}
		})
	}
}

func TestTypeIsKeptWhileClientsKnowTheAddress(t *testing.T) {
	s := newSite(t)
	svc := s.service("web")
	s.settle(t, s.all(provider.Serve, provider.Edit))
	svc.Status.LoadBalancer.Ingress = []v1.LoadBalancerIngress{{Hostname: "known"}}
	classic(svc)
	r := s.compute(s.all(provider.Serve, provider.Edit))
	if len(r.Refused) != 1 || len(r.Steps) != 0 {
		t.Errorf("refused %v, %d steps", r.Refused, len(r.Steps))
	}
	golden(t, "refused classic while a network one serves", text(t, r))
	s.settle(t, s.all(provider.Remove, provider.Edit))
	s.empty(t)
}

// TestClassicsShareAGroup removes load balancers with one group that is not
// ours: the nodes let it in until the last one goes.
func TestClassicsShareAGroup(t *testing.T) {
	for _, first := range []int{0, 1} {
		s := newSite(t)
		s.settings.ClassicGroup = extraGroup
		s.service("a", classic)
		s.service("b", classic)
		s.settle(t, s.one(0, provider.Serve, provider.Edit))
		s.settle(t, s.one(1, provider.Serve, provider.Edit))
		s.remove(t, first)
		if rules := s.rules(); !slices.ContainsFunc(rules, func(r string) bool { return strings.Contains(r, extraGroup) }) {
			t.Errorf("the nodes shut out the other load balancer: %v", rules)
		}
		s.remove(t, 0)
		s.empty(t)
	}
}

// TestThePeersRuleForAGivenGroupGoes removes a load balancer of the peer with a
// group of the user, cut after each step: the peer's rule says nothing of it.
func TestThePeersRuleForAGivenGroupGoes(t *testing.T) {
	start := func() *site {
		s := newSite(t)
		s.service("web", classic, with("security-groups", extraGroup))
		s.settle(t, s.all(provider.Serve, provider.Edit))
		for _, g := range s.observed.Groups {
			for i := range g.IpPermissions {
				for j := range g.IpPermissions[i].UserIdGroupPairs {
					g.IpPermissions[i].UserIdGroupPairs[j].Description = nil
				}
			}
		}
		return s
	}
	for n := range 3 {
		s := start()
		if err := s.applySome(t, s.compute(s.all(provider.Remove, provider.Edit)), n); err != nil {
			t.Fatal(err)
		}
		without("security-groups")(s.services[0])
		s.settle(t, s.all(provider.Remove, provider.Resync))
		s.empty(t)
	}
}
