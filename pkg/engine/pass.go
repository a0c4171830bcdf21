// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"

	v1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// outcome is how a pass ended for one Service.
type outcome struct {
	status  *v1.LoadBalancerStatus
	err     error
	notices []provider.Notice
	removed bool // its load balancer was to be removed
	refresh bool // the status in the cluster is another one
}

// member is an entry in a pass, with what the pass knows of it.
type member struct {
	*entry
	item    provider.Item
	refused error // by the intent: its new form is not used
	notices []provider.Notice
}

// pass is one turn over the entries of a group: observe, decide, apply,
// answer. It ends when the last of its steps has.
func (s *scheduler) pass(ctx context.Context, name provider.Group, entries []*entry) {
	start := s.Clock.Now()
	seen, err := s.observe(ctx, name, entries)
	members, look := seen.members, seen.pass
	var d provider.Decision
	if err == nil {
		d, err = decide(look, members)
	}
	if err != nil {
		klog.FromContext(ctx).Error(err, "Pass could not begin", "group", name, "services", len(members))
		for _, m := range members {
			s.end(name, m, outcome{err: err, removed: m.item.Want == provider.Remove})
		}
		s.events <- event{group: name, shared: true, over: true}
		return
	}
	if isDrift(entries[0]) {
		observeDrift(s.Provider.Name(), d.Plan)
		d = reportDrift(d)
	}
	a := newApply(d.Plan, func(step plan.Step, without map[plan.Key]bool) error {
		return s.execute(ctx, look, step, without)
	})
	a.sharedDone = func() { s.events <- event{group: name, shared: true} }
	a.serviceDone = func(key plan.Key, err error) {
		m := members[key]
		m.notices = slices.Concat(m.notices, a.notices[key])
		s.end(name, m, s.outcome(m, look, d, err))
	}
	a.run(keysOf(seen.batch.Items), d.Refused)
	s.events <- event{group: name, over: true, freed: a.changed, wrote: a.wrote, failed: a.owed, again: d.Again}
	observePass(s.Provider.Name(), len(members), s.Clock.Since(start))
	log := klog.FromContext(ctx).WithValues("group", name, "services", len(members), "steps", len(d.Plan.Steps), "refused", len(d.Refused), "took", s.Clock.Since(start))
	switch {
	case len(a.owed) > 0:
		id := slices.MinFunc(slices.Collect(maps.Keys(a.owed)), plan.CompareIDs)
		log.Error(a.owed[id], "Pass done, but for what no Service waits for; it is tried again", "target", id.String(), "others", len(a.owed)-1)
	case d.Plan.Empty():
		log.V(2).Info("Pass done")
	default:
		log.Info("Pass done")
	}
}

// decide lets the provider decide. What it decides must be a graph, and about
// the Services of the batch.
func decide(look provider.Pass, members map[plan.Key]*member) (provider.Decision, error) {
	d := look.Decide()
	nobodys := false
	for _, st := range d.Plan.Steps {
		nobodys = nobodys || len(st.Serves) == 0
		for _, k := range st.Serves {
			if members[k] == nil {
				return d, fmt.Errorf("decide: %s %s serves %s, which is not in the batch; report it as a bug", st.Action, st.Target, k)
			}
		}
	}
	ordered, err := plan.New(d.Plan.Steps)
	switch {
	case err == nil:
		d.Plan = ordered
	case nobodys: // who would wait for it cannot be told
		return d, fmt.Errorf("decide: %w; report it as a bug", err)
	default:
		d = withoutPlan(d, err)
	}
	return d, nil
}

// reasonNoPlan is the reason when steps cannot be put in order.
const reasonNoPlan = "NoPlan"

// withoutPlan is a decision whose steps have no order, which is a fault of the
// provider: nothing is written, and those whom the steps serve are tried again.
// Others lose nothing.
func withoutPlan(d provider.Decision, err error) provider.Decision {
	refused := maps.Clone(d.Refused)
	if refused == nil {
		refused = map[plan.Key]error{}
	}
	for _, st := range d.Plan.Steps {
		for _, k := range st.Serves {
			if refused[k] == nil {
				refused[k] = &plan.Error{Kind: plan.Transient, Reason: reasonNoPlan, Err: fmt.Errorf("nothing is written, since what is to be written cannot be put in order: %w; report it as a bug", err)}
			}
		}
	}
	d.Refused, d.Plan = refused, plan.Plan{}
	return d
}

// observed is what a pass works on.
type observed struct {
	members map[plan.Key]*member
	batch   provider.Batch
	pass    provider.Pass // nil when the provider could not observe
}

// observe observes for the entries, and once more with those that came
// meanwhile while they are at least as many: the first of a burst comes alone.
func (s *scheduler) observe(ctx context.Context, name provider.Group, entries []*entry) (observed, error) {
	var before provider.Pass
	for {
		var o observed
		var err error
		o.members, o.batch = s.batch(name, entries)
		o.batch.Before = before
		if o.pass, err = s.Provider.Observe(ctx, o.batch); err != nil {
			return o, fmt.Errorf("observe: %w", err)
		}
		if isDrift(entries[0]) {
			return o, nil
		}
		join := make(chan []*entry, 1)
		s.events <- event{group: name, join: join, size: len(entries)}
		more := <-join
		if len(more) == 0 {
			return o, nil
		}
		entries, before = slices.Concat(entries, more), o.pass
	}
}

// reasonDrift is the reason of the event that tells of a difference that the
// drift pass found and left.
const reasonDrift = "DriftFound"

// reportDrift turns the steps of a decision into notices, beside those that it
// has: what lasts is told once, whoever looks.
func reportDrift(d provider.Decision) provider.Decision {
	notices := map[plan.Key][]provider.Notice{}
	for k, list := range d.Notices {
		notices[k] = slices.Clone(list)
	}
	for _, st := range d.Plan.Steps {
		for _, k := range st.Serves {
			notices[k] = append(notices[k], provider.Notice{
				Reason:  reasonDrift,
				Message: fmt.Sprintf("%s differs from what the Service asks for and would be set right by: %s; edit the Service, or set drift.mode of the cloud-config to repair", st.Target, st.Summary()),
				Warning: true,
			})
		}
	}
	return provider.Decision{Refused: d.Refused, Notices: notices, Again: d.Again}
}

// execute does one step. A step in flight is not cut off when the process has
// to end, since its answer would be lost; the provider bounds its time.
func (s *scheduler) execute(ctx context.Context, look provider.Pass, step plan.Step, without map[plan.Key]bool) error {
	if ctx.Err() != nil {
		return errStopping
	}
	start := s.Clock.Now()
	err := look.Execute(context.WithoutCancel(ctx), step, without)
	observeStep(s.Provider.Name(), step, err)
	log := klog.FromContext(ctx).WithValues("action", step.Action, "target", step.Target, "took", s.Clock.Since(start))
	if err != nil {
		log.Info("Step failed", "err", err)
		return stepError(step, err)
	}
	log.V(2).Info("Wrote")
	return nil
}

// stepError is why a step failed. The sentence of a provider names what was
// written; any other error is told which step it is of.
func stepError(step plan.Step, err error) error {
	if _, ok := errors.AsType[*plan.Error](err); ok {
		return err
	}
	return fmt.Errorf("%s %s: %w", step.Action, step.Target, err)
}

// end tells the user and the scheduler how it went for one Service.
func (s *scheduler) end(name provider.Group, m *member, out outcome) {
	if isDrift(m.entry) {
		s.teller.note(m.ident, m.item, out.notices)
	} else if wait, again := retryAfter(out.err, m.entry); !again || wait >= longWait {
		s.teller.tell(m.ident, m.item, out)
	}
	s.events <- event{group: name, ended: m.entry, out: out}
}

// batch reads the newest form of every Service and the nodes.
func (e *Engine) batch(name provider.Group, entries []*entry) (map[plan.Key]*member, provider.Batch) {
	members := make(map[plan.Key]*member, len(entries))
	batch := provider.Batch{Group: name, Nodes: targets(e.Nodes)}
	for _, en := range entries {
		m := e.member(en)
		members[en.Key] = m
		batch.Items = append(batch.Items, m.item)
	}
	slices.SortFunc(batch.Items, oldestFirst)
	return members, batch
}

// member finds out what shall become of a Service: the newest form counts, not
// the one that a caller brought.
func (e *Engine) member(en *entry) *member {
	svc, err := e.Services.Services(en.Namespace).Get(en.Name)
	if apierrors.IsNotFound(err) || (err == nil && svc.UID != en.uid) {
		svc = en.service
		err = errGone
	}
	m := &member{entry: en, item: provider.Item{Key: en.Key, Service: svc, Cause: en.cause, Want: provider.Remove}}
	if err != nil || svc.DeletionTimestamp != nil || !e.Owns(svc) {
		return m
	}
	in, problems := intent.New(svc, e.Provider.Name(), e.Registry)
	m.item.Want = provider.Serve
	m.item.Intent = in
	if m.refused = intent.Refusal(problems); m.refused != nil {
		m.item.Want = provider.Keep
	}
	for _, p := range problems {
		if p.Severity != intent.Refuse {
			m.notices = append(m.notices, provider.Notice{Reason: p.Reason, Message: p.Sentence, Warning: p.Severity == intent.Warn})
		}
	}
	return m
}

var errGone = errors.New("the Service is gone")

// outcome joins what the intent, the decision and the steps say of a Service.
func (s *scheduler) outcome(m *member, look provider.Pass, d provider.Decision, err error) outcome {
	out := outcome{removed: m.item.Want == provider.Remove, notices: slices.Concat(m.notices, d.Notices[m.Key])}
	out.err = cmp.Or(err, d.Refused[m.Key], m.refused)
	if out.err == nil && out.removed {
		out.status = &v1.LoadBalancerStatus{} // what an Ensure is answered that comes too late
	}
	if out.status != nil || out.err != nil {
		return out
	}
	out.status = withModes(look.Status(m.Key))
	have := m.item.Service.Status.LoadBalancer.Ingress
	out.refresh = m.cause != provider.Drift && len(m.callers) == 0 &&
		!apiequality.Semantic.DeepEqual(have, out.status.Ingress)
	return out
}

// withModes sets the ipMode of each address that has none: the apiserver would
// do it, and the upstream controller then sees a change at every sync.
func withModes(status *v1.LoadBalancerStatus) *v1.LoadBalancerStatus {
	vip := v1.LoadBalancerIPModeVIP
	for i, in := range status.Ingress {
		if in.IP != "" && in.IPMode == nil {
			status.Ingress[i].IPMode = &vip
		}
	}
	return status
}

// callerError is what the outcome means for the operation that was asked for.
func callerError(o op, out outcome) error {
	if o == opEnsure && isRefusal(out.err) {
		return refusal{out.err}
	}
	if out.err != nil {
		return out.err
	}
	if o == opDelete && !out.removed {
		return errWantedAgain
	}
	return nil
}

var errWantedAgain = errors.New("the Service wants a load balancer again; nothing was deleted")

func oldestFirst(a, b provider.Item) int {
	return provider.OlderFirst(a.Service, b.Service)
}

func keysOf(items []provider.Item) []plan.Key {
	keys := make([]plan.Key, len(items))
	for i, it := range items {
		keys[i] = it.Key
	}
	return keys
}

// fingerprint is a hash over what a user can edit in a Service and a provider
// looks at.
func (e *Engine) fingerprint(svc *v1.Service) uint64 {
	h := fnv.New64a()
	// Encoding plain API types cannot fail, and a hash takes every write.
	_ = json.NewEncoder(h).Encode(e.Registry.Asked(svc, e.Provider.Name()))
	return h.Sum64()
}
