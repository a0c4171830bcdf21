// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fairlead/fairlead/test/goldenfile"
)

func id(name string) ID { return ID{Kind: "azure/rule", Name: name} }

func example(t *testing.T) Plan {
	t.Helper()
	web := Key{Namespace: "shop", Name: "web"}
	api := Key{Namespace: "shop", Name: "api"}
	p, err := New([]Step{
		{Action: Delete, Target: ID{Kind: "azure/publicIP", Name: "web-old"}, Needs: []ID{{Kind: "azure/loadBalancer", Name: "kubernetes"}}, Serves: []Key{web}},
		{
			Action: Update, Target: ID{Kind: "azure/loadBalancer", Name: "kubernetes"}, Shared: true,
			Needs: []ID{{Kind: "azure/publicIP", Name: "web-v6"}}, Serves: []Key{web, api, {"shop", "c"}, {"shop", "d"}},
			Why: []Diff{{Field: "rule web-tcp-443 probe", Have: "30001", Want: "30002"}, {Field: "rule api-tcp-80", Want: "added"}, {Field: "frontend old", Have: "192.0.2.7"}},
		},
		{Action: Create, Target: ID{Kind: "azure/publicIP", Name: "web-v6"}, Serves: []Key{web}},
		{Action: Replace, Target: id("free"), Why: []Diff{{Field: "sku", Have: "Basic", Want: "Standard"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPlanPrintsForPeople(t *testing.T) {
	goldenfile.Check(t, "testdata/plan.txt", example(t).String())
	goldenfile.Check(t, "testdata/empty.txt", Plan{}.String())
}

func TestPlanPrintsAsJSON(t *testing.T) {
	b, err := json.MarshalIndent(example(t), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	goldenfile.Check(t, "testdata/plan.json", string(b)+"\n")
	empty, err := json.Marshal(Plan{})
	if err != nil || string(empty) != `{"steps":[]}` {
		t.Errorf("empty plan is %s, %v", empty, err)
	}
}

func TestNewPutsNeedsFirst(t *testing.T) {
	p := example(t)
	at := map[ID]int{}
	for i, s := range p.Steps {
		at[s.Target] = i
		for _, n := range s.Needs {
			if j, ok := at[n]; !ok || j >= i {
				t.Errorf("%s comes before %s, which it needs", s.Target, n)
			}
		}
	}
	if first := p.Steps[0].Target.Name; first != "web-v6" {
		t.Errorf("first is %s, want the need of the first step's need", first)
	}
}

func TestNewRefusesWhatIsNoGraph(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps []Step
		want  string
	}{
		{"two steps with one target", []Step{{Target: id("a")}, {Target: id("a")}}, "both write azure/rule a"},
		{"need outside the plan", []Step{{Target: id("a"), Needs: []ID{id("b")}}}, "needs azure/rule b, which is no step"},
		{"circle", []Step{{Target: id("a"), Needs: []ID{id("b")}}, {Target: id("b"), Needs: []ID{id("a")}}}, "needs itself"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := New(tt.steps); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestKindOfWrappedErrors(t *testing.T) {
	err := fmt.Errorf("create: %w", &Error{Kind: Denied, Reason: "Denied", Err: errors.New("no")})
	if got := KindOf(err); got != Denied {
		t.Errorf("got %s, want denied", got)
	}
	if got := KindOf(errors.New("anything")); got != Transient {
		t.Errorf("unclassified: got %s, want transient", got)
	}
}
