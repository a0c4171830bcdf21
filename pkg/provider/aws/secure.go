// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// nodeGroup is a security group of the nodes as it is edited.
type nodeGroup struct {
	id   string
	have described
	// want are the rules that Services of the batch want here, with the
	// description of the first, and all Services that want one.
	want  described
	asked map[rule][]*ask
}

// secureNodes lets load balancers and their clients to the nodes, and takes
// away what is not wanted any more. AWS has one rule for one source and ports,
// whatever its description: a rule that several load balancers need stays until
// the last one goes, and then bears the name of one of them.
func (t *turn) secureNodes() {
	if !t.settings.NodeRules {
		return
	}
	groups := t.nodeGroups()
	for _, a := range t.asks {
		if !a.serve() {
			continue
		}
		everywhere := t.nodeRules(a)
		for _, id := range t.groupsOfNodes(a) {
			g := groups[id]
			if g == nil {
				continue
			}
			rules := maps.Clone(everywhere)
			maps.Copy(rules, t.opening(a, id, g.have))
			for _, r := range sortedRules(rules) {
				if _, ok := g.want[r]; !ok {
					g.want[r] = rules[r]
				}
				g.asked[r] = append(g.asked[r], a)
			}
		}
	}
	t.sharedPorts = t.backendPorts(groups)
	for _, g := range groups {
		t.wantBackend(g)
	}
	held := t.heldRules()
	for _, id := range slices.Sorted(maps.Keys(groups)) {
		t.putNodeGroup(groups[id], held)
	}
}

// nodeGroups are the security groups in which rules of load balancers may be.
func (t *turn) nodeGroups() map[string]*nodeGroup {
	out := map[string]*nodeGroup{}
	for id, g := range t.observed.Groups {
		out[id] = &nodeGroup{id: id, have: rulesOf(g.IpPermissions), want: described{}, asked: map[rule][]*ask{}}
		for _, text := range out[id].have {
			t.descriptions[text] = true
		}
	}
	return out
}

// nodeRules are what the Service needs at all its nodes. With given groups those
// of the external form are the user's to let in, unless an annotation asks for it.
func (t *turn) nodeRules(a *ask) described {
	out := described{}
	for _, g := range a.nodeSources {
		out[allFrom(g.Text())] = t.sourceText(a, g)
	}
	if a.kind != NetworkKind || (a.external && !a.strict()) {
		return out // see opening
	}
	if a.external && !a.opens() {
		return out
	}
	if !a.external {
		out.let(a.clients(), rule{protocol: protocolICMP, from: icmpType, to: icmpCode}, names.MTURule)
	}
	if len(a.groups) > 0 && !t.letsClientsIn(a) {
		if !t.behind(a) {
			maps.Copy(out, t.groupRules(a))
		}
		return out
	}
	for _, m := range a.mappings {
		for _, protocol := range transports(m.target) {
			for _, port := range t.portsOf(a, m) {
				t.letSendersIn(a, out, rule{protocol: protocol, from: port, to: port}, names.ClientRule(a.name))
			}
		}
	}
	for r, text := range t.healthRules(a) {
		if _, ok := out[r]; !ok {
			out[r] = text
		}
	}
	return out
}

// letsClientsIn reports whether the nodes let the clients in by their addresses
// though the load balancer has a security group, as the peer does. It stays so
// until the user edits the Service.
func (t *turn) letsClientsIn(a *ask) bool {
	if a.strict() || t.behind(a) {
		return false
	}
	return t.descriptions[names.ClientRule(a.name)] && !t.descriptions[names.GroupRule(a.name)]
}

// groupRules let the load balancer's security group to the node ports: for each
// protocol one range of ports, and the port of health checks where that is
// another.
func (t *turn) groupRules(a *ask) described {
	out := described{}
	let := func(protocol string, from, to int32) {
		out[rule{protocol: protocol, from: from, to: to, kind: fromGroup, source: a.groups[0].Text()}] = names.GroupRule(a.name)
	}
	for _, protocol := range []string{"tcp", "udp"} {
		var list []int32
		for _, m := range a.mappings {
			if slices.Contains(transports(m.target), protocol) {
				list = append(list, t.portsOf(a, m)...)
			}
		}
		if len(list) > 0 {
			let(protocol, slices.Min(list), slices.Max(list))
		}
	}
	for _, m := range a.mappings {
		for _, port := range t.healthPorts(a, m) {
			if !slices.ContainsFunc(sortedRules(out), func(r rule) bool { return r.opens("tcp", port) }) {
				let("tcp", port, port)
			}
		}
	}
	return out
}

// healthPorts are the ports that health checks ask: one, or that of each target.
func (t *turn) healthPorts(a *ask, m *mapping) []int32 {
	if n, err := strconv.ParseUint(m.health.port, 10, 16); err == nil {
		return []int32{int32(n)}
	}
	return t.portsOf(a, m)
}

// healthRules let health checks in from the load balancer's subnets, unless all
// clients may connect to the same ports.
func (t *turn) healthRules(a *ask) described {
	out := described{}
	open := true
	for _, m := range a.mappings {
		anyone := everyone()[0]
		if m.family == elbv2types.TargetGroupIpAddressTypeEnumIpv6 {
			anyone = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		open = open && (len(t.vpcRanges(a)) > 0 || slices.Contains(a.clients(), anyone)) && slices.Equal(t.healthPorts(a, m), t.portsOf(a, m)) && slices.Contains(transports(m.target), "tcp")
	}
	if open {
		return out
	}
	for _, m := range a.mappings {
		for _, port := range t.healthPorts(a, m) {
			for _, source := range t.subnetPrefixes(a.subnets, m.family) {
				source.protocol, source.from, source.to = "tcp", port, port
				out[source] = names.HealthRule(a.name)
			}
		}
	}
	return out
}

// putNodeGroup computes the steps of one security group: first what it lets in
// more, and when that is done and nothing uses the rest any more, what it lets
// in less.
func (t *turn) putNodeGroup(g *nodeGroup, held held) {
	missing := g.want.minus(g.have)
	surplus, renamed, owners := t.surplus(g, held)
	if !t.withinLimit(g, missing) {
		return
	}
	grant := plan.ID{Kind: kindNodeGroup, Name: g.id}
	if len(missing) > 0 {
		st := plan.Step{Action: plan.Update, Target: grant, Shared: true, Why: ruleDiffs(missing, nil)}
		for r := range missing {
			for _, a := range g.asked[r] {
				st.Serves = append(st.Serves, a.key)
				st.Needs = append(st.Needs, stepsOf(slices.Concat(a.groups, a.nodeSources))...)
			}
		}
		t.addShared(tidy(st), ruleCalls(Ref{ID: g.id}, missing, nil)...)
	}
	if len(surplus)+len(renamed) == 0 {
		return
	}
	st := plan.Step{Action: plan.Update, Target: plan.ID{Kind: kindNodeLeftovers, Name: g.id}, Shared: true, Needs: []plan.ID{grant}, Why: ruleDiffs(nil, surplus)}
	for _, a := range owners {
		st.Serves = append(st.Serves, a.key)
		st.Needs = append(st.Needs, t.leaving(a)...)
	}
	calls := ruleCalls(Ref{ID: g.id}, nil, surplus)
	if len(renamed) > 0 {
		for _, r := range sortedRules(renamed) {
			st.Why = append(st.Why, plan.Diff{Field: "description of " + r.String(), Have: g.have[r], Want: renamed[r]})
		}
		calls = append(calls, &ec2.UpdateSecurityGroupRuleDescriptionsIngressInput{GroupId: awssdk.String(g.id), IpPermissions: renamed.permissions()})
	}
	t.addShared(tidy(st), calls...)
}

// grants are the steps, if the plan has them, that let the Service in at the
// nodes: traffic moves after them.
func (t *turn) grants(a *ask) []plan.ID {
	t.findGuards(a)
	out := make([]plan.ID, len(a.guards))
	for i, group := range a.guards {
		out[i] = plan.ID{Kind: kindNodeGroup, Name: group}
	}
	return out
}

// sourceRanges are the clients of a Service that is not in the batch.
func sourceRanges(svc *v1.Service) []netip.Prefix {
	list := svc.Spec.LoadBalancerSourceRanges
	if len(list) == 0 {
		text, _ := intent.AWSWritten(svc, intent.KeySourceRanges)
		list = strings.Split(text, ",")
	}
	var out []netip.Prefix
	for _, text := range list {
		if p, err := netip.ParsePrefix(strings.TrimSpace(text)); err == nil {
			out = append(out, p.Masked())
		}
	}
	if len(out) == 0 {
		return everyone()
	}
	return out
}

// everyone is any client.
func everyone() []netip.Prefix { return []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0)} }
