// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"net/netip"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// setOf is the scale set or availability set of a node: what was observed,
// else what its provider id says.
func setOf(o *Observed, n *v1.Node) string {
	if set, ok := o.NodeSets[n.Name]; ok {
		return set
	}
	return names.Segment(n.Spec.ProviderID, "virtualMachineScaleSets")
}

// arrange spreads the nodes over the load balancer configurations, as the peer
// does: a node of a primary set goes there; others go where a selector wants
// them, or where none does; there they stay where they are, or go where the
// fewest are. Configurations without a load balancer have none.
func (t *turn) arrange() map[string]map[string]bool {
	out := map[string]map[string]bool{}
	for _, b := range t.sortedBalancers() {
		if !b.emptied && (b.exists || b.frontends.list.Len() > 0) {
			out[names.Key(names.Configuration(b.Name))] = map[string]bool{}
		}
	}
	current := t.arranged()
	var rest []node
	for i := range t.nodes {
		n := t.nodes[i]
		if home := t.primary(n, out); home != "" {
			out[home][n.name] = true
			continue
		}
		rest = append(rest, n)
	}
	// What stays counts before what comes is placed.
	var moving []node
	for _, n := range rest {
		if at := current[n.name]; at != "" && names.Among(t.homes(n, out), at) {
			out[at][n.name] = true
			continue
		}
		moving = append(moving, n)
	}
	for _, n := range moving {
		best := ""
		for _, home := range t.homes(n, out) {
			if best == "" || len(out[home]) < len(out[best]) {
				best = home
			}
		}
		if best != "" {
			out[best][n.name] = true
		}
	}
	return out
}

// primary is the configuration whose primary set the node is of; empty for
// none.
func (t *turn) primary(n node, active map[string]map[string]bool) string {
	for i := range t.settings.Configurations {
		c := &t.settings.Configurations[i]
		if _, is := active[names.Key(c.Name)]; is && n.set != "" && names.Same(c.PrimarySet, n.set) {
			return names.Key(c.Name)
		}
	}
	return ""
}

// homes are the configurations that a node may be in, by its labels.
func (t *turn) homes(n node, active map[string]map[string]bool) []string {
	var chosen, others []string
	for i := range t.settings.Configurations {
		c := &t.settings.Configurations[i]
		key := names.Key(c.Name)
		_, is := active[key]
		switch {
		case !is && (c.Nodes == nil || c.Nodes.Empty()):
		case c.Nodes == nil || c.Nodes.Empty():
			others = append(others, key)
		case is && c.Nodes.Matches(labels.Set(n.labels)):
			chosen = append(chosen, key)
		}
	}
	if len(chosen) > 0 {
		return chosen
	}
	return others
}

// arranged is where nodes are now: the configuration in lower case, by the
// node's name.
func (t *turn) arranged() map[string]string {
	byAddress := map[netip.Addr]string{}
	for _, n := range t.nodes {
		for _, ip := range n.addresses {
			byAddress[ip] = n.name
		}
	}
	out := map[string]string{}
	for _, b := range t.sortedBalancers() {
		for _, f := range []intent.Family{intent.V4, intent.V6} {
			p, has := b.pools.get(names.Pool(t.settings.Cluster, f))
			if !has {
				continue
			}
			for _, m := range p.Properties.Addresses {
				if name, known := byAddress[parseAddr(m.Properties.IPAddress)]; known && out[name] == "" {
					out[name] = names.Key(names.Configuration(b.Name))
				}
			}
		}
	}
	return out
}

// nodesIn are the nodes of the load balancer.
func (t *turn) nodesIn(b *balancer) []node {
	if !t.settings.several() {
		return t.nodes
	}
	if t.arrangement == nil {
		t.arrangement = t.arrange()
	}
	here := t.arrangement[names.Key(names.Configuration(b.Name))]
	var out []node
	for _, n := range t.nodes {
		if here[n.name] {
			out = append(out, n)
		}
	}
	return out
}

// poolName is the pool that serves the Service: with several configurations,
// one of its own when only nodes with its endpoints are to serve.
func (t *turn) poolName(a *ask, f intent.Family) string {
	if t.hasOwnPool(a) {
		return names.LocalPool(a.key.Namespace, a.key.Name, f)
	}
	return names.Pool(t.settings.Cluster, f)
}

func (t *turn) hasOwnPool(a *ask) bool {
	return t.settings.several() && a.item.Intent.Traffic == intent.Local
}

// fillLocalPools lets the pools of single Services list the nodes that have
// their endpoints, of refused ones too. Where those are not known the pool stays
// as it is.
func (t *turn) fillLocalPools() {
	if !t.settings.several() {
		return
	}
	for _, a := range t.asks {
		if a.serve() && a.item.Intent.Traffic == intent.Local {
			t.fillLocalPool(a.key, a.balancer)
		}
	}
	for _, it := range t.kept {
		if it.Want == provider.Keep || it.Want == provider.Serve {
			for _, b := range t.sortedBalancers() {
				t.fillLocalPool(it.Key, b)
			}
		}
	}
}

func (t *turn) fillLocalPool(key plan.Key, b *balancer) {
	hosts, known := t.observed.EndpointNodes[key]
	if !known {
		return
	}
	var nodes []node
	for _, n := range t.nodes {
		if names.Among(hosts, n.name) {
			nodes = append(nodes, n)
		}
	}
	for _, f := range []intent.Family{intent.V4, intent.V6} {
		p, has := b.pools.get(names.LocalPool(key.Namespace, key.Name, f))
		if !has || !b.exists && b.frontends.list.Len() == 0 {
			continue
		}
		if t.setMembers(b, p, f, nodes) {
			b.serves[key] = true
		}
	}
}

// dropLocalPools takes away the pools of single Services that the batch uses
// no more.
func (t *turn) dropLocalPools() {
	for _, a := range t.asks {
		for _, b := range t.sortedBalancers() {
			for _, p := range b.pools.all() {
				id := names.Child(b.ID, names.Pools, p.Name)
				if t.isLocalPoolOf(a, p.Name) && a.hadPools[names.Key(id)] && !b.usesPool(id) {
					b.pools.remove(p.Name)
					b.change(a.key, diffOfPool(p.Name))
				}
			}
		}
	}
}

// isLocalPoolOf reports whether a pool, to which rules of the Service led, is the
// Service's own. Of one that is gone the name may not be known.
func (t *turn) isLocalPoolOf(a *ask, pool string) bool {
	all := func(f intent.Family) bool { return strings.EqualFold(pool, names.Pool(t.settings.Cluster, f)) }
	of := func(namespace, name string) bool {
		return strings.EqualFold(pool, names.LocalPool(namespace, name, intent.V4)) || strings.EqualFold(pool, names.LocalPool(namespace, name, intent.V6))
	}
	if all(intent.V4) || all(intent.V6) {
		return false
	}
	if !t.leftovers {
		return of(a.key.Namespace, a.key.Name)
	}
	return t.settings.several() && !slices.ContainsFunc(t.observed.Services, func(svc *v1.Service) bool { return of(svc.Namespace, svc.Name) })
}

// usesPool reports whether a rule leads to the pool.
func (b *balancer) usesPool(id string) bool {
	for _, r := range b.rules.all() {
		if names.Same(r.Properties.BackendAddressPool.id(), id) {
			return true
		}
	}
	return false
}
