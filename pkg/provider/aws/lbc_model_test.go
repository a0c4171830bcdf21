// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/fairlead/fairlead/pkg/provider/aws"
)

// lbc makes what the AWS Load Balancer Controller leaves behind for a Service:
// its published names, tags and rules, written down once more.
type lbc struct {
	s   *site
	svc *v1.Service
	uid types.UID // in names
	// Its flags, and what older versions did.
	ownBackend bool   // --enable-backend-security-group=false
	allPorts   bool   // --disable-restricted-sg-rules
	ungrouped  bool   // made before it knew of security groups
	bucket     string // of access logs, set by hand

	lb    *aws.Network
	front []string // groups of the load balancer
	back  string   // the group that nodes let in
}

const lbcShared = "sg-lbc-shared"

// text is an annotation by its suffix, under either prefix.
func (c *lbc) text(suffix string) (string, bool) {
	for _, prefix := range []string{"service.beta.kubernetes.io/", "service.kubernetes.io/"} {
		if v, ok := c.svc.Annotations[prefix+suffix]; ok {
			return v, true
		}
	}
	return "", false
}

func (c *lbc) or(suffix, other string) string {
	if v, ok := c.text("aws-load-balancer-" + suffix); ok {
		return v
	}
	return other
}

func (c *lbc) on(suffix string) bool {
	on, _ := strconv.ParseBool(c.or(suffix, "false"))
	return on
}

func (c *lbc) number(suffix string, other int32) *int32 {
	n, err := strconv.ParseInt(c.or(suffix, strconv.Itoa(int(other))), 10, 32)
	if err != nil {
		panic(err)
	}
	return awssdk.Int32(int32(n))
}

func items(text string) []string {
	var out []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}

func (c *lbc) list(suffix string) []string { return items(c.or(suffix, "")) }

func (c *lbc) pairs(suffix string, into map[string]string) map[string]string {
	for _, item := range c.list(suffix) {
		key, value, _ := strings.Cut(item, "=")
		into[key] = value
	}
	return into
}

func (c *lbc) name(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "")))
	plain := func(s string) string { return regexp.MustCompile("[[:^alnum:]]").ReplaceAllString(s, "") }
	return fmt.Sprintf("k8s-%.8s-%.8s-%.10s", plain(c.svc.Namespace), plain(c.svc.Name), hex.EncodeToString(sum[:]))
}

func (c *lbc) tags(resource string) map[string]string {
	out := maps.Clone(c.s.settings.MoreTags)
	if out == nil {
		out = map[string]string{}
	}
	out = c.pairs("additional-resource-tags", out)
	out["elbv2.k8s.aws/cluster"], out["service.k8s.aws/resource"] = "rig", resource
	out["service.k8s.aws/stack"] = c.svc.Namespace + "/" + c.svc.Name
	return out
}

func (c *lbc) scheme() elbv2types.LoadBalancerSchemeEnum {
	if internal, ok := c.text("aws-load-balancer-internal"); ok && internal == "false" {
		return cmp.Or(elbv2types.LoadBalancerSchemeEnum(c.or("scheme", "")), elbv2types.LoadBalancerSchemeEnumInternetFacing)
	}
	return elbv2types.LoadBalancerSchemeEnum(c.or("scheme", "internal"))
}

func (c *lbc) dualstack() bool { return c.or("ip-address-type", "ipv4") == "dualstack" }

// byPods: its targets are pods.
func (c *lbc) byPods() bool {
	return c.or("type", "") == "nlb-ip" || c.or("nlb-target-type", string(c.s.settings.External.TargetType)) == "ip"
}

// subnets are those named, in their order, or those with the scheme's role.
func (c *lbc) subnets() []*ec2types.Subnet {
	role := "kubernetes.io/role/elb"
	if c.scheme() == elbv2types.LoadBalancerSchemeEnumInternal {
		role = "kubernetes.io/role/internal-elb"
	}
	named := c.list("subnets")
	var out []*ec2types.Subnet
	for i := range c.s.observed.Subnets {
		n := &c.s.observed.Subnets[i]
		tags := groupTags(n.Tags)
		if len(named) == 0 && tags[role] == "1" || slices.Contains(named, tags["Name"]) || slices.Contains(named, *n.SubnetId) {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(x, y *ec2types.Subnet) int {
		at := func(n *ec2types.Subnet) int {
			return max(slices.Index(named, *n.SubnetId), slices.Index(named, groupTags(n.Tags)["Name"]))
		}
		return cmp.Or(cmp.Compare(at(x), at(y)), cmp.Compare(*x.SubnetId, *y.SubnetId))
	})
	return out
}

func groupTags(list []ec2types.Tag) map[string]string {
	out := map[string]string{}
	for _, t := range list {
		out[*t.Key] = *t.Value
	}
	return out
}

func ec2TagsOf(tags map[string]string) []ec2types.Tag {
	var out []ec2types.Tag
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, ec2types.Tag{Key: awssdk.String(key), Value: awssdk.String(tags[key])})
	}
	return out
}

// leave makes all.
func (c *lbc) leave() {
	if c.uid == "" {
		c.uid = c.svc.UID
	}
	scheme := c.scheme()
	name := c.or("name", c.name("rig", string(c.uid), string(scheme)))
	arn := "arn:" + name
	c.lb = &aws.Network{Tags: c.tags("LoadBalancer"), Attributes: c.attributes(), Listeners: []elbv2types.Listener{}, Certificates: map[string][]string{}, ListenerAttributes: map[string]map[string]string{}}
	c.lb.LoadBalancer = elbv2types.LoadBalancer{
		LoadBalancerArn: awssdk.String(arn), LoadBalancerName: awssdk.String(name), Scheme: scheme, Type: elbv2types.LoadBalancerTypeEnumNetwork,
		IpAddressType: elbv2types.IpAddressType(c.or("ip-address-type", "ipv4")), DNSName: awssdk.String(name + ".elb.us-east-1.amazonaws.com"), VpcId: awssdk.String(c.s.settings.VPC),
	}
	c.svc.Status.LoadBalancer.Ingress = []v1.LoadBalancerIngress{{Hostname: *c.lb.DNSName}}
	for i, n := range c.subnets() {
		z := elbv2types.AvailabilityZone{SubnetId: n.SubnetId, ZoneName: n.AvailabilityZone}
		if at := c.address(i, n); at != (elbv2types.LoadBalancerAddress{}) {
			z.LoadBalancerAddresses = []elbv2types.LoadBalancerAddress{at}
		}
		c.lb.AvailabilityZones = append(c.lb.AvailabilityZones, z)
	}
	if c.dualstack() && slices.ContainsFunc(c.svc.Spec.Ports, isUDP) { // AWS takes no such listener otherwise
		c.lb.EnablePrefixForIpv6SourceNat = elbv2types.EnablePrefixForIpv6SourceNatEnumOn
	}
	c.groups()
	c.lb.SecurityGroups = c.front
	if v, ok := c.text("aws-load-balancer-inbound-sg-rules-on-private-link-traffic"); ok && len(c.front) > 0 {
		c.lb.EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic = awssdk.String(v)
	}
	c.s.observed.Networks[arn] = c.lb
	seen := map[int32]bool{}
	for i := range c.svc.Spec.Ports {
		if p := &c.svc.Spec.Ports[i]; !seen[p.Port] {
			seen[p.Port] = true
			c.port(p)
		}
	}
}

// address is the one that is asked for in a subnet: elastic IPs go by order,
// others by the subnets' ranges.
func (c *lbc) address(i int, n *ec2types.Subnet) elbv2types.LoadBalancerAddress {
	var out elbv2types.LoadBalancerAddress
	if eips := c.list("eip-allocations"); len(eips) > i {
		out.AllocationId = awssdk.String(eips[i])
	}
	for _, text := range c.list("private-ipv4-addresses") {
		if netip.MustParsePrefix(*n.CidrBlock).Contains(netip.MustParseAddr(text)) {
			out.PrivateIPv4Address = awssdk.String(text)
		}
	}
	if six := c.list("ipv6-addresses"); len(six) > i {
		out.IPv6Address = awssdk.String(six[i])
	}
	return out
}

// attributes are AWS's first ones, and those that annotations set: the special
// ones win.
func (c *lbc) attributes() map[string]string {
	out := c.pairs("attributes", map[string]string{
		"load_balancing.cross_zone.enabled": "false", "access_logs.s3.enabled": "false", "access_logs.s3.bucket": c.bucket, "access_logs.s3.prefix": "",
		"deletion_protection.enabled": "false",
	})
	if v, ok := c.text("aws-load-balancer-cross-zone-load-balancing-enabled"); ok {
		out["load_balancing.cross_zone.enabled"] = v
	}
	if c.on("access-log-enabled") {
		out["access_logs.s3.enabled"] = "true"
		for suffix, key := range map[string]string{"access-log-s3-bucket-name": "access_logs.s3.bucket", "access-log-s3-bucket-prefix": "access_logs.s3.prefix"} {
			if v, ok := c.text("aws-load-balancer-" + suffix); ok {
				out[key] = v
			}
		}
	}
	return out
}

// port makes the listener and the target group of one.
func (c *lbc) port(p *v1.ServicePort) {
	l := elbv2types.Listener{Port: awssdk.Int32(p.Port), Protocol: elbv2types.ProtocolEnum(p.Protocol), LoadBalancerArn: c.lb.LoadBalancerArn}
	l.ListenerArn = awssdk.String(fmt.Sprintf("%s:%d", *c.lb.LoadBalancerArn, p.Port))
	target := l.Protocol
	both := slices.ContainsFunc(c.svc.Spec.Ports, func(x v1.ServicePort) bool { return x.Port == p.Port && x.Protocol != p.Protocol })
	certs, tlsPorts := c.list("ssl-cert"), c.list("ssl-ports")
	switch {
	case both:
		l.Protocol, target = elbv2types.ProtocolEnumTcpUdp, elbv2types.ProtocolEnumTcpUdp
	case p.Protocol == v1.ProtocolTCP && len(certs) > 0 && (len(tlsPorts) == 0 || slices.Contains(tlsPorts, p.Name) || slices.Contains(tlsPorts, strconv.Itoa(int(p.Port)))):
		l.Protocol = elbv2types.ProtocolEnumTls
		if c.or("backend-protocol", "") == "ssl" {
			target = elbv2types.ProtocolEnumTls
		}
		l.SslPolicy = awssdk.String(c.or("ssl-negotiation-policy", c.s.settings.External.TLSPolicy))
		if policy, ok := c.text("aws-load-balancer-alpn-policy"); ok {
			l.AlpnPolicy = []string{policy}
		}
		l.Certificates = []elbv2types.Certificate{{CertificateArn: awssdk.String(certs[0])}}
		c.lb.Certificates[*l.ListenerArn] = certs[1:]
	}
	g := c.targetGroup(p, target)
	l.DefaultActions = []elbv2types.Action{{Type: elbv2types.ActionTypeEnumForward, ForwardConfig: &elbv2types.ForwardActionConfig{
		TargetGroups: []elbv2types.TargetGroupTuple{{TargetGroupArn: g.TargetGroupArn, Weight: awssdk.Int32(1)}},
	}}}
	c.lb.ListenerAttributes[*l.ListenerArn] = c.pairs(fmt.Sprintf("listener-attributes.%s-%d", l.Protocol, p.Port), map[string]string{})
	c.lb.Listeners = append(c.lb.Listeners, l)
	c.letIn(p, g)
}

func (c *lbc) targetGroup(p *v1.ServicePort, protocol elbv2types.ProtocolEnum) *aws.TargetGroup {
	h := c.health()
	kind := elbv2types.TargetTypeEnumInstance
	if c.byPods() {
		kind = elbv2types.TargetTypeEnumIp
	}
	port := c.targetPort(p)
	name := c.name("rig", string(c.uid), strconv.Itoa(int(port)), strconv.Itoa(int(p.Port)), string(kind), string(protocol), string(h.HealthCheckProtocol), strconv.Itoa(int(*h.HealthCheckIntervalSeconds)))
	h.TargetGroupArn, h.TargetGroupName = awssdk.String("arn:"+name), awssdk.String(name)
	h.Port, h.Protocol, h.TargetType, h.VpcId = awssdk.Int32(port), protocol, kind, awssdk.String(c.s.settings.VPC)
	h.LoadBalancerArns = []string{*c.lb.LoadBalancerArn}
	h.IpAddressType = elbv2types.TargetGroupIpAddressTypeEnumIpv4
	if slices.Contains(c.svc.Spec.IPFamilies, v1.IPv6Protocol) {
		h.IpAddressType = elbv2types.TargetGroupIpAddressTypeEnumIpv6
	}
	g := &aws.TargetGroup{TargetGroup: h, Tags: c.tags(fmt.Sprintf("%s/%s:%d", c.svc.Namespace, c.svc.Name, p.Port)), TargetsRead: true}
	g.Attributes = c.groupAttributes(p, kind, protocol)
	g.Targets = c.targets(p, g)
	c.s.observed.TargetGroups[*h.TargetGroupArn] = g
	return g
}

// targetPort is 1 where pods have it by name.
func (c *lbc) targetPort(p *v1.ServicePort) int32 {
	switch {
	case !c.byPods():
		return p.NodePort
	case p.TargetPort.Type == intstr.Int:
		return p.TargetPort.IntVal
	}
	return 1
}

func (c *lbc) groupAttributes(p *v1.ServicePort, kind elbv2types.TargetTypeEnum, protocol elbv2types.ProtocolEnum) map[string]string {
	preserve := kind == elbv2types.TargetTypeEnumInstance || protocol == elbv2types.ProtocolEnumUdp || protocol == elbv2types.ProtocolEnumTcpUdp
	out := map[string]string{"preserve_client_ip.enabled": strconv.FormatBool(preserve), "proxy_protocol_v2.enabled": "false", "deregistration_delay.timeout_seconds": "300"}
	c.pairs("target-group-attributes", out)
	c.pairs(fmt.Sprintf("target-group-attributes.%d", p.Port), out)
	if _, set := c.text("aws-load-balancer-proxy-protocol-per-target-group"); set {
		out["proxy_protocol_v2.enabled"] = strconv.FormatBool(slices.Contains(c.list("proxy-protocol-per-target-group"), strconv.Itoa(int(p.Port))))
	}
	if c.or("proxy-protocol", "") == "*" {
		out["proxy_protocol_v2.enabled"] = "true"
	}
	return out
}

// health is the check of all target groups.
func (c *lbc) health() elbv2types.TargetGroup {
	protocol, path, port, interval, timeout, up, down := "TCP", "/", "traffic-port", int32(10), int32(10), int32(3), int32(3)
	if c.svc.Spec.ExternalTrafficPolicy == v1.ServiceExternalTrafficPolicyLocal && !c.byPods() {
		protocol, path, port, interval, timeout, up, down = "HTTP", "/healthz", strconv.Itoa(int(c.svc.Spec.HealthCheckNodePort)), 10, 6, 2, 2
	}
	protocol, port = strings.ToUpper(c.or("healthcheck-protocol", protocol)), c.or("healthcheck-port", port)
	for i := range c.svc.Spec.Ports {
		if p := &c.svc.Spec.Ports[i]; p.Name == port {
			port = strconv.Itoa(int(c.targetPort(p)))
		}
	}
	g := elbv2types.TargetGroup{
		HealthCheckProtocol: elbv2types.ProtocolEnum(protocol), HealthCheckPort: awssdk.String(port), HealthCheckEnabled: awssdk.Bool(true),
		HealthCheckIntervalSeconds: c.number("healthcheck-interval", interval), HealthCheckTimeoutSeconds: c.number("healthcheck-timeout", timeout),
		HealthyThresholdCount: c.number("healthcheck-healthy-threshold", up), UnhealthyThresholdCount: c.number("healthcheck-unhealthy-threshold", down),
	}
	if protocol != "TCP" {
		g.HealthCheckPath = awssdk.String(c.or("healthcheck-path", path))
		g.Matcher = &elbv2types.Matcher{HttpCode: awssdk.String(c.or("healthcheck-success-codes", "200-399"))}
	}
	return g
}
