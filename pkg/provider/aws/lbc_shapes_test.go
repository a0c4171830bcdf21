// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"math/rand/v2"
	"strconv"
	"strings"

	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// shape is one thing that a Service, the other controller's flags or our
// settings may say.
type shape struct {
	name string
	svc  func(*v1.Service)
	lbc  func(*lbc) // also changes c.s.settings
}

func says(pairs ...string) shape { return shape{name: strings.Join(pairs, " "), svc: with(pairs...)} }

func changed(name string, change func(*v1.Service)) shape { return shape{name: name, svc: change} }

func flagged(name string, change func(*lbc)) shape { return shape{name: name, lbc: change} }

// byHand says what needs a bucket, which somebody set without an annotation.
func byHand(pairs ...string) shape {
	return flagged("bucket by hand, "+strings.Join(pairs, " "), func(c *lbc) {
		with(pairs...)(c.svc)
		c.bucket = "by-hand"
	})
}

func families(list ...v1.IPFamily) func(*v1.Service) {
	return func(svc *v1.Service) {
		with("ip-address-type", "dualstack")(svc)
		svc.Spec.IPFamilies = list
	}
}

func all(list ...func(*v1.Service)) func(*v1.Service) {
	return func(svc *v1.Service) {
		for _, f := range list {
			f(svc)
		}
	}
}

func podPorts(ports ...intstr.IntOrString) func(*v1.Service) {
	return func(svc *v1.Service) {
		for i := range svc.Spec.Ports {
			svc.Spec.Ports[i].TargetPort = ports[i%len(ports)]
		}
	}
}

func sslPorts(svc *v1.Service) { with("ssl-cert", certificates, "ssl-ports", " http , 443")(svc) }

// dimensions are what is said of each matter; a Service has one of each.
func dimensions() [][]shape {
	three := certificates + "0, " + certificates + "1," + certificates + "2"
	return [][]shape{
		{ // ports come first: others look at them
			{},
			changed("two ports", ports(tcp("http", 80, 30080), tcp("https", 443, 30443))), changed("udp", ports(udp("http", 53, 30053))),
			changed("tcp and udp", ports(tcp("http", 80, 30080), udp("dns", 53, 30053))),
			changed("far ports", ports(tcp("http", 80, 30080), tcp("low", 81, 1081), udp("high", 82, 60082))),
			changed("tcp_udp", all(ports(tcp("http", 53, 30053), udp("dns", 53, 30053), tcp("s", 443, 30443)), with("enable-tcp-udp-listener", "true"))),
		},
		{
			{},
			says("nlb-target-type", "ip"), says("type", "nlb-ip"),
			flagged("ip by default", func(c *lbc) {
				delete(c.svc.Annotations, annotation+"nlb-target-type")
				c.s.settings.External.TargetType = elbv2types.TargetTypeEnumIp
			}),
		},
		{
			changed("numbers", podPorts(intstr.FromInt32(8080), intstr.FromInt32(8443))), changed("one number", podPorts(intstr.FromInt32(8080))),
			changed("names", podPorts(intstr.FromString("a"), intstr.FromString("b"))),
		},
		{
			{},
			says("ssl-cert", certificates), says("ssl-cert", three, "backend-protocol", "ssl"), says("ssl-cert", three, "alpn-policy", "HTTP2Preferred", "backend-protocol", "tcp"),
			changed("ssl-ports", sslPorts), says("ssl-cert", certificates, "ssl-ports", "http", "ssl-negotiation-policy", "ELBSecurityPolicy-TLS13-1-2-2021-06"),
			flagged("another policy by default", func(c *lbc) {
				with("ssl-cert", certificates)(c.svc)
				c.s.settings.External.TLSPolicy = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
			}),
		},
		{
			{},
			changed("ranges", sourceRanges("192.0.2.0/24", "198.51.100.0/24")), changed("ranges of both families", all(families(v1.IPv4Protocol), sourceRanges("192.0.2.0/24", "2001:db8::/32"))),
			changed("ranges by annotation", func(svc *v1.Service) {
				svc.Annotations["service.beta.kubernetes.io/load-balancer-source-ranges"] = "192.0.2.0/24, 203.0.113.0/24"
			}),
			says("security-group-prefix-lists", "pl-1, pl-2"), changed("lists and ranges", all(with("security-group-prefix-lists", "pl-1"), sourceRanges("192.0.2.0/24"))),
			changed("ipv6 alone", all(families(v1.IPv6Protocol), sourceRanges("2001:db8::/32"))),
		},
		{
			{},
			says("security-groups", extraGroup), says("security-groups", "web group,"+extraGroup), says("security-groups", extraGroup, "manage-backend-security-group-rules", "true"),
			says("disable-nlb-sg", "true"), says("disable-nlb-sg", "true", "manage-backend-security-group-rules", "false"), says("manage-backend-security-group-rules", "true"),
		},
		{
			{},
			says("scheme", "internet-facing"), says("internal", "false"), says("internal", "true"), says("scheme", "internal", "internal", "false"),
			says("scheme", "internet-facing", "subnets", "public-us-east-1b,public-us-east-1a", "eip-allocations", "eipalloc-1,eipalloc-2"),
			says("scheme", "internet-facing", "eip-allocations", "eipalloc-1,eipalloc-2,eipalloc-3"),
			says("subnets", "private-us-east-1b, subnet-9147b0df401181178", "private-ipv4-addresses", "10.0.96.9, 10.0.112.9"),
			says("subnets", "private-us-east-1c"),
		},
		{{}, says("ip-address-type", "ipv4"), says("ip-address-type", "dualstack"), changed("both families", families(v1.IPv4Protocol, v1.IPv6Protocol)), changed("6 and 4", families(v1.IPv6Protocol, v1.IPv4Protocol)), changed("6", families(v1.IPv6Protocol))},
		{
			{},
			says("attributes", "load_balancing.cross_zone.enabled=true,deletion_protection.enabled=false,dns_record.client_routing_policy=availability_zone_affinity"),
			says("cross-zone-load-balancing-enabled", "true"), says("cross-zone-load-balancing-enabled", "false", "attributes", "load_balancing.cross_zone.enabled=true"),
			says("access-log-enabled", "true", "access-log-s3-bucket-name", "logs"), says("access-log-enabled", "true", "access-log-s3-bucket-name", "logs", "access-log-s3-bucket-prefix", "p"),
			says("access-log-enabled", "true", "attributes", "access_logs.s3.bucket=logs,access_logs.s3.prefix=p"),
			says("attributes", "access_logs.s3.enabled=true,access_logs.s3.bucket=logs", "access-log-enabled", "false"),
			byHand("access-log-enabled", "true"), byHand("attributes", "access_logs.s3.enabled=true"),
		},
		{
			{},
			says("target-group-attributes", "preserve_client_ip.enabled=false"), says("target-group-attributes", "preserve_client_ip.enabled=true, stickiness.enabled=true,stickiness.type=source_ip"),
			says("proxy-protocol", "*"), says("target-group-attributes", "proxy_protocol_v2.enabled=true"), says("proxy-protocol-per-target-group", "80, 443"),
			says("proxy-protocol-per-target-group", "443", "target-group-attributes", "proxy_protocol_v2.enabled=true"),
			says("target-group-attributes", "deregistration_delay.timeout_seconds=30", "target-group-attributes.80", "deregistration_delay.timeout_seconds=60"),
			says("multi-cluster-target-group", "true"),
		},
		{
			{},
			changed("local", local), changed("local by tcp", all(local, with("healthcheck-protocol", "tcp"))), changed("local, other path", all(local, with("healthcheck-path", "/ready", "healthcheck-port", "8081"))),
			says("healthcheck-protocol", "HTTP"), says("healthcheck-protocol", "https", "healthcheck-path", "/x", "healthcheck-success-codes", "200,204"),
			says("healthcheck-port", "http"), says("healthcheck-port", "10256", "healthcheck-protocol", "http", "healthcheck-path", "/healthz"), says("healthcheck-path", "/unused"),
			says("healthcheck-interval", "30", "healthcheck-timeout", "5", "healthcheck-healthy-threshold", "2", "healthcheck-unhealthy-threshold", "5"),
		},
		{{}, says("name", "front"), says("additional-resource-tags", "team=web, cost=a=b"), flagged("tags for all", func(c *lbc) { c.s.settings.MoreTags = map[string]string{"env": "prod"} })},
		{{}, says("target-node-labels", "topology.kubernetes.io/zone=us-east-1a")},
		{{}, says("enable-icmp-for-path-mtu-discovery", "on"), says("inbound-sg-rules-on-private-link-traffic", "off"), says("inbound-sg-rules-on-private-link-traffic", "on"), says("listener-attributes.TCP-80", "tcp.idle_timeout.seconds=600"), says("minimum-load-balancer-capacity", "CapacityUnits=2750")},
		{
			{},
			flagged("no shared group", func(c *lbc) { c.ownBackend = true }), flagged("all ports", func(c *lbc) { c.allPorts = true }),
			flagged("before groups", func(c *lbc) { c.ungrouped = true }), flagged("restored", func(c *lbc) { c.uid = "11111111-2222-3333-4444-555555555555" }),
		},
		{ // the form comes last: it moves what there is
			{}, changed("class", class), changed("the other prefix", func(svc *v1.Service) {
				for key, value := range svc.Annotations {
					if rest, ok := strings.CutPrefix(key, annotation); ok {
						delete(svc.Annotations, key)
						svc.Annotations["service.kubernetes.io/aws-load-balancer-"+rest] = value
					}
				}
			}),
		},
	}
}

// combinations are each shape alone with either kind of targets, and random
// ones; all the same in each run.
func combinations(random int) [][]shape {
	dims := dimensions()
	var out [][]shape
	for d, list := range dims {
		for _, one := range list {
			for _, kind := range []int{0, 1} {
				for _, form := range []int{0, 1} {
					pick := make([]shape, len(dims))
					pick[1], pick[2], pick[len(dims)-1] = dims[1][kind], dims[2][0], dims[len(dims)-1][form]
					pick[d] = one
					out = append(out, pick)
				}
			}
		}
	}
	r := rand.New(rand.NewPCG(5, 23))
	for range random {
		pick := make([]shape, len(dims))
		for d, list := range dims {
			pick[d] = list[0]
			if r.IntN(2) == 0 {
				pick[d] = list[r.IntN(len(list))]
			}
		}
		out = append(out, pick)
	}
	return out
}

// possible reports whether the other controller would serve the Service.
func (c *lbc) possible() bool {
	four, internal := !c.dualstack(), c.scheme() == elbv2types.LoadBalancerSchemeEnumInternal
	for _, cidr := range c.ranges() {
		if four && strings.Contains(cidr, ":") {
			return false
		}
	}
	for i := range c.svc.Spec.Ports {
		p := &c.svc.Spec.Ports[i]
		if i > 0 && p.Port == c.svc.Spec.Ports[0].Port && c.byPods() && p.TargetPort != c.svc.Spec.Ports[0].TargetPort {
			return false // it would serve TCP alone; docs/aws.md: refused
		}
		if c.byPods() && p.TargetPort.Type == intstr.String && c.or("healthcheck-port", "") == p.Name {
			return false
		}
	}
	for _, item := range c.list("ssl-ports") {
		found := false
		for _, p := range c.svc.Spec.Ports {
			found = found || item == p.Name || item == strconv.Itoa(int(p.Port))
		}
		if !found {
			return false
		}
	}
	withSix := len(c.svc.Spec.IPFamilies) > 1 || c.svc.Spec.IPFamilies[0] == v1.IPv6Protocol
	switch {
	case withSix && four, len(c.list("eip-allocations")) > 0 && internal, len(c.list("private-ipv4-addresses")) > 0 && !internal,
		c.ownBackend && c.on("manage-backend-security-group-rules") && len(c.list("security-groups")) > 0:
		return false
	}
	return true
}
