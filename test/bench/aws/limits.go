// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"strings"
	"time"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// allowed is how soon the published limits let as many writes of load balancing
// through: a bucket is full at first, and refilled then.
func allowed(calls []awssim.Call) time.Duration {
	limits := awssim.PublishedThrottle()
	type counts map[awssim.Service]int
	writes, registrations := counts{}, counts{}
	for i := range calls {
		switch c := &calls[i]; {
		case c.Kind != awssim.Write || c.Service == awssim.EC2 || c.Code != "":
		case strings.Contains(c.Action, "egister"):
			registrations[c.Service]++
		default:
			writes[c.Service]++
		}
	}
	longest := time.Duration(0)
	wait := func(of counts, b sim.Bucket) {
		for _, n := range of {
			longest = max(longest, time.Duration(float64(n-b.Size)/b.Refill*float64(time.Second)))
		}
	}
	wait(writes, limits.BalancerWrites)
	wait(registrations, limits.Registrations)
	return longest
}
