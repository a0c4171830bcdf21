// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"testing"
	"time"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/harness"
)

// variant is a cloud that the scenario is played on.
type variant struct {
	name   string
	config []string // more keys of the cloud-config
	timing awssim.Timing
	steps  func(*world) []harness.Step
}

// variants are those that write in other ways.
func variants() []variant {
	return []variant{
		{name: "bare", steps: scenario},
		{
			name: "groups", config: []string{"nlbSecurityGroupMode: Managed"},
			timing: awssim.Timing{Linger: 100 * time.Millisecond, Release: 50 * time.Millisecond}, steps: scenario,
		},
		{name: "claimed", config: []string{"loadBalancerController: {claim: true, clusterName: rig}"}, steps: claimedScenario},
	}
}

// trials play a variant.
func (v variant) trials() harness.Trials[*world] {
	return harness.Trials[*world]{
		New:   func() (*world, error) { return newWorld(awssim.Options{Timing: v.timing}, 3, v.config...) },
		Steps: v.steps, Ways: append(harness.Kills[*world](), faults()...), Short: 16, Writes: 50,
	}
}

// The controller dies before and after every single write, and the next one goes
// on; and every single write fails once, or only its answer is lost.
func TestDisturbedAtEveryWrite(t *testing.T) {
	for _, v := range variants() {
		t.Run(v.name, v.trials().Run)
	}
}
