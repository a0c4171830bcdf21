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
	"time"

	"github.com/google/go-cmp/cmp"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// soak is the environment variable that asks for all trials.
const soak = "FAIRLEAD_SOAK"

// variant is a cloud that the scenario is played on.
type variant struct {
	name   string
	config []string // more keys of the cloud-config
	timing awssim.Timing
	steps  func() []step
}

// variants are those that write in other ways.
func variants() []variant {
	return []variant{
		{name: "bare", steps: scenario},
		{
			name: "groups", config: []string{"nlbSecurityGroupMode: Managed"},
			timing: awssim.Timing{Linger: 100 * time.Millisecond, Release: 50 * time.Millisecond}, steps: scenario,
		},
		{name: "claimed", config: []string{"loadBalancerController: {claim: true, clusterName: rig}"}, steps: claimedScenario},
	}
}

// disturbance spoils one write of a run.
type disturbance struct {
	name string
	// process: the controller is a process of its own.
	process bool
	// arm makes the cloud strike at the nth write, and returns whether it did.
	arm func(w *world, write int) (struck func() bool)
}

// killing ends the controller by SIGKILL at a moment of the write.
func killing(name string, at awssim.Moment) disturbance {
	return disturbance{name: name, process: true, arm: func(w *world, write int) func() bool {
		var struck atomic.Bool
		doomed, is := w.now().(*process)
		w.sim.SetHook(func(m awssim.Moment, call awssim.Call) awssim.Verdict {
			if !is || call.Write != write || m != at {
				return awssim.Proceed
			}
			doomed.kill()
			struck.Store(true)
			return awssim.HangUp
		})
		return struck.Load
	}}
}

func kills() []disturbance {
	return []disturbance{
		killing("killed before the commit", awssim.BeforeCommit),
		killing("killed after the commit", awssim.AfterCommit),
	}
}

// run plays the scenario, disturbed if there is a disturbance, and returns what
// is there at the end.
func run(ctx context.Context, v variant, d *disturbance, write int) (r result, err error) {
	w, err := newWorld(awssim.Options{Timing: v.timing}, 3, v.config...)
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
	if err := w.play(ctx, v.steps()); err != nil {
		return r, err
	}
	r.struck, r.writes = struck(), awssim.Total(w.sim.Counts().Writes)
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
		return r, fmt.Errorf("a look at the end writes%s", sorted(more))
	}
	// And all of it can go.
	if err := w.play(ctx, []step{remove(w.names()...)}); err != nil {
		return r, err
	}
	r.left, err = w.picture()
	return r, err
}

type result struct {
	picture string // at the end of the scenario
	left    string // when all Services are deleted
	writes  int
	struck  bool
}

// atOnce is how many trials run side by side: most of their time they wait.
const atOnce = 8

// everyWrite disturbs the scenario at every write in turn, in every way, and
// compares its end with that of an undisturbed run. The short form takes every
// nth write only, other ones for each way.
func everyWrite(t *testing.T, v variant, ways []disturbance, nth int) {
	t.Helper()
	ctx := quiet(t)
	want, err := run(ctx, v, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if want.writes < 50 {
		t.Fatalf("the scenario has %d writes only", want.writes)
	}
	if strings.Contains(want.left, "a0000000") || strings.Contains(want.left, "k8s") {
		t.Errorf("something is left:\n%s", want.left)
	}
	nth *= slower
	if os.Getenv(soak) != "" {
		nth = 1
	}
	var wg sync.WaitGroup
	var trials, struck atomic.Int32
	slots := make(chan struct{}, atOnce)
	for i, d := range ways {
		for write := 1 + i*nth/len(ways); write <= want.writes; write += nth {
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				got, err := run(ctx, v, &d, write)
				trials.Add(1)
				if got.struck {
					struck.Add(1)
				}
				if err != nil {
					t.Errorf("write %d %s: %v", write, d.name, err)
					return
				}
				for _, pair := range [][2]string{{want.picture, got.picture}, {want.left, got.left}} {
					if diff := cmp.Diff(strings.Split(pair[0], "\n"), strings.Split(pair[1], "\n")); diff != "" {
						t.Errorf("write %d %s: the end differs (-undisturbed +disturbed):\n%s", write, d.name, diff)
					}
				}
			})
		}
	}
	wg.Wait()
	t.Logf("%d writes, %d trials, %d struck", want.writes, trials.Load(), struck.Load())
	if struck.Load() == 0 {
		t.Error("no trial was disturbed")
	}
}

// The controller dies before and after every single write, and the next one
// goes on.
func TestKilledAtEveryWrite(t *testing.T) {
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) { everyWrite(t, v, kills(), 60) })
	}
}
