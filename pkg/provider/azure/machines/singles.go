// SPDX-License-Identifier: Apache-2.0

package machines

import (
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// singles remembers, for a moment, what calls about one machine found, so that
// those who ask again and again make one call in that time.
type singles struct {
	clock clock.PassiveClock

	mu    sync.Mutex
	gone  map[string]time.Time // by id in lower case: when it was found missing
	state map[string]stateAt
	deny  time.Time // when the list of all states was denied
}

type stateAt struct {
	status
	at time.Time
}

func newSingles(c clock.PassiveClock) *singles {
	return &singles{clock: c, gone: map[string]time.Time{}, state: map[string]stateAt{}}
}

// missing reports whether the machine was found missing a moment ago.
func (s *singles) missing(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.gone[strings.ToLower(id)]
	return ok && s.clock.Since(at) < missAge
}

// miss notes that the machine is missing.
func (s *singles) miss(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	for k, at := range s.gone {
		if now.Sub(at) >= missAge {
			delete(s.gone, k)
		}
	}
	s.gone[strings.ToLower(id)] = now
}

// status is the state that was found a moment ago.
func (s *singles) status(id string) (status, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, ok := s.state[strings.ToLower(id)]
	return st.status, ok && s.clock.Since(st.at) < hitAge
}

// found notes the state of a machine.
func (s *singles) found(id string, st status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	for k, old := range s.state {
		if now.Sub(old.at) >= hitAge {
			delete(s.state, k)
		}
	}
	s.state[strings.ToLower(id)] = stateAt{st, now}
}

// denyPeriod is how long a call that was denied is not made again.
const denyPeriod = 10 * time.Minute

// listDenied reports whether the list of all states was denied lately.
func (s *singles) listDenied() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.deny.IsZero() && s.clock.Since(s.deny) < denyPeriod
}

func (s *singles) denyList() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deny = s.clock.Now()
}

// stamp is a time that moves forward.
type stamp struct {
	mu sync.Mutex
	at time.Time
}

func (s *stamp) set(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.After(s.at) {
		s.at = t
	}
}

func (s *stamp) get() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}
