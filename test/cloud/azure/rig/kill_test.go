// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/klog/v2"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
)

// soak is the environment variable that asks for all trials.
const soak = "FAIRLEAD_SOAK"

// variants are the scenario's clouds: how nodes join pools.
func variants() []string { return []string{"nodeIPConfiguration", "nodeIP"} }

// disturbance spoils one write of a run.
type disturbance struct {
	name string
	// process: the controller is a process of its own.
	process bool
	// arm makes the cloud strike at the nth write, and returns whether it did.
	arm func(w *world, write int) (struck func() bool)
}

// killing ends the controller by SIGKILL at a moment of the write.
func killing(name string, at azuresim.Moment) disturbance {
	return disturbance{name: name, process: true, arm: func(w *world, write int) func() bool {
		var struck atomic.Bool
		doomed, is := w.now().(*process)
		w.sim.SetHook(func(m azuresim.Moment, call azuresim.Call) azuresim.Verdict {
			if !is || call.Write != write || m != at {
				return azuresim.Proceed
			}
			doomed.kill()
			struck.Store(true)
			return azuresim.HangUp
		})
		return struck.Load
	}}
}

func kills() []disturbance {
	return []disturbance{
		killing("killed before the commit", azuresim.BeforeCommit),
		killing("killed after the commit", azuresim.AfterCommit),
	}
}

// run plays the scenario, disturbed if there is a disturbance, and returns what
// is there at the end.
func run(ctx context.Context, pools string, d *disturbance, write int) (r result, err error) {
	w, err := newWorld(pools)
	if err != nil {
		return r, err
	}
	defer w.close()
	if d != nil && d.process {
		w.start = w.startProcess
	}
	if err := w.start(ctx); err != nil {
		return r, err
	}
	struck := func() bool { return true }
	if d != nil {
		struck = d.arm(w, write)
	}
	if err := w.play(ctx, scenario()); err != nil {
		return r, err
	}
	r.struck, r.writes = struck(), azuresim.Total(w.sim.Counts().Writes)
	if r.picture, err = w.picture(); err != nil {
		return r, err
	}
	// What is there is as it shall be: a look at all of it writes nothing.
	w.sim.ResetCalls()
	w.sim.SetHook(nil)
	w.sim.SetFault(nil)
	if err := w.settle(ctx, w.names(), false); err != nil {
		return r, err
	}
	if more := w.sim.Counts().Writes; len(more) > 0 {
		return r, fmt.Errorf("a look at the end writes %v", more)
	}
	return r, nil
}

type result struct {
	picture string
	writes  int
	struck  bool
}

// quiet is a context whose controllers log nothing.
func quiet(t *testing.T) context.Context {
	t.Helper()
	return klog.NewContext(t.Context(), klog.Logger{})
}

// atOnce is how many trials run side by side: most of their time they wait.
const atOnce = 8

// everyWrite disturbs the scenario at every write in turn, in every way, and
// compares its end with that of an undisturbed run. The short form takes every
// nth write only, other ones for each way.
func everyWrite(t *testing.T, pools string, ways []disturbance, nth int) {
	t.Helper()
	ctx := quiet(t)
	want, err := run(ctx, pools, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if want.writes < 30 {
		t.Fatalf("the scenario has %d writes only", want.writes)
	}
	nth *= slower
	if os.Getenv(soak) != "" {
		nth = 1
	}
	var wg sync.WaitGroup
	var trials atomic.Int32
	slots := make(chan struct{}, atOnce)
	for i, d := range ways {
		for write := 1 + i*nth/len(ways); write <= want.writes; write += nth {
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				got, err := struckRun(ctx, pools, &d, write)
				trials.Add(1)
				if err != nil {
					t.Errorf("write %d %s: %v", write, d.name, err)
				} else if diff := cmp.Diff(strings.Split(want.picture, "\n"), strings.Split(got.picture, "\n")); diff != "" {
					t.Errorf("write %d %s: the end differs (-undisturbed +disturbed):\n%s", write, d.name, diff)
				}
			})
		}
	}
	wg.Wait()
	t.Logf("%d writes, %d trials", want.writes, trials.Load())
	if trials.Load() == 0 {
		t.Error("there was no trial")
	}
}

// struckRun is run, in which the disturbance must strike. Services that come at
// once are batched now so, now so: a run may have a write less than another.
func struckRun(ctx context.Context, pools string, d *disturbance, write int) (r result, err error) {
	const tries = 3
	for range tries {
		r, err = run(ctx, pools, d, write)
		if err != nil || r.struck {
			return r, err
		}
		if r.writes >= write {
			break
		}
	}
	return r, fmt.Errorf("it was never disturbed: %d writes", r.writes)
}

// The controller dies before and after every single write, and the next one
// goes on.
func TestKilledAtEveryWrite(t *testing.T) {
	for _, pools := range variants() {
		t.Run(pools, func(t *testing.T) { everyWrite(t, pools, kills(), 16) })
	}
}
