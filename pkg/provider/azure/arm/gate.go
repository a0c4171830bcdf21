// SPDX-License-Identifier: Apache-2.0

package arm

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// class is what the service counts calls by. The zero value is none.
type class uint8

const (
	read class = iota + 1
	write
	remove // deletions have buckets of their own
)

func (c class) String() string {
	switch c {
	case read:
		return "read"
	case write:
		return "write"
	case remove:
		return "delete"
	}
	return "class" + strconv.Itoa(int(c))
}

func classOf(method string) class {
	switch method {
	case http.MethodGet:
		return read
	case http.MethodDelete:
		return remove
	}
	return write
}

// gateKey names what is throttled together, as far as is known here.
type gateKey struct {
	subscription string // lower case
	kind         string // resourceType.key
	class        class
}

// gates hold back calls that the service would refuse: one for each
// subscription, type and class that got a 429, until its Retry-After is over.
type gates struct {
	clock clock.PassiveClock

	mu    sync.Mutex
	until map[gateKey]time.Time
}

func newGates(c clock.PassiveClock) *gates {
	return &gates{clock: c, until: map[gateKey]time.Time{}}
}

func (t target) gate(c class) gateKey {
	return gateKey{subscription: strings.ToLower(t.subscription), kind: t.key(), class: c}
}

// closed is how long the gate stays closed; 0 when it is open.
func (g *gates) closed(k gateKey) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	left := g.until[k].Sub(g.clock.Now())
	if left <= 0 {
		delete(g.until, k)
		return 0
	}
	return left
}

// close closes the gate; a later end stays.
func (g *gates) close(k gateKey, d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if end := g.clock.Now().Add(d); end.After(g.until[k]) {
		g.until[k] = end
	}
}

const (
	// unsaidRetryAfter stands for a Retry-After that is missing in a 429. The
	// refill of the published buckets takes less for any one call.
	unsaidRetryAfter = 5 * time.Second
	// longestRetryAfter bounds what a 429 may ask for: no bucket is longer.
	longestRetryAfter = time.Hour
)

// retryAfter is the wait that an answer asks for, 0 when it asks for none:
// Retry-After in seconds or as a date (RFC 9110 section 10.2.3), or Azure's own
// headers in milliseconds.
func retryAfter(h http.Header, now time.Time) time.Duration {
	for _, name := range []string{"retry-after-ms", "x-ms-retry-after-ms"} {
		if ms, err := strconv.ParseInt(h.Get(name), 10, 32); err == nil && ms > 0 {
			return time.Duration(ms) * time.Millisecond
		}
	}
	text := h.Get("Retry-After")
	if s, err := strconv.ParseInt(text, 10, 32); err == nil && s > 0 {
		return time.Duration(s) * time.Second
	}
	if date, err := http.ParseTime(text); err == nil && date.After(now) {
		return date.Sub(now)
	}
	return 0
}
