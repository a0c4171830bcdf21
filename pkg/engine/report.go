// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	servicehelper "k8s.io/cloud-provider/service/helpers"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// FinalizerClassed holds a Service with a loadBalancerClass of ours until its
// load balancer is removed. The stock finalizer is for the unclassed: the
// upstream controller of any other cloud would take it from a classed one.
const FinalizerClassed = "fairlead.dev/load-balancer-cleanup"

// GroupPlan is what a pass over one group would do.
type GroupPlan struct {
	Group    provider.Group
	Plan     plan.Plan
	Refused  map[plan.Key]error
	Notices  map[plan.Key][]provider.Notice
	Services int
}

// Report returns what passes over the Services would do, by group; nothing is
// written. Without keys it is about all Services that are ours. It must not be
// called while Run runs.
func (e *Engine) Report(ctx context.Context, keys ...plan.Key) ([]GroupPlan, error) {
	services, err := e.Services.List(labels.Everything())
	if err != nil {
		return nil, fmt.Errorf("list Services: %w", err)
	}
	groups := map[provider.Group][]*entry{}
	for _, svc := range services {
		id := identOf(svc)
		if !e.concerns(svc) || (len(keys) > 0 && !slices.Contains(keys, id.Key)) {
			continue
		}
		name := e.Provider.Group(svc)
		groups[name] = append(groups[name], &entry{ident: id, service: svc, cause: provider.Resync})
	}
	var out []GroupPlan
	for name, entries := range groups {
		g, err := e.reportGroup(ctx, name, entries)
		if err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b GroupPlan) int { return strings.Compare(string(a.Group), string(b.Group)) })
	return out, nil
}

// concerns reports whether a pass would look at the Service: it wants a load
// balancer of ours, or may still have one.
func (e *Engine) concerns(svc *v1.Service) bool {
	if e.Owns(svc) || slices.Contains(svc.Finalizers, FinalizerClassed) || (e.Left != nil && e.Left(svc)) {
		return true
	}
	wanting := *svc
	wanting.Spec.Type, wanting.DeletionTimestamp = v1.ServiceTypeLoadBalancer, nil
	return servicehelper.HasLBFinalizer(svc) && e.Owns(&wanting)
}

// isHeld reports whether a finalizer keeps the Service until its load balancer
// is removed.
func isHeld(svc *v1.Service) bool {
	return slices.Contains(svc.Finalizers, FinalizerClassed) || servicehelper.HasLBFinalizer(svc)
}

func (e *Engine) reportGroup(ctx context.Context, name provider.Group, entries []*entry) (GroupPlan, error) {
	members, batch := e.batch(name, entries)
	look, err := e.Provider.Observe(ctx, batch)
	if err != nil {
		return GroupPlan{}, fmt.Errorf("group %s: observe: %w", name, err)
	}
	d, err := decide(look, members)
	if err != nil {
		return GroupPlan{}, fmt.Errorf("group %s: %w", name, err)
	}
	g := GroupPlan{Group: name, Plan: d.Plan, Refused: map[plan.Key]error{}, Notices: map[plan.Key][]provider.Notice{}, Services: len(members)}
	for key, m := range members {
		if err := d.Refused[key]; err != nil {
			g.Refused[key] = err
		}
		if m.refused != nil {
			g.Refused[key] = m.refused
		}
		if notices := slices.Concat(m.notices, d.Notices[key]); len(notices) > 0 {
			g.Notices[key] = notices
		}
	}
	return g, nil
}

// String is the plan of the group for people: its steps, then what is refused
// and what users should know.
func (g GroupPlan) String() string {
	var b strings.Builder
	steps := g.Plan.String()
	if g.Plan.Empty() && len(g.Refused) > 0 {
		steps = "Nothing would be written.\n" // there is something to do, for users
	}
	fmt.Fprintf(&b, "Group %s, Services: %d\n%s", g.Group, g.Services, steps)
	for _, key := range slices.SortedFunc(maps.Keys(g.Refused), plan.CompareKeys) {
		fmt.Fprintf(&b, "! %s: refused: %v\n", key, g.Refused[key])
	}
	for _, key := range slices.SortedFunc(maps.Keys(g.Notices), plan.CompareKeys) {
		for _, n := range g.Notices[key] {
			fmt.Fprintf(&b, "i %s: %s: %s\n", key, n.Reason, n.Message)
		}
	}
	return b.String()
}

// MarshalJSON is {"group": …, "services": N, "plan": {…}, "refused": {SERVICE:
// SENTENCE}, "notices": {SERVICE: [SENTENCE]}}.
func (g GroupPlan) MarshalJSON() ([]byte, error) {
	refused := map[string]string{}
	for key, err := range g.Refused {
		refused[key.String()] = err.Error()
	}
	notices := map[string][]string{}
	for key, ns := range g.Notices {
		for _, n := range ns {
			notices[key.String()] = append(notices[key.String()], n.Reason+": "+n.Message)
		}
	}
	return json.Marshal(map[string]any{
		"group": g.Group, "services": g.Services, "plan": g.Plan, "refused": refused, "notices": notices,
	})
}
