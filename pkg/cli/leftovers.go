// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/fairlead/fairlead/pkg/engine"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// leftovers are what belongs to no Service, and what became of it.
type leftovers struct {
	provider.Decision
	pass  provider.Pass
	swept bool // it was to be deleted
	left  []engine.Undone
	// wrong is why nothing can be told at all of the cluster with the name; nil:
	// it can.
	wrong   error
	cluster string
}

// verdict is the exit code, as an error.
func (l *leftovers) verdict() error {
	switch {
	case l.swept && len(l.left) > 0, !l.swept && !l.Plan.Empty():
		return ErrPlanned
	case len(l.Refused) > 0, l.wrong != nil:
		return ErrRefused
	}
	return nil
}

// print prints what is left over.
func (l *leftovers) print(out io.Writer, format string) error {
	if format == "json" {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(l)
	}
	_, err := io.WriteString(out, l.String())
	return err
}

// String is what is left over for people: by the Service that was, then what
// several had, and a line that sums up.
func (l *leftovers) String() string {
	if l.wrong != nil {
		return fmt.Sprintf("! cluster %s: %v\nNothing can be told of what is left over.\n", l.cluster, l.wrong)
	}
	var b strings.Builder
	byService := map[plan.Key][]plan.Step{}
	var shared []plan.Step
	for _, st := range l.Plan.Steps {
		if len(st.Serves) == 1 {
			byService[st.Serves[0]] = append(byService[st.Serves[0]], st)
		} else {
			shared = append(shared, st)
		}
	}
	section := func(title string, steps []plan.Step) {
		fmt.Fprintf(&b, "%s\n", title)
		for _, st := range steps {
			b.WriteString(indent(st.String()))
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(byService), namedFirst) {
		title := "Service " + key.String() + ", which is gone:"
		if key.Namespace == "" {
			title = "A Service that is gone and nothing names, " + key.Name + ":"
		}
		section(title, byService[key])
	}
	if len(shared) > 0 {
		section("Of several, or of the cluster:", shared)
	}
	for _, key := range slices.SortedFunc(maps.Keys(l.Refused), plan.CompareKeys) {
		fmt.Fprintf(&b, "! %s: left alone: %v\n", key, l.Refused[key])
	}
	for _, key := range slices.SortedFunc(maps.Keys(l.Notices), plan.CompareKeys) {
		for _, n := range l.Notices[key] {
			fmt.Fprintf(&b, "i %s: %s: %s\n", key, n.Reason, n.Message)
		}
	}
	switch services := len(l.services()); {
	case !l.Plan.Empty():
		fmt.Fprintf(&b, "Left over of %s: %s.\n", count(services, "Service"), l.Plan.Count())
	case len(l.Refused) > 0:
		b.WriteString("Nothing is left over that can be deleted.\n")
	default:
		b.WriteString("Nothing is left over.\n")
	}
	return b.String()
}

// namedFirst puts what nothing names last.
func namedFirst(a, b plan.Key) int {
	if (a.Namespace == "") != (b.Namespace == "") {
		return -plan.CompareKeys(a, b)
	}
	return plan.CompareKeys(a, b)
}

// services are those that were, sorted.
func (l *leftovers) services() []plan.Key {
	var out []plan.Key
	for _, st := range l.Plan.Steps {
		out = append(out, st.Serves...)
	}
	slices.SortFunc(out, plan.CompareKeys)
	return slices.Compact(out)
}

// printLeft prints what is left after a deletion, and why.
func (l *leftovers) printLeft(out io.Writer) error {
	var b strings.Builder
	again := false
	for _, u := range l.left {
		fmt.Fprintf(&b, "! %s is left: %v\n", u.Target, u.Err)
		again = again || !plan.KindOf(u.Err).Refuses()
	}
	switch n := len(l.Plan.Steps); {
	case len(l.left) == 0:
		fmt.Fprintf(&b, "All of it is done: %s.\n", count(n, "step"))
	case again:
		fmt.Fprintf(&b, "%d of %s are done. Run gc again in a few minutes for what is left.\n", n-len(l.left), count(n, "step"))
	default:
		fmt.Fprintf(&b, "%d of %s are done. Run gc again when the cause is mended.\n", n-len(l.left), count(n, "step"))
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// MarshalJSON is {"services": [SERVICE], "plan": {…}, "refused": {SERVICE:
// SENTENCE}, "notices": {SERVICE: [SENTENCE]}}, and after a deletion "left":
// {TARGET: SENTENCE}. Where nothing can be told, "cluster NAME" is refused.
func (l *leftovers) MarshalJSON() ([]byte, error) {
	services := []string{}
	for _, key := range l.services() {
		services = append(services, key.String())
	}
	refused, notices := map[string]string{}, map[string][]string{}
	if l.wrong != nil {
		refused["cluster "+l.cluster] = l.wrong.Error()
	}
	for key, err := range l.Refused {
		refused[key.String()] = err.Error()
	}
	for key, list := range l.Notices {
		for _, n := range list {
			notices[key.String()] = append(notices[key.String()], n.Reason+": "+n.Message)
		}
	}
	doc := map[string]any{"services": services, "plan": l.Plan, "refused": refused, "notices": notices}
	if l.swept {
		left := map[string]string{}
		for _, u := range l.left {
			left[u.Target.String()] = u.Err.Error()
		}
		doc["left"] = left
	}
	return json.Marshal(doc)
}
