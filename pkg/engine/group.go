// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"maps"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

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

func isDrift(e *entry) bool { return e.cause == provider.Drift }

// inherit takes over from an entry of the same Service that was not served:
// what is not done yet stays to be done, such as an edit.
func (e *entry) inherit(older *entry) {
	e.cause = max(e.cause, older.cause)
	if len(e.callers) == 0 { // a caller brings news
		e.refusals = max(e.refusals, older.refusals)
	}
}

// group is what the scheduler knows of one provider.Group. A Service that is
// parked waits for nothing else, but for a drift pass.
type group struct {
	waiting map[ident]*entry
	busy    map[plan.Key]struct{} // in a pass, or with private steps still running
	parked  map[ident]*entry      // refused: tried again when something is freed
	running bool                  // the shared part of a pass is under way
	passes  int                   // under way, with those whose private steps still run
	owed    owed
}

// owed are writes that serve no Service of their pass, and failed, or what a
// step left out though its Services are served, or the look that a provider asks
// for: nobody would ask for it again.
type owed struct {
	tries map[plan.ID]int // failed passes of each write, one after the other
	at    time.Time       // when all Services of the group go into a pass; zero: never
}

func newGroup() *group {
	return &group{waiting: map[ident]*entry{}, busy: map[plan.Key]struct{}{}, parked: map[ident]*entry{}}
}

func (g *group) idle() bool {
	return len(g.waiting) == 0 && len(g.busy) == 0 && len(g.parked) == 0 && g.passes == 0 && g.owed.at.IsZero()
}

// add puts a request into the waiting room.
func (g *group) add(r request, cause provider.Cause) {
	id := identOf(r.service)
	w, ok := g.waiting[id]
	if !ok {
		w = &entry{ident: id}
		g.waiting[id] = w
	}
	w.service = r.service
	w.cause = max(w.cause, cause)
	if r.done != nil {
		w.callers = append(w.callers, r)
		w.notBefore = time.Time{} // a caller brings news: try at once
	}
	if p := g.parked[id]; p != nil && !isDrift(w) {
		delete(g.parked, id)
		w.inherit(p)
	}
}

// requeue puts an entry back, joined with what arrived for it meanwhile. A
// caller brings news, so then it is tried at once, as if for the first time,
// unless the cloud has said when.
func (g *group) requeue(en *entry, now time.Time, wait time.Duration, kind plan.Kind) {
	en.attempts++
	if newer, ok := g.waiting[en.ident]; ok {
		if len(newer.callers) > 0 && kind != plan.Throttled {
			en.attempts, wait = 0, 0
		}
		en.callers = append(en.callers, newer.callers...)
		en.service = newer.service
		en.cause = max(en.cause, newer.cause)
	}
	en.notBefore = now.Add(wait)
	g.waiting[en.ident] = en
}

// park lets a refused Service wait until something is freed, or it is looked at
// again.
func (g *group) park(en *entry, now time.Time) {
	en.callers, en.attempts = nil, 0
	en.notBefore = now.Add(doubled(firstLook, en.refusals))
	en.refusals++
	if newer, ok := g.waiting[en.ident]; ok && !isDrift(newer) {
		newer.inherit(en)
		return
	}
	g.parked[en.ident] = en
}

// lookAgain lets refused Services go into a pass whose time has come.
func (g *group) lookAgain(now time.Time) {
	for _, p := range g.parked {
		if !p.notBefore.After(now) {
			g.wake(p)
		}
	}
}

// unpark lets all refused Services try again before their time, which makes
// them wait no longer afterwards.
func (g *group) unpark() {
	for _, p := range g.parked {
		p.notBefore = time.Time{}
		p.refusals = max(0, p.refusals-1)
		g.wake(p)
	}
}

func (g *group) wake(p *entry) {
	delete(g.parked, p.ident)
	p.cause = max(p.cause, provider.Freed)
	g.waiting[p.ident] = p
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
	if !g.owed.at.IsZero() {
		soonest(g.owed.at)
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

// over notes the end of a pass. Writes that serve nobody and have failed are
// owed from now on, and so is the look that the provider asks for. The wait of
// each grows with its own failures until it is done; the shortest brings the next
// pass, which tries all.
func (g *group) over(now time.Time, wrote []plan.ID, failed map[plan.ID]error, again time.Duration) {
	g.passes--
	before := g.owed.tries
	g.owed.tries = map[plan.ID]int{}
	if !g.owed.at.IsZero() || g.passes > 0 { // what is owed has yet to be tried again, or is being
		maps.Copy(g.owed.tries, before)
	}
	for _, id := range wrote {
		delete(g.owed.tries, id)
	}
	for id, err := range failed {
		g.owe(now.Add(RetryAfter(err, before[id])))
		g.owed.tries[id] = before[id] + 1
	}
	if again > 0 {
		g.owe(now.Add(again))
	}
}

// owe lets all Services go into a pass at a time, unless they do before.
func (g *group) owe(at time.Time) {
	if g.owed.at.IsZero() || at.Before(g.owed.at) {
		g.owed.at = at
	}
}

// claim reports whether the time has come for what is owed. It is owed no more
// then.
func (g *group) claim(now time.Time) bool {
	if g.owed.at.IsZero() || g.owed.at.After(now) {
		return false
	}
	g.owed.at = time.Time{}
	return true
}
