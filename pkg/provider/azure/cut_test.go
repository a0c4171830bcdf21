// SPDX-License-Identifier: Apache-2.0

package azure_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure"
	"github.com/fairlead/fairlead/pkg/provider/azure/document"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// names of all parts that there are: a cut that leaves something behind, or
// that takes something along, shows here.
func (s *site) inventory(t *testing.T) []string {
	t.Helper()
	var out []string
	note := func(doc json.RawMessage, kinds ...string) {
		var h struct{ Name string }
		if err := json.Unmarshal(doc, &h); err != nil {
			t.Fatal(err)
		}
		out = append(out, h.Name)
		for _, kind := range kinds {
			parts, err := document.ListAt(doc, "properties", kind)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range parts.Elements() {
				out = append(out, h.Name+" "+kind+" "+e.Name)
			}
		}
	}
	for _, doc := range s.observed.LoadBalancers {
		note(doc, names.Frontends, names.Pools, names.Rules, names.Probes)
	}
	for _, docs := range s.observed.PublicIPs {
		for _, doc := range docs {
			note(doc)
		}
	}
	note(s.observed.SecurityGroup, "securityRules")
	slices.Sort(out)
	return out
}

// Whatever step a process ends after, the next one brings all to the same end.
func TestACutAfterAnyStepConverges(t *testing.T) {
	for name, tt := range stories() {
		t.Run(name, func(t *testing.T) {
			for turn := range tt.turns {
				steps := 1
				for after := 0; after < steps; after++ {
					whole := started(t, tt, turn)
					whole.apply(t, whole.turn(tt.turns[turn]), nil)
					cut := started(t, tt, turn)
					steps = cut.applyFirst(t, tt.turns[turn], after)
					batch := cut.turn(tt.turns[turn])
					cut.apply(t, batch, nil)
					cut.settled(t, batch)
					if diff := cmp.Diff(whole.inventory(t), cut.inventory(t)); diff != "" {
						t.Errorf("turn %d, cut after %d steps: -undisturbed +cut:\n%s", turn, after, diff)
					}
					cut.noneLeft(t, tt.turns[turn], turn, tt)
				}
			}
		})
	}
}

// started is the site before the turn of the story.
func started(t *testing.T, tt story, turn int) *site {
	t.Helper()
	s := empty(t)
	if tt.prepare != nil {
		tt.prepare(t, s)
	}
	for _, services := range tt.turns[:turn] {
		batch := s.turn(services)
		s.apply(t, batch, nil)
		s.publish(t, services...)
	}
	return s
}

// applyFirst does the first steps of the turn, and returns how many there are.
func (s *site) applyFirst(t *testing.T, services []*v1.Service, n int) int {
	t.Helper()
	batch := s.turn(services)
	first := s.compute(t, batch)
	p, err := plan.New(first.Steps)
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range p.Steps[:min(n, len(p.Steps))] {
		s.step(t, st, first, azure.Input{Settings: &s.settings, Observed: &s.observed, Batch: batch})
	}
	return len(p.Steps)
}

// noneLeft checks that nothing remains of Services that went in the turn.
func (s *site) noneLeft(t *testing.T, now []*v1.Service, turn int, tt story) {
	t.Helper()
	if turn == 0 {
		return
	}
	for _, svc := range tt.turns[turn-1] {
		if slices.ContainsFunc(now, func(o *v1.Service) bool { return o.UID == svc.UID }) {
			continue
		}
		if len(now) > 0 {
			continue // they may share what it had
		}
		for _, doc := range s.documents() {
			if text := strings.ToLower(string(doc)); strings.Contains(text, names.Base(svc.UID)) || strings.Contains(text, `"shop/`+svc.Name+`"`) {
				t.Errorf("of %s remains %s", svc.Name, doc)
			}
		}
	}
}
