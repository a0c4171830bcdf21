// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// targets are those of a target group, registered or to be so, each with how it
// is.
func (e *explanation) targets(lb *Network, g *TargetGroup, m *mapping) []provider.Part {
	have := map[Target]elbv2types.TargetHealth{}
	if g != nil {
		arn := awssdk.ToString(g.TargetGroupArn)
		if err := e.look.Health.Unread[arn]; err != nil {
			return []provider.Part{{What: "targets", State: fmt.Sprintf("how they are is not known: %v", err)}}
		}
		have = e.look.Health.Groups[arn]
	}
	want, known := e.wantedTargets(lb, g, m)
	wanted := map[Target]bool{}
	for _, x := range want {
		wanted[x] = true
	}
	all := maps.Clone(wanted)
	for x := range have {
		if all == nil {
			all = map[Target]bool{}
		}
		all[x] = true
	}
	kind := "node"
	if (m != nil && m.kind == elbv2types.TargetTypeEnumIp) || (g != nil && g.TargetType == elbv2types.TargetTypeEnumIp) {
		kind = "pod"
	}
	crowd := provider.Crowd{Kind: kind}
	for _, x := range e.byName(all) {
		h, registered := have[x]
		crowd.Add(e.targetName(x), e.targetState(lb, g, targetSight{x, h, registered, wanted[x], known}))
	}
	if m != nil && kind == "pod" {
		e.unready(&crowd)
	}
	if len(all) == 0 && crowd.All("") {
		return e.noTarget()
	}
	return crowd.Parts()
}

// noTarget tells of what has no target, and why.
func (e *explanation) noTarget() []provider.Part {
	state := "nothing can serve"
	if e.ask.serve() {
		state = strings.TrimSuffix(state+": "+e.whyNoTargets(e.ask), ": ")
	}
	return []provider.Part{{What: "no target", State: state}}
}

// unready are the pods of the Service that are no targets.
func (e *explanation) unready(crowd *provider.Crowd) {
	names := map[string]bool{}
	for _, s := range e.observed.Slices[e.ask.key] {
		for i := range s.Endpoints {
			if ep := &s.Endpoints[i]; len(ep.Addresses) > 0 && !isReady(ep) {
				name := ep.Addresses[0]
				if ep.TargetRef != nil {
					name = ep.TargetRef.Name + " (" + name + ")"
				}
				names[name] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		crowd.Add(name, "left out: it is not ready")
	}
}

// byName are the targets in the order of the names by which they are told.
func (e *explanation) byName(all map[Target]bool) []Target {
	return slices.SortedFunc(maps.Keys(all), func(x, y Target) int {
		return cmp.Or(strings.Compare(e.targetName(x), e.targetName(y)), compareTargets(x, y))
	})
}

// wantedTargets are those that the target group shall have; false where it keeps
// what it has, because nothing tells them, or no node is known.
func (e *explanation) wantedTargets(lb *Network, g *TargetGroup, m *mapping) ([]Target, bool) {
	var want []Target
	switch {
	case m != nil:
		want = e.targetsAt(e.ask, m)
	case e.ask.want == provider.Keep && lb != nil:
		list, known := e.keptTargets(e.ask, lb, g)
		if !known {
			return nil, false
		}
		want = list
	default:
		return nil, true
	}
	return want, len(want) > 0 || (g != nil && e.podsKnown(e.ask, g.Targets))
}

// targetSight is what is known of one target: how it is, whether it is
// registered, whether it shall be, and whether that is known.
type targetSight struct {
	target                    Target
	health                    elbv2types.TargetHealth
	registered, wanted, known bool
}

func (e *explanation) targetState(lb *Network, g *TargetGroup, s targetSight) string {
	draining := s.health.State == elbv2types.TargetHealthStateEnumDraining
	if s.wanted {
		switch {
		case !s.registered:
			return e.unregisteredText(s.target.ID)
		case draining:
			return "draining, to be registered again"
		}
		return e.healthText(lb, g, s.target, s.health)
	}
	text := e.healthText(lb, g, s.target, s.health)
	switch {
	case draining:
		return text
	case e.ask.sharesTargets():
		return text + ", left, as other clusters may have it here"
	case !s.known:
		return text + ", stays, as no node is known that could serve"
	}
	return text + ", " + provider.StateLeaving
}

// unregisteredText is why an instance that shall be a target is none.
func (e *explanation) unregisteredText(id string) string {
	if !strings.HasPrefix(id, "i-") {
		return "not registered yet"
	}
	i := e.observed.Instances[id]
	switch {
	case i == nil && e.observed.NodesUnread != nil:
		return "not registered yet: its instance cannot be read"
	case i == nil:
		return "cannot be registered: AWS knows no instance " + id
	case i.VPC != "" && i.VPC != e.settings.VPC:
		return fmt.Sprintf("cannot be registered: its instance is in VPC %s, and the load balancer in %s", i.VPC, e.settings.VPC)
	case e.sleeps(id):
		return fmt.Sprintf("left out: its instance is %s, and AWS takes no such target; %s", i.State, cureStopped)
	case i.State != "" && i.State != ec2types.InstanceStateNameRunning:
		return "not registered yet: its instance is " + string(i.State)
	}
	return "not registered yet"
}

// targetName is the node's or pod's name, where it is known.
func (e *explanation) targetName(x Target) string {
	if n := e.nodeOf[x.ID]; n != nil {
		return n.Name + " (" + x.ID + ")"
	}
	if strings.HasPrefix(x.ID, "i-") {
		return x.ID + ", which is no Node's"
	}
	for _, s := range e.observed.Slices[e.ask.key] {
		for i := range s.Endpoints {
			ep := &s.Endpoints[i]
			if !slices.Contains(ep.Addresses, x.ID) {
				continue
			}
			name := fmt.Sprintf("%s:%d", x.ID, x.Port)
			if ep.TargetRef != nil {
				name = ep.TargetRef.Name + " (" + name + ")"
			}
			if node := awssdk.ToString(ep.NodeName); node != "" {
				name += " on node " + node
			}
			return name
		}
	}
	return fmt.Sprintf("%s:%d", x.ID, x.Port)
}

// leftOut are the nodes of the cluster that are no targets, each with the
// reason.
func (e *explanation) leftOut() []provider.Part {
	if e.ask.want == provider.Remove || e.ask.elsewhere || e.ask.sendsToPods() {
		return nil
	}
	return provider.LeftOut(e.look.Nodes, e.notTargeted)
}

// notTargeted is why a node is no target; empty for one that shall be.
func (e *explanation) notTargeted(n *v1.Node) string {
	id, ok := names.InstanceID(n.Spec.ProviderID)
	if !ok {
		if n.Spec.ProviderID == "" {
			return "it has no provider ID yet, by which AWS knows it"
		}
		return "its provider ID " + n.Spec.ProviderID + " is no EC2 instance"
	}
	if slices.Contains(e.ask.targets, id) {
		return ""
	}
	if e.ends(id) {
		return "its instance is " + string(e.observed.Instances[id].State)
	}
	for _, key := range slices.Sorted(maps.Keys(e.ask.nodeLabels())) {
		want, have := e.ask.nodeLabels()[key], n.Labels[key]
		if _, has := n.Labels[key]; !has || (want != "" && want != have) {
			return fmt.Sprintf("annotation %s asks for label %s, which it does not have", intent.KeyAWSNodeLabels, strings.TrimSuffix(key+"="+want, "="))
		}
	}
	return "it came while this was read"
}
