// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"testing"
	"time"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/harness"
)

// What was made a moment ago and is in no list yet goes with its Service.
func TestServiceThatIsDeletedBeforeAWSListsWhatItHas(t *testing.T) {
	for name, lag := range map[string]awssim.Lag{
		"of both": {EC2: time.Second, ELB: time.Second},
		"of EC2":  {EC2: time.Second},
		"of ELB":  {ELB: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			w := begun(t, awssim.Options{Lag: lag}, managed, claim)
			w.Do(t, harness.Create(newService("first", 9, "TCP:80")))
			w.sim.Advance(2 * time.Hour)
			before := pictureOf(t, w)
			w.Do(t, harness.Create(newService("web", 1, "TCP:80", "TCP:443"), classic(newService("old", 2, "TCP:80")), external(newService("hosts", 3, "TCP:80"), "instance")))
			w.Do(t, harness.Remove("web", "old", "hosts"))
			w.sim.Advance(2 * time.Hour)
			if diff := harness.Diff(before, pictureOf(t, w)); diff != "" {
				t.Errorf("left behind:\n%s", diff)
			}
		})
	}
}
