// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"fmt"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
)

const annotation = "service.beta.kubernetes.io/aws-load-balancer-"

// service is a Service of type nlb with TCP port 80 and node port 30080.
func (s *site) service(name string, change ...func(*v1.Service)) *v1.Service {
	svc := &v1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: name, UID: types.UID(fmt.Sprintf("%08d-0000-0000-0000-%012d", len(s.services)+1, len(s.services)+1)),
			Annotations: map[string]string{annotation + "type": "nlb"},
		},
		Spec: v1.ServiceSpec{
			Type: v1.ServiceTypeLoadBalancer, SessionAffinity: v1.ServiceAffinityNone, ExternalTrafficPolicy: v1.ServiceExternalTrafficPolicyCluster,
			IPFamilies: []v1.IPFamily{v1.IPv4Protocol}, IPFamilyPolicy: new(v1.IPFamilyPolicySingleStack),
			Ports: []v1.ServicePort{{Name: "http", Protocol: v1.ProtocolTCP, Port: 80, NodePort: int32(30080 + len(s.services))}},
		},
	}
	for _, c := range change {
		c(svc)
	}
	s.services = append(s.services, svc)
	s.observed.Services = s.services
	return svc
}

// with sets annotations, by their suffixes.
func with(pairs ...string) func(*v1.Service) {
	return func(svc *v1.Service) {
		for i := 0; i < len(pairs); i += 2 {
			svc.Annotations[annotation+pairs[i]] = pairs[i+1]
		}
	}
}

func ports(list ...v1.ServicePort) func(*v1.Service) {
	return func(svc *v1.Service) { svc.Spec.Ports = list }
}

func udp(name string, port, nodePort int32) v1.ServicePort {
	return v1.ServicePort{Name: name, Protocol: v1.ProtocolUDP, Port: port, NodePort: nodePort}
}

func tcp(name string, port, nodePort int32) v1.ServicePort {
	return v1.ServicePort{Name: name, Protocol: v1.ProtocolTCP, Port: port, NodePort: nodePort}
}

func local(svc *v1.Service) {
	svc.Spec.ExternalTrafficPolicy, svc.Spec.HealthCheckNodePort = v1.ServiceExternalTrafficPolicyLocal, 32000
}

func sourceRanges(list ...string) func(*v1.Service) {
	return func(svc *v1.Service) { svc.Spec.LoadBalancerSourceRanges = list }
}

func managed(s *aws.Settings) { s.NetworkGroups = aws.ManagedGroups }

const certificates = "arn:aws:acm:us-east-1:123456789012:certificate/7342f8ec"

// TestNewNetworkLoadBalancers makes, changes nothing more, and removes.
func TestNewNetworkLoadBalancers(t *testing.T) {
	for _, c := range []struct {
		name     string
		settings func(*aws.Settings)
		change   []func(*v1.Service)
	}{
		{name: "one port"},
		{name: "local", change: []func(*v1.Service){local}},
		{name: "internal with fixed addresses", change: []func(*v1.Service){with("internal", "true", "private-ipv4-addresses", "10.0.112.9,10.0.96.9", "subnets", "private-us-east-1b,private-us-east-1a")}},
		{name: "elastic addresses", change: []func(*v1.Service){with("eip-allocations", "eipalloc-1,eipalloc-2,eipalloc-3")}},
		{name: "tls", change: []func(*v1.Service){ports(tcp("http", 80, 30080), tcp("https", 443, 30443)), with("ssl-cert", certificates, "ssl-ports", "https", "ssl-negotiation-policy", "ELBSecurityPolicy-TLS13-1-2-2021-06", "backend-protocol", "ssl")}},
		{name: "udp is not probed by tcp", change: []func(*v1.Service){ports(udp("dns", 53, 30053))}},
		{name: "tcp and udp on one port", change: []func(*v1.Service){ports(tcp("dns-tcp", 53, 30053), udp("dns", 53, 30053))}},
		{name: "attributes", change: []func(*v1.Service){with("cross-zone-load-balancing-enabled", "true", "access-log-enabled", "true", "access-log-s3-bucket-name", "logs", "target-group-attributes", "preserve_client_ip.enabled=false,proxy_protocol_v2.enabled=true", "additional-resource-tags", "team=web")}},
		{name: "health check by annotations", change: []func(*v1.Service){with("healthcheck-protocol", "http", "healthcheck-port", "8080", "healthcheck-path", "/live", "healthcheck-interval", "15", "healthcheck-timeout", "5", "healthcheck-unhealthy-threshold", "4")}},
		{name: "shared probe", settings: func(s *aws.Settings) { s.Probes = aws.SharedProbe }},
		{name: "group of its own", settings: managed, change: []func(*v1.Service){local, ports(tcp("a", 80, 30080), tcp("b", 81, 30090), udp("c", 53, 30053))}},
		{name: "group of the user", settings: managed, change: []func(*v1.Service){with("security-groups", "sg-c79d4313baf0217ab")}},
		{name: "source ranges", change: []func(*v1.Service){sourceRanges("192.0.2.0/24", "2001:db8::/32")}},
		{name: "source ranges at its group", settings: managed, change: []func(*v1.Service){sourceRanges("192.0.2.0/24", "2001:db8::/32")}},
		{name: "no rules", settings: func(s *aws.Settings) { s.NodeRules = false }},
		{name: "some nodes", change: []func(*v1.Service){with("target-node-labels", "topology.kubernetes.io/zone=us-east-1a")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			if c.settings != nil {
				c.settings(&s.settings)
			}
			s.service("web", c.change...)
			var b strings.Builder
			b.WriteString(s.settle(t, s.all(provider.Serve, provider.Edit)))
			if got := text(t, s.compute(s.all(provider.Serve, provider.Resync))); !strings.HasPrefix(got, nothing) {
				t.Errorf("at a resync:\n%s", got)
			}
			b.WriteString("\nremoved:\n" + s.settle(t, s.all(provider.Remove, provider.Edit)))
			s.empty(t)
			golden(t, c.name, b.String())
		})
	}
}

// A policy of TLS that no annotation asks for stays on what the peer made, until
// the user asks for a repair.
func TestPolicyOfTLSStaysUntilARepair(t *testing.T) {
	s := load(t, "nlb-tls")
	for _, lb := range s.observed.Networks {
		for i := range lb.Listeners {
			if l := &lb.Listeners[i]; l.Protocol == elbv2types.ProtocolEnumTls {
				l.SslPolicy, l.AlpnPolicy = awssdk.String("ELBSecurityPolicy-TLS13-1-2-2021-06"), []string{"HTTP2Preferred"}
			}
		}
	}
	for _, cause := range []provider.Cause{provider.Resync, provider.Nodes, provider.Drift, provider.Edit} {
		if got := text(t, s.compute(s.all(provider.Serve, cause))); got != nothing {
			t.Error(got)
		}
	}
	golden(t, "policies of adopted tls at a repair", text(t, s.compute(s.all(provider.Serve, provider.Repair))))
}

// What pods cannot reach is told when a load balancer is made and when the user
// edits its Service; with a repair that changes nothing, and at a start, it is not.
func TestHairpinTrafficIsToldAtEdits(t *testing.T) {
	s := newSite(t)
	s.service("web", with("internal", "true"))
	told := func(cause provider.Cause) bool {
		t.Helper()
		return strings.Contains(text(t, s.compute(s.all(provider.Serve, cause))), "HairpinTraffic")
	}
	if !told(provider.Edit) {
		t.Error("not told when it is made")
	}
	s.settle(t, s.all(provider.Serve, provider.Edit))
	for cause, want := range map[provider.Cause]bool{
		provider.Resync: false, provider.Nodes: false, provider.Drift: false, provider.Config: false, provider.Repair: false, provider.Edit: true,
	} {
		if got := told(cause); got != want {
			t.Errorf("cause %d: told %t", cause, got)
		}
	}
	s.services[0].Spec.Ports[0].NodePort = 30999
	if !told(provider.Repair) {
		t.Error("not told with a repair that writes")
	}
	with("target-group-attributes", "preserve_client_ip.enabled=false")(s.services[0])
	if told(provider.Edit) {
		t.Error("told though client addresses are not preserved")
	}
}
