// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/harness"
)

// kind is a kind of load balancer that many Services have, and what it may cost
// in calls for each.
type kind struct {
	name                     string
	of                       func(*v1.Service) *v1.Service
	config                   []string
	created, restart, delete float64
}

// kinds are all of them.
func kinds() []kind {
	limit := "securityGroupRuleLimit: 1000"
	same := func(svc *v1.Service) *v1.Service { return svc }
	return []kind{
		{name: "network", of: same, config: []string{limit}, created: 6, restart: 3.3, delete: 3.5},
		{name: "network with groups", of: same, config: []string{managed}, created: 7, restart: 3.3, delete: 3.5},
		{name: "classic", of: classic, config: []string{limit}, created: 8, restart: 1.5, delete: 3.5},
	}
}

// crowd makes a world with n Services, which are not served yet.
func crowd(t *testing.T, k kind, n int) *world {
	t.Helper()
	w := begun(t, awssim.Options{Limits: awssim.Limits{RulesPerGroup: 1000, NetworkLoadBalancers: n + 1, ClassicLoadBalancers: n + 1}}, k.config...)
	for i := range n {
		svc := k.of(newService(fmt.Sprintf("web-%03d", i), 100+i, "TCP:80"))
		if err := w.Services.Add(svc); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// check compares the calls since the last check with what is allowed.
func (w *world) check(t *testing.T, what string, reads, writes, both float64) {
	t.Helper()
	c := w.sim.Counts()
	r, wr := w.calls()
	t.Logf("%s: %d reads (%s), %d writes (%s)", what, r, harness.Counted(c.Reads), wr, harness.Counted(c.Writes))
	if float64(r) > reads || float64(wr) > writes || float64(r+wr) > both {
		t.Errorf("%s: %d reads of at most %.0f, %d writes of at most %.0f, %.0f in all", what, r, reads, wr, writes, both)
	}
	for api, n := range c.Failed {
		if api != "ec2.DeleteSecurityGroup" { // the one that all share is tried when it may be free
			t.Errorf("%s: %s failed %d times", what, api, n)
		}
	}
	w.sim.ResetCalls()
}

// Many Services at once, a node that comes and goes, a restart, and the end of
// all of them.
func TestFiftyServicesComeAndGo(t *testing.T) {
	const n = 50
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			w := crowd(t, k, n)
			before := normalised(t, w.sim)
			w.sim.SetLatency(awssim.BenchmarkLatencies())
			start := time.Now()
			syncAll(t, w)
			t.Logf("%d load balancers took %s", n, time.Since(start))
			w.check(t, "created", n*k.created, n*k.created, n*k.created)
			w.sim.SetLatency(awssim.Latencies{})
			syncAll(t, w)
			w.check(t, "resync", n*k.restart+10, 0, n*k.restart+10) // in two passes
			w.Do(t, harness.Churn("a node comes", func() error { return w.Nodes.Add(w.node(3)) }))
			w.check(t, "a node comes", 5, n, n+5)
			w.Do(t, harness.Churn("a node goes", func() error { return w.Nodes.Delete(w.node(3)) }))
			w.check(t, "a node goes", 5, n, n+5)
			w.Do(t, harness.Remove(w.Names()...))
			w.check(t, "deleted", n*k.delete, n*k.delete, n*k.delete)
			if diff := harness.Diff(before, normalised(t, w.sim)); diff != "" {
				t.Errorf("something is left (-before +after):\n%s", diff)
			}
		})
	}
}

// A controller that starts reads little, and writes nothing.
func TestRestartWithTwoHundredServicesWritesNothing(t *testing.T) {
	const n = 200
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			w := crowd(t, k, n)
			syncAll(t, w)
			w.Restart(t)
			w.sim.ResetCalls()
			syncAll(t, w)
			w.check(t, "restart", n*k.restart, 0, n*k.restart)
		})
	}
}

// syncAll looks at all Services side by side.
func syncAll(t *testing.T, w *world) {
	t.Helper()
	var wg sync.WaitGroup
	l := w.Controller(t)
	for _, name := range w.Names() {
		wg.Go(func() {
			if err := l.Sync(t.Context(), w.Service(name)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	wg.Wait()
}
