// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"slices"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// add records a step for the Service and what it sends. Of what it needs only
// the steps count that the plan has. An object has one step: the older Service
// has it, and a younger one that wants the same object is refused, but both may
// want it gone.
func (t *turn) add(a *ask, st plan.Step, calls ...Call) {
	if a.key != (plan.Key{}) {
		st.Serves = []plan.Key{a.key}
	}
	if _, taken := t.writes[st.Target]; !taken {
		t.addShared(st, calls...)
		return
	}
	first := &t.steps[slices.IndexFunc(t.steps, func(s plan.Step) bool { return s.Target == st.Target })]
	switch {
	case first.Action == plan.Delete && st.Action == plan.Delete:
		first.Needs = union(first.Needs, st.Needs)
		first.Serves = union(first.Serves, st.Serves)
	case a.want == provider.Keep:
	case a.name != a.base:
		t.refuse(a, refuse(ReasonNotOurs, "%s is that of Service %s; choose another name in annotation %s", st.Target, first.Serves[0], intent.KeyAWSName))
	default:
		t.refuse(a, refuse(ReasonNotOurs, "%s is that of Service %s; take away the name or tags with which one Service takes what is the other's", st.Target, first.Serves[0]))
	}
}

// union is the first list, and what the second has beside it.
func union[T comparable](a, b []T) []T {
	out := slices.Clone(a)
	for _, x := range b {
		if !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	return out
}

// addShared records a step that serves several Services.
func (t *turn) addShared(st plan.Step, calls ...Call) {
	t.steps = append(t.steps, st)
	t.writes[st.Target] = Write{Calls: calls}
}

func (t *turn) result(refused map[plan.Key]error) *Result {
	r := &Result{
		Refused: refused, Notices: map[plan.Key][]provider.Notice{}, Steps: t.steps, Writes: t.writes, Places: map[plan.Key]Place{}, NewAddresses: t.newAddresses,
	}
	r.Awaited, r.HeadNeeded = t.besides()
	for _, a := range t.asks {
		if len(a.notices) > 0 {
			r.Notices[a.key] = a.notices
		}
		if a.want == provider.Serve && !a.elsewhere {
			r.Places[a.key] = Place{Kind: a.kind, Name: a.place}
		}
	}
	for i := range r.Steps {
		r.Steps[i].Needs = slices.DeleteFunc(r.Steps[i].Needs, func(id plan.ID) bool {
			_, has := r.Writes[id]
			return !has
		})
	}
	return r
}

// tidy sorts what a step serves and needs.
func tidy(st plan.Step) plan.Step {
	st.Serves = slices.DeleteFunc(st.Serves, func(key plan.Key) bool { return key == plan.Key{} }) // no Service's in particular
	slices.SortFunc(st.Serves, plan.CompareKeys)
	st.Serves = slices.Compact(st.Serves)
	slices.SortFunc(st.Needs, plan.CompareIDs)
	st.Needs = slices.Compact(st.Needs)
	return st
}
