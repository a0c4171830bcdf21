// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/harness"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// While the security group of a load balancer that is gone is in use, other
// Services come, change and go, and know nothing of it.
func TestSecurityGroupInUseHoldsUpItsServiceAlone(t *testing.T) {
	const linger = time.Hour // far longer than a step may take
	for _, k := range []kind{kinds()[1], kinds()[2]} {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			w := begun(t, awssim.Options{Timing: awssim.Timing{Linger: linger, Release: 2 * time.Second}}, k.config...)
			before := pictureOf(t, w)
			w.Do(t, harness.Create(k.of(newService("gone", 1, "TCP:80")), k.of(newService("old", 2, "TCP:80"))))
			var held atomic.Bool
			held.Store(true)
			var wg sync.WaitGroup
			inUse := make(chan struct{})
			var once sync.Once
			w.sim.SetHook(func(m sim.Moment, call awssim.Call) sim.Verdict {
				if call.Action == "DeleteSecurityGroup" && m == sim.BeforeCommit {
					once.Do(func() { close(inUse) })
				}
				return sim.Proceed
			})
			wg.Go(func() {
				if err := w.Play(harness.Quiet(t), []harness.Step{harness.Remove("gone")}); err != nil {
					t.Error(err)
				}
				held.Store(false)
			})
			<-inUse
			for _, s := range []harness.Step{
				harness.Create(k.of(newService("web", 3, "TCP:80"))),
				annotate("old", "cross-zone-load-balancing-enabled", "true"),
				harness.Churn("a node goes", func() error { return w.Nodes.Delete(w.node(1)) }),
			} {
				if s.Why == harness.OfNodes { // that which goes follows nothing any more
					s.Change = func(*harness.Cluster) ([]string, error) { return []string{"old", "web"}, w.Nodes.Delete(w.node(1)) }
				}
				w.Do(t, s)
			}
			if !held.Load() {
				t.Error("the group was in use no longer")
			}
			w.sim.Advance(linger)
			wg.Wait()
			w.sim.SetTiming(awssim.Timing{})
			w.Do(t, harness.Remove("web", "old"), harness.Churn("the node is back", func() error { return w.Nodes.Add(w.node(1)) }))
			if after := pictureOf(t, w); after != before {
				t.Errorf("left:\n%s", after)
			}
		})
	}
}

// Two load balancers whose health checks use the same port do not take the rule
// from each other.
func TestLoadBalancersThatShareAHealthPort(t *testing.T) {
	for name, config := range map[string][]string{
		"bare":   {"clusterServiceLoadBalancerHealthProbeMode: Shared"},
		"groups": {"clusterServiceLoadBalancerHealthProbeMode: Shared", managed},
	} {
		for _, first := range []string{"a", "b"} {
			t.Run(name+" "+first+" goes", func(t *testing.T) {
				w := begun(t, awssim.Options{}, config...)
				before := pictureOf(t, w)
				ranges := func(svc *v1.Service) *v1.Service {
					svc.Spec.LoadBalancerSourceRanges = []string{"198.51.100.0/24"}
					return svc
				}
				w.Do(t, harness.Create(ranges(newService("a", 1, "TCP:80"))), harness.Create(ranges(newService("b", 2, "TCP:80"))), harness.Remove(first))
				state := string(w.sim.State())
				if n := strings.Count(state, `"State": "healthy"`); n != 3 {
					t.Errorf("%d healthy targets, want 3:\n%s", n, state)
				}
				w.Do(t, harness.Remove(w.Names()...))
				if after := pictureOf(t, w); after != before {
					t.Errorf("left:\n%s", after)
				}
			})
		}
	}
}
