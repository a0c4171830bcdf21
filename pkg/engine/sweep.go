// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

var errInterrupted = errors.New("interrupted before its turn")

// Undone is a step that was not done, or not for all Services, and why.
type Undone struct {
	Target plan.ID
	Err    error
}

// Sweep does the steps of a pass for which nobody waits, as many side by side as
// their needs allow. One that fails holds back those that need it, and no others.
// tell is called after each step that was tried, one call at a time. What was not
// done is returned in the order of the plan; a step that waited for another one
// has that one's error.
func Sweep(ctx context.Context, pass provider.Pass, p plan.Plan, tell func(plan.Step, error)) []Undone {
	var mu sync.Mutex
	a := newApply(p, func(step plan.Step, without map[plan.Key]bool) error {
		if ctx.Err() != nil {
			return errInterrupted
		}
		err := pass.Execute(context.WithoutCancel(ctx), step, without)
		mu.Lock()
		defer mu.Unlock()
		tell(step, err)
		if err != nil {
			return stepError(step, err)
		}
		return nil
	})
	a.sharedDone, a.serviceDone = func() {}, func(plan.Key, error) {}
	a.run(nil, nil)
	var out []Undone
	for _, st := range p.Steps {
		if err := cmp.Or(a.dead[st.Target], together(a.partly[st.Target])); err != nil {
			out = append(out, Undone{st.Target, err})
		}
	}
	return out
}

// together is one error of several, each text once; nil when there is none.
func together(errs []error) error {
	slices.SortFunc(errs, func(x, y error) int { return strings.Compare(x.Error(), y.Error()) })
	return errors.Join(slices.CompactFunc(errs, func(x, y error) bool { return x.Error() == y.Error() })...)
}
