// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// network is a network load balancer with all below it.
func (e *explanation) network(name string) provider.Part {
	lb := e.networksByName[name]
	by := e.sharersOf(name)
	ids := []plan.ID{{Kind: kindNetwork, Name: name}}
	for _, kind := range []string{kindOwner, kindAttributes, kindSubnets, kindAddressType, kindGroups, kindTags, kindPrivateLink} {
		ids = append(ids, plan.ID{Kind: kind, Name: name})
	}
	c := e.compare(provider.Comparison{Says: networkState(lb), Here: lb != nil}, ids...)
	out := provider.Part{What: "network load balancer " + name, State: c.State(), Parts: c.Parts()}
	out.Parts = append(out.Parts, e.shared(name, by)...)
	follows := by.head != e.ask.key && len(by.all) > 0
	switch {
	case follows && lb == nil:
		out.State = provider.StateMissing + ": Service " + by.head.String() + " makes it"
		return out
	case follows && c.Equal:
		out.State = c.Says // the head's explanation tells whether it is in step
	}
	if lb != nil {
		out.Parts = append(out.Parts, addressesOf(lb)...)
		out.Parts = append(out.Parts, e.balancerGroups(lb.SecurityGroups, name)...)
	} else {
		out.Parts = append(out.Parts, provider.DiffParts(e.whys(ids[0]))...)
		out.Parts = append(out.Parts, e.balancerGroups(nil, name)...)
	}
	for _, port := range e.listenerPorts(lb, name) {
		out.Parts = append(out.Parts, e.listener(lb, name, port, c.Wanted))
	}
	if lb != nil {
		for _, g := range e.groupsOf(e.ask, lb) {
			if !e.shown[plan.ID{Kind: kindTargetGroup, Name: awssdk.ToString(g.TargetGroupName)}] {
				out.Parts = append(out.Parts, e.targetGroup(lb, g, nil))
			}
		}
	}
	return out
}

// networkState is what AWS says of a load balancer.
func networkState(lb *Network) string {
	if lb == nil || lb.State == nil {
		return ""
	}
	return strings.TrimSuffix(string(lb.State.Code)+" ("+awssdk.ToString(lb.State.Reason)+")", " ()")
}

// addressesOf are the name of a load balancer, and its addresses by zone.
func addressesOf(lb *Network) []provider.Part {
	out := []provider.Part{{What: fmt.Sprintf("%s, %s, at %s", lb.Scheme, lb.IpAddressType, awssdk.ToString(lb.DNSName))}}
	zones := slices.SortedFunc(slices.Values(lb.AvailabilityZones), func(x, y elbv2types.AvailabilityZone) int {
		return strings.Compare(awssdk.ToString(x.ZoneName), awssdk.ToString(y.ZoneName))
	})
	for i := range zones {
		z := &zones[i]
		text := []string{"zone " + awssdk.ToString(z.ZoneName) + ": subnet " + awssdk.ToString(z.SubnetId)}
		for _, a := range z.LoadBalancerAddresses {
			if id := awssdk.ToString(a.AllocationId); id != "" {
				text = append(text, "elastic IP "+strings.TrimSpace(id+" "+awssdk.ToString(a.IpAddress)))
			}
			for _, ip := range []*string{a.PrivateIPv4Address, a.IPv6Address} {
				if ip != nil {
					text = append(text, *ip)
				}
			}
		}
		out = append(out, provider.Part{What: strings.Join(text, ", ")})
	}
	return out
}

// listenerPorts are the ports of listeners, there or wanted.
func (e *explanation) listenerPorts(lb *Network, name string) []uint16 {
	all := map[uint16]bool{}
	if lb != nil {
		for i := range lb.Listeners {
			all[uint16(awssdk.ToInt32(lb.Listeners[i].Port))] = true //nolint:gosec // AWS has ports up to 65535
		}
	}
	for _, m := range e.ask.mappings {
		if name == e.ask.name {
			all[m.port] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// listener is what is at a port of a load balancer, and where it leads to.
func (e *explanation) listener(lb *Network, name string, port uint16, stays bool) provider.Part {
	have := listenerAt(lb, port)
	var m *mapping
	if name == e.ask.name {
		m = at(e.ask.mappings, port)
	}
	if key, ok := e.anothers(have); ok && m == nil {
		return e.listenerOfAnother(have, name, key)
	}
	id := listenerID(name, int32(port))
	c := e.compare(provider.Comparison{Here: have != nil}, id, plan.ID{Kind: kindCertificates, Name: id.Name}, plan.ID{Kind: kindListenerSettings, Name: id.Name})
	c.Wanted = c.Wanted && stays
	out := provider.Part{What: fmt.Sprintf("listener %d: %s", port, listenerText(have, m)), State: c.State(), Parts: c.Parts()}
	if len(e.sharersOf(name).all) > 0 {
		out.What += ", of this Service"
	}
	arn := forwardsTo(have)
	if m != nil && m.group.name != "" {
		arn = m.group.ref.ID
	}
	switch g := e.observed.TargetGroups[arn]; {
	case g != nil || (m != nil && m.group.name != ""):
		out.Parts = append(out.Parts, e.targetGroup(lb, g, m))
	default:
		out.Parts = append(out.Parts, provider.Part{What: strings.TrimSpace("target group " + arn), State: "not there, or not the Service's"})
	}
	return out
}

// listenerText is the listener as it shall be, or else as it is.
func listenerText(have *elbv2types.Listener, m *mapping) string {
	if m != nil {
		text := string(m.listener)
		if n := len(m.certificates); n > 0 {
			text += ", certificate " + m.certificates[0]
			if n > 1 {
				text += fmt.Sprintf(" and %d more", n-1)
			}
		}
		if m.policy != "" {
			text += ", policy " + m.policy
		}
		return text
	}
	text := string(have.Protocol)
	if len(have.Certificates) > 0 {
		text += ", certificate " + awssdk.ToString(have.Certificates[0].CertificateArn)
	}
	return text
}

// targetGroup is a target group, there or to be made, with its targets. lb and m
// are nil for one that no listener leads to.
func (e *explanation) targetGroup(lb *Network, g *TargetGroup, m *mapping) provider.Part {
	var name, text string
	var check health
	switch {
	case m != nil:
		name, check = m.group.name, m.health
		text = targetText(m.target, m.kind, int32(m.nodePort))
	default:
		name, check = awssdk.ToString(g.TargetGroupName), observedHealth(g)
		text = targetText(g.Protocol, g.TargetType, awssdk.ToInt32(g.Port))
	}
	c := e.compare(provider.Comparison{Here: g != nil}, plan.ID{Kind: kindTargetGroup, Name: name}, plan.ID{Kind: kindHealthCheck, Name: name}, plan.ID{Kind: kindTargetSettings, Name: name})
	if id := (plan.ID{Kind: kindTargets, Name: name}); e.byID[id] != nil {
		c.Equal, e.shown[id] = false, true // told target by target
	}
	out := provider.Part{What: "target group " + name + ": " + text, State: c.State(), Parts: c.Parts()}
	out.Parts = append(out.Parts, provider.Part{What: "health check " + check.String()})
	out.Parts = append(out.Parts, e.targets(lb, g, m)...)
	return out
}

func targetText(protocol elbv2types.ProtocolEnum, kind elbv2types.TargetTypeEnum, port int32) string {
	switch {
	case kind == elbv2types.TargetTypeEnumInstance:
		return fmt.Sprintf("%s to node port %d", protocol, port)
	case port == namedPort:
		return fmt.Sprintf("%s to the named port of pods", protocol)
	}
	return fmt.Sprintf("%s to port %d of pods", protocol, port)
}
