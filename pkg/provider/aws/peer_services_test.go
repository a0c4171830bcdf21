// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// dice rolls what users write, of which the peer takes all. It is the same for
// the same seed.
type dice struct{ *rand.Rand }

func newDice(seed uint64) dice { return dice{rand.New(rand.NewPCG(seed, 1))} }

func (d dice) often(percent int) bool { return d.IntN(100) < percent }

func (d dice) one(list ...string) string { return list[d.IntN(len(list))] }

const (
	userGroup  = "sg-c79d4313baf0217ab"
	otherGroup = "sg-c172952acc5e5ae54"
)

// keys are those of a cloud.conf.
func (d dice) keys() map[string]string {
	out := map[string]string{}
	put := func(percent int, key string, values ...string) {
		if d.often(percent) {
			out[key] = d.one(values...)
		}
	}
	put(25, "NLBSecurityGroupMode", "Managed")
	put(15, "ElbSecurityGroup", userGroup)
	put(10, "DisableSecurityGroupIngress", "true")
	put(20, "ClusterServiceLoadBalancerHealthProbeMode", "Shared", "ServiceNodePort")
	put(20, "ClusterServiceSharedLoadBalancerHealthProbePort", "10256", "10300")
	put(20, "ClusterServiceSharedLoadBalancerHealthProbePath", "/healthz", "/ready")
	put(15, "KubernetesClusterTag", "rig")
	put(20, "NodeIPFamilies", "ipv4", "ipv6")
	put(10, "DisableStrictZoneCheck", "true")
	return out
}

// service is a new Service, of which n tells its name, uid and node ports.
func (d dice) service(n int) *v1.Service {
	name := d.one("web", "a-long-name-of-a-service", "x", "shop.v2") + strconv.Itoa(n)
	svc := &v1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: d.one("default", "shop", "team-of-many"), Name: strings.ReplaceAll(name, ".", "-"),
			UID: types.UID(fmt.Sprintf("%08x-0000-4000-8000-%012x", n+1, n+1)), Finalizers: []string{"service.kubernetes.io/load-balancer-cleanup"},
		},
		Spec: v1.ServiceSpec{Type: v1.ServiceTypeLoadBalancer, SessionAffinity: v1.ServiceAffinityNone},
	}
	kind := ""
	if d.often(50) {
		kind = "nlb"
	} else if d.often(20) {
		kind = d.one("elb", "NLB", "classic")
	}
	svc.Annotations = map[string]string{}
	if kind != "" {
		svc.Annotations[annotation+"type"] = kind
	}
	d.edit(svc, n)
	return svc
}

// edit writes all of the Service anew but its type, in which the peer allows no
// change.
func (d dice) edit(svc *v1.Service, n int) {
	network := word(svc, "type") == "nlb"
	kind, typed := svc.Annotations[annotation+"type"]
	svc.Annotations = map[string]string{}
	if typed {
		svc.Annotations[annotation+"type"] = kind
	}
	d.spec(svc, n, network)
	put := func(percent int, key string, values ...string) {
		if d.often(percent) {
			svc.Annotations[annotation+key] = d.one(values...)
		}
	}
	d.place(svc, network, put)
	put(20, "cross-zone-load-balancing-enabled", "true", "false", "1", "F")
	if d.often(20) {
		put(100, "access-log-enabled", "true", "true", "false")
		put(100, "access-log-s3-bucket-name", "logs", "other")
		put(50, "access-log-s3-bucket-prefix", "web", "a/b")
		put(50, "access-log-emit-interval", "5", "60")
	}
	put(20, "additional-resource-tags", "team=web", "a=1,b=", "k=v=w", "team=shop,only", "x=y, z=1")
	put(20, "target-node-labels", "topology.kubernetes.io/zone=us-east-1a", "topology.kubernetes.io/zone=", "topology.kubernetes.io/zone=us-east-1b,topology.kubernetes.io/region=us-east-1")
	if d.often(40) {
		put(100, "ssl-cert", certificates, certificates+"0")
		put(50, "ssl-ports", "*", "443", "https", "http,443", "HTTPS", "nosuch", "80, 443")
		put(50, "ssl-negotiation-policy", "ELBSecurityPolicy-TLS-1-2-2017-01", "ELBSecurityPolicy-2016-08", "ELBSecurityPolicy-TLS13-1-2-2021-06")
	}
	if network {
		d.network(svc, put)
	} else {
		d.classic(svc, put)
	}
	d.health(network, put)
}

type putter func(percent int, key string, values ...string)

// spec are ports, clients and the rest that is no annotation.
func (d dice) spec(svc *v1.Service, n int, network bool) {
	spec := &svc.Spec
	spec.Ports = nil
	protocol := v1.ProtocolTCP
	if network && d.often(25) {
		protocol = v1.ProtocolUDP
	}
	for i, name := range []string{"http", "https", "Metrics"}[:1+d.IntN(3)] {
		p := v1.ServicePort{Name: name, Protocol: protocol, Port: []int32{80, 443, 9090}[i], NodePort: int32(30000 + 10*n + i)}
		if d.often(10) {
			p.NodePort += 5
		}
		if d.often(10) {
			p.Port += 1000
		}
		spec.Ports = append(spec.Ports, p)
	}
	if len(spec.Ports) > 1 && d.often(5) {
		spec.Ports[1].NodePort = 0
	}
	spec.ExternalTrafficPolicy, spec.HealthCheckNodePort = v1.ServiceExternalTrafficPolicyCluster, 0
	if d.often(30) {
		spec.ExternalTrafficPolicy, spec.HealthCheckNodePort = v1.ServiceExternalTrafficPolicyLocal, int32(32000+n)
	}
	spec.LoadBalancerSourceRanges = nil
	switch d.IntN(6) {
	case 0:
		spec.LoadBalancerSourceRanges = []string{"192.0.2.0/24"}
	case 1:
		spec.LoadBalancerSourceRanges = []string{"192.0.2.0/24", "198.51.100.7/24", " 203.0.113.0/25 "}
	case 2:
		svc.Annotations["service.beta.kubernetes.io/load-balancer-source-ranges"] = d.one("10.0.0.0/8", "192.0.2.0/24, 198.51.100.0/24", "192.0.2.1/24,192.0.2.2/24", " ", "0.0.0.0/0")
	}
	spec.IPFamilies, spec.IPFamilyPolicy = []v1.IPFamily{v1.IPv4Protocol}, new(v1.IPFamilyPolicySingleStack)
	if d.often(15) {
		spec.IPFamilies, spec.IPFamilyPolicy = []v1.IPFamily{v1.IPv4Protocol, v1.IPv6Protocol}, new(v1.IPFamilyPolicyPreferDualStack)
	}
}

// place is where the load balancer is.
func (d dice) place(svc *v1.Service, network bool, put putter) {
	put(30, "internal", "true", "true", "false", "0", "no", "0.0.0.0/0")
	put(20, "subnets", "public-us-east-1a", "subnet-62566cdefde72237b,subnet-0ec221ad912000a7d", "public-us-east-1b, private-us-east-1c")
	if network && len(svc.Status.LoadBalancer.Ingress) > 0 { // the peer reads addresses at first alone
		put(20, "private-ipv4-addresses", "10.0.96.9", "10.0.96.9,10.0.112.9,10.0.128.9")
		put(20, "eip-allocations", "eipalloc-1", "eipalloc-1,eipalloc-2,eipalloc-3", "192.0.2.1", "eipalloc-1,eipalloc-2,eipalloc-3,eipalloc-4")
		return
	}
	if !network || !d.often(20) {
		return
	}
	n := 3
	if list := trimmed(svc, "subnets"); len(list) > 0 {
		n = len(list)
	}
	if isInternal(svc) {
		put(100, "private-ipv4-addresses", strings.Join([]string{"10.0.96.9", "10.0.112.9", "10.0.128.9"}[:n], ","))
	} else {
		put(100, "eip-allocations", strings.Join([]string{"eipalloc-1", "eipalloc-2", "eipalloc-3"}[:n], ","))
	}
}

func (d dice) network(svc *v1.Service, put putter) {
	put(40, "backend-protocol", "ssl", "tcp", "http", "SSL")
	put(10, "proxy-protocol", "*")
	put(10, "connection-idle-timeout", "90")
	put(20, "security-groups", userGroup, userGroup+", "+otherGroup)
	if svc.Spec.Ports[0].Protocol == v1.ProtocolTCP {
		put(20, "target-group-attributes", "preserve_client_ip.enabled=false", "proxy_protocol_v2.enabled=true", "preserve_client_ip.enabled=true,proxy_protocol_v2.enabled=false")
	} else {
		put(20, "target-group-attributes", "proxy_protocol_v2.enabled=true")
	}
}

func (d dice) classic(svc *v1.Service, put putter) {
	if word(svc, "ssl-cert") != "" {
		put(60, "backend-protocol", "https", "http", "ssl", "tcp")
	} else {
		put(20, "backend-protocol", "http", "tcp", "HTTP", "https")
	}
	put(25, "proxy-protocol", "*")
	put(20, "connection-draining-enabled", "true", "false")
	put(20, "connection-draining-timeout", "60", "300")
	put(20, "connection-idle-timeout", "90", "60")
	put(15, "security-groups", userGroup, userGroup+", "+otherGroup)
	put(15, "extra-security-groups", otherGroup, " "+otherGroup+" ")
	put(5, "target-group-attributes-of-another", "x=y")
	if svc.Annotations[annotation+"security-groups"] != "" && strings.Contains(svc.Annotations[annotation+"security-groups"], otherGroup) {
		delete(svc.Annotations, annotation+"extra-security-groups")
	}
}

func (d dice) health(network bool, put putter) {
	put(20, "healthcheck-protocol", "TCP", "HTTP", "https", "tcp")
	if !network {
		put(10, "healthcheck-protocol", "SSL", "http")
	}
	put(20, "healthcheck-port", "traffic-port", "8080", "32000")
	put(20, "healthcheck-path", "/live", "/", "/healthz")
	put(20, "healthcheck-interval", "10", "15", "30")
	put(20, "healthcheck-timeout", "2", "5")
	put(20, "healthcheck-healthy-threshold", "2", "4")
	put(20, "healthcheck-unhealthy-threshold", "2", "5")
}

// rolled is the Service as far as the dice tell it.
func rolled(svc *v1.Service) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s/%s %s %v %v\n", svc.Namespace, svc.Name, svc.Spec.ExternalTrafficPolicy, svc.Spec.LoadBalancerSourceRanges, svc.Spec.IPFamilies)
	for _, p := range svc.Spec.Ports {
		fmt.Fprintf(&b, "  %s %s %d %d\n", p.Name, p.Protocol, p.Port, p.NodePort)
	}
	for _, key := range slices.Sorted(maps.Keys(svc.Annotations)) {
		fmt.Fprintf(&b, "  %s: %q\n", strings.TrimPrefix(key, annotation), svc.Annotations[key])
	}
	return b.String()
}
