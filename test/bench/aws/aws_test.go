// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"testing"
	"time"

	"github.com/fairlead/fairlead/test/bench/stand"
	"github.com/fairlead/fairlead/test/bench/table"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/aws/rig"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// fast is a small cluster on a cloud that is twenty times as fast as the one of
// the tables: calls are counted, not timed.
func fast(k kind) standOptions {
	l := awssim.BenchmarkLatencies()
	for api := range l.Action {
		l.Action[api] /= 20
	}
	l.Read, l.Write = l.Read/20, l.Write/20
	return standOptions{nodes: 10, kind: k, latency: l, budget: stand.Unlimited, quiet: 1100 * time.Millisecond}
}

// The calls are as many as docs/benchmarks.md says.
func TestCalls(t *testing.T) {
	for name, value := range rig.Environment() {
		t.Setenv(name, value)
	}
	for _, b := range []burst{
		{1, fast(network)}, {50, fast(network)}, {50, fast(managed)}, {50, fast(classic)},
	} {
		t.Run(b.name(), func(t *testing.T) {
			m := table.NewMeter(t.Output())
			if err := b.run(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			if want := map[bool]int{false: 2, true: 6}[b.services >= many]; len(m.Rows) != want {
				t.Errorf("%d rows, want %d", len(m.Rows), want)
			}
			for _, r := range m.Rows {
				if r.Counted == table.Missed {
					t.Errorf("%s: %s; want %s", r.What, r.Ours, r.Target)
				}
			}
		})
	}
}

func TestAllowedIsWhatTheFullestBucketTakes(t *testing.T) {
	var calls []awssim.Call
	add := func(n int, service awssim.Service, action, code string) {
		for range n {
			calls = append(calls, awssim.Call{Call: sim.Call{Code: code}, Kind: awssim.Write, Service: service, Action: action})
		}
	}
	add(20, awssim.ELBV2, "RegisterTargets", "")
	add(50, awssim.ELBV2, "CreateListener", "")
	add(50, awssim.ELB, "CreateLoadBalancer", "")
	add(9, awssim.ELBV2, "CreateListener", "Throttling")
	add(900, awssim.EC2, "CreateSecurityGroup", "")
	if got := allowed(calls); got != 10*time.Second {
		t.Errorf("30 calls beyond the bucket, 3 a second, take %s", got)
	}
}
