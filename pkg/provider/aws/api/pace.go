// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

const (
	// spare calls stay in a bucket, since clocks differ and refills are counted
	// in whole steps there.
	spare = 1
	// slower, recovery and slowest say how a bucket answers to throttling: its
	// rate is halved, and a fiftieth of the published one comes back each second.
	slower   = 0.5
	recovery = 0.02
	slowest  = 0.1
)

// pace spreads calls so that the service's token buckets are not overdrawn.
// They are taken to be full and as large as published, until a call is refused:
// then somebody else takes calls, too, or the account has less, and the bucket is
// taken to be empty and slower, for a while. Who waits is served in turn.
type pace struct {
	clock  clock.Clock
	limits Limits

	mu      sync.Mutex // guards the map and all in the buckets but turn
	buckets map[bucketKey]*bucket
}

// bucket mirrors a bucket of the service.
type bucket struct {
	turn   chan struct{} // held by the one call that waits for a token
	limit  Bucket
	left   float64
	factor float64   // of the published rate and size
	at     time.Time // when left and factor were true
	slowed time.Time // when the rate was last lowered
}

func newPace(c clock.Clock, limits Limits) *pace {
	return &pace{clock: c, limits: limits, buckets: map[bucketKey]*bucket{}}
}

func (p *pace) bucket(k bucketKey) *bucket {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.buckets[k]
	if b == nil {
		limit := p.limits.of(k)
		b = &bucket{
			turn: make(chan struct{}, 1), limit: limit, factor: 1,
			left: float64(limit.Size), at: p.clock.Now(),
		}
		p.buckets[k] = b
	}
	return b
}

// take takes a call out of the bucket, and waits until there is one.
func (p *pace) take(ctx context.Context, k bucketKey) error {
	b := p.bucket(k)
	if b.limit.Size <= 0 {
		return ctx.Err()
	}
	select {
	case b.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-b.turn }()
	for {
		wait := p.try(b)
		if wait == 0 {
			return ctx.Err()
		}
		if err := sleep(ctx, p.clock, wait); err != nil {
			return err
		}
	}
}

// try takes a call out, or says how long there will be none.
func (p *pace) try(b *bucket) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	b.flow(p.clock.Now())
	if b.left >= 1+spare || b.left >= b.size() {
		b.left--
		return 0
	}
	missing := min(1+spare, b.size()) - b.left
	return max(time.Duration(missing/b.rate()*float64(time.Second)), time.Millisecond)
}

func (b *bucket) size() float64 { return max(1, float64(b.limit.Size)*b.factor) }

func (b *bucket) rate() float64 { return b.limit.Refill * b.factor }

// flow adds what has been refilled, and lets the rate recover.
func (b *bucket) flow(now time.Time) {
	seconds := now.Sub(b.at).Seconds()
	b.factor = min(1, b.factor+seconds*recovery)
	b.left = min(b.left+seconds*b.rate(), b.size())
	b.at = now
}

// refused tells that the service refused a call, sent at that time, for too
// many. Calls that were sent before an earlier refusal tell nothing new.
func (p *pace) refused(k bucketKey, sent time.Time) {
	b := p.bucket(k)
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	b.flow(now)
	b.left = min(b.left, spare)
	if sent.Before(b.slowed) {
		return
	}
	b.factor, b.slowed = max(slowest, b.factor*slower), now
}

// next is about when the bucket has a call again.
func (p *pace) next(k bucketKey) time.Duration {
	b := p.bucket(k)
	p.mu.Lock()
	defer p.mu.Unlock()
	b.flow(p.clock.Now())
	return max(time.Second, time.Duration((1+spare-b.left)/b.rate()*float64(time.Second)))
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
