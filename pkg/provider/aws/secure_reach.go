// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"net/netip"
	"slices"
	"strconv"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// asFound reports whether the Service's load balancer is as the AWS Load
// Balancer Controller left it: the nodes let it in by that controller's rules.
// What these do not open is opened, and nothing is taken away.
func (t *turn) asFound(a *ask) bool {
	return a.serve() && a.kind == NetworkKind && a.external && !a.strict() && !t.behind(a)
}

// opens reports whether the nodes are to let the load balancer of the external
// form in: with given groups where an annotation asks for it, and else unless
// one forbids it.
func (a *ask) opens() bool {
	if len(a.groups) > 0 {
		return a.sharesGroup()
	}
	return !a.has(intent.KeyAWSManageBackendRules) || a.on(intent.KeyAWSManageBackendRules)
}

// opening are the rules that a load balancer that is as it was found lacks at a
// security group of the nodes; none for others.
func (t *turn) opening(a *ask, group string, have described) described {
	if !t.asFound(a) || !a.opens() {
		return nil
	}
	out, missing := described{}, protocolPorts{}
	for _, m := range a.mappings {
		for r, text := range t.reaching(a, m, group) {
			switch {
			case a.isLetIn(have, r, m):
			case r.kind == fromGroup:
				missing[r.protocol] = append(missing[r.protocol], r.from)
			default:
				out[r] = text
			}
		}
	}
	for protocol, ports := range missing {
		for _, span := range spans(ports) {
			out[rule{protocol: protocol, from: span[0], to: span[1], kind: fromGroup, source: t.letInBy(a)}] = names.GroupRule(a.name)
		}
	}
	return out
}

// reaching are single rules, with which the load balancer would reach what a
// mapping has behind a security group of the nodes.
func (t *turn) reaching(a *ask, m *mapping, group string) described {
	out := described{}
	ports := t.portsBehind(a, m, group)
	checks := ports
	if n, err := strconv.ParseUint(m.health.port, 10, 16); err == nil && len(ports) > 0 {
		checks = []int32{int32(n)}
	}
	let := func(protocol string, port int32, sources []rule, text string) {
		for _, r := range sources {
			r.protocol, r.from, r.to = protocol, port, port
			if _, ok := out[r]; !ok {
				out[r] = text
			}
		}
	}
	subnets, clients := t.subnetPrefixes(a.subnets, m.family), t.sendersOf(a, m)
	if len(a.groups) > 0 {
		subnets = []rule{{kind: fromGroup, source: t.letInBy(a)}}
		clients = subnets
	} else if !a.preservesClients(m) {
		clients = subnets
	}
	for _, protocol := range transports(m.target) {
		for _, port := range ports {
			let(protocol, port, clients, names.ClientRule(a.name))
		}
	}
	for _, port := range checks {
		let("tcp", port, subnets, names.HealthRule(a.name))
	}
	return out
}

// sendersOf are the clients whose addresses targets of the mapping may see.
func (t *turn) sendersOf(a *ask, m *mapping) []rule {
	all := described{}
	t.letSendersIn(a, all, rule{}, "")
	return slices.DeleteFunc(sortedRules(all), func(r rule) bool { return r.kind != fromPrefixList && r.kind != m.sourceKind() })
}

// sourceKind is that of the addresses that targets of the mapping see.
func (m *mapping) sourceKind() sourceKind {
	if m.family == elbv2types.TargetGroupIpAddressTypeEnumIpv6 {
		return fromIPv6
	}
	return fromIPv4
}

// preservesClients reports whether the targets see the clients' addresses.
func (a *ask) preservesClients(m *mapping) bool {
	if value, ok := a.groupAttributes(m)[attrPreserveClientIP]; ok && m.target != elbv2types.ProtocolEnumUdp {
		return value == "true"
	}
	return groupDefaults(m.kind, m.target)[attrPreserveClientIP] == "true"
}

// letInBy is the group of the load balancer that the nodes let in: the one that
// the AWS Load Balancer Controller gives to all, or else the first.
func (t *turn) letInBy(a *ask) string {
	for _, ref := range a.groups {
		if g, ok := t.observed.Groups[ref.ID]; ok && names.IsControllerBackend(ec2Tags(g.Tags)) {
			return ref.ID
		}
	}
	return a.groups[0].Text()
}

// isLetIn reports whether one of the rules lets the load balancer to the port.
// Those of other load balancers do not count, since they go with these.
func (a *ask) isLetIn(have described, want rule, m *mapping) bool {
	for r, text := range have {
		lb := names.RuleOf(text)
		if !r.opens(want.protocol, want.from) || (lb != "" && lb != a.name && text != names.BackendRule) {
			continue
		}
		trusted := lb == a.name || text == names.ControllerRule
		switch {
		case r.kind == fromGroup && a.uses(r.source), r.kind == fromPrefixList && (trusted || r.source == want.source), r.kind == m.sourceKind() && (trusted || r.holds(want)):
			return true
		}
	}
	return false
}

// holds reports whether all that the other rule lets in has addresses that this
// one lets in.
func (r rule) holds(other rule) bool {
	wide, err := netip.ParsePrefix(r.source)
	if err != nil || wide.Bits() == 0 {
		return err == nil
	}
	narrow, err := netip.ParsePrefix(other.source)
	return err == nil && wide.Bits() <= narrow.Bits() && wide.Contains(narrow.Addr())
}

// portsBehind are the ports at which the mapping's targets are reached behind a
// security group of the nodes: pods are where their nodes are, as far as that is
// known.
func (t *turn) portsBehind(a *ask, m *mapping, group string) []int32 {
	if m.kind == elbv2types.TargetTypeEnumInstance {
		return []int32{int32(m.nodePort)}
	}
	var out []int32
	for s, port := range t.slicesOf(a, m.name) {
		if slices.ContainsFunc(s.Endpoints, func(e discoveryv1.Endpoint) bool {
			return isReady(&e) && t.isBehind(awssdk.ToString(e.NodeName), group)
		}) {
			out = append(out, port)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// isBehind reports whether the node has the security group, or is not named.
func (t *turn) isBehind(host, group string) bool {
	return host == "" || slices.ContainsFunc(t.nodes, func(n node) bool {
		return n.name == host && t.guardOf(n.instance).group == group
	})
}
