// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"sync"
	"time"

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

// event is what a pass tells the scheduler.
type event struct {
	group  provider.Group
	ended  *entry // this Service is done, with outcome
	out    outcome
	shared bool // the shared writes are done: the next pass may start
	over   bool // so are all others
	freed  bool // with over: something was changed or removed, others may fit now
	// wrote are the writes that were done, and failed is why those that serve
	// nobody were not, or others not in full; with over.
	wrote  []plan.ID
	failed map[plan.ID]error
	// again is when the group is to be looked at once more; zero: never; with over.
	again time.Duration
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
	ctx = klog.NewContext(ctx, s.log)
	var telling sync.WaitGroup
	telling.Go(func() { s.teller.run(ctx) })
	s.loop(ctx)
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
		case name := <-s.retries:
			s.group(name).unpark()
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
	s.group(s.Provider.Group(r.service)).add(r, s.cause(r))
}

func (s *scheduler) group(name provider.Group) *group {
	g, ok := s.groups[name]
	if !ok {
		g = newGroup()
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
	id, form := identOf(r.service), s.fingerprint(r.service)
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
		if g.claim(now) {
			s.sync(provider.Nodes, func(other provider.Group) bool { return other == name })
		}
		due, later := g.due(now)
		if !later.IsZero() && (next.IsZero() || later.Before(next)) {
			next = later
		}
		if len(due) == 0 {
			continue
		}
		g.running = true
		g.passes++
		g.take(due)
		s.passes.Go(func() { s.pass(ctx, name, due) })
	}
	if next.IsZero() {
		return nil
	}
	return s.Clock.After(next.Sub(now))
}

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
	if ev.over {
		g.over(s.Clock.Now(), ev.wrote, ev.failed, ev.again)
	}
	if ev.freed {
		g.unpark()
	}
}

// settle answers the callers of a Service, or lets it wait for another try.
func (s *scheduler) settle(g *group, en *entry, out outcome) {
	if wait, again := retryAfter(out.err, en); again {
		g.requeue(en, s.Clock.Now(), wait, plan.KindOf(out.err))
		return
	}
	for _, c := range en.callers {
		c.done <- answer{status: out.status, err: callerError(c.op, out)}
	}
	switch {
	case isDrift(en): // it only looked
	case out.err != nil && !out.removed:
		g.park(en, s.Clock.Now())
	case out.removed && out.err == nil:
		delete(s.seen, en.ident)
		s.teller.forget(en.ident)
	case out.refresh:
		s.Refresh(en.Key)
	}
}

// syncAll puts every Service that is ours into its group's next pass.
func (s *scheduler) syncAll(cause provider.Cause) {
	s.sync(cause, func(provider.Group) bool { return true })
}

// sync puts every Service of these groups that is ours, or of which something of
// ours is still there, into its group's next pass. One that no finalizer holds yet
// waits for its first call: were it deleted now, nobody would call for the deletion
// of what was made.
func (s *scheduler) sync(cause provider.Cause, of func(provider.Group) bool) {
	services, err := s.Services.List(labels.Everything())
	if err != nil {
		s.log.Error(err, "List Services")
		return
	}
	for _, svc := range services {
		ours := s.Owns(svc) || (s.Left != nil && s.Left(svc))
		if ours && svc.DeletionTimestamp == nil && isHeld(svc) && of(s.Provider.Group(svc)) {
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
