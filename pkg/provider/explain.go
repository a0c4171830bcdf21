// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
)

// Part is one thing of the tree from a Service to the nodes that serve it.
type Part struct {
	What  string // such as "rule web-TCP-80: Tcp 80 to 80"
	State string // such as "Succeeded, in step"; empty for what has none
	Parts []Part
}

// Explainer is a Pass that tells what there is of its Services.
type Explainer interface {
	// Explain tells what there is of a Service of the batch, and how that differs
	// from what the pass would make of it. It may read more than the pass did, and
	// writes nothing.
	Explain(ctx context.Context, key plan.Key) ([]Part, error)
}

// What there is to say of something beside what the cloud says of it.
const (
	StateMissing   = "not there yet"
	StateLeaving   = "to be taken away"
	StateInStep    = "in step"
	StateDiffers   = "differs from what is wanted"
	stateNeverBeen = "neither there nor wanted"
)

// Comparison is something as it is in the cloud, beside what it shall be.
type Comparison struct {
	Says         string // what the cloud says of it; may be empty
	Here, Wanted bool
	Equal        bool        // what is here is as wanted
	Diffs        []plan.Diff // where it is not
}

// State is what the cloud says, and how it stands to what is wanted.
func (c *Comparison) State() string {
	switch {
	case !c.Here && c.Wanted:
		return StateMissing
	case !c.Here:
		return stateNeverBeen
	case !c.Wanted:
		return c.said(StateLeaving)
	case !c.Equal:
		return c.said(StateDiffers)
	}
	return c.said(StateInStep)
}

// Whole is the state of something whose parts are told of one by one.
func (c *Comparison) Whole() string {
	if !c.Here || !c.Wanted {
		return c.State()
	}
	return c.Says
}

// said puts first what the cloud says.
func (c *Comparison) said(state string) string {
	if c.Says == "" {
		return state
	}
	return c.Says + ", " + state
}

// Parts are the differences, for something that is there and stays.
func (c *Comparison) Parts() []Part {
	if !c.Here || !c.Wanted || c.Equal {
		return nil
	}
	return DiffParts(c.Diffs)
}

// DiffParts are a line for each difference.
func DiffParts(diffs []plan.Diff) []Part {
	var out []Part
	for _, d := range diffs {
		out = append(out, Part{What: d.String()})
	}
	return out
}

// Few are the first of a list, and how many more there are.
func Few(list []string, most int) []string {
	more := len(list) - most
	if more <= 0 {
		return list
	}
	return append(slices.Clone(list[:most]), fmt.Sprintf("%d more", more))
}

// many is how many of a crowd are named; more are counted.
const many = 10

// Crowd collects what is to be said of many alike, such as nodes, so that it
// stays short however many there are.
type Crowd struct {
	Kind   string // such as "node"
	states []string
	names  map[string][]string // by state
}

// Add says something of one of them.
func (c *Crowd) Add(name, state string) {
	if c.names == nil {
		c.names = map[string][]string{}
	}
	if _, ok := c.names[state]; !ok {
		c.states = append(c.states, state)
	}
	c.names[state] = append(c.names[state], name)
}

// All reports whether nothing but the state was said of any.
func (c *Crowd) All(state string) bool {
	return len(c.states) == 0 || (len(c.states) == 1 && c.states[0] == state)
}

// Parts are a line for each, those of one state together in the order in which
// the states came; many of one state are one line, and so are those of many
// states.
func (c *Crowd) Parts() []Part {
	var out []Part
	others := 0
	for i, state := range c.states {
		list := c.names[state]
		switch {
		case i >= many:
			others += len(list)
		case len(list) > many:
			const few = 3
			out = append(out, Part{What: fmt.Sprintf("%d %ss: %s, …", len(list), c.Kind, strings.Join(list[:few], ", ")), State: state})
		default:
			for _, name := range list {
				out = append(out, Part{What: c.Kind + " " + name, State: state})
			}
		}
	}
	if others > 0 {
		out = append(out, Part{What: fmt.Sprintf("%d more %ss, for other reasons", others, c.Kind)})
	}
	return out
}

// LeftOut are nodes to which a load balancer does not send, by name, each with
// the reason. why gives it for those that may receive traffic; empty for one that
// does.
func LeftOut(nodes []*v1.Node, why func(*v1.Node) string) []Part {
	crowd := Crowd{Kind: "node"}
	for _, n := range slices.SortedFunc(slices.Values(nodes), func(a, b *v1.Node) int { return strings.Compare(a.Name, b.Name) }) {
		if text := cmp.Or(KeptOut(n), why(n)); text != "" {
			crowd.Add(n.Name, "left out: "+text)
		}
	}
	return crowd.Parts()
}

// deletionTaint is set by the cluster autoscaler on a node that it is about to
// delete: autoscaler, cluster-autoscaler/utils/taints.
const deletionTaint = "ToBeDeletedByClusterAutoscaler"

// KeptOut says why a node receives no traffic of load balancers, whatever the
// cloud; empty for one that may. It is the rule of the upstream service
// controller (KEP-3458): whether a node is ready is the health check's business.
func KeptOut(n *v1.Node) string {
	if n.DeletionTimestamp != nil {
		return "it is being deleted"
	}
	if value, ok := n.Labels[v1.LabelNodeExcludeBalancers]; ok {
		if excluded, err := strconv.ParseBool(value); err != nil || excluded {
			return "it has label " + v1.LabelNodeExcludeBalancers
		}
	}
	if slices.ContainsFunc(n.Spec.Taints, func(t v1.Taint) bool { return t.Key == deletionTaint }) {
		return "the cluster autoscaler is about to delete it (taint " + deletionTaint + ")"
	}
	return ""
}
