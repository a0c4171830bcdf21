// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// maxParallel is how many steps of one pass run at once: enough to hide the
// seconds that a cloud write takes, and the 10 that Azure lets each deletion
// wait, and below Azure's budgets of 200 writes and 200 deletions at once.
const maxParallel = 128

// apply runs the steps of one plan. One goroutine, run, owns its state.
type apply struct {
	plan    plan.Plan
	execute func(plan.Step, map[plan.Key]bool) error
	// serviceDone is called once for each Service, when no step serves it any
	// more; sharedDone once, when no shared step is left.
	serviceDone func(plan.Key, error)
	sharedDone  func()

	failed  map[plan.Key]error
	dead    map[plan.ID]error // steps that did nothing for any Service, and why
	serving map[plan.Key]int  // steps left for each Service
	needs   map[plan.ID]int   // needs left of each step
	users   map[plan.ID][]int // steps that need the target
	shared  int               // shared steps left
	// wrote are the steps that were done, and partly why some were not in full.
	wrote   []plan.ID
	partly  map[plan.ID][]error
	changed bool // a step other than a creation was done
	// owed is why steps that serve nobody were not done, or others not in full.
	owed map[plan.ID]error
	// notices tell the Services of steps what was left out.
	notices map[plan.Key][]provider.Notice
}

// result is how a step ended.
type result struct {
	step   int
	failed map[plan.Key]error // the Services that failed by it
	err    error              // set when it did nothing for any Service
	owed   error              // why it was not done in full, though for all Services
	told   error              // that of it which the Services are told
}

func newApply(p plan.Plan, execute func(plan.Step, map[plan.Key]bool) error) *apply {
	a := &apply{
		plan: p, execute: execute,
		failed:  map[plan.Key]error{},
		dead:    map[plan.ID]error{},
		partly:  map[plan.ID][]error{},
		serving: map[plan.Key]int{},
		needs:   map[plan.ID]int{},
		users:   map[plan.ID][]int{},
		notices: map[plan.Key][]provider.Notice{},
		owed:    map[plan.ID]error{},
	}
	for i, st := range p.Steps {
		a.needs[st.Target] = len(st.Needs)
		for _, n := range st.Needs {
			a.users[n] = append(a.users[n], i)
		}
		for _, k := range st.Serves {
			a.serving[k]++
		}
		if st.Shared {
			a.shared++
		}
	}
	return a
}

// run does the steps, as many side by side as their needs allow. The Services refused before are
// done at once: what the plan still does for them keeps them served.
func (a *apply) run(keys []plan.Key, refused map[plan.Key]error) {
	for _, k := range keys {
		if a.serving[k] == 0 {
			a.serviceDone(k, refused[k])
		}
	}
	if a.shared == 0 {
		a.sharedDone()
	}
	var ready []int
	for i, st := range a.plan.Steps {
		if len(st.Needs) == 0 {
			ready = append(ready, i)
		}
	}
	results := make(chan result)
	for running := 0; len(ready) > 0 || running > 0; {
		for len(ready) > 0 && running < maxParallel {
			i := ready[0]
			ready = ready[1:]
			without, r := a.prepare(i)
			if r != nil {
				ready = append(ready, a.done(*r)...)
				continue
			}
			running++
			go func() { results <- a.do(i, without) }()
		}
		if running > 0 {
			r := <-results
			running--
			ready = append(ready, a.done(r)...)
		}
	}
}

// prepare returns the Services of the step that have failed already. When
// nothing is left to do it returns the result at once: all Services failed, or
// the step is private and what it needs was not done at all.
func (a *apply) prepare(i int) (without map[plan.Key]bool, r *result) {
	st := a.plan.Steps[i]
	without = map[plan.Key]bool{}
	for _, k := range st.Serves {
		if a.failed[k] != nil {
			without[k] = true
		}
	}
	if len(st.Serves) > 0 && len(without) == len(st.Serves) {
		return nil, &result{step: i, err: a.failed[st.Serves[0]]}
	}
	if st.Shared {
		return without, nil
	}
	for _, n := range st.Needs {
		if err := a.dead[n]; err != nil {
			return nil, failure(i, st.Serves, err)
		}
	}
	return without, nil
}

// failure is the result of a step that failed for these Services.
func failure(step int, keys []plan.Key, err error) *result {
	r := &result{step: step, err: err, failed: make(map[plan.Key]error, len(keys))}
	for _, k := range keys {
		r.failed[k] = err
	}
	return r
}

// done notes the end of a step and returns the steps that are ready now.
func (a *apply) done(r result) []int {
	st := a.plan.Steps[r.step]
	maps.Copy(a.failed, r.failed)
	switch {
	case r.err != nil:
		a.dead[st.Target] = r.err
		if len(st.Serves) == 0 {
			a.owed[st.Target] = r.err
		}
	case st.Action != plan.Create && r.owed == nil:
		a.changed = true
	}
	if r.err == nil {
		a.wrote = append(a.wrote, st.Target)
		a.partly[st.Target] = slices.Collect(maps.Values(r.failed))
	}
	if r.owed != nil {
		a.partly[st.Target] = append(a.partly[st.Target], r.owed)
		a.owed[st.Target] = r.owed
	}
	if r.told != nil {
		for _, k := range st.Serves {
			a.notices[k] = append(a.notices[k], provider.Notice{Reason: reasonOf(r.told), Message: r.told.Error(), Warning: true})
		}
	}
	if st.Shared {
		if a.shared--; a.shared == 0 {
			a.sharedDone()
		}
	}
	for _, k := range st.Serves {
		if a.serving[k]--; a.serving[k] == 0 {
			a.serviceDone(k, a.failed[k])
		}
	}
	var ready []int
	for _, u := range a.users[st.Target] {
		target := a.plan.Steps[u].Target
		if a.needs[target]--; a.needs[target] == 0 {
			ready = append(ready, u)
		}
	}
	return ready
}

// do executes one step; a shared write that the cloud refuses is halved.
func (a *apply) do(i int, without map[plan.Key]bool) result {
	st := a.plan.Steps[i]
	left := map[plan.Key]error{} // by the provider, which did the rest
	var owed, told error
	execute := func(st plan.Step, without map[plan.Key]bool) error {
		err := a.execute(st, without)
		if part, ok := errors.AsType[*plan.LeftOutError](err); ok {
			maps.Copy(left, part.Failed)
			owed, told = cmp.Or(part.Owed, part.Untold, owed), cmp.Or(part.Owed, told)
			return nil
		}
		return err
	}
	err := execute(st, without)
	if err == nil {
		return result{step: i, failed: left, owed: owed, told: told}
	}
	var wanted []plan.Key
	for _, k := range st.Serves {
		if !without[k] {
			wanted = append(wanted, k)
		}
	}
	if !st.Shared || len(wanted) < 2 || !isRefusal(err) {
		return *failure(i, wanted, err)
	}
	r := result{step: i, failed: halve(st, wanted, without, execute), owed: owed, told: told}
	maps.Copy(r.failed, left)
	if len(r.failed) == len(wanted) {
		r.err = err
	}
	return r
}
