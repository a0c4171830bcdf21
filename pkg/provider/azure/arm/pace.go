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

	"github.com/fairlead/fairlead/pkg/provider/wire"
)

// The refill of the service's token buckets, in calls a second for each
// subscription and caller: Azure Resource Manager, "Understand how Azure
// Resource Manager throttles requests".
const (
	readRefill  = 25
	writeRefill = 10
	readBucket  = 250 // calls at once
	writeBucket = 200
	// spare calls stay in a bucket, since the way there takes some longer than
	// others.
	spare = 1
)

// bucket mirrors a token bucket of the service.
type bucket struct {
	left float64
	most float64   // as much as the bucket holds
	at   time.Time // when left was true
	told bool      // an answer has said what is left
	// begun and ended count the calls, so that an answer tells which others
	// it may not count yet.
	begun, ended int
}

// slot is a call that was let through.
type slot struct {
	key   gateKey
	ended int // calls that had ended before: its answer counts them
	at    time.Time
}

// pace spreads calls so that a bucket that is nearly empty is not overdrawn:
// what is refused costs a Retry-After for everybody. A bucket is taken to be
// full until an answer says what is left in it; one of which no answer ever said
// anything is not paced. Each type has a mirror of its own, since some types have further
// limits, and the most is asked of one type at a time.
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

// take takes a call out of the bucket, and waits until there is one. done must
// be called with the slot when the call is over.
func (p *pace) take(ctx context.Context, k gateKey) (slot, error) {
	c, wait := p.reserve(k)
	if wait <= 0 {
		return c, ctx.Err()
	}
	return c, wire.Sleep(ctx, p.clock, wait)
}

// reserve takes a call out, and says when it may be sent.
func (p *pace) reserve(k gateKey) (slot, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	b := p.buckets[k]
	if b == nil {
		b = &bucket{left: k.size(), at: now}
		p.buckets[k] = b
	}
	b.begun++
	b.flow(k, now)
	b.left--
	var wait time.Duration
	if b.left < spare {
		wait = time.Duration((spare - b.left) / k.refill() * float64(time.Second))
	}
	return slot{key: k, ended: b.ended, at: now.Add(wait)}, wait
}

// flow adds what has been refilled.
func (b *bucket) flow(k gateKey, now time.Time) {
	if !math.IsInf(b.left, 1) {
		b.left = min(b.left+now.Sub(b.at).Seconds()*k.refill(), max(b.most, k.size()))
	}
	b.at = now
}

// done ends a call; header is that of its answer, nil when there was none.
func (p *pace) done(c slot, header http.Header) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, now := p.buckets[c.key], p.clock.Now()
	b.ended++
	if header == nil {
		return
	}
	b.flow(c.key, now)
	said, err := strconv.Atoi(header.Get(c.key.remainingHeader()))
	if err != nil || said < 0 {
		if !b.told {
			b.left = math.Inf(1)
		}
		return
	}
	b.told = true
	b.correct(float64(said), float64(b.begun-b.ended), float64(b.begun-c.ended-1), now.Sub(c.at).Seconds()*c.key.refill())
}

// correct takes over what an answer said is left, where the mirror cannot be
// right. The answers of calls side by side come in any order, and each may count
// all, some or none of the others: running still go on, beside went on at any
// time of the call. Meanwhile so much may have been refilled.
func (b *bucket) correct(said, running, beside, refilled float64) {
	b.most = max(b.most, said)
	switch {
	case math.IsInf(b.left, 1) || b.left > said+1+refilled: // somebody else takes calls, too
		b.left = said - running
	case b.left < said-beside:
		b.left = said - beside
	}
}
