// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead/fairlead/pkg/plan"
)

// refusing lets the cloud refuse every write of the balancer that holds a part
// of one of these.
func refusing(kind plan.Kind, names ...string) func(plan.Step, map[plan.Key]bool) error {
	return func(st plan.Step, without map[plan.Key]bool) error {
		for _, name := range names {
			if st.Target.Kind == "balancer" && slices.Contains(st.Serves, keyOf(name)) && !without[keyOf(name)] {
				return &plan.Error{Kind: kind, Reason: "Rejected", Err: errors.New("the cloud does not like one part")}
			}
		}
		return nil
	}
}

// One write for the first Service, one refused, two for each of the eight
// halvings of 199. A burst may come in two passes.
const mostOf200 = 1 + 1 + 2*8

func TestRefusedSharedWriteIsHalvedUntilTheCulpritStandsAlone(t *testing.T) {
	for name, tt := range map[string]struct {
		kind     plan.Kind
		culprits []string
		most     int // writes of the balancer
	}{
		"invalid":             {plan.Invalid, []string{"svc-117"}, 2 * mostOf200},
		"exhausted":           {plan.Exhausted, []string{"svc-117"}, 2 * mostOf200},
		"denied":              {plan.Denied, []string{"svc-117"}, 2 * mostOf200},
		"two side by side":    {plan.Denied, []string{"svc-117", "svc-118"}, 2 * mostOf200},
		"the first ones":      {plan.Denied, []string{"svc-000", "svc-001", "svc-002"}, 2 * mostOf200},
		"the first and last":  {plan.Invalid, []string{"svc-000", "svc-199"}, 2 * mostOf200},
		"one of every twenty": {plan.Denied, []string{"svc-010", "svc-030", "svc-050", "svc-070", "svc-090", "svc-110", "svc-130", "svc-150", "svc-170", "svc-190"}, 120},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCloud()
				c.writeTime = time.Second
				c.fault = refusing(tt.kind, tt.culprits...)
				r := start(t, c)
				errs := r.ensureAll(t, r.putMany(t, 200))
				if failed := slices.Sorted(maps.Keys(errs)); !slices.Equal(failed, tt.culprits) {
					t.Fatalf("failed: %v, want %v", failed, tt.culprits)
				}
				if want := 200 - len(tt.culprits); len(c.parts) != want {
					t.Errorf("%d Services are served, want %d", len(c.parts), want)
				}
				if n := c.count("update balancer"); n > tt.most {
					t.Errorf("%d writes of the balancer, want at most %d", n, tt.most)
				}
			})
		})
	}
}

// What lies in no Service is not searched for among them all.
func TestSharedWriteThatIsRefusedForEverybodyIsTriedAFewTimes(t *testing.T) {
	for _, kind := range []plan.Kind{plan.Invalid, plan.Exhausted, plan.Denied} {
		t.Run(kind.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := slowCloud() // all come while the first is looked at
				c.fault = func(st plan.Step, _ map[plan.Key]bool) error {
					if st.Target.Kind != "balancer" {
						return nil
					}
					return &plan.Error{Kind: kind, Reason: "Rejected", Err: errors.New("the balancer may not be written")}
				}
				r := start(t, c)
				if errs := r.ensureAll(t, r.putMany(t, 200)); len(errs) != 200 {
					t.Errorf("%d failed, want all", len(errs))
				}
				// All, eight halves of 200 down to one, and two samples; once more
				// when what they held is freed.
				if n, most := c.count("update balancer"), 1+8+2+1; n > most {
					t.Errorf("%d writes of the balancer, want at most %d", n, most)
				}
			})
		})
	}
}

// An answer that has nothing to do with the parts ends the search, and all are
// tried again.
func TestThrottledHalvingIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.writeTime = time.Second
		writes, refuses := 0, refusing(plan.Invalid, "svc-020")
		c.fault = func(st plan.Step, without map[plan.Key]bool) error {
			if st.Target.Kind != "balancer" {
				return nil
			}
			switch writes++; writes {
			case 3, 4, 5:
				return &plan.Error{Kind: plan.Throttled, Reason: "Throttled", RetryAfter: time.Minute, Err: errors.New("too many requests")}
			}
			return refuses(st, without)
		}
		r := start(t, c)
		services := r.putMany(t, 40)
		done := make(chan map[string]error, 1)
		go func() { done <- r.ensureAll(t, services) }()
		after(30 * time.Second)
		// The first Service, the others, and the half that is throttled.
		if n := c.count("update balancer"); n != 3 {
			t.Errorf("%d writes before the throttle ends, want 3", n)
		}
		after(10 * time.Minute)
		if errs := <-done; len(errs) != 1 || errs["svc-020"] == nil {
			t.Errorf("failed: %v, want svc-020 alone", errs)
		}
	})
}
