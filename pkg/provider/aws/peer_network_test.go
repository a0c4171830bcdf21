// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider/aws"
)

func (p *peer) sharedProbe() bool {
	return p.keys["ClusterServiceLoadBalancerHealthProbeMode"] == "Shared"
}

func (p *peer) probePort() int32 {
	if text := p.keys["ClusterServiceSharedLoadBalancerHealthProbePort"]; text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			panic(err)
		}
		return int32(n)
	}
	return 10256
}

func (p *peer) probePath() string {
	if path := p.keys["ClusterServiceSharedLoadBalancerHealthProbePath"]; path != "" {
		return path
	}
	return "/healthz"
}

func (p *peer) networkOf(svc *v1.Service) *aws.Network {
	for _, lb := range p.observed.Networks {
		if *lb.LoadBalancerName == baseName(svc) {
			return lb
		}
	}
	return nil
}

func (p *peer) groupsAttached(arn string) []*aws.TargetGroup {
	var out []*aws.TargetGroup
	for _, id := range slices.Sorted(maps.Keys(p.observed.TargetGroups)) {
		if g := p.observed.TargetGroups[id]; slices.Contains(g.LoadBalancerArns, arn) {
			out = append(out, g)
		}
	}
	return out
}

func (p *peer) ensureNetwork(svc *v1.Service) {
	lb := p.networkOf(svc)
	groups, own := p.networkGroups(svc, lb)
	if lb == nil {
		lb = p.createNetworkOf(svc, groups)
	} else {
		lb = new(*lb)
		if p.keys["NLBSecurityGroupMode"] == "Managed" && len(lb.SecurityGroups) > 0 {
			before := lb.SecurityGroups
			lb.SecurityGroups = groups
			for _, id := range before {
				if !slices.Contains(groups, id) && !slices.Contains(trimmed(svc, "security-groups"), id) && p.hasClusterTag(id) {
					defer p.drop(id)
				}
			}
		}
	}
	p.observed.Networks[*lb.LoadBalancerArn] = lb
	lb.Attributes = maps.Clone(lb.Attributes)
	lb.Attributes["load_balancing.cross_zone.enabled"] = strconv.FormatBool(on(svc, "cross-zone-load-balancing-enabled"))
	lb.Attributes["access_logs.s3.enabled"] = strconv.FormatBool(on(svc, "access-log-enabled"))
	if on(svc, "access-log-enabled") {
		lb.Attributes["access_logs.s3.bucket"] = word(svc, "access-log-s3-bucket-name")
		lb.Attributes["access_logs.s3.prefix"] = word(svc, "access-log-s3-bucket-prefix")
	}
	p.networkListeners(svc, lb)
	if own && len(lb.SecurityGroups) > 0 {
		var ports []int32
		for _, port := range portsServed(svc) {
			ports = append(ports, port.Port)
		}
		p.open(groups[0], strings.ToLower(string(svc.Spec.Ports[0].Protocol)), ports, clientsOf(svc))
	}
	p.networkRules(svc, lb)
	svc.Status.LoadBalancer.Ingress = []v1.LoadBalancerIngress{{Hostname: *lb.DNSName}}
}

// networkGroups are the security groups of a load balancer; one without gets
// none later.
func (p *peer) networkGroups(svc *v1.Service, lb *aws.Network) (groups []string, own bool) {
	if p.keys["NLBSecurityGroupMode"] != "Managed" || lb != nil && len(lb.SecurityGroups) == 0 {
		return nil, false
	}
	if given := trimmed(svc, "security-groups"); len(given) > 0 {
		return given, false
	}
	return []string{p.group(svc, shortName(svc, managedHash(svc)), "[k8s] Managed SecurityGroup for LoadBalancer")}, true
}

func (p *peer) createNetworkOf(svc *v1.Service, groups []string) *aws.Network {
	name := baseName(svc)
	arn := "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/" + name + "/8b0139ad1244eec5"
	lb := &aws.Network{Tags: p.tagsFor(svc, false), Attributes: map[string]string{
		"access_logs.s3.bucket": "", "access_logs.s3.prefix": "", "deletion_protection.enabled": "false", "dns_record.client_routing_policy": "any_availability_zone",
		"ipv6.deny_all_igw_traffic": "false", "zonal_shift.config.enabled": "false",
	}}
	lb.LoadBalancer = elbv2types.LoadBalancer{
		LoadBalancerArn: &arn, LoadBalancerName: &name, DNSName: awssdk.String(name + "-8b0139ad1244eec5.elb.us-east-1.amazonaws.com"), VpcId: &p.settings.VPC,
		IpAddressType: elbv2types.IpAddressTypeIpv4, Type: elbv2types.LoadBalancerTypeEnumNetwork, Scheme: elbv2types.LoadBalancerSchemeEnumInternetFacing,
		SecurityGroups: groups, State: &elbv2types.LoadBalancerState{Code: elbv2types.LoadBalancerStateEnumActive},
	}
	if isInternal(svc) {
		lb.Scheme = elbv2types.LoadBalancerSchemeEnumInternal
	}
	for i, s := range p.subnetsOf(svc) {
		z := elbv2types.AvailabilityZone{SubnetId: s.SubnetId, ZoneName: s.AvailabilityZone}
		if list := word(svc, "eip-allocations"); list != "" {
			z.LoadBalancerAddresses = []elbv2types.LoadBalancerAddress{{AllocationId: awssdk.String(strings.Split(list, ",")[i])}}
		}
		if list := word(svc, "private-ipv4-addresses"); list != "" {
			z.LoadBalancerAddresses = []elbv2types.LoadBalancerAddress{{PrivateIPv4Address: awssdk.String(strings.Split(list, ",")[i])}}
		}
		lb.AvailabilityZones = append(lb.AvailabilityZones, z)
	}
	return lb
}

// networkListeners brings listeners and target groups in step.
func (p *peer) networkListeners(svc *v1.Service, lb *aws.Network) {
	had := lb.Listeners
	lb.Listeners = nil
	used := map[string]bool{}
	for _, port := range portsServed(svc) {
		g := p.ensureTargetGroup(svc, lb, port)
		used[*g.TargetGroupArn] = true
		l := elbv2types.Listener{ListenerArn: awssdk.String(p.id("listener"))}
		// One on the port with another protocol is changed in place.
		if i := slices.IndexFunc(had, func(h elbv2types.Listener) bool { return *h.Port == port.Port }); i >= 0 {
			l = had[i]
		}
		l.LoadBalancerArn, l.Port, l.Protocol = lb.LoadBalancerArn, awssdk.Int32(port.Port), elbv2types.ProtocolEnum(port.Protocol)
		l.DefaultActions = []elbv2types.Action{{Type: elbv2types.ActionTypeEnumForward, TargetGroupArn: g.TargetGroupArn}}
		if port.Protocol == v1.ProtocolTCP && tlsAt(svc, port.Port, port.Name) {
			l.Protocol = elbv2types.ProtocolEnumTls
			l.Certificates = []elbv2types.Certificate{{CertificateArn: awssdk.String(word(svc, "ssl-cert"))}}
			if policy := word(svc, "ssl-negotiation-policy"); policy != "" {
				l.SslPolicy = &policy
			} else if l.SslPolicy == nil {
				l.SslPolicy = awssdk.String(tlsDefault)
			}
		} else {
			l.Certificates, l.SslPolicy = nil, nil
		}
		lb.Listeners = append(lb.Listeners, l)
	}
	for _, g := range p.groupsAttached(*lb.LoadBalancerArn) {
		if !used[*g.TargetGroupArn] {
			delete(p.observed.TargetGroups, *g.TargetGroupArn)
		}
	}
}

// networkCheck is a health check as the peer sends it.
type networkCheck struct {
	protocol, port, path string
	interval, up, down   int32
}

func (p *peer) networkCheckOf(svc *v1.Service) networkCheck {
	local := svc.Spec.ExternalTrafficPolicy == v1.ServiceExternalTrafficPolicyLocal
	c := networkCheck{protocol: "TCP", port: "traffic-port", path: "/", interval: 30, up: 3, down: 3}
	if local {
		c = networkCheck{protocol: "HTTP", port: strconv.Itoa(int(svc.Spec.HealthCheckNodePort)), path: "/healthz", interval: 10, up: 2, down: 2}
	}
	for text, field := range map[string]*string{"protocol": &c.protocol, "port": &c.port, "path": &c.path} {
		if value := word(svc, "healthcheck-"+text); value != "" {
			*field = value
		}
	}
	c.protocol = strings.ToUpper(c.protocol)
	if p.sharedProbe() && !local {
		c.protocol, c.port, c.path = "HTTP", strconv.Itoa(int(p.probePort())), p.probePath()
	}
	if c.protocol == "TCP" {
		c.path = ""
	}
	c.interval = number(svc, "healthcheck-interval", c.interval)
	c.up = number(svc, "healthcheck-healthy-threshold", c.up)
	c.down = number(svc, "healthcheck-unhealthy-threshold", c.down)
	return c
}

// ensureTargetGroup finds the target group by the node port. Another protocol
// or interval makes a new one; another threshold of what is down is sent only
// with something else.
func (p *peer) ensureTargetGroup(svc *v1.Service, lb *aws.Network, port v1.ServicePort) *aws.TargetGroup {
	check := p.networkCheckOf(svc)
	protocol := string(port.Protocol)
	if port.Protocol == v1.ProtocolTCP && tlsAt(svc, port.Port, port.Name) && word(svc, "backend-protocol") == "ssl" {
		protocol = "TLS"
	}
	var g *aws.TargetGroup
	for _, have := range p.groupsAttached(*lb.LoadBalancerArn) {
		if *have.Port == port.NodePort && string(have.Protocol) == protocol && string(have.HealthCheckProtocol) == check.protocol && *have.HealthCheckIntervalSeconds == check.interval {
			g = new(*have)
		}
	}
	if g == nil {
		sum := sha1.Sum(fmt.Append(nil, "rig", svc.Namespace, svc.Name, strconv.Itoa(int(port.Port)), strconv.Itoa(int(port.NodePort)), protocol, "instance", check.protocol, strconv.Itoa(int(check.interval))))
		name := shortName(svc, hex.EncodeToString(sum[:]))
		g = &aws.TargetGroup{Tags: p.tagsFor(svc, false), TargetsRead: true, Attributes: map[string]string{
			"preserve_client_ip.enabled": "true", "proxy_protocol_v2.enabled": "false",
		}}
		timeout := map[string]int32{"HTTP": 6}[check.protocol]
		if timeout == 0 {
			timeout = 10
		}
		g.TargetGroup = elbv2types.TargetGroup{
			TargetGroupArn: awssdk.String("arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/" + name + "/3eb830b6fae43771"), TargetGroupName: &name,
			Port: awssdk.Int32(port.NodePort), Protocol: elbv2types.ProtocolEnum(protocol), TargetType: elbv2types.TargetTypeEnumInstance, VpcId: &p.settings.VPC,
			IpAddressType: elbv2types.TargetGroupIpAddressTypeEnumIpv4, LoadBalancerArns: []string{*lb.LoadBalancerArn}, HealthCheckEnabled: awssdk.Bool(true),
			HealthCheckProtocol: elbv2types.ProtocolEnum(check.protocol), HealthCheckIntervalSeconds: &check.interval, HealthCheckTimeoutSeconds: &timeout,
		}
	}
	p.observed.TargetGroups[*g.TargetGroupArn] = g
	if awssdk.ToString(g.HealthCheckPort) != check.port || awssdk.ToInt32(g.HealthyThresholdCount) != check.up || awssdk.ToString(g.HealthCheckPath) != check.path {
		g.HealthCheckPort, g.HealthyThresholdCount, g.UnhealthyThresholdCount = &check.port, &check.up, &check.down
		if check.path != "" {
			g.HealthCheckPath, g.Matcher = &check.path, &elbv2types.Matcher{HttpCode: awssdk.String("200-399")}
		}
	}
	g.Attributes = maps.Clone(g.Attributes)
	maps.Copy(g.Attributes, pairsOf(svc, "target-group-attributes"))
	g.Targets = map[aws.Target]elbv2types.TargetHealthStateEnum{}
	for _, id := range p.machines(svc) {
		g.Targets[aws.Target{ID: id, Port: port.NodePort}] = elbv2types.TargetHealthStateEnumHealthy
	}
	return g
}

// networkRules are those at the nodes: from clients, though there is a group,
// and from the subnets for health checks where clients do not cover them.
func (p *peer) networkRules(svc *v1.Service, lb *aws.Network) {
	name := baseName(svc)
	protocol := strings.ToLower(string(svc.Spec.Ports[0].Protocol))
	clients := clientsOf(svc)
	ports, probed := map[int32]bool{}, map[int32]bool{}
	for _, port := range portsServed(svc) {
		ports[port.NodePort] = true
		n, err := strconv.ParseInt(p.networkCheckOf(svc).port, 10, 32)
		if err != nil {
			n = int64(port.NodePort)
		}
		probed[int32(n)] = true
	}
	var rules []grant
	for _, port := range slices.Sorted(maps.Keys(ports)) {
		for _, cidr := range clients {
			rules = append(rules, grant{protocol: protocol, from: port, to: port, cidr: cidr, about: aboutClient + name})
		}
	}
	var subnets []string
	for _, z := range lb.AvailabilityZones {
		subnets = append(subnets, *z.SubnetId)
	}
	if !slices.Equal(clients, []string{"0.0.0.0/0"}) || protocol != "tcp" || !maps.Equal(ports, probed) {
		for _, port := range slices.Sorted(maps.Keys(probed)) {
			for _, cidr := range p.subnetBlocks(subnets) {
				rules = append(rules, grant{protocol: "tcp", from: port, to: port, cidr: cidr, about: aboutHealth + name})
			}
		}
	}
	want := map[string][]grant{}
	for _, id := range p.nodeGroups(p.machines(svc)) {
		want[id] = rules
	}
	p.letInClients(name, want)
}

func (p *peer) deleteNetwork(svc *v1.Service) {
	lb := p.networkOf(svc)
	if lb == nil {
		return
	}
	for _, g := range p.groupsAttached(*lb.LoadBalancerArn) {
		delete(p.observed.TargetGroups, *g.TargetGroupArn)
	}
	delete(p.observed.Networks, *lb.LoadBalancerArn)
	p.letInClients(baseName(svc), nil)
	for _, id := range lb.SecurityGroups {
		if p.hasClusterTag(id) && !slices.Contains(trimmed(svc, "security-groups"), id) {
			p.drop(id)
		}
	}
}
