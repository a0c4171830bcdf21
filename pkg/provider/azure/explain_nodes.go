// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// manyNodes is how many nodes of a pool are named when nothing is to be said
// of them; more are counted.
const manyNodes = 10

// pools are the names of the pools that the rules lead to.
func (v *balancerView) pools(rules []string) []string {
	found := map[string]string{}
	for _, rule := range rules {
		if name := names.Last(v.newest(rule).Properties.BackendAddressPool.id()); name != "" {
			found[names.Key(name)] = name
		}
	}
	return slices.Sorted(maps.Values(found))
}

// pool is a backend pool with the nodes that are in it and those that shall be.
func (v *balancerView) pool(name string) Part {
	had, here := v.had.pools.get(name)
	now, wanted := v.now.pools.get(name)
	if !here {
		had = &pool{}
	}
	if !wanted {
		now = &pool{}
	}
	var nodes nodeParts
	if v.before.settings.Members == ByAddress {
		nodes = byAddress(had, now)
	} else {
		nodes = v.byInterface(name, had)
	}
	c := comparison{doc: v.had.pools.raw(name), here: here, wanted: wanted && !v.now.emptied, equal: len(nodes.said) == 0}
	out := Part{What: "pool " + name, State: c.state(), Parts: nodes.parts()}
	if v.before.settings.Preconfigured[v.now.exposure] {
		out.State += "; the cloud config leaves its members to others"
	}
	out.Parts = append(out.Parts, v.keptOut()...)
	return out
}

// byAddress compares the members of a pool that lists addresses.
func byAddress(had, now *pool) nodeParts {
	is, shall := map[netip.Addr]bool{}, map[netip.Addr]bool{}
	for _, m := range had.Properties.Addresses {
		is[parseAddr(m.Properties.IPAddress)] = true
	}
	for _, m := range now.Properties.Addresses {
		shall[parseAddr(m.Properties.IPAddress)] = true
	}
	var nodes nodeParts
	for _, m := range now.Properties.Addresses {
		if is[parseAddr(m.Properties.IPAddress)] {
			nodes.in(m.Name + " " + m.Properties.IPAddress)
		} else {
			nodes.say(m.Name+" "+m.Properties.IPAddress, "not in the pool yet")
		}
	}
	for _, m := range had.Properties.Addresses {
		if !shall[parseAddr(m.Properties.IPAddress)] {
			nodes.say(strings.TrimSpace(m.Name+" "+m.Properties.IPAddress), stateLeaving)
		}
	}
	return nodes
}

// byInterface tells of the nodes whose network interfaces are to be in a pool.
func (v *balancerView) byInterface(name string, had *pool) nodeParts {
	id := names.Child(v.now.ID, names.Pools, name)
	notices := map[string]string{}
	for _, n := range v.membership.Notices {
		notices[n.Node] = n.Message
	}
	objects := map[string]*v1.Node{}
	for _, n := range v.before.observed.Nodes {
		objects[n.Name] = n
	}
	var nodes nodeParts
	for _, n := range v.after.nodesIn(v.now) {
		text := n.name
		if ip, ok := n.of(familyOfPool(name)); ok {
			text += " " + ip.String()
		}
		in, known := v.membership.Has(objects[n.name], id)
		if !known {
			in, known = hasInstance(had, objects[n.name])
		}
		switch {
		case in:
			nodes.in(text)
		case notices[n.name] != "":
			nodes.say(text, notices[n.name])
		case known:
			nodes.say(text, "not in the pool yet")
		default:
			nodes.say(text, fmt.Sprintf("one of %d network interfaces in the pool may be its", len(had.Properties.BackendIPConfigurations)))
		}
	}
	return nodes
}

// hasInstance reports whether the pool names the node's instance of a scale
// set; known is false for other machines, of which a pool names the network
// interface alone.
func hasInstance(p *pool, n *v1.Node) (in, known bool) {
	if n == nil || names.Segment(n.Spec.ProviderID, "virtualMachineScaleSets") == "" {
		return false, len(p.Properties.BackendIPConfigurations) == 0
	}
	_, machine, _ := strings.Cut(n.Spec.ProviderID, "://")
	return slices.ContainsFunc(p.Properties.BackendIPConfigurations, func(r reference) bool {
		return strings.HasPrefix(names.Key(r.ID), names.Key(machine)+"/")
	}), true
}

func familyOfPool(name string) intent.Family {
	if strings.HasSuffix(names.Key(name), "-ipv6") {
		return intent.V6
	}
	return intent.V4
}

// keptOut are the nodes of the cluster that are in no pool, and why.
func (v *balancerView) keptOut() []Part {
	may := map[string]bool{}
	for i := range v.after.nodes {
		may[v.after.nodes[i].name] = true
	}
	ready := map[string]bool{}
	for _, n := range v.batch.Nodes {
		ready[n.Name] = true
	}
	var nodes nodeParts
	for _, n := range slices.SortedFunc(slices.Values(v.before.observed.Nodes), func(a, b *v1.Node) int { return strings.Compare(a.Name, b.Name) }) {
		switch {
		case may[n.Name]:
		case unmanaged(n):
			nodes.say(n.Name, "kept out: label "+labelManaged+" says that it is no machine of Azure's")
		case controlPlane(n) && ready[n.Name]:
			nodes.say(n.Name, "kept out: it is of the control plane, which the cloud config excludes")
		default:
			nodes.say(n.Name, "kept out: it is not ready, not initialized, about to go, or has label "+v1.LabelNodeExcludeBalancers)
		}
	}
	return nodes.parts()
}

// nodeParts collects what is to be said of nodes.
type nodeParts struct {
	fine []string
	said []Part
}

func (n *nodeParts) in(text string) { n.fine = append(n.fine, text) }
func (n *nodeParts) say(text, state string) {
	n.said = append(n.said, Part{What: "node " + text, State: state})
}

// parts are the nodes that are as they shall be, counted when they are many,
// and then the others.
func (n *nodeParts) parts() []Part {
	var out []Part
	if len(n.fine) > manyNodes {
		out = append(out, Part{What: fmt.Sprintf("%d nodes", len(n.fine)), State: "in the pool"})
	} else {
		for _, text := range n.fine {
			out = append(out, Part{What: "node " + text, State: "in the pool"})
		}
	}
	return append(out, n.said...)
}
