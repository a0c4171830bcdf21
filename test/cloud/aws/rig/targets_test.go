// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"testing"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/harness"
)

// All targets come and go in one call, and in few where AWS refuses so many.
func TestManyTargetsComeAndGoInFewCalls(t *testing.T) {
	const nodes = 450
	for _, c := range []struct {
		name            string
		perCall         int
		register, leave int // calls that are let in
	}{
		{name: "at once", register: 1, leave: 1},
		{name: "in pieces", perCall: 200, register: 3, leave: 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, err := newWorld(awssim.Options{Limits: awssim.Limits{TargetsPerCall: c.perCall}}, nodes+1)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(w.Close)
			if err := w.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			let := func(action string) int {
				return w.sim.Counts().Writes["elbv2."+action] - w.sim.Counts().Failed["elbv2."+action]
			}
			w.Do(t, harness.Create(newService("web", 1, "TCP:80")))
			if n := let("RegisterTargets"); n != c.register {
				t.Errorf("%d calls registered the targets, want %d", n, c.register)
			}
			w.Do(t, harness.Churn("most nodes go", func() error {
				for i := 1; i < nodes; i++ {
					if err := w.Nodes.Delete(w.node(i)); err != nil {
						return err
					}
				}
				return nil
			}))
			if n := let("DeregisterTargets"); n != c.leave {
				t.Errorf("%d calls took the targets away, want %d", n, c.leave)
			}
		})
	}
}
