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
	cloud  awssim.Options
	site   awssim.SiteOptions
	steps  func(*world) []harness.Step
}

// variants are those that write in other ways.
func variants() []variant {
	// late is how old answers of reads are: longer than a pass, and than a restart.
	const late = 300 * time.Millisecond
	return []variant{
		{name: "bare", steps: scenario},
		{
			name: "groups", config: []string{managed}, steps: scenario,
			cloud: awssim.Options{Timing: awssim.Timing{Linger: 100 * time.Millisecond, Release: 50 * time.Millisecond}},
		},
		{name: "claimed", config: []string{claim}, steps: claimedScenario},
		{name: "shared", config: []string{claim}, steps: sharedScenario},
		{name: "dual-stack", config: []string{claim}, steps: dualStackScenario, site: awssim.SiteOptions{Families: "dualstack"}},
		{
			name: "late", config: []string{managed, claim}, steps: lateScenario,
			cloud: awssim.Options{Lag: awssim.Lag{EC2: late, ELB: late}},
		},
	}
}

// trials play a variant.
func (v variant) trials() harness.Trials[*world] {
	return harness.Trials[*world]{
		New:   func() (*world, error) { return newWorldAt(v.site, v.cloud, 3, v.config...) },
		Steps: v.steps, Ways: append(harness.Kills[*world](), faults()...), Short: 16, Writes: 40,
	}
}

// The controller dies before and after every single write, and the next one goes
// on; and every single write fails once, or only its answer is lost.
func TestDisturbedAtEveryWrite(t *testing.T) {
	for _, v := range variants() {
		t.Run(v.name, v.trials().Run)
	}
}
