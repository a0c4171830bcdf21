// SPDX-License-Identifier: Apache-2.0

package instances

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/provider/wire"
)

// askedLately is how long a key that was asked for comes before others: who
// looks at it often will ask again.
const askedLately = 30 * time.Second

// shelf keeps what was read by key, also that nothing has a key. A call asks
// for the key that is wanted, for those that others wait for, and for as many
// more that are old as it has room for, first those that were asked for lately:
// so the whole cluster takes as few calls as one call holds nodes. The call ends
// with the context of the one who made it, and another one takes over.
type shelf[T any] struct {
	clock clock.PassiveClock
	// most is how many keys a call takes.
	most int
	// keep is how long what nobody asks for is kept.
	keep time.Duration
	// fetch reads keys; what it does not return is not there.
	fetch func(ctx context.Context, keys []string) (map[string]T, error)
	// others are the keys that will be asked for.
	others func() []string

	mu      sync.Mutex
	entries map[string]entry[T]
	pending map[string]bool
	asked   map[string]time.Time // when somebody asked last
	flight  *flight              // nil: none
}

type entry[T any] struct {
	value T
	found bool
	begun time.Time // when the call was sent: what happened later may be missing
}

// flight is a call under way.
type flight struct {
	begun time.Time
	keys  map[string]bool
	done  chan struct{}
	err   error // valid when done is closed
}

// get is what has the key, read at or after the time; false when nothing has.
func (s *shelf[T]) get(ctx context.Context, key string, notBefore time.Time) (T, bool, error) {
	for {
		e, f, mine := s.look(key, notBefore)
		switch {
		case f == nil:
			return e.value, e.found, nil
		case mine:
			s.fly(ctx, f)
		default:
			select {
			case <-f.done:
			case <-ctx.Done():
				return e.value, false, ctx.Err()
			}
		}
		if f.err != nil && f.keys[key] && !f.begun.Before(notBefore) && (mine || !wire.IsContext(f.err)) {
			return e.value, false, f.err
		}
	}
}

// look finds what is known, a call under way, or a call that is mine to make.
func (s *shelf[T]) look(key string, notBefore time.Time) (e entry[T], f *flight, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[key] = s.clock.Now()
	if e, ok := s.entries[key]; ok && !e.begun.Before(notBefore) {
		return e, nil, false
	}
	if s.flight != nil {
		if !s.flight.keys[key] {
			s.pending[key] = true
		}
		return e, s.flight, false
	}
	s.flight = &flight{begun: s.clock.Now(), keys: s.load(key, notBefore), done: make(chan struct{})}
	return e, s.flight, true
}

// known is what had the key when it was read last; false when nothing had, or
// nobody has read.
func (s *shelf[T]) known(key string) (T, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[key]
	return e.value, e.found
}

// expect makes the next call ask for the keys that are older than the time.
func (s *shelf[T]) expect(keys []string, notBefore time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range keys {
		if e, ok := s.entries[k]; !ok || e.begun.Before(notBefore) {
			s.pending[k] = true
		}
	}
}

// load chooses the keys of a call. The lock is held.
func (s *shelf[T]) load(key string, notBefore time.Time) map[string]bool {
	keys := map[string]bool{key: true}
	delete(s.pending, key)
	for k := range s.pending {
		if len(keys) < s.most {
			keys[k] = true
			delete(s.pending, k)
		}
	}
	lately := s.clock.Now().Add(-askedLately)
	last := func(k string) time.Time {
		if at := s.asked[k]; at.After(lately) {
			return at
		}
		return time.Time{}
	}
	var old []string
	for _, k := range s.others() {
		if e, ok := s.entries[k]; !keys[k] && (!ok || e.begun.Before(notBefore)) {
			old = append(old, k)
		}
	}
	slices.SortFunc(old, func(a, b string) int {
		return cmp.Or(last(b).Compare(last(a)), s.entries[a].begun.Compare(s.entries[b].begun), cmp.Compare(a, b))
	})
	for _, k := range old[:min(len(old), s.most-len(keys))] {
		keys[k] = true
	}
	return keys
}

// fly makes the call. No lock is held meanwhile.
func (s *shelf[T]) fly(ctx context.Context, f *flight) {
	keys := make([]string, 0, len(f.keys))
	for k := range f.keys {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	found, err := s.fetch(ctx, keys)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.err, s.flight = err, nil
	if err == nil {
		for _, k := range keys {
			value, ok := found[k]
			s.entries[k] = entry[T]{value, ok, f.begun}
		}
		s.prune()
	}
	close(f.done)
}

// prune drops what nobody has asked for. The lock is held.
func (s *shelf[T]) prune() {
	limit := s.clock.Now().Add(-s.keep)
	for k, e := range s.entries {
		if e.begun.Before(limit) {
			delete(s.entries, k)
		}
	}
	for k, at := range s.asked {
		if at.Before(limit) {
			delete(s.asked, k)
		}
	}
}

func newShelf[T any](c clock.PassiveClock, most int, keep time.Duration,
	fetch func(context.Context, []string) (map[string]T, error), others func() []string,
) *shelf[T] {
	return &shelf[T]{
		clock: c, most: most, keep: keep, fetch: fetch, others: others,
		entries: map[string]entry[T]{}, pending: map[string]bool{}, asked: map[string]time.Time{},
	}
}
