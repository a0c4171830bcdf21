// SPDX-License-Identifier: Apache-2.0

package metal

import (
	"context"
	"net/netip"
	"strings"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/ipam"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// stepKind is the kind of every step's target: the addresses of one Service,
// by the name of the Service. They are given and taken all at once.
const stepKind = "metal/addresses"

// pass is one turn over a batch. Everything in it is fixed when it is made.
type pass struct {
	memory  *memory
	items   []provider.Item
	byKey   map[plan.Key]int // index in items
	seen    observed
	answers map[plan.Key]ipam.Answer // of those to be served
}

func newPass(m *memory, batch provider.Batch, o observed) *pass {
	p := &pass{
		memory: m, items: batch.Items, seen: o,
		byKey:   make(map[plan.Key]int, len(batch.Items)),
		answers: make(map[plan.Key]ipam.Answer, len(o.requests)),
	}
	for i := range batch.Items {
		p.byKey[batch.Items[i].Key] = i
	}
	for i, a := range ipam.Allocate(o.state, o.leaving, o.requests) {
		p.answers[o.requests[i].Key] = a
	}
	return p
}

// held are the addresses that the Service of the item has.
func (p *pass) held(key plan.Key) []netip.Addr {
	if i, ok := p.seen.holders[key]; ok {
		return p.seen.state.Holders[i].Addresses
	}
	return nil
}

// Decide turns the answers into steps, refusals and notices.
func (p *pass) Decide() provider.Decision {
	d := provider.Decision{Refused: map[plan.Key]error{}, Notices: map[plan.Key][]provider.Notice{}}
	for i := range p.items {
		it := &p.items[i]
		switch it.Want {
		case provider.Remove:
			if held := p.held(it.Key); len(held) > 0 {
				d.Plan.Steps = append(d.Plan.Steps, step(plan.Delete, it.Key, addressDiffs(held, nil)))
			}
		case provider.Serve:
			p.decideServe(it, &d)
		case provider.Keep:
		}
	}
	return d
}

func (p *pass) decideServe(it *provider.Item, d *provider.Decision) {
	answer := p.answers[it.Key]
	if answer.Err != nil {
		d.Refused[it.Key] = answer.Err
		return
	}
	if n := notices(it, &answer.Assignment); len(n) > 0 {
		d.Notices[it.Key] = n
	}
	held := p.held(it.Key)
	why := addressDiffs(answer.Released, answer.Added)
	if r, ok := p.seen.records[it.Key]; ok && !r.removed() {
		if want := sharing(&it.Intent); !want.Equal(r.sharing) {
			why = append(why, plan.Diff{Field: "sharing", Have: r.sharing.String(), Want: want.String()})
		}
	}
	if len(why) == 0 {
		return
	}
	action := plan.Update
	if len(held) == 0 {
		action = plan.Create
	}
	d.Plan.Steps = append(d.Plan.Steps, step(action, it.Key, why))
}

func step(action plan.Action, key plan.Key, why []plan.Diff) plan.Step {
	return plan.Step{
		Action: action,
		Target: plan.ID{Kind: stepKind, Name: key.String()},
		Serves: []plan.Key{key},
		Why:    why,
		Shared: true,
	}
}

// addressDiffs shows what is taken and given, by family.
func addressDiffs(taken, given []netip.Addr) []plan.Diff {
	var out []plan.Diff
	for _, f := range []intent.Family{intent.V4, intent.V6} {
		have, want := join(taken, f), join(given, f)
		if have != "" || want != "" {
			out = append(out, plan.Diff{Field: strings.ToLower(f.String()), Have: have, Want: want})
		}
	}
	return out
}

func join(addrs []netip.Addr, f intent.Family) string {
	var out []string
	for _, a := range addrs {
		if intent.FamilyOf(a) == f {
			out = append(out, a.String())
		}
	}
	return strings.Join(out, ",")
}

// Execute commits one step to memory: there is no cloud to call. Doing it again
// changes nothing.
func (p *pass) Execute(_ context.Context, st plan.Step, without map[plan.Key]bool) error {
	for _, key := range st.Serves {
		i, ok := p.byKey[key]
		if !ok {
			return provider.UnknownStep(st)
		}
		if without[key] {
			continue
		}
		if st.Action == plan.Delete {
			p.release(&p.items[i])
			continue
		}
		a := p.answers[key]
		p.memory.give(key, record{
			uid: p.items[i].Service.UID, addresses: a.Addresses, sharing: sharing(&p.items[i].Intent),
		}, a.Released)
	}
	return nil
}

// release frees all that the Service has.
func (p *pass) release(it *provider.Item) {
	held := p.held(it.Key)
	r := record{uid: it.Service.UID, released: held}
	inStatus := statusAddresses(it.Service)
	r.shown = len(r.left(inStatus)) < len(inStatus)
	p.memory.give(it.Key, r, held)
}

// Status is the addresses of the Service, in the order of its families. One
// that is not served as it wants keeps what it has; nil is for nothing.
func (p *pass) Status(key plan.Key) *v1.LoadBalancerStatus {
	if a, ok := p.answers[key]; ok && a.Err == nil {
		return status(a.Addresses)
	}
	i, ok := p.byKey[key]
	if held := p.held(key); ok && p.items[i].Want != provider.Remove && len(held) > 0 {
		return status(held)
	}
	return nil
}
