// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
)

// writes counts the requests in flight that may change something in the API
// server, events apart: those may be lost, and queue up behind a burst.
type writes struct {
	objects, events tally
	closed          atomic.Bool
}

func newWrites(c clock.Clock) *writes {
	return &writes{objects: tally{clock: c}, events: tally{clock: c}}
}

var errClosed = errors.New("the lease is being given up: nothing more is written")

// count wraps a transport so that its writes are counted.
func (w *writes) count(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if isRead(r) {
			return next.RoundTrip(r)
		}
		t := &w.objects
		if isEvent(r) {
			t = &w.events
		}
		t.begin()
		defer t.end()
		return next.RoundTrip(r)
	})
}

// fence wraps a transport so that its writes are counted until shut, and
// refused afterwards.
func (w *writes) fence(next http.RoundTripper) http.RoundTripper {
	counted := w.count(next)
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if !isRead(r) && w.closed.Load() {
			closeBody(r)
			return nil, errClosed
		}
		return counted.RoundTrip(r)
	})
}

// shut refuses all writes behind the fence from now on.
func (w *writes) shut() { w.closed.Store(true) }

// tally counts requests in flight.
type tally struct {
	clock clock.Clock

	mu     sync.Mutex
	flying int
	last   time.Time // when one last began or ended
}

func (t *tally) begin() { t.add(1) }

func (t *tally) end() { t.add(-1) }

func (t *tally) add(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.flying += n
	t.last = t.clock.Now()
}

// quiet waits until no request has been in flight for the given time from now,
// or ctx ends. Requests that follow one another, or an answer just given, are
// waited for as long as the pauses between them are shorter.
func (t *tally) quiet(ctx context.Context, pause time.Duration) error {
	t.add(0)
	for {
		t.mu.Lock()
		flying, idle := t.flying, t.clock.Since(t.last)
		t.mu.Unlock()
		wait := pause
		if flying == 0 {
			if idle >= pause {
				return nil
			}
			wait = pause - idle
		}
		select {
		case <-t.clock.After(wait):
		case <-ctx.Done():
			return fmt.Errorf("%d writes to the API server still in flight: %w", flying, ctx.Err())
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip calls the function.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// closeBody does what a RoundTripper has to do also when it fails.
func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
}

// isEvent reports whether a request writes an Event.
func isEvent(r *http.Request) bool {
	return strings.HasSuffix(r.URL.Path, "/events") || strings.Contains(r.URL.Path, "/events/")
}

func isRead(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	return false
}

// readOnly wraps a transport so that nothing can be written through it.
// Reviews are questions, though they are asked by POST.
func readOnly(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if !isRead(r) && !isReview(r) {
			closeBody(r)
			return nil, fmt.Errorf("dry run: refused to %s %s", r.Method, r.URL.Path)
		}
		return next.RoundTrip(r)
	})
}

// isReview reports whether a request only asks whether somebody may do
// something, or who somebody is.
func isReview(r *http.Request) bool {
	if r.Method != http.MethodPost {
		return false
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) != 4 || parts[0] != "apis" {
		return false
	}
	switch parts[1] {
	case "authentication.k8s.io":
		return slices.Contains([]string{"tokenreviews", "selfsubjectreviews"}, parts[3])
	case "authorization.k8s.io":
		return slices.Contains([]string{"subjectaccessreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"}, parts[3])
	}
	return false
}
