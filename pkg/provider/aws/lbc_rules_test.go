// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider/aws"
)

const lbcRule = "elbv2.k8s.aws/targetGroupBinding=shared"

// groups gives the load balancer its security groups.
func (c *lbc) groups() {
	given := c.list("security-groups")
	if c.ungrouped || c.on("disable-nlb-sg") {
		return
	}
	for _, item := range given {
		for id, g := range c.s.observed.Groups {
			if id == item || groupTags(g.Tags)["Name"] == item {
				c.front = append(c.front, id)
			}
		}
	}
	if len(given) == 0 {
		c.front = []string{c.managed()}
	}
	switch {
	case len(given) > 0 && !c.on("manage-backend-security-group-rules"):
	case c.ownBackend:
		c.back = c.front[0]
	default:
		c.back = lbcShared
		c.front = append(c.front, lbcShared)
		if c.s.observed.Groups[lbcShared] == nil {
			c.group(lbcShared, "k8s-traffic-rig-0123456789", "[k8s] Shared Backend SecurityGroup for LoadBalancer", map[string]string{"elbv2.k8s.aws/cluster": "rig", "elbv2.k8s.aws/resource": "backend-sg"}, nil)
		}
	}
}

func (c *lbc) group(id, name, description string, tags map[string]string, rules []ec2types.IpPermission) {
	c.s.observed.Groups[id] = &ec2types.SecurityGroup{
		GroupId: awssdk.String(id), GroupName: awssdk.String(name), Description: awssdk.String(description),
		VpcId: awssdk.String(c.s.settings.VPC), Tags: ec2TagsOf(tags), IpPermissions: rules,
	}
}

// ranges are the clients that are named.
func (c *lbc) ranges() []string {
	if list := c.svc.Spec.LoadBalancerSourceRanges; len(list) > 0 {
		return list
	}
	text, _ := c.text("load-balancer-source-ranges")
	return items(text)
}

// managed is the load balancer's own group: clients at each port.
func (c *lbc) managed() string {
	name := c.name("rig", c.svc.Name, c.svc.Namespace, string(c.uid))
	cidrs, lists := c.ranges(), c.list("security-group-prefix-lists")
	if len(cidrs)+len(lists) == 0 {
		cidrs = []string{"0.0.0.0/0"}
		if c.dualstack() {
			cidrs = append(cidrs, "::/0")
		}
	}
	var rules []ec2types.IpPermission
	for _, p := range c.svc.Spec.Ports {
		for _, cidr := range cidrs {
			rules = append(rules, ranged(strings.ToLower(string(p.Protocol)), p.Port, p.Port, cidr, ""))
		}
		for _, list := range lists {
			r := span(strings.ToLower(string(p.Protocol)), p.Port, p.Port)
			r.PrefixListIds = []ec2types.PrefixListId{{PrefixListId: awssdk.String(list)}}
			rules = append(rules, r)
		}
	}
	if c.or("enable-icmp-for-path-mtu-discovery", "") == "on" {
		for _, cidr := range cidrs {
			if strings.Contains(cidr, ":") {
				rules = append(rules, ranged("icmpv6", 2, 0, cidr, ""))
			} else {
				rules = append(rules, ranged("icmp", 3, 4, cidr, ""))
			}
		}
	}
	id := "sg-" + name
	c.group(id, name, "[k8s] Managed SecurityGroup for LoadBalancer", c.tags("ManagedLBSecurityGroup"), rules)
	return id
}

func span(protocol string, low, high int32) ec2types.IpPermission {
	return ec2types.IpPermission{IpProtocol: awssdk.String(protocol), FromPort: awssdk.Int32(low), ToPort: awssdk.Int32(high)}
}

func ranged(protocol string, low, high int32, cidr, text string) ec2types.IpPermission {
	p := span(protocol, low, high)
	var description *string
	if text != "" {
		description = awssdk.String(text)
	}
	if strings.Contains(cidr, ":") {
		p.Ipv6Ranges = []ec2types.Ipv6Range{{CidrIpv6: awssdk.String(cidr), Description: description}}
	} else {
		p.IpRanges = []ec2types.IpRange{{CidrIp: awssdk.String(cidr), Description: description}}
	}
	return p
}

// letIn lets the load balancer in at the nodes, for one port.
func (c *lbc) letIn(p *v1.ServicePort, g *aws.TargetGroup) {
	ports := c.reached(g)
	udp := g.Protocol == elbv2types.ProtocolEnumUdp || g.Protocol == elbv2types.ProtocolEnumTcpUdp
	check, err := strconv.Atoi(*g.HealthCheckPort)
	if len(c.front) == 0 {
		c.letClientsIn(g, ports, check)
		return
	}
	if c.back == "" {
		return
	}
	for _, port := range ports {
		if udp {
			c.widen("udp", port)
		}
		if !udp || p.Protocol == v1.ProtocolUDP && (err != nil || int32(check) == port) || g.Protocol == elbv2types.ProtocolEnumTcpUdp {
			c.widen("tcp", port)
		}
		if err == nil {
			c.widen("tcp", int32(check))
		}
	}
}

// reached are the ports of the targets.
func (c *lbc) reached(g *aws.TargetGroup) []int32 {
	var out []int32
	for x := range g.Targets {
		out = append(out, x.Port)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// nodesLet adds a rule at the nodes' group.
func (c *lbc) nodesLet(p ec2types.IpPermission) {
	g := *c.s.observed.Groups[nodesGroup]
	g.IpPermissions = append(slices.Clone(g.IpPermissions), p)
	c.s.observed.Groups[nodesGroup] = &g
}

// widen keeps one range of ports for each protocol and group.
func (c *lbc) widen(protocol string, port int32) {
	low, high := port, port
	if c.allPorts {
		low, high = 0, 65535
	}
	g := *c.s.observed.Groups[nodesGroup]
	g.IpPermissions = slices.DeleteFunc(slices.Clone(g.IpPermissions), func(p ec2types.IpPermission) bool {
		is := *p.IpProtocol == protocol && len(p.UserIdGroupPairs) == 1 && *p.UserIdGroupPairs[0].GroupId == c.back
		if is {
			low, high = min(low, *p.FromPort), max(high, *p.ToPort)
		}
		return is
	})
	c.s.observed.Groups[nodesGroup] = &g
	p := span(protocol, low, high)
	p.UserIdGroupPairs = []ec2types.UserIdGroupPair{{GroupId: awssdk.String(c.back), Description: awssdk.String(lbcRule)}}
	c.nodesLet(p)
}

// letClientsIn is for load balancers without groups: clients by their ranges
// where their addresses are preserved, else the load balancer's subnets.
func (c *lbc) letClientsIn(g *aws.TargetGroup, ports []int32, check int) {
	if c.or("manage-backend-security-group-rules", "true") == "false" {
		return
	}
	anyone, vpc, six := "0.0.0.0/0", "10.0.0.0/16", g.IpAddressType == elbv2types.TargetGroupIpAddressTypeEnumIpv6
	if six {
		anyone, vpc = "::/0", "2600:1f18::/56"
	}
	var subnets []string
	for _, n := range c.subnets() {
		if six {
			subnets = append(subnets, *n.Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlock)
		} else {
			subnets = append(subnets, *n.CidrBlock)
		}
	}
	clients := c.ranges()
	switch {
	case g.Protocol != elbv2types.ProtocolEnumUdp && g.Attributes["preserve_client_ip.enabled"] != "true":
		clients = subnets
	case len(clients) == 0 && c.scheme() == elbv2types.LoadBalancerSchemeEnumInternal:
		clients = []string{vpc}
	case len(clients) == 0:
		clients = []string{anyone}
	}
	rules := map[string]ec2types.IpPermission{}
	let := func(protocol string, port int32, cidrs []string) {
		for _, cidr := range cidrs {
			rules[fmt.Sprint(protocol, port, cidr)] = ranged(protocol, port, port, cidr, lbcRule)
		}
	}
	for _, port := range ports {
		if g.Protocol == elbv2types.ProtocolEnumUdp || g.Protocol == elbv2types.ProtocolEnumTcpUdp {
			let("udp", port, clients)
		}
		if g.Protocol != elbv2types.ProtocolEnumUdp {
			let("tcp", port, clients)
		}
		if check == 0 {
			let("tcp", port, subnets)
		} else {
			let("tcp", int32(check), subnets)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(rules)) {
		c.nodesLet(rules[key])
	}
}

// targets are the nodes, or pods of the port that are ready.
func (c *lbc) targets(p *v1.ServicePort, g *aws.TargetGroup) map[aws.Target]elbv2types.TargetHealthStateEnum {
	out := map[aws.Target]elbv2types.TargetHealthStateEnum{}
	if c.byPods() {
		for i := range 2 {
			ip := fmt.Sprintf("10.0.96.%d", 20+i)
			if g.IpAddressType == elbv2types.TargetGroupIpAddressTypeEnumIpv6 {
				ip = fmt.Sprintf("2600:1f18::%d", 20+i)
			}
			out[aws.Target{ID: ip, Port: podPort(p)}] = elbv2types.TargetHealthStateEnumHealthy
		}
		return out
	}
	labels := c.pairs("target-node-labels", map[string]string{})
	for _, n := range c.s.nodes {
		fits := true
		for key, value := range labels {
			fits = fits && n.Labels[key] == value
		}
		if fits {
			id := n.Spec.ProviderID[strings.LastIndex(n.Spec.ProviderID, "/")+1:]
			out[aws.Target{ID: id, Port: p.NodePort}] = elbv2types.TargetHealthStateEnumHealthy
		}
	}
	return out
}

// podPort is where pods listen for a port.
func podPort(p *v1.ServicePort) int32 {
	if p.TargetPort.IntVal != 0 {
		return p.TargetPort.IntVal
	}
	return 9000 + p.Port%100
}
