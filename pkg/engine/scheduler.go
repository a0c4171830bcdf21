// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"slices"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/klog/v2"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// nodeWindow is how long changes of nodes are gathered into one pass: long
// enough for a scale-up of many nodes, short beside the minutes that a cloud
// needs to start one.
const nodeWindow = time.Second

// entry is one Service that waits for a pass, or is in one.
type entry struct {
	ident
	service   *v1.Service // as the last caller knew it; the pass reads the newest
	callers   []request
	cause     provider.Cause
	attempts  int       // passes that ended with a reason to try again
	refusals  int       // passes that refused it, one after the other
	notBefore time.Time // zero: at once
}

// group is what the scheduler knows of one provider.Group.
type group struct {
	waiting map[ident]*entry
	busy    map[plan.Key]struct{} // in a pass, or with private steps still running
	running bool                  // the shared part of a pass is under way
	parked  map[ident]*entry      // refused: tried again when something is freed
}

func (g *group) idle() bool {
	return len(g.waiting) == 0 && len(g.busy) == 0 && len(g.parked) == 0 && !g.running
}

// event is what a pass tells the scheduler.
type event struct {
	group  provider.Group
	ended  *entry // this Service is done, with outcome
	out    outcome
	shared bool // the shared writes are done: the next pass may start
	freed  bool // something was changed or removed: others may fit now
	// join asks for those that came while a pass of that many Services
	// observed; it holds one.
	join chan []*entry
	size int
}

// scheduler is the state of Run, owned by its goroutine.
type scheduler struct {
	*Engine
	teller *teller
	groups map[provider.Group]*group
	seen   map[ident]uint64 // fingerprint of the form last ensured
	passes sync.WaitGroup
	log    klog.Logger
}

// Run schedules passes until ctx ends; then it starts no more steps, waits for
// those in flight, and answers every caller. It must run once, with caches
// that have synced.
func (e *Engine) Run(ctx context.Context) {
	s := &scheduler{
		Engine: e,
		teller: newTeller(e.Options),
		groups: map[provider.Group]*group{},
		seen:   map[ident]uint64{},
		log:    klog.FromContext(ctx).WithValues("provider", e.Provider.Name()),
	}
	defer close(e.stopped)
	var telling sync.WaitGroup
	telling.Go(func() { s.teller.run(ctx) })
	s.loop(klog.NewContext(ctx, s.log))
	s.finish()
	telling.Wait()
}

func (s *scheduler) loop(ctx context.Context) {
	drifting := s.Drift
	drift, stopDrift := s.tick(drifting.Interval)
	defer func() { stopDrift() }()
	var window, retry <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-s.requests:
			s.admit(r)
			s.admitWaiting()
		case ev := <-s.events:
			s.handle(ev)
			s.handleWaiting()
		case <-retry:
		case <-s.retries:
			for _, g := range s.groups {
				s.unpark(g)
			}
		case <-s.nodes:
			if window == nil {
				window = s.Clock.After(nodeWindow)
			}
		case <-window:
			window = nil
			s.syncAll(provider.Nodes)
		case <-s.Provider.Changed():
			s.syncAll(provider.Config)
		case d := <-s.drifts:
			if d != drifting {
				stopDrift()
				drifting = d
				drift, stopDrift = s.tick(d.Interval)
			}
		case <-drift:
			s.drift(ctx, drifting.Mode)
		}
		retry = s.startDue(ctx)
	}
}

// admitWaiting takes the requests that are already there, so that a burst goes
// into few passes.
func (s *scheduler) admitWaiting() {
	for {
		select {
		case r := <-s.requests:
			s.admit(r)
		default:
			return
		}
	}
}

// handleWaiting takes the news that is already there: a shared write ends
// for many Services at once.
func (s *scheduler) handleWaiting() {
	for {
		select {
		case ev := <-s.events:
			s.handle(ev)
		default:
			return
		}
	}
}

// admit puts a request into the waiting room of its group.
func (s *scheduler) admit(r request) {
	id := identOf(r.service)
	g := s.group(s.Provider.Group(r.service))
	w, ok := g.waiting[id]
	if !ok {
		w = &entry{ident: id}
		g.waiting[id] = w
	}
	w.service = r.service
	w.cause = max(w.cause, s.cause(r))
	if r.done != nil {
		w.callers = append(w.callers, r)
		w.notBefore = time.Time{} // a caller brings news: try at once
	}
	if w.cause != provider.Drift {
		delete(g.parked, id)
	}
}

func (s *scheduler) group(name provider.Group) *group {
	g, ok := s.groups[name]
	if !ok {
		g = &group{waiting: map[ident]*entry{}, busy: map[plan.Key]struct{}{}, parked: map[ident]*entry{}}
		s.groups[name] = g
	}
	return g
}

// cause tells an edit from a resync: a Service without an address is new, and
// one whose form differs from the one last ensured was edited.
func (s *scheduler) cause(r request) provider.Cause {
	switch r.op {
	case opSync:
		return r.cause
	case opUpdate:
		return provider.Nodes
	case opDelete:
		return provider.Edit
	case opEnsure:
	}
	id, form := identOf(r.service), fingerprint(r.service)
	last, known := s.seen[id]
	s.seen[id] = form
	if (known && last != form) || len(r.service.Status.LoadBalancer.Ingress) == 0 {
		return provider.Edit
	}
	return provider.Resync
}

// startDue starts a pass for every group that has something due and none under
// way, and returns a timer for the next that becomes due.
func (s *scheduler) startDue(ctx context.Context) <-chan time.Time {
	now := s.Clock.Now()
	var next time.Time
	for name, g := range s.groups {
		if g.idle() {
			delete(s.groups, name)
			continue
		}
		if g.running {
			continue
		}
		g.lookAgain(now)
		due, later := g.due(now)
		if !later.IsZero() && (next.IsZero() || later.Before(next)) {
			next = later
		}
		if len(due) == 0 {
			continue
		}
		g.running = true
		g.take(due)
		s.passes.Go(func() { s.pass(ctx, name, due) })
	}
	if next.IsZero() {
		return nil
	}
	return s.Clock.After(next.Sub(now))
}

// lookAgain lets refused Services go into a pass whose time has come.
func (g *group) lookAgain(now time.Time) {
	for id, p := range g.parked {
		if p.notBefore.After(now) {
			continue
		}
		delete(g.parked, id)
		if _, newer := g.waiting[id]; !newer {
			p.cause = provider.Freed
			g.waiting[id] = p
		}
	}
}

// due returns the entries that may go into a pass now, one for each key, and
// when the next one may. A drift pass writes nothing, so it goes alone, when
// nothing else is due.
func (g *group) due(now time.Time) (due []*entry, next time.Time) {
	taken := map[plan.Key]struct{}{}
	soonest := func(at time.Time) {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	for _, p := range g.parked {
		soonest(p.notBefore)
	}
	for id, w := range g.waiting {
		if w.notBefore.After(now) {
			soonest(w.notBefore)
			continue
		}
		_, busy := g.busy[id.Key]
		_, twin := taken[id.Key]
		if busy || twin {
			continue
		}
		taken[id.Key] = struct{}{}
		due = append(due, w)
	}
	writes := slices.DeleteFunc(slices.Clone(due), isDrift)
	if len(writes) > 0 {
		due = writes
	}
	return due, next
}

// take moves entries from the waiting room into a pass.
func (g *group) take(entries []*entry) {
	for _, en := range entries {
		delete(g.waiting, en.ident)
		g.busy[en.Key] = struct{}{}
	}
}

// joining takes those that came while a pass observed, when they are at least
// as many as it holds: to observe once more costs it less than a pass of their
// own would cost them.
func (g *group) joining(now time.Time, size int) []*entry {
	due, _ := g.due(now)
	if len(due) < size || isDrift(due[0]) {
		return nil
	}
	g.take(due)
	return due
}

func isDrift(e *entry) bool { return e.cause == provider.Drift }

// handle takes the news of a pass.
func (s *scheduler) handle(ev event) {
	g := s.group(ev.group)
	if ev.join != nil {
		s.admitWaiting()
		ev.join <- g.joining(s.Clock.Now(), ev.size)
		return
	}
	if ev.shared {
		g.running = false
	}
	if ev.ended != nil {
		delete(g.busy, ev.ended.Key)
		s.settle(g, ev.ended, ev.out)
	}
	if ev.freed {
		s.unpark(g)
	}
}

// unpark lets the refused Services of a group try again.
func (s *scheduler) unpark(g *group) {
	for id, p := range g.parked {
		delete(g.parked, id)
		s.admit(request{op: opSync, cause: provider.Freed, service: p.service})
	}
}

// settle answers the callers of a Service, or lets it wait for another try.
func (s *scheduler) settle(g *group, en *entry, out outcome) {
	if wait, again := retryAfter(out.err, en); again {
		s.requeue(g, en, wait, plan.KindOf(out.err))
		return
	}
	for _, c := range en.callers {
		c.done <- answer{status: out.status, err: callerError(c.op, out)}
	}
	switch {
	case isDrift(en): // it only looked
	case out.err != nil && !out.removed:
		en.callers, en.attempts = nil, 0
		en.notBefore = s.Clock.Now().Add(doubled(firstLook, en.refusals))
		en.refusals++
		if _, newer := g.waiting[en.ident]; !newer {
			g.parked[en.ident] = en
		}
	case out.removed && out.err == nil:
		delete(s.seen, en.ident)
		s.teller.forget(en.ident)
	case out.refresh:
		s.Refresh(en.Key)
	}
}

// requeue puts an entry back, joined with what arrived for it meanwhile. A
// caller brings news, so then it is tried at once, as if for the first time,
// unless the cloud has said when.
func (s *scheduler) requeue(g *group, en *entry, wait time.Duration, kind plan.Kind) {
	en.attempts++
	if newer, ok := g.waiting[en.ident]; ok {
		if len(newer.callers) > 0 && kind != plan.Throttled {
			en.attempts, wait = 0, 0
		}
		en.callers = append(en.callers, newer.callers...)
		en.service = newer.service
		en.cause = max(en.cause, newer.cause)
	}
	en.notBefore = s.Clock.Now().Add(wait)
	g.waiting[en.ident] = en
}

// syncAll puts every Service that is ours into its group's next pass. One that
// no finalizer holds yet waits for its first call: were it deleted now, nobody
// would call for the deletion of what was made.
func (s *scheduler) syncAll(cause provider.Cause) {
	services, err := s.Services.List(labels.Everything())
	if err != nil {
		s.log.Error(err, "List Services")
		return
	}
	for _, svc := range services {
		if s.Owns(svc) && svc.DeletionTimestamp == nil && isHeld(svc) {
			s.admit(request{op: opSync, cause: cause, service: svc})
		}
	}
}

// drift compares all Services with the cloud, as configured.
func (s *scheduler) drift(ctx context.Context, mode cloudconfig.DriftMode) {
	switch mode {
	case cloudconfig.DriftRepair:
		s.syncAll(provider.Repair)
	case cloudconfig.DriftReport:
		s.syncAll(provider.Drift)
	case cloudconfig.DriftOff:
	}
	klog.FromContext(ctx).V(2).Info("Drift pass")
}

// finish lets the running passes end and answers everybody.
func (s *scheduler) finish() {
	go func() {
		s.passes.Wait()
		close(s.events)
	}()
	events := s.events
	for events != nil {
		select {
		case ev, more := <-events:
			switch {
			case !more:
				events = nil
			case ev.join != nil:
				ev.join <- nil
			case ev.ended != nil:
				for _, c := range ev.ended.callers {
					c.done <- answer{status: ev.out.status, err: callerError(c.op, ev.out)}
				}
			}
		case r := <-s.requests:
			answerAll([]request{r}, errStopping)
		}
	}
	for _, g := range s.groups {
		for _, w := range g.waiting {
			answerAll(w.callers, errStopping)
		}
	}
}

func answerAll(callers []request, err error) {
	for _, c := range callers {
		if c.done != nil {
			c.done <- answer{err: err}
		}
	}
}
