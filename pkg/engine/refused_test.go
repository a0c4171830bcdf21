// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/cloud-provider/api"

	"github.com/fairlead/fairlead/pkg/plan"
)

func invalid(text string) error {
	return &plan.Error{Kind: plan.Invalid, Reason: "Rejected", Err: errors.New(text)}
}

func TestBadAnnotationFailsItsServiceAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		r := start(t, c)
		services := r.putMany(t, 200)
		services[7].Annotations = map[string]string{"metallb.io/loadBalancerIPs": "not-an-address"}
		errs := r.ensureAll(t, services)
		if len(errs) != 1 || errs["svc-007"] == nil {
			t.Fatalf("failed: %v, want svc-007 alone", errs)
		}
		if !strings.Contains(errs["svc-007"].Error(), "not-an-address") {
			t.Errorf("the error does not name the value: %v", errs["svc-007"])
		}
	})
}

func TestRefusedFormKeepsWhatIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		r := start(t, c)
		svc := r.serve(t, service("web", 80))
		bad := svc.DeepCopy()
		bad.Annotations = map[string]string{"metallb.io/loadBalancerIPs": "not-an-address"}
		bad.Spec.Ports[0].Port = 81
		if err := r.ensure(t, r.put(t, bad)); err == nil {
			t.Fatal("a bad annotation was taken")
		}
		if got := c.part("web"); got != "port 80 to 0 nodes" {
			t.Errorf("served as %q, want the form before", got)
		}
	})
}

func TestServiceThatWaitsGetsWhatIsFreed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := exhausted(t)
		synctest.Wait()
		if cond := r.condition(t, "second"); cond == nil || cond.Reason != "Full" || cond.Status != metav1.ConditionFalse {
			t.Errorf("condition %v, want what is waited for", cond)
		}
		if said := r.said(); !slices.Contains(said, "Warning Full no address is free; free one") {
			t.Errorf("events %q, want one that names the cause", said)
		}
		r.remove(t, service("first", 80))
		synctest.Wait()
		if !slices.Equal(r.refreshed, []plan.Key{keyOf("second")}) {
			t.Errorf("refreshed %v, want the Service that waited", r.refreshed)
		}
		if cond := r.condition(t, "second"); cond == nil || cond.Status != metav1.ConditionTrue {
			t.Errorf("condition %v, want that the wait has ended", cond)
		}
	})
}

func TestRefusedServiceIsTriedAgainWhenOthersChange(t *testing.T) {
	labelled := func(svc *v1.Service) { svc.Labels = map[string]string{"tier": "gold"} }
	preferring := func(svc *v1.Service) { svc.Spec.IPFamilyPolicy = new(v1.IPFamilyPolicyPreferDualStack) }
	shows := func(svc *v1.Service) { svc.Status.LoadBalancer.Ingress = []v1.LoadBalancerIngress{{IP: "192.0.2.1"}} }
	tests := map[string]struct {
		before, after func(*v1.Service)
		deleted       bool
		passes        int
	}{
		"labels":                                 {after: labelled, passes: 1},
		"what upstream does not see":             {after: preferring, passes: 1},
		"an address that a status shows no more": {before: shows, passes: 1},
		"an address that a status shows now":     {after: shows},
		"a Service with an address is deleted":   {before: shows, deleted: true, passes: 1},
		"a Service without one is deleted":       {deleted: true},
		"nothing":                                {},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, _ := exhausted(t)
				was, is := service("third", 82), service("third", 82)
				for svc, change := range map[*v1.Service]func(*v1.Service){was: tt.before, is: tt.after} {
					if change != nil {
						change(svc)
					}
				}
				synctest.Wait()
				passes := r.cloud.count("observe")
				if tt.deleted {
					r.ServiceHandler().OnDelete(cache.DeletedFinalStateUnknown{Obj: was})
				} else {
					r.ServiceHandler().OnUpdate(was, is)
				}
				synctest.Wait()
				if n := r.cloud.count("observe") - passes; n != tt.passes {
					t.Errorf("%d passes, want %d", n, tt.passes)
				}
			})
		})
	}
}

func TestRefusedServiceIsLookedAtAgainByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := exhausted(t)
		c := r.cloud
		if later, ok := errors.AsType[*api.RetryError](err); !ok || later.RetryAfter() < time.Hour {
			t.Fatalf("got %v, want a refusal that keeps the upstream controller from trying", err)
		}
		synctest.Wait()
		r.said()
		begin, passes := time.Now(), c.count("observe")
		after(10 * time.Minute)
		// After 15, 45, 105, 225 and 465 s.
		if n := c.count("observe") - passes; n != 5 {
			t.Errorf("%d passes within %s, want 5", n, time.Since(begin))
		}
		if said := r.said(); len(said) > 0 {
			t.Errorf("told again: %q", said)
		}
		c.set(func() { c.most = 2 })
		after(maxRetry)
		if !slices.Equal(r.refreshed, []plan.Key{keyOf("second")}) {
			t.Errorf("refreshed %v, want the Service that waited", r.refreshed)
		}
	})
}
