// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// groupRef is a target group that is there or is made.
type groupRef struct {
	name string
	ref  Ref
}

func (g groupRef) target() plan.ID { return plan.ID{Kind: kindTargetGroup, Name: g.name} }

func (g groupRef) needs() []plan.ID {
	if g.ref.ID != "" {
		return nil
	}
	return []plan.ID{g.target()}
}

// groupsOf are the target groups of the Service by ARN: those of its load
// balancer that have its names, and those without a load balancer that carry
// its tags, which were left by a pass that did not end.
func (t *turn) groupsOf(a *ask, lb *Network) []*TargetGroup {
	var out []*TargetGroup
	for _, arn := range slices.Sorted(maps.Keys(t.observed.TargetGroups)) {
		g := t.observed.TargetGroups[arn]
		if lb != nil && slices.Contains(g.LoadBalancerArns, awssdk.ToString(lb.LoadBalancerArn)) {
			if (t.namedFor(a, g) || t.ownsFor(a, g.Tags)) && t.belongs(a, g) {
				out = append(out, g)
			}
			continue
		}
		if len(g.LoadBalancerArns) == 0 && t.namedFor(a, g) && t.ownsFor(a, g.Tags) && !t.livesAgain(a) {
			out = append(out, g)
		}
	}
	return out
}

// namedFor reports whether the target group's name may be the Service's.
func (t *turn) namedFor(a *ask, g *TargetGroup) bool {
	return names.MayBe(awssdk.ToString(g.TargetGroupName), a.key.Namespace, a.key.Name)
}

// chooseGroups finds for each mapping the target group that serves it: the one
// that its listener forwards to, else any of the Service's with its node port
// and protocol. What cannot be changed in one that is there has to be right.
func (t *turn) chooseGroups(a *ask, lb *Network, groups []*TargetGroup) map[*mapping]*TargetGroup {
	taken := map[*TargetGroup]bool{}
	chosen := map[*mapping]*TargetGroup{}
	take := func(m *mapping, fits func(*TargetGroup) bool) {
		for _, g := range groups {
			if chosen[m] == nil && !taken[g] && m.fits(g) && fits(g) {
				chosen[m], taken[g] = g, true
			}
		}
	}
	for _, m := range a.mappings {
		forwards := forwardsTo(listenerAt(lb, m.port))
		take(m, func(g *TargetGroup) bool { return forwards != "" && forwards == awssdk.ToString(g.TargetGroupArn) })
	}
	for _, m := range a.mappings {
		take(m, func(g *TargetGroup) bool { return len(g.LoadBalancerArns) > 0 })
		take(m, func(g *TargetGroup) bool { return !a.external || names.IsFor(g.Tags, a.resource(m)) })
	}
	return chosen
}

// resource is what the AWS Load Balancer Controller calls the target group of a
// mapping in its tags. One that was left has to be of the same port.
func (a *ask) resource(m *mapping) string { return fmt.Sprintf("%s:%d", a.key, m.port) }

// fits reports whether the target group can serve the mapping.
func (m *mapping) fits(g *TargetGroup) bool {
	return awssdk.ToInt32(g.Port) == int32(m.nodePort) && g.Protocol == m.target && g.TargetType == m.kind && (m.kind != elbv2types.TargetTypeEnumIp || slices.Contains(m.families, g.IpAddressType))
}

// putGroup brings the target group of a mapping to what it shall be; it makes
// one when there is none.
func (t *turn) putGroup(a *ask, m *mapping, g *TargetGroup) {
	wanted := a.groupAttributes(m)
	if g == nil {
		t.createGroup(a, m, wanted)
		return
	}
	m.group = groupRef{name: awssdk.ToString(g.TargetGroupName), ref: Ref{ID: awssdk.ToString(g.TargetGroupArn)}}
	if a.external {
		m.family = cmp.Or(g.IpAddressType, m.family)
	}
	t.putHealth(a, m, g)
	t.putGroupAttributes(a, m, wanted, g.Attributes)
	t.putTargets(a, m.group, t.targetsAt(a, m), g.Targets)
}

func (t *turn) createGroup(a *ask, m *mapping, attributes map[string]string) {
	name := t.freeGroupName(a, m)
	m.group = groupRef{name: name}
	m.group.ref.Made = m.group.target()
	h := m.health
	in := &elbv2.CreateTargetGroupInput{
		Name: awssdk.String(name), Port: awssdk.Int32(int32(m.nodePort)), Protocol: m.target,
		TargetType: m.kind, VpcId: awssdk.String(t.settings.VPC),
		HealthCheckProtocol: h.protocol, HealthCheckPort: awssdk.String(h.port), HealthCheckIntervalSeconds: awssdk.Int32(h.interval),
		HealthyThresholdCount: awssdk.Int32(h.healthy), UnhealthyThresholdCount: awssdk.Int32(h.unhealthy),
		Tags: elbv2Tags(names.As(a.tags, a.resource(m))),
	}
	if m.kind == elbv2types.TargetTypeEnumIp || (a.external && m.family == elbv2types.TargetGroupIpAddressTypeEnumIpv6) {
		in.IpAddressType = m.family
	}
	if h.codes != "" {
		in.Matcher = &elbv2types.Matcher{HttpCode: awssdk.String(h.codes)}
	}
	if h.path != "" {
		in.HealthCheckPath = awssdk.String(h.path)
	}
	if h.timeout != 0 {
		in.HealthCheckTimeoutSeconds = awssdk.Int32(h.timeout)
	}
	t.add(a, plan.Step{
		Action: plan.Create, Target: m.group.target(),
		Why: []plan.Diff{{Field: "port", Want: fmt.Sprintf("%s %d", m.target, m.nodePort)}, {Field: "health check", Want: h.String()}},
	}, in)
	t.putGroupAttributes(a, m, attributes, groupDefaults(m.kind, m.target))
	t.putTargets(a, m.group, t.targetsAt(a, m), nil)
}

// freeGroupName is the peer's name of the target group, or where another one
// has it a name like it.
func (t *turn) freeGroupName(a *ask, m *mapping) string {
	taken := map[string]bool{}
	for _, g := range t.observed.TargetGroups {
		taken[awssdk.ToString(g.TargetGroupName)] = true
	}
	n := names.TargetGroup{
		ClusterID: cmp.Or(t.settings.Tags.ID, string(a.item.Service.UID)), Namespace: a.key.Namespace, Name: a.key.Name, Port: m.port, NodePort: m.nodePort,
		Protocol: string(m.target), TargetType: string(m.kind),
		HealthProtocol: string(m.health.protocol), HealthInterval: m.health.interval,
	}
	if a.external {
		return t.freeExternalName(a, m, taken)
	}
	for taken[n.String()] {
		n.Again++
	}
	return n.String()
}

// Attributes of target groups.
const (
	attrPreserveClientIP = "preserve_client_ip.enabled"
	attrProxyProtocol    = "proxy_protocol_v2.enabled"
)

// groupDefaults are the attributes of a new target group: AWS,
// target group attributes of network load balancers.
func groupDefaults(kind elbv2types.TargetTypeEnum, protocol elbv2types.ProtocolEnum) map[string]string {
	preserve := kind != elbv2types.TargetTypeEnumIp || slices.Contains(transports(protocol), "udp")
	return map[string]string{attrPreserveClientIP: strconv.FormatBool(preserve), attrProxyProtocol: "false"}
}

func (t *turn) putGroupAttributes(a *ask, m *mapping, want, have map[string]string) {
	diffs := changed(want, have)
	if len(diffs) == 0 || have == nil {
		return
	}
	in := &elbv2.ModifyTargetGroupAttributesInput{TargetGroupArn: awssdk.String(m.group.ref.Text())}
	for _, d := range diffs {
		in.Attributes = append(in.Attributes, elbv2types.TargetGroupAttribute{Key: awssdk.String(d.Field), Value: awssdk.String(d.Want)})
	}
	t.add(a, plan.Step{Action: plan.Update, Target: plan.ID{Kind: kindTargetSettings, Name: m.group.name}, Needs: m.group.needs(), Why: diffs}, in)
}

// changed are the keys whose values differ, sorted. What is not wanted stays.
func changed(want, have map[string]string) []plan.Diff {
	var out []plan.Diff
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if want[key] != have[key] {
			out = append(out, plan.Diff{Field: key, Have: have[key], Want: want[key]})
		}
	}
	return out
}

// elbv2Tags are tags as the SDK has them, sorted by key.
func elbv2Tags(tags map[string]string) []elbv2types.Tag {
	out := make([]elbv2types.Tag, 0, len(tags))
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, elbv2types.Tag{Key: awssdk.String(key), Value: awssdk.String(tags[key])})
	}
	return out
}

// deleteGroup deletes a target group after what refers to it is gone.
func (t *turn) deleteGroup(a *ask, g *TargetGroup, after []plan.ID) {
	name := awssdk.ToString(g.TargetGroupName)
	t.add(a, plan.Step{
		Action: plan.Delete, Target: plan.ID{Kind: kindTargetGroup, Name: name}, Needs: after,
		Why: []plan.Diff{{Field: "port", Have: strings.TrimSpace(fmt.Sprintf("%s %d", g.Protocol, awssdk.ToInt32(g.Port)))}},
	}, &elbv2.DeleteTargetGroupInput{TargetGroupArn: g.TargetGroupArn})
}
