// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	gocmp "github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider"
)

// TestWhatIsMadeForTheLoadBalancerControllersServices compares what we make
// with what that controller would have made, in its names, tags and settings.
// The differences that docs/aws.md tells of are left out here: the shared group
// is ours, UDP is probed so that something answers and not served on both
// families, and targets of a Service of
// both families have its first one.
func TestWhatIsMadeForTheLoadBalancerControllersServices(t *testing.T) {
	for _, pick := range combinations(500) {
		theirs, ok := foreignSite(t, pick)
		if !ok || theirs.differs() {
			continue
		}
		ours, _ := foreignSite(t, pick)
		ours.endpoints()
		ours.s.settle(t, ours.s.all(provider.Serve, provider.Edit))
		theirs.leave()
		if diff := gocmp.Diff(theirs.s.shown(), ours.s.shown()); diff != "" {
			t.Fatalf("%s: -theirs +ours:\n%s", label(pick), diff)
		}
	}
}

// differs reports whether we make something else on purpose, or the other
// controller's flags say what we have no key for.
func (c *lbc) differs() bool {
	udp := slices.ContainsFunc(c.svc.Spec.Ports, isUDP)
	return (udp && (!c.byPods() || c.dualstack())) || len(c.svc.Spec.IPFamilies) > 1 || c.uid != "" || c.ungrouped || c.ownBackend || c.allPorts || c.bucket != ""
}

func isUDP(p v1.ServicePort) bool { return p.Protocol == v1.ProtocolUDP }

// shown is what there is, by names.
func (s *site) shown() []string {
	ids := map[string]string{}
	var out []string
	add := func(format string, values ...any) { out = append(out, fmt.Sprintf(format, values...)) }
	for id, g := range s.observed.Groups {
		ids[id] = *g.GroupName
		if strings.HasPrefix(*g.GroupName, "k8s-traffic-") || strings.HasPrefix(*g.GroupName, "fairlead-traffic-") {
			ids[id] = "shared"
			continue
		}
		if id == nodesGroup {
			continue
		}
		add("group %s %q %s", *g.GroupName, awssdk.ToString(g.Description), texts(groupTags(g.Tags)))
		for _, r := range everyRule(g) {
			add("rule of %s %s", *g.GroupName, r)
		}
	}
	for _, n := range s.observed.Networks {
		delete(n.Tags, "fairlead.dev/made")
		add("load balancer %s %s %s %s private link %s", *n.LoadBalancerName, n.Scheme, n.IpAddressType, texts(n.Tags), cmp.Or(awssdk.ToString(n.EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic), "on"))
		for key, value := range n.Attributes {
			if value != "" && value != "false" { // AWS's first values
				add("attribute %s=%s", key, value)
			}
		}
		for _, z := range n.AvailabilityZones {
			add("subnet %s", *z.SubnetId)
			for _, at := range z.LoadBalancerAddresses {
				add("address %s %s %s %s", *z.SubnetId, awssdk.ToString(at.AllocationId), awssdk.ToString(at.PrivateIPv4Address), awssdk.ToString(at.IPv6Address))
			}
		}
		for _, g := range n.SecurityGroups {
			add("has group %s", ids[g])
		}
		for _, l := range n.Listeners {
			s.showListener(add, n.Certificates, n.ListenerAttributes, &l)
		}
	}
	slices.Sort(out)
	return out
}

func (s *site) showListener(add func(string, ...any), certificates map[string][]string, attributes map[string]map[string]string, l *elbv2types.Listener) {
	var certs []string
	for _, c := range l.Certificates {
		certs = append(certs, *c.CertificateArn)
	}
	add("listener %d %s %v %s %v %v %s", *l.Port, l.Protocol, certs, awssdk.ToString(l.SslPolicy), l.AlpnPolicy, certificates[*l.ListenerArn], texts(attributes[*l.ListenerArn]))
	a := l.DefaultActions[0]
	arn := awssdk.ToString(a.TargetGroupArn)
	if a.ForwardConfig != nil {
		arn = *a.ForwardConfig.TargetGroups[0].TargetGroupArn
	}
	g := s.observed.TargetGroups[arn]
	codes := "200-399"
	if g.Matcher != nil {
		codes = *g.Matcher.HttpCode
	}
	add("%d to %s %s %d %s %s %s", *l.Port, *g.TargetGroupName, g.Protocol, *g.Port, g.TargetType, cmp.Or(string(g.IpAddressType), "ipv4"), texts(g.Tags))
	add("health of %d: %s %s %q %s %d %d %d %d", *l.Port, g.HealthCheckProtocol, *g.HealthCheckPort, awssdk.ToString(g.HealthCheckPath), codes,
		*g.HealthCheckIntervalSeconds, *g.HealthCheckTimeoutSeconds, *g.HealthyThresholdCount, *g.UnhealthyThresholdCount)
	for key, value := range g.Attributes {
		if key != "deregistration_delay.timeout_seconds" || value != "300" {
			add("attribute of %d: %s=%s", *l.Port, key, value)
		}
	}
	for x := range g.Targets {
		add("target of %d: %s %d", *l.Port, x.ID, x.Port)
	}
}

// everyRule are the rules of a group, whatever they let in.
func everyRule(g *ec2types.SecurityGroup) []string {
	out := sources(g)
	for i := range g.IpPermissions {
		p := &g.IpPermissions[i]
		head := fmt.Sprintf("%s %d-%d ", *p.IpProtocol, awssdk.ToInt32(p.FromPort), awssdk.ToInt32(p.ToPort))
		for _, r := range p.Ipv6Ranges {
			out = append(out, head+*r.CidrIpv6)
		}
		for _, r := range p.PrefixListIds {
			out = append(out, head+*r.PrefixListId)
		}
	}
	return out
}
