// SPDX-License-Identifier: Apache-2.0

package arm

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// The refill of the service's token buckets, in calls a second for each
// subscription and caller: Azure Resource Manager, "Understand how Azure
// Resource Manager throttles requests".
const (
	readRefill  = 25
	writeRefill = 10
	readBucket  = 250 // calls at once
	writeBucket = 200
)

// bucket mirrors a token bucket of the service, as the answers about one type
// say what is left in it.
type bucket struct {
	left     float64
	most     float64   // as much as the bucket holds
	at       time.Time // when left was true
	inFlight int
}

// pace spreads calls so that a bucket that is nearly empty is not overdrawn:
// what is refused costs a Retry-After for everybody. A bucket of which the
// service says nothing is not paced. Each type has a mirror of its own, since some
// types have further limits, and the most is asked of one type at a time.
type pace struct {
	clock clock.Clock

	mu      sync.Mutex
	buckets map[gateKey]*bucket
}

func newPace(c clock.Clock) *pace { return &pace{clock: c, buckets: map[gateKey]*bucket{}} }

func (k gateKey) size() float64 {
	if k.class == read {
		return readBucket
	}
	return writeBucket
}

func (k gateKey) refill() float64 {
	if k.class == read {
		return readRefill
	}
	return writeRefill
}

// remainingHeader is where the service says how many calls are left.
func (k gateKey) remainingHeader() string {
	switch k.class {
	case read:
		return "x-ms-ratelimit-remaining-subscription-reads"
	case write:
		return "x-ms-ratelimit-remaining-subscription-writes"
	case remove:
		return "x-ms-ratelimit-remaining-subscription-deletes"
	}
	return ""
}

// take takes a call out of the bucket, and waits until there is one.
func (p *pace) take(ctx context.Context, k gateKey) error {
	wait := p.reserve(k)
	if wait <= 0 {
		return ctx.Err()
	}
	if err := sleep(ctx, p.clock, wait); err != nil {
		p.done(k, nil)
		return err
	}
	return nil
}

// reserve takes a call out, and says when it may be sent.
func (p *pace) reserve(k gateKey) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.buckets[k]
	if b == nil {
		b = &bucket{left: math.Inf(1)}
		p.buckets[k] = b
	}
	b.inFlight++
	b.flow(k, p.clock.Now())
	b.left--
	if b.left >= 0 {
		return 0
	}
	return time.Duration(-b.left / k.refill() * float64(time.Second))
}

// flow adds what has been refilled.
func (b *bucket) flow(k gateKey, now time.Time) {
	if !math.IsInf(b.left, 1) {
		b.left = min(b.left+now.Sub(b.at).Seconds()*k.refill(), max(b.most, k.size()))
	}
	b.at = now
}

// done ends a call; header is that of its answer, nil when there was none.
func (p *pace) done(k gateKey, header http.Header) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.buckets[k]
	b.inFlight--
	left, err := strconv.Atoi(header.Get(k.remainingHeader()))
	if err != nil || left < 0 {
		return
	}
	// What is in flight may not be counted there yet.
	b.left, b.at = float64(left-b.inFlight), p.clock.Now()
	b.most = max(b.most, float64(left))
}

// sleep waits, or returns the context's error.
func sleep(ctx context.Context, c clock.Clock, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := c.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C():
		return ctx.Err()
	}
}
