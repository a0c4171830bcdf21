// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"testing"

	"github.com/fairlead/fairlead/test/cloud/harness"
)

// variants are the scenario's clouds: how nodes join pools.
func variants() []string { return []string{"nodeIPConfiguration", "nodeIP"} }

// trials play the scenario.
func trials(pools string) harness.Trials[*world] {
	return harness.Trials[*world]{
		New: func() (*world, error) { return newWorld(pools) }, Steps: scenario, Ways: append(harness.Kills[*world](), faults()...),
		Short: 24, Writes: 50, Traces: []string{"k8s-azure", "a0000"},
	}
}

// The controller dies before and after every single write, and the next one goes
// on; and every single write fails once, or only its answer is lost.
func TestDisturbedAtEveryWrite(t *testing.T) {
	for _, pools := range variants() {
		t.Run(pools, trials(pools).Run)
	}
}
