// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"iter"
	"net/netip"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/fairlead/fairlead/pkg/intent"
)

// namedPort is the port of a target group whose pods have a port by name: the
// AWS Load Balancer Controller's. Traffic goes to the ports of the targets.
const namedPort = 1

// typePods is the older type of load balancers whose targets are pods.
const typePods = "nlb-ip"

// targetKind is what the Service's targets are.
func (t *turn) targetKind(a *ask) elbv2types.TargetTypeEnum {
	if !a.external {
		return elbv2types.TargetTypeEnumInstance
	}
	if a.written(intent.KeyAWSType) == typePods {
		return elbv2types.TargetTypeEnumIp
	}
	if kind := a.text(intent.KeyAWSTargetType); kind != "" {
		return elbv2types.TargetTypeEnum(kind)
	}
	return t.settings.External.TargetType
}

// groupPort is the port of a target group.
func (a *ask) groupPort(p *intent.Port, kind elbv2types.TargetTypeEnum) uint16 {
	if kind == elbv2types.TargetTypeEnumInstance {
		return p.NodePort
	}
	for i := range a.item.Service.Spec.Ports {
		sp := &a.item.Service.Spec.Ports[i]
		if sp.Port != int32(p.Port) || sp.Name != p.Name {
			continue
		}
		switch {
		case sp.TargetPort.Type == intstr.String:
			return namedPort
		case sp.TargetPort.IntVal == 0:
			return p.Port
		}
		return uint16(sp.TargetPort.IntVal) //nolint:gosec // the API has ports up to 65535
	}
	return p.Port
}

// groupFamilies are those of the Service's targets, of which a new target group
// has the first. The AWS Load Balancer Controller prefers IPv6: what it made
// stays.
func (a *ask) groupFamilies() []elbv2types.TargetGroupIpAddressTypeEnum {
	var out []elbv2types.TargetGroupIpAddressTypeEnum
	for _, f := range a.item.Intent.Families {
		if f == intent.V6 {
			out = append(out, elbv2types.TargetGroupIpAddressTypeEnumIpv6)
		} else {
			out = append(out, elbv2types.TargetGroupIpAddressTypeEnumIpv4)
		}
	}
	if len(out) == 0 {
		out = append(out, elbv2types.TargetGroupIpAddressTypeEnumIpv4)
	}
	return out
}

// targetsAt are the targets of a mapping.
func (t *turn) targetsAt(a *ask, m *mapping) []Target {
	if m.kind == elbv2types.TargetTypeEnumIp {
		return t.podsAt(a, m.name, m.family)
	}
	return a.instancesAt(int32(m.nodePort))
}

// podsAt are the ready pods behind a port of the Service, sorted.
func (t *turn) podsAt(a *ask, name string, family elbv2types.TargetGroupIpAddressTypeEnum) []Target {
	want := discoveryv1.AddressTypeIPv4
	if family == elbv2types.TargetGroupIpAddressTypeEnumIpv6 {
		want = discoveryv1.AddressTypeIPv6
	}
	all := map[Target]bool{}
	for s, port := range t.slicesOf(a, name) {
		if s.AddressType != want {
			continue
		}
		for _, ip := range readyIn(s) {
			all[Target{ID: ip.String(), Port: port}] = true
		}
	}
	return sortedTargets(all)
}

// slicesOf are the Service's slices that have the port with the name, and which
// it is there.
func (t *turn) slicesOf(a *ask, name string) iter.Seq2[*discoveryv1.EndpointSlice, int32] {
	return func(yield func(*discoveryv1.EndpointSlice, int32) bool) {
		for _, s := range t.observed.Slices[a.key] {
			for i := range s.Ports {
				p := &s.Ports[i]
				if awssdk.ToString(p.Name) == name && p.Port != nil && !yield(s, *p.Port) {
					return
				}
			}
		}
	}
}

// readyIn are the addresses of the slice's pods that are ready.
func readyIn(s *discoveryv1.EndpointSlice) []netip.Addr {
	var out []netip.Addr
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		if !isReady(e) {
			continue
		}
		for _, text := range e.Addresses {
			if ip, err := netip.ParseAddr(text); err == nil {
				out = append(out, ip)
			}
		}
	}
	return out
}

// isReady reports whether the pod is ready. One of which nothing says it is, as
// the API has it.
func isReady(e *discoveryv1.Endpoint) bool { return e.Conditions.Ready == nil || *e.Conditions.Ready }

// portsOf are the ports at which the Service's targets are reached.
func (t *turn) portsOf(a *ask, m *mapping) []int32 {
	var out []int32
	if m.kind == elbv2types.TargetTypeEnumInstance || m.nodePort != namedPort {
		out = append(out, int32(m.nodePort))
	}
	if m.kind == elbv2types.TargetTypeEnumIp {
		for _, x := range t.podsAt(a, m.name, m.family) {
			out = append(out, x.Port)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// podsKnown reports whether the targets are addresses of pods, and the Service's
// endpoints are known, so that there may be none.
func (t *turn) podsKnown(a *ask, have map[Target]elbv2types.TargetHealthStateEnum) bool {
	for x := range have {
		if _, err := netip.ParseAddr(x.ID); err != nil {
			return false
		}
	}
	return len(t.observed.Slices[a.key]) > 0
}

// namedPort reports whether only the pods tell the port.
func (g *TargetGroup) namedPort() bool {
	return g.TargetType == elbv2types.TargetTypeEnumIp && awssdk.ToInt32(g.Port) == namedPort
}

// keptTargets are the targets of a target group of a Service whose new form is
// refused: it follows the nodes and the pods. It is false where nothing tells
// them.
func (t *turn) keptTargets(a *ask, lb *Network, g *TargetGroup) ([]Target, bool) {
	if g.TargetType == elbv2types.TargetTypeEnumInstance {
		return a.instancesAt(awssdk.ToInt32(g.Port)), true
	}
	for i := range lb.Listeners {
		if forwardsTo(&lb.Listeners[i]) != awssdk.ToString(g.TargetGroupArn) {
			continue
		}
		for j := range a.item.Service.Spec.Ports {
			if p := &a.item.Service.Spec.Ports[j]; p.Port == awssdk.ToInt32(lb.Listeners[i].Port) && g.TargetType == elbv2types.TargetTypeEnumIp {
				return t.podsAt(a, p.Name, g.IpAddressType), true
			}
		}
	}
	return nil, false
}
