// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"encoding/json"
	"fmt"
	"strings"
)

// String is the word for the action.
func (a Action) String() string {
	switch a {
	case Create:
		return "create"
	case Update:
		return "update"
	case Replace:
		return "replace"
	case Delete:
		return "delete"
	}
	return "none"
}

// MarshalText is the word for the action.
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// sign begins the line of a step, as terraform's plans do.
func (a Action) sign() string {
	switch a {
	case Create:
		return "+"
	case Update:
		return "~"
	case Replace:
		return "±"
	case Delete:
		return "-"
	}
	return "?"
}

// String is the word for the kind.
func (k Kind) String() string {
	switch k {
	case Transient:
		return "transient"
	case Throttled:
		return "throttled"
	case Conflict:
		return "conflict"
	case Denied:
		return "denied"
	case Invalid:
		return "invalid"
	case Exhausted:
		return "exhausted"
	}
	return "none"
}

// String is the field and its values: have -> want, or the one that is there.
func (d Diff) String() string {
	switch {
	case d.Have == "":
		return fmt.Sprintf("%s: %s", d.Field, d.Want)
	case d.Want == "":
		return fmt.Sprintf("%s: %s -> (none)", d.Field, d.Have)
	}
	return fmt.Sprintf("%s: %s -> %s", d.Field, d.Have, d.Want)
}

// Summary is the step on one line: its action, and the fields it changes.
func (s Step) Summary() string {
	parts := make([]string, len(s.Why))
	for i, d := range s.Why {
		parts[i] = d.String()
	}
	if len(parts) == 0 {
		return s.Action.String()
	}
	return s.Action.String() + " " + strings.Join(parts, ", ")
}

// String is the plan for people: a line for each step, one below it for each
// field, and a summary. An empty plan says so.
func (p Plan) String() string {
	if p.Empty() {
		return "Nothing to do.\n"
	}
	var b strings.Builder
	for _, s := range p.Steps {
		b.WriteString(s.String())
	}
	fmt.Fprintf(&b, "Plan: %s.\n", p.Count())
	return b.String()
}

// Count says how many steps there are of each action.
func (p Plan) Count() string {
	counts := map[Action]int{}
	for _, s := range p.Steps {
		counts[s.Action]++
	}
	var parts []string
	for _, a := range []Action{Create, Update, Replace, Delete} {
		if n := counts[a]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d to %s", n, a))
		}
	}
	return strings.Join(parts, ", ")
}

// String is the step as a plan prints it: a line, and one below it for each
// field.
func (s Step) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s%s\n", s.Action.sign(), s.Target, s.serves())
	for _, d := range s.Why {
		fmt.Fprintf(&b, "    %s\n", d)
	}
	return b.String()
}

// serves names the Services of a step; many are counted.
func (s Step) serves() string {
	const few = 3
	switch n := len(s.Serves); {
	case n == 0:
		return ""
	case n > few:
		return fmt.Sprintf(" for %s and %d more", s.Serves[0], n-1)
	}
	names := make([]string, len(s.Serves))
	for i, k := range s.Serves {
		names[i] = k.String()
	}
	return " for " + strings.Join(names, ", ")
}

// stepJSON is the form of a step in JSON; its names are stable.
type stepJSON struct {
	Action Action   `json:"action"`
	Kind   string   `json:"kind"`
	Name   string   `json:"name"`
	Needs  []string `json:"needs,omitempty"`
	Serves []string `json:"serves,omitempty"`
	Why    []Diff   `json:"why,omitempty"`
	Shared bool     `json:"shared,omitempty"`
}

// MarshalJSON is {"steps": [...]}, in order; never null.
func (p Plan) MarshalJSON() ([]byte, error) {
	steps := make([]stepJSON, len(p.Steps))
	for i, s := range p.Steps {
		steps[i] = stepJSON{Action: s.Action, Kind: s.Target.Kind, Name: s.Target.Name, Why: s.Why, Shared: s.Shared}
		for _, n := range s.Needs {
			steps[i].Needs = append(steps[i].Needs, n.String())
		}
		for _, k := range s.Serves {
			steps[i].Serves = append(steps[i].Serves, k.String())
		}
	}
	return json.Marshal(map[string]any{"steps": steps})
}
