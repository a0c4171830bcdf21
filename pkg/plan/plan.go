// SPDX-License-Identifier: Apache-2.0

// Package plan knows steps: one cloud write each, as data, in a directed
// graph that prints for people and as JSON. It does not know how a step is
// done.
package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Action is what a step does to its target. The zero value is none.
type Action uint8

// The actions.
const (
	Create Action = iota + 1
	Update
	Replace
	Delete
)

// Key names a Service as namespace/name. One without a namespace stands for a
// Service that is gone and that nothing names any more.
type Key struct {
	Namespace, Name string
}

// String is namespace/name, or the name where there is no namespace.
func (k Key) String() string {
	if k.Namespace == "" {
		return k.Name
	}
	return k.Namespace + "/" + k.Name
}

// CompareKeys orders keys by namespace, then name.
func CompareKeys(a, b Key) int {
	if c := strings.Compare(a.Namespace, b.Namespace); c != 0 {
		return c
	}
	return strings.Compare(a.Name, b.Name)
}

// ID names a cloud object in the cloud's words, such as
// {azure/publicIP, web-v6}. It is unique within a plan.
type ID struct {
	Kind, Name string
}

// String is kind and name, separated by a space.
func (id ID) String() string { return id.Kind + " " + id.Name }

// CompareIDs orders by kind, then name.
func CompareIDs(a, b ID) int {
	return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
}

// Diff is one field that a step changes. Have is empty for what is added,
// Want for what is taken away.
type Diff struct {
	Field string `json:"field"`
	Have  string `json:"have,omitempty"`
	Want  string `json:"want,omitempty"`
}

// Step is one cloud write, as data.
type Step struct {
	Action Action
	Target ID
	Needs  []ID   // targets of the plan that must be done first
	Serves []Key  // Services that fail if this step fails; sorted
	Why    []Diff // what changes
	// Shared marks a write to an object that Services of the group share. The
	// next pass of the group waits for it. When some of the Services it serves
	// have failed it goes on without their parts, and when the cloud refuses it
	// it is halved until the culprit stands alone. All other steps are private: those that no shared step needs run on beside the next pass.
	Shared bool
}

// Plan is a set of steps in an order in which they may be done: every step
// comes after those it needs.
type Plan struct {
	Steps []Step
}

// Empty reports whether there is nothing to write.
func (p Plan) Empty() bool { return len(p.Steps) == 0 }

// New orders the steps so that each comes after those it needs, otherwise as
// given. It fails when two steps have one target, when a need is no target of
// the plan, or when needs form a circle: each is a bug of the provider.
func New(steps []Step) (Plan, error) {
	byID := make(map[ID]int, len(steps))
	for i, s := range steps {
		if j, dup := byID[s.Target]; dup {
			return Plan{}, fmt.Errorf("plan: steps %d and %d both write %s", j, i, s.Target)
		}
		byID[s.Target] = i
	}
	o := ordering{steps: steps, byID: byID, state: make([]visit, len(steps))}
	for i := range steps {
		if err := o.visit(i); err != nil {
			return Plan{}, err
		}
	}
	return Plan{Steps: o.out}, nil
}

type visit uint8

const (
	unseen visit = iota
	open
	done
)

// ordering is a depth-first topological sort.
type ordering struct {
	steps []Step
	byID  map[ID]int
	state []visit
	out   []Step
}

func (o *ordering) visit(i int) error {
	switch o.state[i] {
	case done:
		return nil
	case open:
		return fmt.Errorf("plan: %s needs itself", o.steps[i].Target)
	case unseen:
	}
	o.state[i] = open
	s := o.steps[i]
	for _, need := range s.Needs {
		j, ok := o.byID[need]
		if !ok {
			return fmt.Errorf("plan: %s needs %s, which is no step of the plan", s.Target, need)
		}
		if err := o.visit(j); err != nil {
			return err
		}
	}
	o.state[i] = done
	s.Serves = slices.Clone(s.Serves)
	slices.SortFunc(s.Serves, CompareKeys)
	o.out = append(o.out, s)
	return nil
}
