// SPDX-License-Identifier: Apache-2.0

package machines

import (
	"context"
	"encoding/json"
	"net/url"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/provider/azure/arm"
	"github.com/fairlead/fairlead/pkg/provider/wire"
)

// API is what is needed of Azure Resource Manager. Errors are *plan.Error
// about an *azcore.ResponseError.
type API interface {
	// List reads all pages of a collection. query may be nil.
	List(ctx context.Context, collection string, query url.Values) ([]json.RawMessage, error)
	// Get reads one resource.
	Get(ctx context.Context, id string, query url.Values) (json.RawMessage, error)
	// Put writes a resource, on the condition that its etag is that one unless
	// it is empty, and waits until that is done.
	Put(ctx context.Context, id string, body json.RawMessage, etag string) (json.RawMessage, error)
}

// collection is what a list call names.
type collection struct {
	path  string
	query string // encoded
}

// listing is the answer of a list call.
type listing[T any] struct {
	items []T
	begun time.Time // when the call was sent: what happened later may be missing
}

// forgetAfter is how long a listing that nobody asks for is kept.
const forgetAfter = 30 * time.Minute

// shelf keeps the newest listing of each collection of one type. Those who ask
// for a collection while it is fetched share the answer. The call ends with
// the context of the one who made it, and another one takes over.
type shelf[T any] struct {
	api   API
	clock clock.PassiveClock
	parse func(json.RawMessage) (T, error)

	mu      sync.Mutex
	entries map[collection]*entry[T]
}

type entry[T any] struct {
	newest *listing[T] // nil: none yet
	flight *flight     // nil: none
}

// flight is a call under way.
type flight struct {
	begun time.Time
	done  chan struct{}
	err   error // valid when done is closed
}

func newShelf[T any](api API, c clock.PassiveClock, parse func(json.RawMessage) (T, error)) *shelf[T] {
	return &shelf[T]{api: api, clock: c, parse: parse, entries: map[collection]*entry[T]{}}
}

// get returns a listing that was begun at or after the time. A collection that
// is not there is empty.
func (s *shelf[T]) get(ctx context.Context, c collection, notBefore time.Time) (listing[T], error) {
	for {
		found, f, mine := s.look(c, notBefore)
		if found != nil {
			return *found, nil
		}
		if mine {
			return s.fetch(ctx, c, f)
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return listing[T]{}, ctx.Err()
		}
		if f.err != nil && !f.begun.Before(notBefore) && !wire.IsContext(f.err) {
			return listing[T]{}, f.err
		}
	}
}

// look finds a listing, a call under way, or a call that is mine to make.
func (s *shelf[T]) look(c collection, notBefore time.Time) (found *listing[T], f *flight, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[c]
	if e == nil {
		e = &entry[T]{}
		s.entries[c] = e
	}
	if e.newest != nil && !e.newest.begun.Before(notBefore) {
		return e.newest, nil, false
	}
	if e.flight != nil {
		return nil, e.flight, false
	}
	e.flight = &flight{begun: s.clock.Now(), done: make(chan struct{})}
	return nil, e.flight, true
}

// fetch makes the call. No lock is held meanwhile.
func (s *shelf[T]) fetch(ctx context.Context, c collection, f *flight) (listing[T], error) {
	items, err := s.list(ctx, c)
	out := listing[T]{items: items, begun: f.begun}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[c]
	e.flight, f.err = nil, err
	if err == nil {
		e.newest = &out
	}
	s.prune()
	close(f.done)
	return out, err
}

func (s *shelf[T]) list(ctx context.Context, c collection) ([]T, error) {
	var query url.Values
	if c.query != "" {
		q, err := url.ParseQuery(c.query)
		if err != nil {
			return nil, err
		}
		query = q
	}
	raw, err := s.api.List(ctx, c.path, query)
	if arm.NotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	items := make([]T, 0, len(raw))
	for _, r := range raw {
		item, err := s.parse(r)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

// prune drops what nobody has asked for. The lock is held.
func (s *shelf[T]) prune() {
	limit := s.clock.Now().Add(-forgetAfter)
	for c, e := range s.entries {
		if e.flight == nil && (e.newest == nil || e.newest.begun.Before(limit)) {
			delete(s.entries, c)
		}
	}
}
