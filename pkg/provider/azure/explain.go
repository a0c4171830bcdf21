// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure/machines"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// Explain tells what there is of a Service of the batch: each load balancer
// with the frontends, rules, probes and pools of the Service, then the rules of
// the security group that lead to its addresses, then what else is to be written
// for it. It is pure. The result and the membership are what was computed from the
// input. A Service that is refused is told as it is, since nothing would be changed.
// An error is a document that cannot be read.
func Explain(in Input, r *Result, m *machines.Membership, key plan.Key) ([]provider.Part, error) {
	before, err := newWorld(&in)
	if err != nil {
		return nil, err
	}
	left := map[plan.Key]error{}
	for k, err := range r.Refused {
		if !r.renewed[k] {
			left[k] = err
		}
	}
	in.placed = r.placed
	after, err := newTurn(&in, left)
	if err != nil {
		return nil, err
	}
	after.run()
	e := explanation{
		before: before, after: after, membership: m, batch: in.Batch, key: key, steps: r.Steps,
		told: map[plan.ID]bool{}, shown: map[string]bool{}, addresses: map[string]bool{},
	}
	if !e.find() {
		return nil, fmt.Errorf("service %s is not in the batch", key)
	}
	return e.parts(), nil
}

// explanation is Explain under way.
type explanation struct {
	before     *world
	after      *turn
	membership *machines.Membership
	batch      provider.Batch
	key        plan.Key
	service    *v1.Service
	base       string
	ask        *ask        // nil for a Service that is left as it is
	steps      []plan.Step // of load balancers and what is about them
	// told are the targets of steps that were told of.
	told map[plan.ID]bool
	// shown are the public IPs that were told of, by names.Key of the id.
	shown map[string]bool
	// addresses lead to the Service, as security rules write them.
	addresses map[string]bool
}

// find looks the Service up in the batch.
func (e *explanation) find() bool {
	for i := range e.batch.Items {
		if e.batch.Items[i].Key == e.key {
			e.service = e.batch.Items[i].Service
			e.base = names.Base(e.service.UID)
		}
	}
	for _, a := range e.after.asks {
		if a.key == e.key {
			e.ask = a
		}
	}
	return e.service != nil
}

func (e *explanation) parts() []provider.Part {
	var out []provider.Part
	for _, b := range e.after.sortedBalancers() {
		had := e.before.balancers[names.Key(b.Name)]
		if had == nil {
			had = &balancer{}
		}
		view := balancerView{explanation: e, had: had, now: b}
		if part, has := view.part(); has {
			out = append(out, part)
		}
	}
	out = append(out, e.loosePublicIPs()...)
	if part, has := e.securityGroup(); has {
		out = append(out, part)
	}
	return append(out, e.others()...)
}

// others are the Service's steps that nothing told of. Of those of machines the
// nodes tell, but for the models of scale sets.
func (e *explanation) others() []provider.Part {
	var out []provider.Part
	for _, st := range slices.Concat(e.steps, e.membership.Steps) {
		if e.told[st.Target] || !slices.Contains(st.Serves, e.key) || st.Target.Kind == machines.KindInstance || st.Target.Kind == machines.KindInterface {
			continue
		}
		out = append(out, provider.Part{What: st.Target.String(), State: "to " + st.Action.String(), Parts: provider.DiffParts(st.Why)})
	}
	slices.SortFunc(out, func(a, b provider.Part) int { return strings.Compare(a.What, b.What) })
	return out
}

// loosePublicIPs are those made for the Service that no frontend of it has.
func (e *explanation) loosePublicIPs() []provider.Part {
	var out []provider.Part
	for _, p := range e.before.sortedPublicIPs() {
		if p.taggedFor(e.key.Namespace+"/"+e.key.Name, e.before.settings.Cluster) && !e.shown[names.Key(p.ID)] {
			out = append(out, e.publicIP(p.ID))
		}
	}
	return out
}

// publicIP is a public IP by its id.
func (e *explanation) publicIP(id string) provider.Part {
	key := names.Key(id)
	e.shown[key] = true
	had, now := e.before.publicIPs[key], e.after.publicIPs[key]
	text := "public IP " + names.Last(id)
	if now == nil {
		return provider.Part{What: text, State: "in resource group " + names.Group(id) + ", which was not looked at"}
	}
	e.told[now.target(e.after.settings)] = true
	if ip := now.address(); ip.IsValid() {
		e.addresses[ip.String()] = true
		text += " " + ip.String()
	}
	if had != nil && had.userOwned() {
		text += ", not made for a Service"
	}
	c := provider.Comparison{Here: had != nil, Wanted: !now.remove, Equal: same(now.first, now.raw), Diffs: now.diffs}
	if had != nil {
		c.Says = provisioningState(had.raw)
	}
	return provider.Part{What: text, State: c.State(), Parts: c.Parts()}
}

// balancerView is what a Service has of one load balancer.
type balancerView struct {
	*explanation

	had, now *balancer // had is empty for one that is to be made
}

// part is the load balancer, and whether the Service has or shall have
// anything there.
func (v *balancerView) part() (provider.Part, bool) {
	fronts, rules := v.fronts(), v.rules()
	if len(fronts) == 0 && len(rules) == 0 {
		return provider.Part{}, false
	}
	v.told[v.now.target()] = true
	c := provider.Comparison{Says: provisioningState(v.had.first), Here: v.had.exists, Wanted: !v.now.emptied}
	out := provider.Part{What: "load balancer " + v.now.Name, State: c.Whole()}
	for _, name := range fronts {
		part := v.front(name)
		for _, rule := range rules {
			if names.Same(v.frontOf(rule), v.now.frontendID(name)) {
				part.Parts = append(part.Parts, v.rule(rule))
			}
		}
		out.Parts = append(out.Parts, part)
	}
	for _, name := range v.pools(rules) {
		out.Parts = append(out.Parts, v.pool(name))
	}
	return out, true
}

// rules are the names of the Service's rules, in their order.
func (v *balancerView) rules() []string {
	var out []string
	for _, b := range []*balancer{v.had, v.now} {
		for _, r := range b.rules.all() {
			if names.Owns(v.base, r.Name) && !names.Among(out, r.Name) {
				out = append(out, r.Name)
			}
		}
	}
	return out
}

// newest is a rule as it shall be, else as it is.
func (v *balancerView) newest(rule string) *rule {
	if r, ok := v.now.rules.get(rule); ok {
		return r
	}
	r, _ := v.had.rules.get(rule)
	return r
}

func (v *balancerView) frontOf(rule string) string {
	return v.newest(rule).Properties.FrontendIPConfiguration.id()
}

// fronts are the names of the frontends that bear the Service's name, and of
// others that it uses.
func (v *balancerView) fronts() []string {
	found := map[string]string{}
	note := func(name string) { found[names.Key(name)] = name }
	for _, b := range []*balancer{v.had, v.now} {
		for _, f := range b.frontends.all() {
			if names.Owns(v.base, f.Name) {
				note(f.Name)
			}
		}
	}
	for _, rule := range v.rules() {
		note(names.Last(v.frontOf(rule)))
	}
	if v.ask != nil {
		for _, fr := range v.ask.fronts {
			if fr.balancer == v.now {
				note(fr.name)
			}
		}
	}
	return slices.Sorted(maps.Values(found))
}

// front is a frontend with its address and its private link services.
func (v *balancerView) front(name string) provider.Part {
	f, wanted := v.now.frontends.get(name)
	_, here := v.had.frontends.get(name)
	if !wanted {
		f, _ = v.had.frontends.get(name)
	}
	part := v.element("frontend", name, elements{
		here: here, wanted: wanted, had: v.had.frontends.raw(name), now: v.now.frontends.raw(name),
	})
	if f == nil {
		return part
	}
	if id := f.Properties.PublicIPAddress.id(); id != "" {
		part.Parts = append(part.Parts, v.publicIP(id))
	} else {
		part.Parts = append(part.Parts, v.private(f))
	}
	for _, l := range v.after.sortedLinks() {
		if l.leadsTo(v.now.frontendID(name)) {
			part.Parts = append(part.Parts, v.link(l))
		}
	}
	return part
}

// private is the address of an internal frontend.
func (v *balancerView) private(f *frontend) provider.Part {
	in := " of subnet " + names.Last(f.Properties.Subnet.id())
	ip := f.address()
	if !ip.IsValid() {
		return provider.Part{What: "address" + in, State: "Azure has still to choose it"}
	}
	v.addresses[ip.String()] = true
	return provider.Part{What: "address " + ip.String() + in}
}

func (v *balancerView) link(l *privateLink) provider.Part {
	v.told[l.target(v.after.settings)] = true
	c := provider.Comparison{Here: l.exists, Wanted: !l.remove, Equal: same(l.first, l.raw), Diffs: l.diffs}
	if l.exists {
		c.Says = provisioningState(l.first)
	}
	return provider.Part{What: "private link service " + l.Name, State: c.State(), Parts: c.Parts()}
}

// rule is a load-balancing rule with its probe.
func (v *balancerView) rule(name string) provider.Part {
	_, here := v.had.rules.get(name)
	_, wanted := v.now.rules.get(name)
	r := v.newest(name)
	part := v.element("rule", name, elements{here: here, wanted: wanted, had: v.had.rules.raw(name), now: v.now.rules.raw(name)})
	part.What += ": " + describeRule(r) + " of pool " + names.Last(r.Properties.BackendAddressPool.id())
	if id := r.Properties.Probe.id(); id != "" {
		part.Parts = append(part.Parts, v.probe(names.Last(id)))
	}
	return part
}

func (v *balancerView) probe(name string) provider.Part {
	_, here := v.had.probes.get(name)
	p, wanted := v.now.probes.get(name)
	if !wanted {
		p, _ = v.had.probes.get(name)
	}
	part := v.element("probe", name, elements{here: here, wanted: wanted, had: v.had.probes.raw(name), now: v.now.probes.raw(name)})
	if p != nil {
		part.What += fmt.Sprintf(": %s every %d s", describeProbe(p), p.Properties.IntervalInSeconds)
	}
	return part
}

// elements are an element of a load balancer as it is and as it shall be.
type elements struct {
	here, wanted bool
	had, now     []byte
}

// element compares an element, with the differences that the plan shows for it.
func (v *balancerView) element(kind, name string, x elements) provider.Part {
	c := provider.Comparison{Says: provisioningState(x.had), Here: x.here, Wanted: x.wanted, Equal: same(x.had, x.now), Diffs: about(v.now.diffs, kind+" "+name)}
	return provider.Part{What: kind + " " + name, State: c.State(), Parts: c.Parts()}
}
