// SPDX-License-Identifier: Apache-2.0

package machines

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
)

func TestObserveReadsWhatTheNodesNeed(t *testing.T) {
	nodes := allNodes()
	set := strings.ToLower(rig("Microsoft.Compute/virtualMachineScaleSets"))
	for _, tc := range []struct {
		name    string
		nodes   []*v1.Node
		pools   []string
		options func(*Options)
		want    []string
	}{
		{
			name: "a uniform scale set: its model and its instances", nodes: nodes[:3],
			want: []string{"LIST " + set, "LIST " + set + "/np-uniform/virtualmachines $expand"},
		},
		{
			name: "single machines: with their interfaces, and no scale sets", nodes: nodes[4:5], options: func(o *Options) { o.VMType = Standard },
			want: []string{
				"LIST " + strings.ToLower(rig("Microsoft.Compute/virtualMachines")),
				"LIST " + strings.ToLower(rig("Microsoft.Network/networkInterfaces")),
			},
		},
		{
			name: "no node: a scale set that is still in the pool", pools: []string{strings.ToUpper(public.ID)},
			want: []string{"LIST " + set, "LIST " + set + "/np-uniform/virtualmachines $expand"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, o := newFake(t), options()
			if tc.options != nil {
				tc.options(&o)
			}
			r, clock := newTestReader(f, o)
			scope := Scope{Nodes: tc.nodes, Pools: tc.pools, NotBefore: clock.Now()}
			for range 2 {
				if _, err := r.Observe(t.Context(), scope); err != nil {
					t.Fatal(err)
				}
			}
			sorted := slices.Clone(f.calls)
			if len(sorted) == 2 && sorted[0] > sorted[1] {
				sorted[0], sorted[1] = sorted[1], sorted[0]
			}
			if diff := cmp.Diff(tc.want, sorted); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			scope.NotBefore = clock.Now().Add(time.Nanosecond)
			clock.SetTime(clock.Now().Add(time.Second))
			if _, err := r.Observe(t.Context(), scope); err != nil || len(f.calls) != 2*len(tc.want) {
				t.Errorf("a newer one: %d calls, %v", len(f.calls), err)
			}
		})
	}
}

func TestAMachineThatSleepsInItsPoolsIsNotTalkedAbout(t *testing.T) {
	r, _ := newTestReader(newFake(t), options())
	m := decide(t, r, Wish{Join: []Pool{public}, Nodes: allNodes()[2:3]})
	if len(m.Steps) != 0 || len(m.Notices) != 0 {
		t.Error(show(t, m))
	}
}
