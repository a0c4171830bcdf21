// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestCallsAtOnceShareFewPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := slowCloud()
		r := start(t, c)
		began := time.Now()
		if errs := r.ensureAll(t, r.putMany(t, 200)); len(errs) > 0 {
			t.Fatal(errs)
		}
		if n := c.count("observe"); n > 3 {
			t.Errorf("200 calls made %d passes, want at most 3", n)
		}
		if n := c.count("update balancer"); n > 3 {
			t.Errorf("200 calls made %d writes of the balancer, want at most 3", n)
		}
		if n := c.count("create address"); n != 200 {
			t.Errorf("%d addresses created, want 200", n)
		}
		if len(c.parts) != 200 {
			t.Errorf("%d Services are served, want 200", len(c.parts))
		}
		// Each pass creates its addresses, maxParallel at once, then writes once.
		if took, most := time.Since(began), 10*time.Second; took > most {
			t.Errorf("took %s, want at most %s", took, most)
		}
	})
}

// The first call comes alone and is observed for at once. Those that come
// meanwhile go with it, since nothing is written yet.
func TestFirstOfABurstTakesTheOthersAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := slowCloud()
		r := start(t, c)
		services := r.putMany(t, 50)
		var wg sync.WaitGroup
		began := time.Now()
		for i, svc := range services {
			wg.Go(func() {
				if i > 0 {
					if err := wait(t.Context(), 10*time.Millisecond); err != nil {
						t.Error(err)
					}
				}
				if err := r.ensure(t, svc); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := c.count("update balancer"); n != 1 {
			t.Errorf("%d writes of the balancer, want 1", n)
		}
		c.mu.Lock()
		n := c.again
		c.mu.Unlock()
		if n != 1 {
			t.Errorf("%d observations know of the one before, want 1", n)
		}
		// Two observations, the addresses, the balancer.
		if took, want := time.Since(began), 2100*time.Millisecond; took != want {
			t.Errorf("took %v, want %v", took, want)
		}
	})
}

func TestAFewThatComeWhileManyAreObservedWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := slowCloud()
		r := start(t, c)
		services := r.putMany(t, 10)
		late := r.put(t, service("late", 80))
		var wg sync.WaitGroup
		wg.Go(func() {
			if errs := r.ensureAll(t, services); len(errs) > 0 {
				t.Error(errs)
			}
		})
		wg.Go(func() {
			if err := wait(t.Context(), 75*time.Millisecond); err != nil {
				t.Error(err)
			}
			if err := r.ensure(t, late); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if n := len(c.passes[len(c.passes)-1].Items); n != 1 {
			t.Errorf("the last pass is of %d Services, want the late one alone", n)
		}
	})
}

func TestIdleEngineAddsNoLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCloud())
		began := time.Now()
		r.serve(t, service("web", 80))
		if took := time.Since(began); took != 0 {
			t.Errorf("waited %s beside the cloud's own time", took)
		}
	})
}

func TestResyncWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		r := start(t, c)
		services := r.putMany(t, 20)
		r.ensureAll(t, services)
		before := maps.Clone(c.calls)
		if errs := r.ensureAll(t, services); len(errs) > 0 {
			t.Fatal(errs)
		}
		delete(before, "observe")
		after := maps.Clone(c.calls)
		delete(after, "observe")
		if !maps.Equal(before, after) {
			t.Errorf("writes grew from %v to %v", before, after)
		}
	})
}

func TestNodeChangesAreOnePassAWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		r := start(t, c)
		r.ensureAll(t, r.putMany(t, 100))
		passes := c.count("observe")
		h := r.NodeHandler()
		for i := range 500 {
			n := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%d", i)}, Spec: v1.NodeSpec{ProviderID: fmt.Sprintf("metal://node-%d", i)}}
			if err := r.nodes.Add(n); err != nil {
				t.Fatal(err)
			}
			h.OnAdd(n, false)
			h.OnUpdate(n, n)
		}
		after(nodeWindow + time.Millisecond)
		if n := c.count("observe") - passes; n != 1 {
			t.Errorf("500 new nodes made %d passes, want 1", n)
		}
		if got := c.part("svc-042"); got != "port 43 to 500 nodes" {
			t.Errorf("served as %q, want the new nodes", got)
		}
	})
}
