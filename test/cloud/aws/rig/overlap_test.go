// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"sync"
	"sync/atomic"
	"testing"

	v1 "k8s.io/api/core/v1"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/harness"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// beside plays a step that stops at the first such call, plays another one to
// its end meanwhile, and then lets the first go on.
func (w *world) beside(t *testing.T, action string, slow, quick harness.Step) {
	t.Helper()
	reached, free := make(chan struct{}), make(chan struct{})
	var stopped atomic.Bool
	w.sim.SetHook(func(m sim.Moment, call awssim.Call) sim.Verdict {
		if m == sim.BeforeCommit && call.Action == action && stopped.CompareAndSwap(false, true) {
			close(reached)
			<-free
		}
		return sim.Proceed
	})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(free)
	over := make(chan struct{})
	wg.Go(func() {
		defer close(over)
		if err := w.Play(harness.Quiet(t), []harness.Step{slow}); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-reached:
		w.Do(t, quick)
	case <-over:
		t.Errorf("%s made no call %s", slow.Name, action)
	}
}

// look looks at all Services again.
func look() harness.Step {
	return harness.Step{Name: "look at all", Why: harness.OfServices, Change: func(c *harness.Cluster) ([]string, error) { return c.Names(), nil }}
}

// overlap is what Services have that come and go in passes that overlap, and the
// calls that their private steps make.
type overlap struct {
	kind
	port string
	made []string
}

func overlaps() []overlap {
	network := []string{"CreateLoadBalancer", "CreateTargetGroup", "CreateListener"}
	bare, groups, old := kinds()[0], kinds()[1], kinds()[2]
	claimed := kind{name: "external", config: []string{claim}, of: func(svc *v1.Service) *v1.Service {
		return with(svc, "type", "external", "nlb-target-type", "instance", "scheme", "internet-facing")
	}}
	open := claimed
	open.name, open.of = "external without groups", func(svc *v1.Service) *v1.Service { return with(claimed.of(svc), "disable-nlb-sg", "true") }
	return []overlap{
		{bare, "TCP:80", network},
		{bare, "UDP:53", network},
		{groups, "TCP:80", network},
		{groups, "UDP:53", network},
		{claimed, "TCP:80", network},
		{open, "UDP:53", network},
		{old, "TCP:80", []string{"CreateLoadBalancer", "RegisterInstancesWithLoadBalancer"}},
	}
}

// pair are two Services with ports far apart.
func (o *overlap) pair() (slow, quick *v1.Service) {
	slow, quick = o.of(newService("slow", 1, o.port)), o.of(newService("quick", 2, o.port))
	slow.Spec.Ports[0].NodePort, quick.Spec.Ports[0].NodePort = 31000, 32000
	return slow, quick
}

// A pass begins while the load balancer of another Service is being made: at the
// end all is as if one had come after the other, and a new controller finds
// nothing to do.
func TestPassBesideALoadBalancerInTheMaking(t *testing.T) {
	for _, o := range overlaps() {
		t.Run(o.name+" "+o.port[:3], func(t *testing.T) {
			t.Parallel()
			slow, quick := o.pair()
			calm := begun(t, awssim.Options{}, o.config...)
			before := pictureOf(t, calm)
			calm.Do(t, harness.Create(slow), harness.Create(quick))
			want := pictureOf(t, calm)
			for _, action := range o.made {
				w := begun(t, awssim.Options{}, o.config...)
				w.beside(t, action, harness.Create(slow), harness.Create(quick))
				if diff := harness.Diff(want, pictureOf(t, w)); diff != "" {
					t.Errorf("beside %s (-one after the other +got):\n%s", action, diff)
				}
				w.Restart(t)
				w.sim.ResetCalls()
				w.Do(t, look())
				if _, writes := w.calls(); writes > 0 {
					t.Errorf("beside %s: a new controller makes %d writes:%s", action, writes, harness.Counted(w.sim.Counts().Writes))
				}
				w.Do(t, harness.Remove("slow", "quick"))
				if diff := harness.Diff(before, pictureOf(t, w)); diff != "" {
					t.Errorf("beside %s, something is left (-before +after):\n%s", action, diff)
				}
			}
		})
	}
}

// Two Services are deleted at once, and one pass begins before the other has
// ended.
func TestDeletionsThatOverlapLeaveNothing(t *testing.T) {
	for _, o := range overlaps() {
		action := "DeleteTargetGroup"
		if o.made[len(o.made)-1] != "CreateListener" {
			action = "DeleteSecurityGroup"
		}
		t.Run(o.name+" "+o.port[:3], func(t *testing.T) {
			t.Parallel()
			slow, quick := o.pair()
			w := begun(t, awssim.Options{}, o.config...)
			before := pictureOf(t, w)
			w.Do(t, harness.Create(slow, quick))
			both, one := harness.Remove("slow", "quick"), harness.Remove("quick")
			w.beside(t, action, harness.Step{Name: both.Name, Why: both.Why, Change: func(c *harness.Cluster) ([]string, error) {
				_, err := both.Change(c)
				return []string{"slow"}, err
			}}, one)
			if diff := harness.Diff(before, pictureOf(t, w)); diff != "" {
				t.Errorf("something is left (-before +after):\n%s", diff)
			}
		})
	}
}
