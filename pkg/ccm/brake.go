// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"fmt"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

const (
	// settleTime is how long a node must be missing before it may be deleted:
	// two of the lifecycle controller's passes at its default period, so that
	// all nodes that vanish together are known before the first is deleted.
	settleTime = 10 * time.Second
	// brakeWindow is how long a deleted node counts against the limit.
	brakeWindow = 10 * time.Minute
	// forgetTime is how long a missing node counts when nobody asks for it any
	// more: it is Ready again, or somebody deleted it.
	forgetTime = 2 * time.Minute
)

// brake stops the deletion of nodes when too many are missing at once: more
// likely the cloud's answers are wrong, or its credentials or configuration
// were changed, than that the machines are gone.
type brake struct {
	percent int        // of all nodes; 100: no brake
	nodes   func() int // how many nodes there are
	clock   clock.PassiveClock

	mu    sync.Mutex
	found map[string]sighting // nodes that the cloud does not know
}

// sighting is what the brake knows of a missing node.
type sighting struct {
	first, last time.Time
	released    time.Time // when it was given up for deletion; zero: not yet
}

func newBrake(percent int, nodes func() int, c clock.PassiveClock) *brake {
	return &brake{percent: percent, nodes: nodes, clock: c, found: map[string]sighting{}}
}

// present forgets a node that was missing.
func (b *brake) present(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.found, name)
}

// missing notes that the cloud does not know a node, and returns nil when the
// node may be deleted.
func (b *brake) missing(name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.Now()
	s, known := b.found[name]
	if !known {
		s.first = now
	}
	s.last = now
	b.found[name] = s
	total := b.nodes() + b.prune(name, now)
	limit := (b.percent*total + 99) / 100
	if n := len(b.found); n > limit {
		return fmt.Errorf("node %s is not found in the cloud, and neither are %d of %d nodes within %s: "+
			"more than %d%% (--max-missing-nodes-percent), so none is deleted; check the cloud's credentials and configuration, or delete the Nodes yourself",
			name, n, total, brakeWindow, b.percent)
	}
	if wait := settleTime - now.Sub(s.first); wait > 0 {
		return fmt.Errorf("node %s is not found in the cloud: it is deleted when that is still so in %s", name, wait.Round(time.Second))
	}
	if s.released.IsZero() {
		s.released = now
		b.found[name] = s
	}
	return nil
}

// prune drops what no longer counts, and returns how many nodes other than the
// named one were given up for deletion: they are in the number of nodes no
// more.
func (b *brake) prune(name string, now time.Time) (gone int) {
	for n, s := range b.found {
		released := !s.released.IsZero()
		switch {
		case now.Sub(s.last) >= forgetTime && (!released || now.Sub(s.released) >= brakeWindow):
			delete(b.found, n)
		case released && n != name:
			gone++
		}
	}
	return gone
}
