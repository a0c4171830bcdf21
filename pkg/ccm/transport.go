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

// transport wraps a transport so that its writes are counted.
func (w *writes) transport(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if isRead(r) {
			return next.RoundTrip(r)
		}
		if err := w.begin(); err != nil {
			return nil, err
		}
		defer w.end()
		return next.RoundTrip(r)
	})
}

func (w *writes) begin() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return errClosed
	}
	w.flying++
	w.last = w.clock.Now()
	return nil
}

func (w *writes) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flying--
	w.last = w.clock.Now()
}

// quiet waits until no write has been in flight for the given time, or ctx
// ends. Writes that follow one another, as an answer's status and event do,
// are waited for as long as the pauses between them are shorter.
func (w *writes) quiet(ctx context.Context, pause time.Duration) error {
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

// shut refuses all writes from now on.
func (w *writes) shut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip calls the function.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

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
			if r.Body != nil {
				_ = r.Body.Close() // a RoundTripper closes the body also when it fails
			}
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
