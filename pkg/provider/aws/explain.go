// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// Look is what an explanation needs beside what a pass observes.
type Look struct {
	Nodes  []*v1.Node // all of the cluster
	Health Health
}

// explanation is that of a Service of the batch: its load balancer with addresses,
// security groups, listeners, target groups and targets, then the rules at its
// nodes, and the nodes that are left out. It is pure.
type explanation struct {
	*turn

	ask    *ask
	byID   map[plan.ID]*plan.Step // of the result
	shown  map[plan.ID]bool       // steps that were told of
	look   Look
	nodeOf map[string]*v1.Node // by instance
}

// newExplanation needs what was computed from the input. A Service that is refused
// is told as it is.
func newExplanation(in Input, r *Result, key plan.Key) (*explanation, error) {
	in, _ = in.keepForms()
	t := newTurn(&in, r.Refused)
	t.run()
	e := &explanation{turn: t, byID: map[plan.ID]*plan.Step{}, shown: map[plan.ID]bool{}, nodeOf: map[string]*v1.Node{}}
	for i := range r.Steps {
		e.byID[r.Steps[i].Target] = &r.Steps[i]
	}
	for _, a := range t.asks {
		if a.key == key {
			e.ask = a
		}
	}
	if e.ask == nil {
		return nil, fmt.Errorf("service %s is not in the batch", key)
	}
	return e, nil
}

// targetGroups are the ARNs of those whose targets are told of.
func (e *explanation) targetGroups() []string {
	all := map[string]bool{}
	for _, lb := range append(e.balancers(), nil) {
		for _, g := range e.groupsOf(e.ask, lb) {
			all[awssdk.ToString(g.TargetGroupArn)] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// classics are the names of classic load balancers whose instances are told of.
func (e *explanation) classics() []string {
	if c, err := e.ownClassic(e.ask); c != nil && err == nil {
		return []string{awssdk.ToString(c.LoadBalancerName)}
	}
	return nil
}

func (e *explanation) parts(look Look) []provider.Part {
	e.look = look
	slices.SortFunc(e.look.Nodes, func(x, y *v1.Node) int { return strings.Compare(x.Name, y.Name) })
	for _, n := range e.look.Nodes {
		if id, ok := names.InstanceID(n.Spec.ProviderID); ok {
			e.nodeOf[id] = n
		}
	}
	out := []provider.Part{{What: e.form()}}
	for _, name := range e.networkNames() {
		out = append(out, e.network(name))
	}
	for _, name := range e.classicNames() {
		out = append(out, e.classic(name))
	}
	for _, g := range e.groupsOf(e.ask, nil) {
		if !e.shown[plan.ID{Kind: kindTargetGroup, Name: awssdk.ToString(g.TargetGroupName)}] {
			out = append(out, e.targetGroup(nil, g, nil))
		}
	}
	out = append(out, e.nodeSecurity()...)
	out = append(out, e.leftOut()...)
	return append(out, e.others()...)
}

// form is what the Service asks for.
func (e *explanation) form() string {
	form := intent.AWSFormOf(e.ask.item.Service)
	text := "form " + form.String() + ": "
	switch form {
	case intent.AWSNetwork:
		return text + "a network load balancer, as cloud-provider-aws makes it"
	case intent.AWSExternal:
		return text + "a network load balancer, as the AWS Load Balancer Controller makes it"
	case intent.AWSClassic:
	}
	return text + "a classic load balancer, as cloud-provider-aws makes it"
}

// networkNames are those of the Service's network load balancers, there or to
// be made.
func (e *explanation) networkNames() []string {
	all := map[string]bool{}
	for _, lb := range e.balancers() {
		all[awssdk.ToString(lb.LoadBalancerName)] = true
	}
	for _, name := range e.awaited() {
		all[name] = true
	}
	return e.withSteps(all, kindNetwork)
}

func (e *explanation) classicNames() []string {
	all := map[string]bool{}
	for _, name := range e.classics() {
		all[name] = true
	}
	return e.withSteps(all, kindClassic)
}

// withSteps adds the names of the Service's steps of a kind.
func (e *explanation) withSteps(all map[string]bool, kind string) []string {
	for id, st := range e.byID {
		if id.Kind == kind && slices.Contains(st.Serves, e.ask.key) {
			all[id.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// compare is something beside what the steps with the ids make of it. What it
// compares counts as told.
func (e *explanation) compare(c provider.Comparison, ids ...plan.ID) *provider.Comparison {
	c.Wanted, c.Equal = c.Here, true
	for _, id := range ids {
		st := e.byID[id]
		e.shown[id] = true
		if st == nil {
			continue
		}
		switch st.Action {
		case plan.Create:
			c.Wanted = true
		case plan.Delete:
			c.Wanted = false
		case plan.Update, plan.Replace:
			c.Equal = false
			c.Diffs = append(c.Diffs, st.Why...)
		}
	}
	return &c
}

// whys are what the step with the id changes.
func (e *explanation) whys(id plan.ID) []plan.Diff {
	e.shown[id] = true
	if st := e.byID[id]; st != nil {
		return st.Why
	}
	return nil
}

// others are the Service's steps that nothing told of.
func (e *explanation) others() []provider.Part {
	var out []provider.Part
	for _, id := range slices.SortedFunc(maps.Keys(e.byID), plan.CompareIDs) {
		if st := e.byID[id]; !e.shown[id] && slices.Contains(st.Serves, e.ask.key) {
			out = append(out, provider.Part{What: id.String(), State: "to " + st.Action.String(), Parts: provider.DiffParts(st.Why)})
		}
	}
	return out
}
