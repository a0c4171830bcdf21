// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

var _ provider.Explainer = (*pass)(nil)

// pass is one turn over a batch. What was decided is fixed when it is made;
// what is known of the cloud grows with each answer.
type pass struct {
	provider   *Provider
	in         Input
	result     *Result
	membership *membership
	items      map[plan.Key]*provider.Item

	mu        sync.Mutex
	observed  Observed
	addresses Addresses
}

func newPass(p *Provider, in Input, r *Result, m *membership) *pass {
	x := &pass{provider: p, in: in, result: r, membership: m, items: in.Batch.ByKey(), observed: *in.Observed}
	x.observed.cloneMaps()
	x.addresses.LearnAll(in.Observed)
	x.membership.count()
	return x
}

// servedBy are the Services of the batch on the load balancer.
func (r *Result) servedBy(loadBalancer string) []plan.Key {
	var out []plan.Key
	for key, places := range r.Places {
		if slices.ContainsFunc(places, func(p Place) bool { return names.Same(p.LoadBalancer, loadBalancer) }) {
			out = append(out, key)
		}
	}
	for _, st := range r.Steps {
		if names.Same(r.Writes[st.Target].ID, loadBalancer) {
			out = append(out, st.Serves...)
		}
	}
	slices.SortFunc(out, plan.CompareKeys)
	return slices.Compact(out)
}

// Decide joins what the load balancers need with what the machines need.
func (p *pass) Decide() provider.Decision {
	before := map[string][]plan.ID{}
	for i := range p.result.Pools {
		pool := &p.result.Pools[i]
		before[pool.LoadBalancer] = append(before[pool.LoadBalancer], p.membership.Leaving(pool.ID)...)
	}
	for id, steps := range before {
		slices.SortFunc(steps, plan.CompareIDs)
		before[id] = slices.Compact(steps)
	}
	return provider.Decision{
		Plan:    plan.Plan{Steps: p.result.WithMembership(p.membership.Steps, before)},
		Refused: p.membership.refuse(p.result.Refused), Notices: p.result.Notices, Again: p.membership.next,
	}
}

// Execute does one step. Shared ones are computed again, from what is known by
// now and without the Services that failed; so an address that a step before
// brought is in them, and an etag is the newest.
func (p *pass) Execute(ctx context.Context, st plan.Step, without map[plan.Key]bool) error {
	if w, ok := p.membership.Writes[st.Target]; ok {
		return p.writeMachine(ctx, st, w)
	}
	w, ok := p.result.Writes[st.Target]
	if !ok {
		return provider.UnknownStep(st)
	}
	if w.Delete && st.Target.Kind == kindPublicIP {
		return p.removePublicIP(ctx, w)
	}
	for range maxUnlinks {
		if w.Refresh || p.moves(st) {
			if err := p.refresh(ctx, w.ID); err != nil {
				return err
			}
		}
		now := Rewritten{Write: w}
		if st.Shared || w.Refresh {
			var err error
			if now, err = p.again(st, without); err != nil || now.Empty() {
				return leftOut(err, now.Left)
			}
		}
		if w = now.Write; len(w.First) == 0 {
			return leftOut(p.do(ctx, st, w), now.Left)
		}
		// What is deleted before is so only while the resource is as it was judged.
		for _, id := range w.First {
			if err := p.provider.client.Delete(ctx, id, ""); err != nil {
				return err
			}
		}
	}
	return &plan.Error{Kind: plan.Conflict, Reason: ReasonChangedMeanwhile, Err: fmt.Errorf("connections to %s are made as fast as they are deleted; stop those who make them", st.Target)}
}

// maxUnlinks is how often the connections of a private link service are deleted
// before the pass gives up.
const maxUnlinks = 3

// leftOut is the answer of a step that was done but for these Services.
func leftOut(err error, left map[plan.Key]error) error {
	if err == nil && len(left) > 0 {
		return &plan.LeftOutError{Failed: left}
	}
	return err
}

// do writes or deletes the resource.
func (p *pass) do(ctx context.Context, st plan.Step, w Write) error {
	if w.Delete {
		return p.remove(ctx, w)
	}
	doc, err := p.put(ctx, st, w)
	if err != nil {
		return err
	}
	p.learn(w.ID, doc)
	return nil
}

// put writes the resource. What is to be made must not be there: somebody may
// have made it since all was observed.
func (p *pass) put(ctx context.Context, st plan.Step, w Write) (json.RawMessage, error) {
	if st.Action == plan.Create && w.Etag == "" {
		return p.provider.client.Create(ctx, w.ID, w.Document)
	}
	return p.provider.client.Put(ctx, w.ID, w.Document, w.Etag)
}

// moves reports whether a step before moves the etag of the step's resource
// that the cloud's answers do not tell: machines leave a load balancer's pools.
func (p *pass) moves(st plan.Step) bool {
	return slices.ContainsFunc(st.Needs, func(id plan.ID) bool { return p.membership.Writes[id] != nil })
}

// refresh learns the resource as it is now.
func (p *pass) refresh(ctx context.Context, id string) error {
	doc, err := p.provider.get(ctx, id)
	if err != nil {
		return err
	}
	p.learn(id, doc)
	return nil
}

// again is what the step writes by what is known now.
func (p *pass) again(st plan.Step, without map[plan.Key]bool) (Rewritten, error) {
	p.mu.Lock()
	in, observed := p.in, p.observed
	observed.cloneMaps()
	p.mu.Unlock()
	in.Observed, in.Without = &observed, without
	return p.result.Rewrite(in, st.Target)
}

// removePublicIP deletes a public IP. It is read first: its etag moved when its
// frontend went, and what somebody has taken into use, or claimed, since it was
// observed stays.
func (p *pass) removePublicIP(ctx context.Context, w Write) error {
	doc, err := p.provider.get(ctx, w.ID)
	if err != nil {
		return err
	}
	if len(doc) == 0 {
		p.learn(w.ID, nil)
		return nil
	}
	if w.Etag, err = p.removable(doc, w.ID); err != nil {
		return err
	}
	return p.remove(ctx, w)
}

func (p *pass) remove(ctx context.Context, w Write) error {
	if err := p.provider.client.Delete(ctx, w.ID, w.Etag); err != nil {
		return err
	}
	p.learn(w.ID, nil)
	return nil
}

// removable is the etag of a public IP that may be deleted.
func (p *pass) removable(doc json.RawMessage, id string) (string, error) {
	now, err := loadPublicIP(doc)
	if err != nil {
		return "", &plan.Error{Kind: plan.Transient, Reason: ReasonUnreadableResource, Err: fmt.Errorf("%s is not as Azure writes it, and is not deleted: %w; see whether Azure shows it as it should be", id, err)}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, was := range p.observed.PublicIPs[names.Key(names.Group(id))] {
		if !names.Same(idOf(was), id) {
			continue
		}
		before, err := loadPublicIP(was)
		if err == nil && before.serviceTag() == now.serviceTag() && before.clusterTag() == now.clusterTag() && now.doc.Properties.IPConfiguration.id() == "" {
			return now.Etag, nil
		}
	}
	return "", &plan.Error{Kind: plan.Conflict, Reason: ReasonPublicIPChanged, Err: fmt.Errorf("public IP %s is in use or has other tags since it was looked at; it is not deleted now, but looked at again", names.Last(id))}
}

// learn notes what a write answered.
func (p *pass) learn(id string, doc json.RawMessage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.observed.Learn(id, doc)
	if len(doc) > 0 {
		p.addresses.Learn(doc)
	}
}

// Status is the addresses of the Service as they are known now.
func (p *pass) Status(key plan.Key) *v1.LoadBalancerStatus {
	it, ok := p.items[key]
	if !ok || it.Want == provider.Remove {
		return nil
	}
	places, ok := p.result.Places[key]
	if !ok {
		return it.Service.Status.LoadBalancer.DeepCopy()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addresses.Status(places, &it.Service.Status.LoadBalancer)
}

// Explain tells what there is of a Service of the batch in what was observed,
// and how that differs from what the pass would make of it.
func (p *pass) Explain(_ context.Context, key plan.Key) ([]provider.Part, error) {
	return Explain(p.in, p.result, p.membership.Membership, key)
}
