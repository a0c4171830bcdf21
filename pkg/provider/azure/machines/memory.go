// SPDX-License-Identifier: Apache-2.0

package machines

import (
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// singles remembers, for a moment, the states of machines that were asked for
// alone.
type singles struct {
	clock clock.PassiveClock

	mu    sync.Mutex
	state map[string]stateAt // by id in lower case
}

type stateAt struct {
	status
	at time.Time
}

func newSingles(c clock.PassiveClock) *singles {
	return &singles{clock: c, state: map[string]stateAt{}}
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
