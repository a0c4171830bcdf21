// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

func TestFailedPrivateStepIsLeftOutOfTheSharedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.writeTime = time.Second
		c.fault = func(st plan.Step, _ map[plan.Key]bool) error {
			if st.Target.Name == "default/svc-003" {
				return &plan.Error{Kind: plan.Denied, Reason: "Denied", Err: errors.New("no right to write addresses; grant it")}
			}
			return nil
		}
		r := start(t, c)
		errs := r.ensureAll(t, r.putMany(t, 10))
		if len(errs) != 1 || errs["svc-003"] == nil {
			t.Fatalf("failed: %v, want svc-003 alone", errs)
		}
		if _, served := c.parts[keyOf("svc-003")]; served || len(c.parts) != 9 {
			t.Errorf("served: %v, want all but svc-003", slices.Collect(maps.Keys(c.parts)))
		}
	})
}

func TestCancelledCallerLeavesAndTheOthersStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.writeTime = 10 * time.Second
		r := start(t, c)
		svc := r.put(t, service("web", 80))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.EnsureLoadBalancer(ctx, "kubernetes", svc, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v, want the caller's own deadline", err)
		}
		if err := r.ensure(t, svc); err != nil {
			t.Fatal(err)
		}
		if n := c.count("create address"); n != 1 {
			t.Errorf("%d addresses created, want 1", n)
		}
	})
}

func TestBlockedGroupDoesNotHoldUpAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.groupOf = func(s *v1.Service) provider.Group { return provider.Group(s.Labels["group"]) }
		release := make(chan struct{})
		slow := service("slow", 80)
		slow.Labels = map[string]string{"group": "blocked"}
		fast := service("fast", 80)
		fast.Labels = map[string]string{"group": "free"}
		r := start(t, c)
		r.serve(t, fast)
		c.groupOf = nil
		blocked := &blockingCloud{cloud: c, release: release}
		r2 := start(t, c, func(o *Options) { o.Provider = blocked })
		done := make(chan error, 1)
		go func() { done <- r2.ensure(t, r2.put(t, slow)) }()
		synctest.Wait()
		r2.remove(t, fast)
		if len(c.addresses) != 0 {
			t.Errorf("addresses left: %v", c.addresses)
		}
		close(release)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// blockingCloud holds up the observation of one group.
type blockingCloud struct {
	*cloud
	release chan struct{}
}

func (b *blockingCloud) Group(s *v1.Service) provider.Group {
	return provider.Group(s.Labels["group"])
}

func (b *blockingCloud) Observe(ctx context.Context, batch provider.Batch) (provider.Pass, error) {
	if batch.Group == "blocked" {
		<-b.release
	}
	return b.cloud.Observe(ctx, batch)
}

func TestPrivateTailRunsBesideTheNextPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		r := start(t, c)
		old := r.serve(t, service("old", 80))
		hold := make(chan struct{})
		tail := &slowTail{cloud: c, hold: hold}
		r2 := start(t, c, func(o *Options) { o.Provider = tail })
		deleted := make(chan error, 1)
		go func() { deleted <- r2.EnsureLoadBalancerDeleted(t.Context(), "kubernetes", r2.put(t, deleting(old))) }()
		synctest.Wait()
		r2.serve(t, service("new", 81))
		select {
		case err := <-deleted:
			t.Fatalf("the deletion ended before its last step: %v", err)
		default:
		}
		close(hold)
		if err := <-deleted; err != nil {
			t.Fatal(err)
		}
	})
}

// slowTail holds up the deletion of addresses.
type slowTail struct {
	*cloud
	hold chan struct{}
}

func (s *slowTail) Observe(ctx context.Context, b provider.Batch) (provider.Pass, error) {
	p, err := s.cloud.Observe(ctx, b)
	return &slowTailPass{Pass: p, hold: s.hold}, err
}

type slowTailPass struct {
	provider.Pass
	hold chan struct{}
}

func (s *slowTailPass) Execute(ctx context.Context, st plan.Step, without map[plan.Key]bool) error {
	if st.Target.Kind == "address" && st.Action == plan.Delete {
		<-s.hold
	}
	return s.Pass.Execute(ctx, st, without)
}

func TestStopLetsStepsInFlightEndAndStartsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.writeTime = 5 * time.Second
		r := start(t, c)
		done := make(chan error, 1)
		go func() { done <- r.ensure(t, r.put(t, service("web", 80))) }()
		synctest.Wait()
		r.stop()
		if err := <-done; !errors.Is(err, errStopping) {
			t.Errorf("the caller got %v, want %v", err, errStopping)
		}
		if err := r.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(c.addresses) != 1 || len(c.parts) != 0 {
			t.Errorf("addresses %v, parts %v: want the step in flight done and the next not begun", c.addresses, c.parts)
		}
		if err := r.ensure(t, service("late", 80)); !errors.Is(err, errStopping) {
			t.Errorf("a late caller got %v, want %v", err, errStopping)
		}
	})
}
