// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// The traps that the upstream service controller sets for a load balancer, as
// far as the engine closes them.

// Trap 1: Ensure, Update and Delete of one Service run concurrently.
func TestCallsForOneServiceNeverOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.writeTime = 100 * time.Millisecond
		r := start(t, c)
		svc := r.put(t, service("web", 80))
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { _ = r.ensure(t, svc) })
			wg.Go(func() { _ = r.UpdateLoadBalancer(t.Context(), "kubernetes", svc, nil) })
			wg.Go(func() { _ = r.EnsureLoadBalancerDeleted(t.Context(), "kubernetes", svc) })
		}
		wg.Wait()
		if c.overlaps > 0 {
			t.Errorf("%d steps of one Service overlapped", c.overlaps)
		}
		if len(c.parts) != 1 {
			t.Errorf("served %d, want the newest form, which wants one", len(c.parts))
		}
	})
}

// Trap 1: an update that comes after the deletion must not make it anew.
func TestUpdateAfterDeleteMakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		r := start(t, c)
		svc := r.serve(t, service("web", 80))
		if err := r.services.Delete(svc); err != nil {
			t.Fatal(err)
		}
		if err := r.EnsureLoadBalancerDeleted(t.Context(), "kubernetes", svc); err != nil {
			t.Fatal(err)
		}
		if err := r.UpdateLoadBalancer(t.Context(), "kubernetes", svc, nil); err != nil {
			t.Fatal(err)
		}
		if len(c.parts)+len(c.addresses) != 0 {
			t.Errorf("left or made anew: %v %v", c.parts, c.addresses)
		}
	})
}

// A deletion that the newest form of the Service contradicts must not report
// success: the upstream controller would take the finalizer away.
func TestDeleteOfAServiceThatIsWantedAgainFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCloud())
		svc := r.put(t, service("web", 80))
		if err := r.EnsureLoadBalancerDeleted(t.Context(), "kubernetes", svc); !errors.Is(err, errWantedAgain) {
			t.Errorf("got %v, want %v", err, errWantedAgain)
		}
	})
}

// A name that comes back with another UID is another Service.
func TestOldLifeIsRemovedWhileTheNewOneIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		r := start(t, c)
		old := r.serve(t, service("web", 80))
		reborn := service("web", 81)
		reborn.UID = "uid-2"
		r.put(t, reborn)
		if err := r.EnsureLoadBalancerDeleted(t.Context(), "kubernetes", old); err != nil {
			t.Fatal(err)
		}
		if len(c.addresses) != 0 {
			t.Errorf("addresses left of the old life: %v", c.addresses)
		}
		if err := r.ensure(t, reborn); err != nil {
			t.Fatal(err)
		}
	})
}

// Trap 3: a RetryError is lost on the delete path, so the engine waits itself.
func TestThrottledDeletionWaitsOutRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		r := start(t, c)
		svc := r.serve(t, service("web", 80))
		c.fault = times(1, &plan.Error{Kind: plan.Throttled, Reason: "Throttled", RetryAfter: 30 * time.Second, Err: errors.New("too many requests")})
		began := time.Now()
		r.remove(t, svc)
		if took := time.Since(began); took < 30*time.Second || took > 35*time.Second {
			t.Errorf("sent again after %s, want 30s to 35s", took)
		}
		if len(c.parts)+len(c.addresses) != 0 {
			t.Errorf("left behind: %v %v", c.parts, c.addresses)
		}
	})
}

// Traps 4 and 5: absence is no error, and a fragment is existence.
func TestGetLoadBalancerTellsAbsenceFromFragments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		r := start(t, c)
		svc := service("web", 80)
		if _, exists, err := r.GetLoadBalancer(t.Context(), "kubernetes", svc); exists || err != nil {
			t.Errorf("absent: got %t, %v", exists, err)
		}
		c.addresses[keyOf("web")] = "192.0.2.1"
		if _, exists, err := r.GetLoadBalancer(t.Context(), "kubernetes", svc); !exists || err != nil {
			t.Errorf("fragment: got %t, %v", exists, err)
		}
	})
}

// Trap 10: the upstream controller never looks again at what it has made.
func TestDriftIsReportedOrRepaired(t *testing.T) {
	for _, tt := range []struct {
		name string
		mode cloudconfig.DriftMode
		want string
		said int // events
	}{
		{"report leaves it and says so", cloudconfig.DriftReport, "tampered", 1},
		{"repair sets it right", cloudconfig.DriftRepair, "port 80 to 0 nodes", 0},
		{"off leaves it", cloudconfig.DriftOff, "tampered", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCloud()
				r := start(t, c, func(o *Options) { o.Drift = cloudconfig.Drift{Mode: tt.mode, Interval: 10 * time.Minute} })
				r.serve(t, service("web", 80))
				c.set(func() { c.parts[keyOf("web")] = "tampered" })
				after(10*time.Minute + time.Second)
				if got := c.part("web"); got != tt.want {
					t.Errorf("after the drift pass: %q, want %q", got, tt.want)
				}
				if said := r.said(); len(said) != tt.said {
					t.Errorf("events %q, want %d", said, tt.said)
				}
			})
		})
	}
}

// What lasts is told once, though passes of all kinds find it.
func TestWhatLastsIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		p := &altering{cloud: c, alter: func(d *provider.Decision) {
			d.Notices = map[plan.Key][]provider.Notice{keyOf("web"): {{Reason: "NoTargets", Message: "no node serves", Warning: true}}}
		}}
		r := start(t, c, func(o *Options) {
			o.Provider, o.Drift = p, cloudconfig.Drift{Mode: cloudconfig.DriftReport, Interval: time.Minute}
		})
		r.serve(t, service("web", 80))
		for range 3 {
			after(time.Minute + time.Second)
			r.NodeHandler().OnAdd(&v1.Node{Spec: v1.NodeSpec{ProviderID: "metal://a"}}, false)
			after(nodeWindow)
		}
		if n := len(c.causes("web")); n != 7 {
			t.Errorf("%d passes, want 7", n)
		}
		if got := r.said(); len(got) != 1 || !strings.Contains(got[0], "Warning NoTargets no node serves") {
			t.Errorf("told: %q", got)
		}
	})
}

func TestDriftCanBeSwitchedWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		r := start(t, c)
		r.serve(t, service("web", 80))
		c.set(func() { c.parts[keyOf("web")] = "tampered" })
		r.SetDrift(cloudconfig.Drift{Mode: cloudconfig.DriftRepair, Interval: time.Minute})
		after(time.Minute + time.Second)
		if got := c.part("web"); got != "port 80 to 0 nodes" {
			t.Errorf("after the drift pass: %q, want it set right", got)
		}
	})
}

// Trap 11: an address without ipMode costs a write at every sync.
func TestEveryAddressHasItsMode(t *testing.T) {
	status := withModes(&v1.LoadBalancerStatus{Ingress: []v1.LoadBalancerIngress{{IP: "192.0.2.1"}, {Hostname: "lb.example"}}})
	if m := status.Ingress[0].IPMode; m == nil || *m != v1.LoadBalancerIPModeVIP {
		t.Errorf("ipMode of the address is %v, want VIP", m)
	}
	if m := status.Ingress[1].IPMode; m != nil {
		t.Errorf("ipMode of the name is %v, want none: the apiserver refuses it", *m)
	}
}

func TestErrorsAreTriedAgainByKind(t *testing.T) {
	for _, tt := range []struct {
		name  string
		err   error
		fails int           // before it succeeds
		want  bool          // the caller is told of success
		least time.Duration // before the last try
		most  time.Duration
	}{
		{"conflict at once", &plan.Error{Kind: plan.Conflict, Err: errors.New("etag")}, 1, true, 0, time.Second},
		{"lost answer soon", errors.New("connection reset"), 1, true, 0, time.Second},
		{"throttled when told", &plan.Error{Kind: plan.Throttled, RetryAfter: 10 * time.Second, Err: errors.New("slow down")}, 3, true, 30 * time.Second, 31 * time.Second},
		{"transient too often", errors.New("500"), 100, false, 0, time.Minute},
		{"invalid never", invalid("no"), 1, false, 0, 0},
		{"denied never", &plan.Error{Kind: plan.Denied, Err: errors.New("no")}, 1, false, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCloud()
				c.fault = times(tt.fails, tt.err)
				r := start(t, c)
				began := time.Now()
				err := r.ensure(t, r.put(t, service("web", 80)))
				if (err == nil) != tt.want {
					t.Errorf("got %v, want success: %t", err, tt.want)
				}
				if took := time.Since(began); took < tt.least || took > tt.most {
					t.Errorf("took %s, want %s to %s", took, tt.least, tt.most)
				}
			})
		})
	}
}

// A Service that no finalizer holds yet could be deleted behind our back.
func TestOnlyServicesThatAFinalizerHoldsAreSyncedUnasked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		r := start(t, c)
		loose := service("loose", 80)
		loose.Finalizers = nil
		r.put(t, loose)
		r.put(t, service("held", 81))
		c.changed <- struct{}{}
		synctest.Wait()
		if _, made := c.parts[keyOf("loose")]; made || len(c.parts) != 1 {
			t.Errorf("served: %v, want the one that is held", c.parts)
		}
	})
}

// A drift pass looks and leaves what is known of a Service as it is.
func TestDriftPassDoesNotTakeAWaitForOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.fault = always(invalid("never"))
		r := start(t, c, func(o *Options) {
			o.Drift = cloudconfig.Drift{Mode: cloudconfig.DriftReport, Interval: time.Minute}
		})
		if err := r.ensure(t, r.put(t, service("web", 80))); err == nil {
			t.Fatal("no error")
		}
		after(time.Minute + time.Second)
		if cond := r.condition(t, "web"); cond == nil || cond.Status != metav1.ConditionFalse {
			t.Errorf("condition %v, want that it still waits", cond)
		}
		c.set(func() { c.fault = nil })
		r.serve(t, service("other", 81))
		synctest.Wait()
		if _, served := c.parts[keyOf("web")]; !served {
			t.Error("the Service that waited was forgotten when something changed")
		}
	})
}

// News that arrives while a pass fails is tried at once.
func TestEditDuringAFailingPassIsTriedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.writeTime = time.Second
		c.fault = times(4, errors.New("500"))
		r := start(t, c)
		svc := r.put(t, service("web", 80))
		first := make(chan error, 1)
		go func() { first <- r.ensure(t, svc) }()
		after(6 * time.Second) // in the fourth try
		began := time.Now()
		if err := r.ensure(t, svc); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("the news waited %s behind the old back-off", took)
		}
		if err := <-first; err != nil {
			t.Error(err)
		}
	})
}

// An Ensure that comes when the Service is on its way out is no failure.
func TestEnsureOfAServiceBeingDeletedIsAnsweredEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCloud())
		status, err := r.EnsureLoadBalancer(t.Context(), "kubernetes", r.put(t, deleting(service("web", 80))), nil)
		if err != nil || status == nil || len(status.Ingress) != 0 {
			t.Errorf("got %v, %v: want an empty status", status, err)
		}
	})
}

// Trap 14: the health check of a Local Service goes on saying yes on a node that
// the autoscaler is about to delete, so load balancers must leave it by its
// taint.
func TestNodeThatTheAutoscalerDeletesIsNoTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		r := start(t, c)
		stays := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: v1.NodeSpec{ProviderID: "metal://a"}}
		goes := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: "b"}, Spec: v1.NodeSpec{ProviderID: "metal://b"}}
		for _, n := range []*v1.Node{stays, goes} {
			if err := r.nodes.Add(n); err != nil {
				t.Fatal(err)
			}
		}
		svc := r.putMany(t, 1)
		r.ensureAll(t, svc)
		if got := c.part(svc[0].Name); got != "port 1 to 2 nodes" {
			t.Fatalf("served as %q", got)
		}
		tainted := goes.DeepCopy()
		tainted.Spec.Taints = []v1.Taint{{Key: "ToBeDeletedByClusterAutoscaler", Effect: v1.TaintEffectNoSchedule}}
		if err := r.nodes.Update(tainted); err != nil {
			t.Fatal(err)
		}
		r.NodeHandler().OnUpdate(goes, tainted)
		after(nodeWindow + time.Millisecond)
		if got := c.part(svc[0].Name); got != "port 1 to 1 nodes" {
			t.Errorf("served as %q, want the node left out", got)
		}
	})
}
