// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// Write is what one step writes.
type Write struct {
	ID       string // of the resource
	Etag     string // of the resource as it was read; empty for a new one
	Document json.RawMessage
	Delete   bool
	// First are the ids of what is deleted before: a private link service's
	// connections.
	First []string
	// Refresh: steps before move the resource's etag, since Azure changes it for
	// fields that it derives. Learn the resource as it is then, and Rewrite.
	Refresh bool
	// Incomplete: an address in it is not known before earlier steps are done,
	// so it is for the plan alone. Compute again then.
	Incomplete bool
}

// written reports whether the load balancer becomes another one.
func (b *balancer) written() bool { return !b.exists || !same(b.first, b.document()) }

// same reports whether two documents are equal but for spaces.
func same(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}

// result turns the world as it is now into steps and what they write.
func (t *turn) result(refused map[plan.Key]error) *Result {
	r := &Result{
		Refused: refused, Notices: map[plan.Key][]provider.Notice{}, Writes: map[plan.ID]Write{}, Places: map[plan.Key][]Place{},
		placed: t.placed, renewed: map[plan.Key]bool{}, Unreadable: t.unreadable(),
	}
	for _, a := range t.asks {
		if len(a.notices) > 0 {
			r.Notices[a.key] = a.notices
		}
		if a.serve() {
			r.Places[a.key] = a.places()
		}
		if a.renews != "" {
			r.renewed[a.key] = true
			r.Refused[a.key] = &plan.Error{Kind: plan.Conflict, Reason: ReasonPublicIPRenewed, Err: errors.New(a.renews)}
		}
	}
	o := order{turn: t, result: r, balancers: map[plan.ID]*balancer{}}
	o.settleLate()
	o.publicIPs()
	o.loadBalancers()
	o.securityGroup()
	o.privateLinks()
	o.tails()
	o.link()
	r.Pools = t.poolsOf()
	return r
}

func (a *ask) places() []Place {
	var out []Place
	for i, f := range a.families {
		fr := a.fronts[f]
		p := Place{Family: f, LoadBalancer: fr.balancer.ID, Frontend: fr.id()}
		if fr.publicIP != nil {
			p.PublicIP = fr.publicIP.ID
		}
		if i == 0 {
			p.Additional = additionalOf(a.item.Service)
		}
		out = append(out, p)
	}
	return out
}

// order makes the steps and what they need: public IPs first, then the load
// balancers, then the security group, and what is left over last. A load
// balancer that only loses comes after a security group that only loses, so
// that a process that ends in between finds the addresses there still.
type order struct {
	turn      *turn
	result    *Result
	balancers map[plan.ID]*balancer // those with a step
	group     plan.ID               // zero: no step
}

func (o *order) add(st plan.Step, w Write) {
	o.result.Steps = append(o.result.Steps, st)
	o.result.Writes[st.Target] = w
}

// settleLate writes a public IP early when a load balancer takes it.
func (o *order) settleLate() {
	for _, p := range o.turn.sortedPublicIPs() {
		for _, b := range o.turn.sortedBalancers() {
			if b.needs[p.target(o.turn.settings)] {
				p.late = false
			}
		}
	}
}

// publicIPs are those that load balancers wait for.
func (o *order) publicIPs() {
	for _, p := range o.turn.sortedPublicIPs() {
		if !p.remove && !p.late {
			o.writePublicIP(p)
		}
	}
}

func (o *order) writePublicIP(p *publicIP) {
	if p.exists && same(p.first, p.raw) {
		return
	}
	st := plan.Step{Action: plan.Update, Target: p.target(o.turn.settings), Serves: p.keys(), Why: p.diffs}
	if !p.exists {
		st.Action = plan.Create
	}
	o.add(st, Write{ID: p.ID, Etag: p.Etag, Document: p.raw, Refresh: p.late && len(o.shared()) > 0})
}

func (o *order) loadBalancers() {
	for _, b := range o.turn.sortedBalancers() {
		empty := b.frontends.list.Len() == 0
		if !b.written() || (!b.exists && empty) {
			continue
		}
		st := plan.Step{Action: plan.Update, Target: b.target(), Shared: true, Why: b.diffs, Serves: o.servedBy(b)}
		w := Write{ID: b.ID, Etag: b.Etag, Document: b.document()}
		switch {
		case b.emptied:
			st.Action, w.Delete, w.Document = plan.Delete, true, nil
		case !b.exists:
			st.Action = plan.Create
		}
		o.balancers[st.Target] = b
		o.add(st, w)
	}
}

// servedBy are the Services that a step of the load balancer serves: those
// whose parts change, and all of the batch that are there when nodes do, also
// those that are left as they are.
func (o *order) servedBy(b *balancer) []plan.Key {
	keys := maps.Clone(b.serves)
	if b.members {
		for _, a := range o.turn.asks {
			for _, fr := range a.fronts {
				if fr.balancer == b {
					keys[a.key] = true
				}
			}
		}
		for _, f := range []intent.Family{intent.V4, intent.V6} {
			for _, key := range o.turn.keptIn(b, names.Child(b.ID, names.Pools, names.Pool(o.turn.settings.Cluster, f))) {
				keys[key] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(keys), plan.CompareKeys)
}

func (o *order) securityGroup() {
	g := o.turn.group
	if g == nil || same(g.first, g.raw) {
		return
	}
	serves := g.keys()
	if len(serves) == 0 {
		for _, a := range o.turn.asks {
			serves = append(serves, a.key)
		}
	}
	o.group = g.target()
	o.add(plan.Step{Action: plan.Update, Target: o.group, Shared: true, Why: g.diffs, Serves: serves},
		Write{ID: g.ID, Etag: g.Etag, Document: g.raw, Incomplete: g.incomplete()})
}

// tails are what is done when nothing uses the public IPs any more.
func (o *order) tails() {
	for _, p := range o.turn.sortedPublicIPs() {
		switch {
		case p.late && !p.remove:
			o.writePublicIP(p)
		case p.remove:
			why := []plan.Diff{{Field: "address", Have: p.doc.Properties.IPAddress}}
			o.add(plan.Step{Action: plan.Delete, Target: p.target(o.turn.settings), Serves: p.keys(), Why: why},
				Write{ID: p.ID, Etag: p.Etag, Delete: true, Refresh: len(o.shared()) > 0})
		}
	}
}

// link sets what each step needs.
func (o *order) link() {
	late := map[plan.ID]bool{}
	for _, p := range o.turn.sortedPublicIPs() {
		if p.late || p.remove {
			late[p.target(o.turn.settings)] = true
		}
	}
	for i := range o.result.Steps {
		st := &o.result.Steps[i]
		switch {
		case late[st.Target]:
			st.Needs = o.shared()
		case st.Target == o.group:
			st.Needs = slices.SortedFunc(maps.Keys(o.beforeGroup()), plan.CompareIDs)
		case o.balancers[st.Target] != nil:
			st.Needs = o.needsOf(o.balancers[st.Target])
		}
	}
}

// shared are all steps that Services share.
func (o *order) shared() []plan.ID {
	out := slices.SortedFunc(maps.Keys(o.balancers), plan.CompareIDs)
	if o.group != (plan.ID{}) {
		out = append(out, o.group)
	}
	return out
}

// beforeGroup are the load balancers whose steps come before that of the
// security group: those that take over something. When the group lets more in
// so do all others, but those that another load balancer takes over from.
func (o *order) beforeGroup() map[plan.ID]bool {
	out := map[plan.ID]bool{}
	for id, b := range o.balancers {
		if len(b.gains) > 0 || b.releases || (o.turn.group.gains && !o.flips(b)) {
			out[id] = true
		}
	}
	return out
}

// flips reports whether the load balancer loses a Service that another one
// gains in this plan.
func (o *order) flips(b *balancer) bool {
	for _, other := range o.balancers {
		if other == b {
			continue
		}
		for key := range b.serves {
			if other.gains[key] && !b.gains[key] {
				return true
			}
		}
	}
	return false
}

// needsOf are the steps before that of the load balancer: the public IPs that
// it takes; and when it only loses, the load balancers that take over from it,
// and the security group.
func (o *order) needsOf(b *balancer) []plan.ID {
	needs := map[plan.ID]bool{}
	for id := range b.needs {
		if _, has := o.result.Writes[id]; has {
			needs[id] = true
		}
	}
	for _, l := range o.turn.sortedLinks() {
		if l.remove && l.isOf(b) {
			needs[l.target(o.turn.settings)] = true
		}
	}
	for before := range o.turn.after[b] {
		if _, has := o.balancers[before.target()]; has {
			needs[before.target()] = true
		}
	}
	if len(b.gains) > 0 || b.releases {
		return slices.SortedFunc(maps.Keys(needs), plan.CompareIDs)
	}
	flips := o.flips(b)
	for id, other := range o.balancers {
		if flips && len(other.gains) > 0 {
			needs[id] = true
		}
	}
	if o.group != (plan.ID{}) && (flips || !o.turn.group.gains) {
		needs[o.group] = true
	}
	return slices.SortedFunc(maps.Keys(needs), plan.CompareIDs)
}

// WithMembership joins the steps with those of the nodes' membership in pools,
// which may need steps of this result. Before are the membership's steps that
// must be done before a load balancer's, by its id: interfaces leave a pool
// before it goes.
func (r *Result) WithMembership(membership []plan.Step, before map[string][]plan.ID) []plan.Step {
	byID := map[string][]plan.ID{}
	for id, steps := range before {
		byID[names.Key(id)] = steps
	}
	steps := slices.Clone(r.Steps)
	for i := range steps {
		more := byID[names.Key(r.Writes[steps[i].Target].ID)]
		steps[i].Needs = append(slices.Clone(steps[i].Needs), more...)
	}
	return append(steps, membership...)
}
