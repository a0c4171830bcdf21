// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// altering changes what a cloud decides.
type altering struct {
	*cloud
	alter func(*provider.Decision)
}

type alteredPass struct {
	provider.Pass
	alter func(*provider.Decision)
}

func (a *altering) Observe(ctx context.Context, b provider.Batch) (provider.Pass, error) {
	p, err := a.cloud.Observe(ctx, b)
	return alteredPass{Pass: p, alter: a.alter}, err
}

func (a alteredPass) Decide() provider.Decision {
	d := a.Pass.Decide()
	a.alter(&d)
	return d
}

// A write that serves no Service of the pass, such as the members of a balancer
// that others use, has no caller who would ask again.
func TestFailedWriteThatServesNobodyIsTriedAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		err    error
		within time.Duration
	}{
		"transient": {errors.New("500"), 10 * time.Second},
		"conflict":  {&plan.Error{Kind: plan.Conflict, Reason: "Conflict", Err: errors.New("etag")}, 10 * time.Second},
		"throttled": {&plan.Error{Kind: plan.Throttled, Reason: "Throttled", RetryAfter: 20 * time.Second, Err: errors.New("slow")}, 90 * time.Second},
		"denied":    {&plan.Error{Kind: plan.Denied, Reason: "Denied", Err: errors.New("no right")}, 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCloud()
				left, written := 4, false
				c.fault = func(st plan.Step, _ map[plan.Key]bool) error {
					if st.Target.Kind != "members" {
						return nil
					}
					if left--; left > 0 {
						return tt.err
					}
					written = true
					return nil
				}
				p := &altering{cloud: c, alter: func(d *provider.Decision) {
					if !written {
						d.Plan.Steps = append(d.Plan.Steps, plan.Step{Action: plan.Update, Target: plan.ID{Kind: "members", Name: "other"}, Shared: true})
					}
				}}
				r := start(t, c, func(o *Options) { o.Provider = p })
				r.serve(t, service("web", 80))
				after(tt.within)
				if !written {
					t.Fatalf("not written after %d tries", c.count("update members"))
				}
				passes := c.count("observe")
				if passes != 4 {
					t.Errorf("%d passes, want 4", passes)
				}
				after(time.Hour)
				if n := c.count("observe"); n != passes {
					t.Errorf("%d passes more, want none once it is written", n-passes)
				}
			})
		})
	}
}

// A fault of the provider fails the pass and not the process.
func TestDecisionThatMakesNoSenseFailsThePass(t *testing.T) {
	step := plan.Step{Action: plan.Create, Target: plan.ID{Kind: "address", Name: "x"}}
	for name, tt := range map[string]struct {
		alter func(*provider.Decision)
		want  string
	}{
		"a step for a Service outside the batch": {func(d *provider.Decision) {
			s := step
			s.Serves = []plan.Key{keyOf("stranger")}
			d.Plan.Steps = append(d.Plan.Steps, s)
		}, "default/stranger, which is not in the batch"},
		"a step that needs itself": {func(d *provider.Decision) {
			s := step
			s.Needs = []plan.ID{s.Target}
			d.Plan.Steps = append(d.Plan.Steps, s)
		}, "needs itself"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCloud()
				sense := false
				p := &altering{cloud: c, alter: func(d *provider.Decision) {
					if !sense {
						tt.alter(d)
					}
				}}
				r := start(t, c, func(o *Options) { o.Provider = p })
				svc := r.put(t, service("web", 80))
				if err := r.ensure(t, svc); err == nil || !strings.Contains(err.Error(), tt.want) || plan.KindOf(err) != plan.Transient {
					t.Errorf("got %v, want a transient error with %q", err, tt.want)
				}
				if len(c.addresses)+len(c.parts) > 0 {
					t.Errorf("written: %v %v", c.addresses, c.parts)
				}
				sense = true
				if err := r.ensure(t, svc); err != nil {
					t.Errorf("not served when the decision makes sense: %v", err)
				}
			})
		})
	}
}

// decided is a pass that has decided.
type decided struct {
	provider.Pass
	provider.Decision
}

func (d decided) Decide() provider.Decision { return d.Decision }

// Steps that have no order are not written. Who is served by none of them loses
// nothing.
func TestStepsWithoutAnOrderRefuseThoseWhomTheyServe(t *testing.T) {
	circle, wrong, fine := keyOf("circle"), keyOf("wrong"), keyOf("fine")
	first, second := plan.ID{Kind: "address", Name: "x"}, plan.ID{Kind: "rule", Name: "x"}
	own := errors.New("its own fault")
	d := provider.Decision{
		Plan: plan.Plan{Steps: []plan.Step{
			{Action: plan.Create, Target: first, Needs: []plan.ID{second}, Serves: []plan.Key{circle, wrong}},
			{Action: plan.Create, Target: second, Needs: []plan.ID{first}, Serves: []plan.Key{circle}},
		}},
		Refused: map[plan.Key]error{wrong: own}, Notices: map[plan.Key][]provider.Notice{fine: {{Reason: "Told"}}}, Again: time.Minute,
	}
	got, err := decide(decided{Decision: d}, map[plan.Key]*member{circle: {}, wrong: {}, fine: {}})
	if err != nil {
		t.Fatal(err)
	}
	if refused := got.Refused[circle]; plan.KindOf(refused) != plan.Transient || !strings.Contains(refused.Error(), "needs itself") {
		t.Errorf("refused: %v", refused)
	}
	if !errors.Is(got.Refused[wrong], own) || got.Refused[fine] != nil || len(d.Refused) != 1 {
		t.Errorf("refused %v, by the provider %v", got.Refused, d.Refused)
	}
	if !got.Plan.Empty() || len(got.Notices[fine]) != 1 || got.Again != time.Minute {
		t.Errorf("got %+v", got)
	}
	d.Plan.Steps = append(d.Plan.Steps, plan.Step{Action: plan.Update, Target: plan.ID{Kind: "members", Name: "x"}})
	if _, err := decide(decided{Decision: d}, map[plan.Key]*member{circle: {}, wrong: {}}); err == nil {
		t.Error("a step that serves nobody has no order, and nobody hears of it")
	}
}

// What a step leaves out, though its Services are served, is tried again, ever
// less often, until it is done; they are told of it once, or not at all.
func TestWhatAStepLeavesOutIsTriedAgain(t *testing.T) {
	refused := &plan.Error{Kind: plan.Invalid, Reason: "TargetsRefused", Err: errors.New("i-1 is stopped")}
	for name, tt := range map[string]struct {
		left plan.LeftOutError
		told []string
	}{
		"and told":     {plan.LeftOutError{Owed: refused}, []string{"Warning TargetsRefused i-1 is stopped"}},
		"and not told": {plan.LeftOutError{Untold: refused}, nil},
	} {
		t.Run(name, func(t *testing.T) { testLeftOut(t, &tt.left, tt.told) })
	}
}

func testLeftOut(t *testing.T, out *plan.LeftOutError, told []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		var left atomic.Int32
		left.Store(4)
		c.fault = func(st plan.Step, _ map[plan.Key]bool) error {
			if st.Target.Kind != "members" {
				return nil
			}
			if left.Add(-1) > 0 {
				return out
			}
			return nil
		}
		p := &altering{cloud: c, alter: func(d *provider.Decision) {
			if left.Load() > 0 {
				d.Plan.Steps = append(d.Plan.Steps, plan.Step{Action: plan.Update, Target: plan.ID{Kind: "members", Name: "web"}, Serves: []plan.Key{keyOf("web")}})
			}
		}}
		r := start(t, c, func(o *Options) { o.Provider = p })
		r.serve(t, service("web", 80))
		after(14 * time.Second)
		if n := left.Load(); n != 3 {
			t.Errorf("tried again too soon: %d left", n)
		}
		after(time.Hour)
		if n := left.Load(); n != 0 || c.count("observe") != 4 {
			t.Errorf("%d left, %d passes", n, c.count("observe"))
		}
		if got := r.said(); !slices.EqualFunc(got, told, strings.Contains) {
			t.Errorf("told: %q", got)
		}
	})
}

// What the cloud does not show yet has no caller either: the provider says when
// to look again, and when no more.
func TestProviderAsksForAnotherLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		var waits []time.Duration
		p := &altering{cloud: c, alter: func(d *provider.Decision) {
			if len(waits) > 0 {
				d.Again, waits = waits[0], waits[1:]
			}
		}}
		r := start(t, c, func(o *Options) { o.Provider = p })
		waits = []time.Duration{10 * time.Second, 20 * time.Second}
		r.serve(t, service("web", 80))
		for _, x := range []struct {
			after  time.Duration
			passes int
		}{{9 * time.Second, 1}, {2 * time.Second, 2}, {18 * time.Second, 2}, {2 * time.Second, 3}, {time.Hour, 3}} {
			after(x.after)
			if n := c.count("observe"); n != x.passes {
				t.Errorf("after %s more: %d passes, want %d", x.after, n, x.passes)
			}
		}
		waits = []time.Duration{time.Minute, 10 * time.Second}
		for range 2 {
			r.serve(t, service("web", 81))
		}
		before := c.count("observe")
		after(15 * time.Second)
		if n := c.count("observe") - before; n != 1 {
			t.Errorf("%d passes at the sooner time, want 1", n)
		}
	})
}

// Each write that is owed has waits of its own: a new one is tried again soon,
// however often an old one has failed.
func TestWaitsForWhatIsOwedAreCountedByWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		refused := &plan.Error{Kind: plan.Invalid, Reason: "TargetsRefused", Err: errors.New("i-1 is stopped")}
		tried := map[string]int{}
		c.fault = func(st plan.Step, _ map[plan.Key]bool) error {
			if st.Target.Kind != "members" {
				return nil
			}
			tried[st.Target.Name]++
			return &plan.LeftOutError{Owed: refused}
		}
		members := []string{"old"}
		p := &altering{cloud: c, alter: func(d *provider.Decision) {
			for _, name := range members {
				d.Plan.Steps = append(d.Plan.Steps, plan.Step{Action: plan.Update, Target: plan.ID{Kind: "members", Name: name}})
			}
		}}
		r := start(t, c, func(o *Options) { o.Provider = p })
		r.serve(t, service("web", 80))
		after(30 * time.Minute)
		if n := tried["old"]; n < 5 || n > 12 {
			t.Errorf("tried %d times in half an hour", n)
		}
		members = []string{"new"}
		r.serve(t, service("web", 81))
		after(16 * time.Second)
		if n := tried["new"]; n != 2 {
			t.Errorf("tried %d times in 16 s, want 2", n)
		}
	})
}

// Steps that serve one Service alone may end long after their pass: while what
// is owed is tried again.
func TestWaitsGrowThoughAnOlderPassEndsMeanwhile(t *testing.T) {
	g, now := newGroup(), time.Unix(0, 0)
	failed := map[plan.ID]error{{Kind: "members", Name: "other"}: errors.New("500")}
	g.passes = 2
	g.over(now, nil, failed, 0)
	first := g.owed.at
	if !g.claim(first) {
		t.Fatal("nothing is owed")
	}
	g.passes++
	g.over(first, nil, nil, 0)
	g.over(first, nil, failed, 0)
	if before, next := first.Sub(now), g.owed.at.Sub(first); next <= before {
		t.Errorf("tried again after %v, and then after %v", before, next)
	}
}

// A write that is done is owed no more, though the time for another try has not
// come: when it fails again, it is tried again as soon as the first time.
func TestWaitsAreForgottenWithTheWriteThatIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		var heals atomic.Bool
		var tried atomic.Int32
		c.fault = func(st plan.Step, _ map[plan.Key]bool) error {
			if st.Target.Kind != "members" {
				return nil
			}
			tried.Add(1)
			if heals.Load() {
				return nil
			}
			return &plan.LeftOutError{Owed: &plan.Error{Kind: plan.Invalid, Reason: "TargetsRefused", Err: errors.New("i-1 is stopped")}}
		}
		p := &altering{cloud: c, alter: func(d *provider.Decision) {
			d.Plan.Steps = append(d.Plan.Steps, plan.Step{Action: plan.Update, Target: plan.ID{Kind: "members", Name: "web"}})
		}}
		r := start(t, c, func(o *Options) { o.Provider = p })
		r.serve(t, service("web", 80))
		for tried.Load() < 5 {
			after(time.Second)
		}
		heals.Store(true)
		r.serve(t, service("web", 81))
		heals.Store(false)
		tried.Store(0)
		r.serve(t, service("web", 82))
		after(16 * time.Second)
		if n := tried.Load(); n != 2 {
			t.Errorf("tried %d times in 16 s, want 2", n)
		}
	})
}
