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
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// stateInPool is that of a node that is in its pool.
const stateInPool = "in the pool"

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
func (v *balancerView) pool(name string) provider.Part {
	had, here := v.had.pools.get(name)
	now, wanted := v.now.pools.get(name)
	if !here {
		had = &pool{}
	}
	if !wanted {
		now = &pool{}
	}
	var nodes *provider.Crowd
	if v.before.settings.Members == ByAddress {
		nodes = byAddress(had, now)
	} else {
		nodes = v.byInterface(name, had)
	}
	c := provider.Comparison{Says: provisioningState(v.had.pools.raw(name)), Here: here, Wanted: wanted && !v.now.emptied, Equal: nodes.All(stateInPool)}
	out := provider.Part{What: "pool " + name, State: c.State(), Parts: nodes.Parts()}
	if v.before.settings.Preconfigured[v.now.exposure] {
		out.State += "; the cloud config leaves its members to others"
	}
	out.Parts = append(out.Parts, v.leftOut()...)
	return out
}

// byAddress compares the members of a pool that lists addresses.
func byAddress(had, now *pool) *provider.Crowd {
	is, shall := map[netip.Addr]bool{}, map[netip.Addr]bool{}
	for _, m := range had.Properties.Addresses {
		is[parseAddr(m.Properties.IPAddress)] = true
	}
	for _, m := range now.Properties.Addresses {
		shall[parseAddr(m.Properties.IPAddress)] = true
	}
	nodes := &provider.Crowd{Kind: "node"}
	for _, m := range now.Properties.Addresses {
		if is[parseAddr(m.Properties.IPAddress)] {
			nodes.Add(m.Name+" "+m.Properties.IPAddress, stateInPool)
		} else {
			nodes.Add(m.Name+" "+m.Properties.IPAddress, "not in the pool yet")
		}
	}
	for _, m := range had.Properties.Addresses {
		if !shall[parseAddr(m.Properties.IPAddress)] {
			nodes.Add(strings.TrimSpace(m.Name+" "+m.Properties.IPAddress), provider.StateLeaving)
		}
	}
	return nodes
}

// byInterface tells of the nodes whose network interfaces are to be in a pool.
func (v *balancerView) byInterface(name string, had *pool) *provider.Crowd {
	id := names.Child(v.now.ID, names.Pools, name)
	notices := map[string]string{}
	for _, n := range v.membership.Notices {
		notices[n.Node] = n.Message
	}
	objects := map[string]*v1.Node{}
	for _, n := range v.before.observed.Nodes {
		objects[n.Name] = n
	}
	nodes := &provider.Crowd{Kind: "node"}
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
			nodes.Add(text, stateInPool)
		case notices[n.name] != "":
			nodes.Add(text, notices[n.name])
		case known:
			nodes.Add(text, "not in the pool yet")
		default:
			nodes.Add(text, fmt.Sprintf("one of %d network interfaces in the pool may be its", len(had.Properties.BackendIPConfigurations)))
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

// leftOut are the nodes of the cluster that are in no pool, and why.
func (v *balancerView) leftOut() []provider.Part {
	may := map[string]bool{}
	for i := range v.after.nodes {
		may[v.after.nodes[i].name] = true
	}
	return provider.LeftOut(v.before.observed.Nodes, func(n *v1.Node) string {
		switch {
		case may[n.Name]:
			return ""
		case unmanaged(n):
			return "label " + labelManaged + " says that it is no machine of Azure's"
		case controlPlane(n) && !v.before.settings.KeepControlPlane:
			return "it is of the control plane, which the cloud config excludes"
		}
		return "it came while this was read"
	})
}
