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
	"time"

	"k8s.io/utils/clock"
)

// writes counts the requests in flight that may change something in the API
// server.
type writes struct {
	clock clock.Clock

	mu     sync.Mutex
	flying int
	last   time.Time // when one last began or ended
	closed bool
}

var errClosed = errors.New("the lease is being given up: nothing more is written")

// count wraps a transport so that its writes are counted.
func (w *writes) count(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if isRead(r) {
			return next.RoundTrip(r)
		}
		w.begin()
		defer w.end()
		return next.RoundTrip(r)
	})
}

// fence wraps a transport so that its writes are counted until shut, and
// refused afterwards.
func (w *writes) fence(next http.RoundTripper) http.RoundTripper {
	counted := w.count(next)
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if !isRead(r) && w.isShut() {
			closeBody(r)
			return nil, errClosed
		}
		return counted.RoundTrip(r)
	})
}

func (w *writes) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flying++
	w.last = w.clock.Now()
}

func (w *writes) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flying--
	w.last = w.clock.Now()
}

// quiet waits until no write has been in flight for the given time from now,
// or ctx ends. Writes that follow one another, or an answer just given, are
// waited for as long as the pauses between them are shorter.
func (w *writes) quiet(ctx context.Context, pause time.Duration) error {
	w.mu.Lock()
	w.last = w.clock.Now()
	w.mu.Unlock()
	for {
		w.mu.Lock()
		flying, idle := w.flying, w.clock.Since(w.last)
		w.mu.Unlock()
		wait := pause
		if flying == 0 {
			if idle >= pause {
				return nil
			}
			wait = pause - idle
		}
		select {
		case <-w.clock.After(wait):
		case <-ctx.Done():
			return fmt.Errorf("%d writes to the API server still in flight: %w", flying, ctx.Err())
		}
	}
}

// shut refuses all writes behind the fence from now on.
func (w *writes) shut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
}

func (w *writes) isShut() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed
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
