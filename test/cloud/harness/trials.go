// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead/fairlead/test/cloud/sim"
)

// Soak is the environment variable that asks for all trials.
const Soak = "FAIRLEAD_SOAK"

// Subject is a world on a simulated cloud whose writes can be disturbed.
type Subject interface {
	Base() *World
	Close()
	// Picture is all that is there as text, when the cloud has come to rest.
	Picture() (string, error)
	// Watch lets a function see each write before and after its commit.
	Watch(see func(at sim.Moment, write int) sim.Verdict)
	// Calm ends all disturbances.
	Calm()
	// Writes counts the writes by kind since the last call of Forget.
	Writes() map[string]int
	Forget()
}

// Base implements a part of [Subject].
func (w *World) Base() *World { return w }

// Disturbance spoils one write of a life.
type Disturbance[S Subject] struct {
	Name string
	// Apart: the controller is a process of its own.
	Apart bool
	// Arm makes the cloud strike at the first write from the nth on that can be
	// struck, and returns whether it did.
	Arm func(s S, nth int) (struck func() bool)
}

// Kills are the ways to end the controller by SIGKILL: before a write is done,
// and after, when it has no answer yet.
func Kills[S Subject]() []Disturbance[S] {
	return []Disturbance[S]{
		killing[S]("killed before the commit", sim.BeforeCommit),
		killing[S]("killed after the commit", sim.AfterCommit),
	}
}

func killing[S Subject](name string, at sim.Moment) Disturbance[S] {
	return Disturbance[S]{Name: name, Apart: true, Arm: func(s S, nth int) func() bool {
		var struck atomic.Bool
		doomed, is := s.Base().now().(*process)
		s.Watch(func(m sim.Moment, write int) sim.Verdict {
			if !is || write < nth || m != at || !struck.CompareAndSwap(false, true) {
				return sim.Proceed
			}
			doomed.kill()
			return sim.HangUp
		})
		return struck.Load
	}}
}

// Spoiling is a disturbance by a fault of the cloud: arm lets the cloud strike at
// the write that is chosen, by its number.
func Spoiling[S Subject](name string, arm func(s S, chosen func(write int) bool)) Disturbance[S] {
	return Disturbance[S]{Name: name, Arm: func(s S, nth int) func() bool {
		var struck atomic.Bool
		arm(s, func(write int) bool { return write >= nth && struck.CompareAndSwap(false, true) })
		return struck.Load
	}}
}

// Trials play one scenario again and again, each time disturbed at another
// write, and compare each end with that of an undisturbed life.
type Trials[S Subject] struct {
	// New makes a world without a controller.
	New func() (S, error)
	// Steps is the scenario.
	Steps func(S) []Step
	Ways  []Disturbance[S]
	// Short is how many trials there are, spread over writes and ways, when not
	// all are asked for.
	Short int
	// Writes is how many the scenario must have at least.
	Writes int
	// Traces are what must not be in the picture when all Services are deleted.
	// With none, it must be as it was before the first came.
	Traces []string
}

// end is how one life ended.
type end struct {
	picture string // at the end of the scenario
	left    string // when all Services are deleted
	writes  int
	struck  bool
	at      int // the write that was struck
}

// live plays the scenario, disturbed if there is a disturbance, and returns what
// is there at the end.
func (x Trials[S]) live(ctx context.Context, d *Disturbance[S], nth int) (e end, err error) {
	s, err := x.New()
	if err != nil {
		return e, err
	}
	defer s.Close()
	w := s.Base()
	w.Apart = d != nil && d.Apart
	if err := w.Start(ctx); err != nil {
		return e, err
	}
	struck := func() bool { return true }
	if d != nil {
		struck = d.Arm(s, nth)
	}
	if err := w.Play(ctx, x.Steps(s)); err != nil {
		return e, err
	}
	e.struck, e.writes = struck(), sim.Total(s.Writes())
	if e.picture, err = s.Picture(); err != nil {
		return e, err
	}
	// What is there is as it shall be: a look at all of it writes nothing.
	s.Calm()
	s.Forget()
	if err := w.Settle(ctx, w.Names(), OfServices); err != nil {
		return e, err
	}
	if more := s.Writes(); len(more) > 0 {
		after, err := s.Picture()
		return e, errors.Join(fmt.Errorf("a look at the end writes%s (-before +after):\n%s", Counted(more), Diff(e.picture, after)), err)
	}
	// And all of it can go.
	if err := w.Play(ctx, []Step{Remove(w.Names()...)}); err != nil {
		return e, err
	}
	e.left, err = s.Picture()
	return e, err
}

// trial is a life in which the disturbance strikes. Services that come at once
// are batched now so, now so, so that a life may have some writes less than the
// one that is chosen: then the next one is struck at the last that it had.
func (x Trials[S]) trial(ctx context.Context, d *Disturbance[S], nth int) (e end, err error) {
	for {
		e, err = x.live(ctx, d, nth)
		e.at = nth
		if err != nil || e.struck {
			return e, err
		}
		if e.writes >= nth || e.writes == 0 {
			return e, fmt.Errorf("it was never disturbed: %d writes", e.writes)
		}
		nth = e.writes
	}
}

// atOnce is how many trials run side by side: most of their time they wait.
const atOnce = 8

// Run makes the trials.
func (x Trials[S]) Run(t *testing.T) {
	t.Helper()
	ctx := Quiet(t)
	want, err := x.live(ctx, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if want.writes < x.Writes {
		t.Fatalf("the scenario has %d writes, want %d at least", want.writes, x.Writes)
	}
	x.nothingLeft(t, want.left)
	n := len(x.Ways) * want.writes
	if os.Getenv(Soak) == "" {
		n = min(n, x.Short/Slower)
	}
	var wg sync.WaitGroup
	var same, earlier atomic.Int32
	slots := make(chan struct{}, atOnce)
	for _, at := range spread(n, len(x.Ways), want.writes) {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			d := x.Ways[at.way]
			got, err := x.trial(ctx, &d, at.write)
			if err != nil {
				t.Errorf("write %d %s: %v", got.at, d.Name, err)
				return
			}
			if got.at < at.write {
				earlier.Add(1)
			}
			diff, left := Diff(want.picture, got.picture), Diff(want.left, got.left)
			switch {
			case diff != "":
				t.Errorf("write %d %s: the end differs (-undisturbed +disturbed):\n%s", got.at, d.Name, diff)
			case left != "":
				t.Errorf("write %d %s: when all is deleted (-undisturbed +disturbed):\n%s", got.at, d.Name, left)
			default:
				same.Add(1)
			}
		})
	}
	wg.Wait()
	t.Logf("%d writes, %d trials, %d with the same end; %d struck an earlier write, the last of their life", want.writes, n, same.Load(), earlier.Load())
}

// nothingLeft judges what is left of an undisturbed life.
func (x Trials[S]) nothingLeft(t *testing.T, left string) {
	t.Helper()
	for _, trace := range x.Traces {
		if strings.Contains(left, trace) {
			t.Errorf("%s is left in\n%s", trace, left)
		}
	}
	if len(x.Traces) > 0 {
		return
	}
	s, err := x.New()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	before, err := s.Picture()
	if err != nil {
		t.Fatal(err)
	}
	if diff := Diff(before, left); diff != "" {
		t.Errorf("something is left (-before +after):\n%s", diff)
	}
}

// Down plays the scenario once more, so that each step happens while no
// controller is there, and compares what is there after each.
func (x Trials[S]) Down(t *testing.T) {
	t.Helper()
	there, away := x.begin(t), x.begin(t)
	steps := x.Steps(there)
	for i, s := range x.Steps(away) {
		there.Base().Do(t, steps[i])
		away.Base().Away(t, s)
		want, err := there.Picture()
		got, err2 := away.Picture()
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		if diff := Diff(want, got); diff != "" {
			t.Fatalf("%s: -there +away:\n%s", s.Name, diff)
		}
	}
}

// begin makes a world with a controller, which end with the test.
func (x Trials[S]) begin(t *testing.T) S {
	t.Helper()
	s, err := x.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Base().Start(Quiet(t)); err != nil {
		t.Fatal(err)
	}
	return s
}

// Diff compares two pictures line by line; empty when they are equal.
func Diff(want, got string) string {
	return cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n"))
}

// point is where a trial strikes.
type point struct{ way, write int }

// spread are n points over all ways and writes, evenly, each way in turn; all of
// them when n is their number.
func spread(n, ways, writes int) []point {
	all := ways * writes
	out := make([]point, n)
	for i := range out {
		p := (2*i + 1) * all / (2 * n)
		out[i] = point{way: p % ways, write: 1 + p/ways}
		switch {
		case n < ways:
			out[i].way = i * ways / n
		case n < all:
			out[i].way = i % ways
		}
	}
	return out
}

// Counted are counts as text.
func Counted(counts map[string]int) string {
	var text strings.Builder
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&text, " %s %d", kind, counts[kind])
	}
	return text.String()
}
