// SPDX-License-Identifier: Apache-2.0

package stand

import (
	"context"
	"fmt"
	"time"

	"github.com/fairlead/fairlead/test/bench/table"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// Phase is what it took to do something.
type Phase struct {
	Took time.Duration
	sim.Counts
}

// Measure does it and counts the calls.
func (s *Stand) Measure(act func() error) (*Phase, error) {
	s.Calls.Reset()
	began := time.Now()
	err := act()
	return &Phase{Took: time.Since(began), Counts: s.Calls.Counts()}, err
}

// MeasureQuiet does it and counts the calls until there were that many writes,
// and no more calls for a while. It took from the first call to the end of the
// last one.
func (s *Stand) MeasureQuiet(ctx context.Context, writes int, act func() error) (*Phase, error) {
	p, err := s.Measure(func() error {
		if err := act(); err != nil {
			return err
		}
		return s.untilQuiet(ctx, writes)
	})
	p.Took = busy(s.Calls.All())
	return p, err
}

// busy is from the first call to the end of the last one.
func busy(calls []sim.Call) time.Duration {
	if len(calls) == 0 {
		return 0
	}
	end := calls[0].Arrived
	for _, c := range calls {
		if at := c.Ended(); at.After(end) {
			end = at
		}
	}
	return end.Sub(calls[0].Arrived)
}

// enough is how long that many writes are waited for.
const enough = 30 * time.Second

// untilQuiet waits until there were that many writes, or none came for long, and
// then for no more calls for a while.
func (s *Stand) untilQuiet(ctx context.Context, writes int) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	seen, since, began := 0, time.Now(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the controller is not quiet: %w", ctx.Err())
		case <-tick.C:
		}
		calls := s.Calls.All()
		if len(calls) != seen || len(calls) == 0 || calls[len(calls)-1].Took == 0 {
			seen, since = len(calls), time.Now()
		}
		if time.Since(since) > s.Quiet && (sim.Total(s.Calls.Counts().Writes) >= writes || time.Since(began) > enough) {
			return nil
		}
	}
}

// Wrote is how many writes there were.
func (p *Phase) Wrote() int { return sim.Total(p.Writes) }

// Read is how many reads there were, with further pages.
func (p *Phase) Read() int { return sim.Total(p.Reads) + p.Pages }

// Flawless is without a call that was answered by an error.
func (p *Phase) Flawless() bool { return sim.Total(p.Refused)+sim.Total(p.Failed) == 0 }

// Each is how many calls there were for each of n Services.
func (p *Phase) Each(n int) float64 { return float64(p.Wrote()+p.Read()) / float64(n) }

// Describe is a phase in words, with the names of calls made short.
func (p *Phase) Describe(short func(string) string) string {
	text := fmt.Sprintf("%s; %s", table.Seconds(p.Took), Words(p.Counts, short))
	if n := p.Pages; n > 0 {
		text += fmt.Sprintf(", and %d further pages", n)
	}
	if sim.Total(p.Refused) > 0 {
		text += "; refused: " + table.Counts(p.Refused, short)
	}
	if sim.Total(p.Failed) > 0 {
		text += "; other errors: " + table.Counts(p.Failed, short)
	}
	return text
}

// Words are writes and reads in words.
func Words(c sim.Counts, short func(string) string) string {
	return fmt.Sprintf("writes: %s; reads: %s", table.Counts(c.Writes, short), table.Counts(c.Reads, short))
}
