// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// firstLook is when machines that could not join their pools are looked at
	// again, and doubles up to longestLook: nothing in the cluster tells when a
	// machine is made, or runs again. Kubelets often register before it is.
	firstLook   = 15 * time.Second
	longestLook = 5 * time.Minute
	// soonLook is firstLook for a write that failed and may be done at once.
	soonLook = time.Second
)

// later starts passes for machines that could not join their pools yet, as long
// as there are any.
type later struct {
	news chan []string // holds one, the newest
	wake chan struct{} // holds one

	mu    sync.Mutex
	tries map[string]int // failed writes in a row, by what was to be written
	next  time.Duration  // until the next look for one of them; zero: none is due
}

func newLater() *later {
	return &later{news: make(chan []string, 1), wake: make(chan struct{}, 1), tries: map[string]int{}}
}

// wait notes the nodes whose machines could not join when a pass looked; none
// when all could. There is one caller at a time.
func (l *later) wait(nodes []string) {
	select {
	case <-l.news: // older
	default:
	}
	l.news <- slices.Sorted(slices.Values(nodes))
}

// failed notes a write of a machine's pools that failed, to be tried after this
// time, and after the double each time that it fails again.
func (l *later) failed(name string, after time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range min(l.tries[name], 16) { // from 1 s beyond longestLook
		after *= 2
	}
	l.tries[name]++
	if after = min(after, longestLook); l.next == 0 || after < l.next {
		l.next = after
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// done notes that the write was done.
func (l *later) done(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.tries, name)
}

// takeNext is the time until the next look, which is taken on.
func (l *later) takeNext() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.next
	l.next = 0
	return next
}

// run calls look when it is time, until ctx ends.
func (l *later) run(ctx context.Context, look func()) {
	var due, retry <-chan time.Time
	wait, who := firstLook, ""
	for {
		select {
		case <-ctx.Done():
			return
		case nodes := <-l.news:
			now := strings.Join(nodes, ",")
			switch {
			case now == "":
				due = nil
			case now != who:
				wait, due = firstLook, time.After(firstLook)
			case due == nil:
				wait = min(2*wait, longestLook)
				due = time.After(wait)
			}
			who = now
		case <-due:
			due = nil
			look()
		case <-l.wake:
			if next := l.takeNext(); retry == nil && next > 0 {
				retry = time.After(next)
			}
		case <-retry:
			retry = nil
			look()
		}
	}
}
