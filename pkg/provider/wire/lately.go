// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Lately remembers for a period what a call found, so that those who ask again
// and again make one call in that time.
type Lately struct {
	clock  clock.PassiveClock
	period time.Duration
	mu     sync.Mutex
	at     map[string]time.Time // by name
}

// NewLately remembers nothing yet.
func NewLately(c clock.PassiveClock, period time.Duration) *Lately {
	return &Lately{clock: c, period: period, at: map[string]time.Time{}}
}

// Is reports whether the name was noted less than the period ago.
func (l *Lately) Is(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.at[name]
	return ok && l.clock.Since(at) < l.period
}

// Note notes a name, now, and forgets older ones.
func (l *Lately) Note(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	for k, at := range l.at {
		if now.Sub(at) >= l.period {
			delete(l.at, k)
		}
	}
	l.at[name] = now
}
