// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/fairlead/fairlead/pkg/ccm"
	"github.com/fairlead/fairlead/pkg/engine"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// groupPlan is what a pass over one group would do, and what became of the last
// one.
type groupPlan struct {
	engine.GroupPlan

	// failed are the Services that the controller says have failed, with reason
	// and sentence. A plan alone cannot know what the cloud will refuse.
	failed map[plan.Key]string
}

// newGroupPlans adds to plans which Services have failed: of the keys, or else of
// all that are ours. Those that are refused now are told by their plan.
func newGroupPlans(o *opened, plans []engine.GroupPlan, classes ccm.Classes, keys []plan.Key) ([]groupPlan, error) {
	services, err := o.services.List(labels.Everything())
	if err != nil {
		return nil, fmt.Errorf("list Services: %w", err)
	}
	out := make([]groupPlan, 0, len(plans))
	for _, p := range plans {
		g := groupPlan{GroupPlan: p, failed: map[plan.Key]string{}}
		for _, svc := range services {
			key := provider.KeyOf(svc)
			asked := slices.Contains(keys, key) || (len(keys) == 0 && classes.Owns(svc))
			why := failure(svc)
			if asked && why != "" && p.Refused[key] == nil && o.provider.Group(svc) == p.Group {
				g.failed[key] = why
			}
		}
		out = append(out, g)
	}
	return out, nil
}

// failure is what the condition of the Service says, as it is now, or nothing.
func failure(svc *v1.Service) string {
	c := meta.FindStatusCondition(svc.Status.Conditions, engine.ConditionProgrammed)
	if c == nil || c.Status != metav1.ConditionFalse || c.ObservedGeneration < svc.Generation {
		return ""
	}
	return c.Reason + ": " + c.Message
}

// String is the plan, and what has failed.
func (g groupPlan) String() string {
	var b strings.Builder
	b.WriteString(g.GroupPlan.String())
	for _, key := range slices.SortedFunc(maps.Keys(g.failed), plan.CompareKeys) {
		fmt.Fprintf(&b, "! %s: %s\n", key, g.failed[key])
	}
	return b.String()
}

// MarshalJSON is the object of the plan with "failed": {SERVICE: SENTENCE}.
func (g groupPlan) MarshalJSON() ([]byte, error) {
	var object map[string]json.RawMessage
	text, err := json.Marshal(g.GroupPlan)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, fmt.Errorf("read the plan again: %w", err)
	}
	failed := map[string]string{}
	for key, why := range g.failed {
		failed[key.String()] = why
	}
	if object["failed"], err = json.Marshal(failed); err != nil {
		return nil, err
	}
	return json.Marshal(object)
}
