// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"slices"
	"time"
)

// Sought are things that a cloud does not show yet, by name. Nothing in the
// cluster tells when it does, so they are looked for again, ever later. It is for
// one goroutine at a time.
type Sought struct {
	// First is how long after it was missed something is looked for again. The
	// wait doubles with each look, up to Longest.
	First, Longest time.Duration
	// Patience is after how long nobody waits for it any more; zero: never.
	Patience time.Duration

	known map[string]sought
}

// sought is since when something is waited for, how long when it was looked for
// last, and whether nobody waits for it any more.
type sought struct {
	since time.Time
	age   time.Duration
	lost  bool
}

// wait is how long after the last look the next one is.
func (s *Sought) wait(x sought) time.Duration { return min(max(s.First, x.age), s.Longest) }

// Due are those of the names that are to be looked for now.
func (s *Sought) Due(now time.Time, names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		x, ok := s.known[name]
		return ok && now.Sub(x.since) < x.age+s.wait(x)
	})
}

// Missed is what follows from what is not shown.
type Missed struct {
	Again time.Duration   // when to look again; zero: nobody waits any more
	Lost  map[string]bool // what was waited for in vain
	News  []string        // those of it that are new there
}

// Note takes what is not shown now, and which of it was looked for, and forgets
// what is shown.
func (s *Sought) Note(now time.Time, missing, looked []string) Missed {
	next := map[string]sought{}
	out := Missed{Lost: map[string]bool{}}
	for _, name := range missing {
		x, ok := s.known[name]
		if !ok {
			x.since = now
		}
		age := now.Sub(x.since)
		if slices.Contains(looked, name) {
			x.age = age
		}
		if s.Patience > 0 && age >= s.Patience {
			if out.Lost[name] = true; !x.lost {
				out.News = append(out.News, name)
			}
			x.lost = true
		}
		next[name] = x
		if x.lost {
			continue
		}
		if wait := x.age + s.wait(x) - age; out.Again == 0 || wait < out.Again {
			out.Again = wait
		}
	}
	s.known = next
	return out
}
