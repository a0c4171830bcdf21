// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"testing"

	"github.com/fairlead/fairlead/pkg/plan"
)

// A step that was done but for the parts of one Service fails that one alone,
// and what comes after is done for the others.
func TestServicesThatAStepLeftOutFailAlone(t *testing.T) {
	a, b := plan.Key{Namespace: "shop", Name: "a"}, plan.Key{Namespace: "shop", Name: "b"}
	first, second := plan.ID{Kind: "balancer", Name: "lb"}, plan.ID{Kind: "group", Name: "nsg"}
	p, err := plan.New([]plan.Step{
		{Action: plan.Update, Target: first, Serves: []plan.Key{a, b}, Shared: true},
		{Action: plan.Update, Target: second, Needs: []plan.ID{first}, Serves: []plan.Key{a, b}, Shared: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	gone := errors.New("its address is not there")
	writes := 0
	x := newApply(p, func(st plan.Step, without map[plan.Key]bool) error {
		writes++
		if st.Target == first {
			return &plan.LeftOutError{Failed: map[plan.Key]error{b: gone}}
		}
		if !without[b] || without[a] {
			t.Errorf("the second step leaves out %v", without)
		}
		return nil
	})
	ended := map[plan.Key]error{}
	x.serviceDone, x.sharedDone = func(k plan.Key, err error) { ended[k] = err }, func() {}
	x.run([]plan.Key{a, b}, nil)
	if writes != 2 || len(ended) != 2 || ended[a] != nil || !errors.Is(ended[b], gone) {
		t.Errorf("%d writes, ended %v", writes, ended)
	}
}
