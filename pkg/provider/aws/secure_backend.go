// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// portGap is how far apart ports may be to be let in by one rule: node ports
// are near each other, and health checks of nodes are not among them.
const portGap = 4096

// backendID is the step that makes the group that network load balancers share.
func (t *turn) backendID() plan.ID {
	return plan.ID{Kind: kindGroup, Name: names.BackendGroup(t.settings.backendCluster())}
}

// backendRef is the group that network load balancers share, there or made.
func (t *turn) backendRef() Ref {
	if t.backend != "" {
		return Ref{ID: t.backend}
	}
	return Ref{Made: t.backendID()}
}

// ensureBackend is the group that network load balancers share. It has no rules
// of its own: the nodes let it in.
func (t *turn) ensureBackend(a *ask) Ref {
	ref := t.backendRef()
	if ref.ID != "" {
		return ref
	}
	for i := range t.steps {
		if t.steps[i].Target == ref.Made {
			t.steps[i].Serves = append(t.steps[i].Serves, a.key)
			return ref
		}
	}
	in := &ec2.CreateSecurityGroupInput{
		GroupName: awssdk.String(ref.Made.Name), Description: awssdk.String(names.BackendGroupDescription), VpcId: awssdk.String(t.settings.VPC),
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeSecurityGroup, Tags: sortedEC2Tags(t.settings.Tags.BackendTags())}},
	}
	t.addShared(plan.Step{
		Action: plan.Create, Target: ref.Made, Serves: []plan.Key{a.key}, Shared: true,
		Why: []plan.Diff{{Field: "description", Want: names.BackendGroupDescription}},
	}, in)
	return ref
}

// behind reports whether the nodes let the Service's load balancer in by the
// shared group.
func (t *turn) behind(a *ask) bool { return slices.Contains(a.groups, t.backendRef()) }

// sharesGroup reports whether a load balancer of the Service gets the shared
// group beside its own, or those that are given.
func (a *ask) sharesGroup() bool {
	given := len(a.list(intent.KeyAWSSecurityGroups)) > 0
	return !given || (a.external && a.on(intent.KeyAWSManageBackendRules))
}

// protocolPorts are ports by the protocols of rules.
type protocolPorts map[string][]int32

// add adds those of a Service.
func (p protocolPorts) add(t *turn, a *ask) {
	for _, m := range a.mappings {
		for _, protocol := range transports(m.target) {
			p[protocol] = append(p[protocol], t.portsOf(a, m)...)
		}
		p["tcp"] = append(p["tcp"], t.healthPorts(a, m)...)
	}
}

// addGroup adds those of a target group.
func (p protocolPorts) addGroup(g *TargetGroup) {
	for _, protocol := range transports(g.Protocol) {
		p[protocol] = append(p[protocol], awssdk.ToInt32(g.Port))
	}
	p["tcp"] = append(p["tcp"], g.healthPort())
}

// within reports whether a rule is for one of the ports.
func (p protocolPorts) within(r rule) bool {
	return slices.ContainsFunc(p[r.protocol], r.spans)
}

// backendPorts are the node ports of load balancers with the shared group: of
// the batch; of others by their target groups; and of those that are being made
// as far as the nodes let the group in there already.
func (t *turn) backendPorts(groups map[string]*nodeGroup) protocolPorts {
	out := protocolPorts{}
	inBatch := map[string]bool{}
	for _, a := range t.asks {
		if a.elsewhere || a.want == provider.Keep {
			continue
		}
		for _, name := range t.decides(a) {
			inBatch[name] = true
		}
		if !a.serve() || a.kind != NetworkKind || !t.behind(a) {
			continue
		}
		out.add(t, a)
	}
	for _, lb := range t.sortedNetworks() {
		if t.backend != "" && slices.Contains(lb.SecurityGroups, t.backend) {
			t.addPorts(out, t.outside(lb, inBatch))
		}
	}
	coming := protocolPorts{}
	for _, a := range t.coming {
		if t.comesBehind(a) {
			coming.add(t, a)
		}
	}
	for r := range t.openToShared(groups) {
		for _, port := range coming[r.protocol] {
			if r.spans(port) {
				out[r.protocol] = append(out[r.protocol], port)
			}
		}
	}
	return out
}

// openToShared are the rules with which nodes let the shared group in now.
func (t *turn) openToShared(groups map[string]*nodeGroup) described {
	out := described{}
	for _, g := range groups {
		maps.Copy(out, t.sharedRules(g))
	}
	return out
}

// sharedRules are those of the group that let the shared group in and are ours.
// A user's own has another description.
func (t *turn) sharedRules(g *nodeGroup) described {
	out := described{}
	for r, text := range g.have {
		if t.letsShared(r) && text == names.BackendRule {
			out[r] = text
		}
	}
	return out
}

// letsShared reports whether the rule lets the shared group in.
func (t *turn) letsShared(r rule) bool {
	return t.backend != "" && r.kind == fromGroup && r.source == t.backend
}

// decides are the names of the load balancers that the Service's part of the
// pass is about. One that goes may have any name.
func (t *turn) decides(a *ask) []string {
	var out []string
	if !slices.ContainsFunc(a.leaves, func(lb *Network) bool { return awssdk.ToString(lb.LoadBalancerName) == a.name }) {
		out = append(out, a.name)
	}
	if a.want == provider.Remove {
		for _, lb := range t.networksOf(a) {
			out = append(out, awssdk.ToString(lb.LoadBalancerName))
		}
	}
	return out
}

// addPorts adds those of a load balancer outside the batch.
func (t *turn) addPorts(out protocolPorts, groups []*TargetGroup) {
	for _, g := range groups {
		if g.namedPort() {
			t.hiddenPorts = true
			continue
		}
		out.addGroup(g)
	}
}

// backendRules let the shared group in at a security group of the nodes: few
// ranges of ports for all load balancers.
func (t *turn) backendRules() described {
	out := described{}
	for protocol, ports := range t.sharedPorts {
		for _, span := range spans(ports) {
			out[rule{protocol: protocol, from: span[0], to: span[1], kind: fromGroup, source: t.backendRef().Text()}] = names.BackendRule
		}
	}
	return out
}

// spans are ranges that hold all ports, with no large gaps.
func spans(ports []int32) [][2]int32 {
	ports = slices.Clone(ports)
	slices.Sort(ports)
	var out [][2]int32
	for _, p := range ports {
		if n := len(out); n > 0 && p-out[n-1][1] <= portGap {
			out[n-1][1] = p
			continue
		}
		out = append(out, [2]int32{p, p})
	}
	return out
}

// wantBackend adds the rules for the shared group to those that the batch wants
// of a security group of the nodes. In one that is not known to guard nodes now
// only what is there may stay.
func (t *turn) wantBackend(g *nodeGroup) {
	var asking []*ask
	for _, a := range t.asks {
		if a.serve() && a.kind == NetworkKind && t.behind(a) && slices.Contains(t.groupsOfNodes(a), g.id) {
			asking = append(asking, a)
		}
	}
	rules := t.backendRules()
	if len(asking) == 0 {
		have := t.sharedRules(g)
		if len(have) == 0 {
			return
		}
		asking = t.narrowing() // others need rules that may narrow
		if !t.isGuard(g.id) {
			maps.DeleteFunc(have, func(r rule, _ string) bool { return !t.sharedPorts.within(r) })
			rules = have
		}
	}
	if len(asking) == 0 {
		return
	}
	for r, text := range rules {
		g.want[r] = text
		g.asked[r] = append(g.asked[r], asking...)
	}
}

// narrowing are the Services of the batch that answer for rules that let the
// shared group in and are wanted no more: those whose load balancers may leave
// ports, or else any one. The rules are ours, whoever made the load balancers.
func (t *turn) narrowing() []*ask {
	if t.hiddenPorts {
		return nil
	}
	var all, out []*ask
	for _, a := range t.asks {
		ours := a.answers() || (a.serve() && t.behind(a))
		if !ours || (a.blind() && !t.seesOthers(a)) {
			continue
		}
		all = append(all, a)
		if len(t.leaving(a)) > 0 {
			out = append(out, a)
		}
	}
	if len(out) == 0 {
		return all[:min(len(all), 1)]
	}
	return out
}

// seesOthers reports whether no node may serve the Service, and the security
// groups of those that may serve others are known.
func (t *turn) seesOthers(a *ask) bool {
	return len(a.targets) == 0 && len(t.nodes) > 0 && !slices.ContainsFunc(t.nodes, func(n node) bool { return t.guardOf(n.instance).hidden })
}

// answers reports whether the Service's pass sets right what all share.
func (a *ask) answers() bool {
	return !a.elsewhere && (a.want == provider.Remove || (a.serve() && a.kind == NetworkKind && a.strict()))
}

// dropBackend deletes the shared group when no load balancer has it any more. It
// stays as long as somebody else's rule lets it in.
func (t *turn) dropBackend() {
	if t.backend == "" || slices.ContainsFunc(t.coming, t.comesBehind) {
		return
	}
	others := t.othersThatLetIn(t.backend)
	if !t.settings.NodeRules && len(others) > 0 {
		return // the rules of the nodes are not ours to take away
	}
	var last *ask
	gone := map[string]bool{}
	for _, a := range t.asks {
		if a.serve() && t.behind(a) {
			return
		}
		if a.answers() && !a.follows() {
			for _, name := range t.decides(a) {
				gone[name] = true
			}
			last = a
		}
	}
	for name, lb := range t.networksByName {
		if slices.Contains(lb.SecurityGroups, t.backend) && !gone[name] {
			return
		}
	}
	switch {
	case last == nil:
	case len(others) > 0 && last.serve():
	case len(others) > 0:
		last.warn(ReasonUnsupported, fmt.Sprintf("security group %s stays though no load balancer has it any more: rules that are not ours let it in at %s; delete those rules and then the group", t.backend, strings.Join(others, ", ")))
	default:
		t.deleteSecurityGroup(last, t.observed.Groups[t.backend])
	}
}

// othersThatLetIn are the ids of the security groups that let in the shared one
// by a rule that is not ours to take away.
func (t *turn) othersThatLetIn(shared string) []string {
	var out []string
	for _, id := range slices.Sorted(maps.Keys(t.observed.Groups)) {
		for r, text := range rulesOf(t.observed.Groups[id].IpPermissions) {
			ours := text == names.BackendRule && t.settings.NodeRules
			if r.kind == fromGroup && r.source == shared && id != shared && !ours && !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	return out
}
