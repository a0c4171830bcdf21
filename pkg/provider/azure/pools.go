// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure/document"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// Pool is a backend pool of all nodes as it shall be, for who lets network
// interfaces join it or leave it.
type Pool struct {
	ID           string
	Family       intent.Family
	LoadBalancer string // id
	// Step writes the load balancer, when the plan does; a pool that is new is
	// there after it. Zero: nothing is written.
	Step plan.ID
	// Gone: the load balancer is deleted by that step, so all interfaces must
	// leave the pool first.
	Gone bool
	// Members is how nodes are to join. With ByAddress no interface may name
	// the pool: those that do must leave it first.
	Members Members
	// Preconfigured pools are not ours to touch.
	Preconfigured bool
	// Used: a rule leads to the pool, of whichever Service. Nodes come and go
	// for it, be it in the batch or not.
	Used bool
	// Kept are the Services of the batch with such a rule that are left as they
	// are.
	Kept []plan.Key
}

// ensurePools makes the pools of the Service's families where it is served.
func (t *turn) ensurePools(a *ask) {
	b := a.balancer
	for _, f := range a.families {
		name := t.poolName(a, f)
		if _, has := b.pools.get(name); has {
			continue
		}
		raw := object(field{"name", name})
		if t.settings.Members == ByAddress {
			raw = set(raw, t.settings.NetworkID(), "properties", "virtualNetwork", "id")
		}
		b.pools.put(name, raw)
		b.change(a.key, plan.Diff{Field: "pool " + name, Want: "added"})
		b.gains[a.key] = true
	}
}

// fillPools sets the members of pools that list addresses, in all load
// balancers: nodes come and go for every Service, be it refused or not.
func (t *turn) fillPools() {
	for _, b := range t.sortedBalancers() {
		if b.emptied || t.settings.Preconfigured[b.exposure] {
			continue
		}
		for _, f := range []intent.Family{intent.V4, intent.V6} {
			p, has := b.pools.get(names.Pool(t.settings.Cluster, f))
			switch {
			case !has:
			case t.settings.Members == ByAddress:
				t.fillPool(b, p, f)
			default:
				t.emptyPool(b, p)
			}
		}
	}
}

// fillPool lets the pool list the nodes' addresses. Without any node the
// members stay, as with the peer: an empty pool drops the connections it has.
func (t *turn) fillPool(b *balancer, p *pool, f intent.Family) {
	of := func(n node) bool { _, ok := n.of(f); return ok }
	if slices.ContainsFunc(t.nodes, of) {
		t.setMembers(b, p, f, t.nodesIn(b))
	}
}

// setMembers lets the pool list the addresses of these nodes, and reports
// whether that changes it.
func (t *turn) setMembers(b *balancer, p *pool, f intent.Family, nodes []node) bool {
	want := map[netip.Addr]string{}
	var order []netip.Addr
	for i := range nodes {
		if ip, ok := nodes[i].of(f); ok {
			if _, dup := want[ip]; !dup {
				order = append(order, ip)
			}
			want[ip] = nodes[i].name
		}
	}
	have := map[netip.Addr]bool{}
	byInterface := false
	for _, m := range p.Properties.Addresses {
		ip := parseAddr(m.Properties.IPAddress)
		have[ip] = ip.IsValid()
		byInterface = byInterface || !ip.IsValid()
	}
	var added, removed []string
	for _, ip := range order {
		if !have[ip] {
			added = append(added, want[ip])
		}
	}
	for _, m := range p.Properties.Addresses {
		if _, stays := want[parseAddr(m.Properties.IPAddress)]; !stays {
			removed = append(removed, m.Name)
		}
	}
	if len(added) == 0 && len(removed) == 0 {
		return false
	}
	raw := b.pools.raw(p.Name)
	raw = set(raw, members(raw, want, order, have), "properties", "loadBalancerBackendAddresses")
	if p.Properties.VirtualNetwork.id() == "" {
		raw = set(raw, t.settings.NetworkID(), "properties", "virtualNetwork", "id")
	}
	if byInterface {
		raw = unset(raw, "properties", "backendIPConfigurations")
	}
	b.pools.put(p.Name, raw)
	b.members = true
	b.change(plan.Key{}, plan.Diff{Field: "pool " + p.Name + " members", Have: countOf(removed, "removed"), Want: countOf(added, "added")})
	return true
}

// emptyPool takes the addresses out of a pool that interfaces are to join:
// Azure allows no mixture.
func (t *turn) emptyPool(b *balancer, p *pool) {
	addresses := 0
	for _, m := range p.Properties.Addresses {
		if parseAddr(m.Properties.IPAddress).IsValid() {
			addresses++
		}
	}
	if addresses == 0 || p.Properties.VirtualNetwork.id() == "" {
		return
	}
	raw := set(b.pools.raw(p.Name), json.RawMessage("[]"), "properties", "loadBalancerBackendAddresses")
	b.pools.put(p.Name, unset(raw, "properties", "virtualNetwork"))
	b.members = true
	b.change(plan.Key{}, plan.Diff{Field: "pool " + p.Name + " members", Have: fmt.Sprintf("%d addresses", addresses), Want: "network interfaces"})
}

// members is the list of a pool's addresses: those that stay as they were
// written, then the new ones.
func members(raw json.RawMessage, want map[netip.Addr]string, order []netip.Addr, have map[netip.Addr]bool) json.RawMessage {
	list, err := document.ListAt(raw, "properties", "loadBalancerBackendAddresses")
	must(err)
	var parts []string
	for _, e := range list.Elements() {
		var m poolAddress
		must(json.Unmarshal(e.Raw, &m))
		if _, stays := want[parseAddr(m.Properties.IPAddress)]; stays {
			parts = append(parts, string(e.Raw))
		}
	}
	for _, ip := range order {
		if !have[ip] {
			parts = append(parts, string(object(
				field{"name", want[ip]}, field{"properties", object(field{"ipAddress", ip.String()})})))
		}
	}
	return json.RawMessage("[" + strings.Join(parts, ",") + "]")
}

// few is how many names a plan shows; more are counted.
const few = 5

func diffOfPool(name string) plan.Diff {
	return plan.Diff{Field: "pool " + name, Have: "of one Service"}
}

func countOf(list []string, what string) string {
	switch n := len(list); {
	case n == 0:
		return ""
	case n > few:
		return fmt.Sprintf("%d %s", n, what)
	}
	return strings.Join(slices.Sorted(slices.Values(list)), ",") + " " + what
}

// poolsOf are the pools of all nodes as they shall be, by id.
func (t *turn) poolsOf() []Pool {
	var out []Pool
	for _, b := range t.sortedBalancers() {
		for _, f := range []intent.Family{intent.V4, intent.V6} {
			name := names.Pool(t.settings.Cluster, f)
			if _, has := b.pools.get(name); !has {
				continue
			}
			p := Pool{
				ID: names.Child(b.ID, names.Pools, name), Family: f, LoadBalancer: b.ID, Gone: b.emptied,
				Members: t.settings.Members, Preconfigured: t.settings.Preconfigured[b.exposure],
			}
			p.Used, p.Kept = b.usesPool(p.ID), t.keptIn(b, p.ID)
			if b.written() {
				p.Step = b.target()
			}
			out = append(out, p)
		}
	}
	return out
}

// keptIn are the Services that are left as they are, with a rule that leads to
// the pool.
func (t *turn) keptIn(b *balancer, pool string) []plan.Key {
	var out []plan.Key
	for _, it := range t.kept {
		base := names.Base(it.Service.UID)
		if slices.ContainsFunc(b.rules.all(), func(r *rule) bool {
			return names.Owns(base, r.Name) && names.Same(r.Properties.BackendAddressPool.id(), pool)
		}) {
			out = append(out, it.Key)
		}
	}
	return out
}

// warnNoNodes tells the Services whose pools get no node.
func (t *turn) warnNoNodes() {
	for _, a := range t.asks {
		if !a.serve() {
			continue
		}
		if why := t.whyNothing(a); why != "" {
			a.notices = append(a.notices, provider.NothingServes(why))
		}
	}
}

// whyNothing is why the pool that serves the Service has no node, and what helps;
// empty where it has one, or others see to it.
func (t *turn) whyNothing(a *ask) string {
	if t.hasOwnPool(a) && len(t.nodes) > 0 {
		return t.whyNoneIsLocal(a)
	}
	if t.settings.Preconfigured[a.balancer.exposure] || len(t.nodesIn(a.balancer)) > 0 {
		return ""
	}
	return t.whyNoNode(a.balancer)
}

// whyNoneIsLocal is whyNothing of a Service with a pool of its own. One that is
// new has its endpoints a moment later.
func (t *turn) whyNoneIsLocal(a *ask) string {
	hosts, known := t.observed.EndpointNodes[a.key]
	if !known || len(a.statusAddresses()) == 0 || slices.ContainsFunc(t.nodes, func(n node) bool { return names.Among(hosts, n.name) }) {
		return ""
	}
	return "externalTrafficPolicy is Local, and no node that may serve has a pod of the Service; kubectl get pods -o wide says where they are"
}

// whyNoNode is why a load balancer gets no node, and what helps.
func (t *turn) whyNoNode(b *balancer) string {
	switch {
	case t.nodesGiven == 0:
		return provider.WhyNoNode
	case len(t.nodes) == 0:
		return "all nodes that load balancers may send to have label " + labelManaged + "=false, or are of the control plane, which excludeMasterFromStandardLB of the cloud-config keeps out; add a node, or change that"
	}
	return "the configurations of load balancers in the cloud-config give no node to " + b.Name + "; add one that its nodeSelector or primaryVMSet takes"
}
