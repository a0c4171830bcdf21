// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"slices"
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
	// unrefused is how long a call is on its way at most when it is refused for
	// too many: what is refused is not worked on. One that takes longer, or is
	// answered, was let in.
	unrefused = 150 * time.Millisecond
	// most are the calls on trial at once.
	most = 32
	// firstTrial and longestTrial are the time after a refused trial before the
	// next; it doubles.
	firstTrial   = 5 * time.Minute
	longestTrial = time.Hour
)

// pace spreads calls so that the service's token buckets are not overdrawn.
// They are taken to be full and as large as published, until a call is refused:
// then somebody else takes calls, too, or the account has less, and the bucket is
// taken to be empty and slower, for a while. Who waits is served in turn.
//
// An account may have more than is published. So when the bucket is empty, one
// call is sent on trial. If it is let in, two are, and so on; if it is refused,
// there is no other for a while. What is published then costs one refused call.
type pace struct {
	clock  clock.Clock
	limits Limits

	mu      sync.Mutex // guards the map and all in the buckets but turn
	buckets map[bucketKey]*bucket
}

// bucket mirrors a bucket of the service.
type bucket struct {
	turn   chan struct{} // held by the one call that waits for a token
	wake   chan struct{} // tells it of an answer
	limit  Bucket
	left   float64
	factor float64   // of the published rate and size
	at     time.Time // when left and factor were true
	slowed time.Time // when the rate was last lowered

	// fresh are when calls with a token were sent that the service may not have
	// counted yet.
	fresh []time.Time
	// trials are the calls on trial that may still be refused, as they were sent,
	// and window how many there may be.
	trials []trial
	window int
	// none is when trials may begin again, pause how long they ended last for.
	none  time.Time
	pause time.Duration
	tried time.Time // when the last one was sent
}

// trial is a call that was sent without a token. It takes one all the same, so
// that what is left may be below zero.
type trial struct {
	sent time.Time
	left float64 // before it, with those that may not be counted yet
}

// grant lets a call be sent.
type grant struct {
	key  bucketKey
	sent time.Time
	// trial: there was no token for it.
	trial bool
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
			turn: make(chan struct{}, 1), wake: make(chan struct{}, 1), limit: limit, factor: 1, window: 1, pause: firstTrial,
			left: float64(limit.Size), at: p.clock.Now(),
		}
		p.buckets[k] = b
	}
	return b
}

// take takes a call out of the bucket, and waits until there is one. done must
// be called with the grant when there is an answer.
func (p *pace) take(ctx context.Context, k bucketKey) (grant, error) {
	b := p.bucket(k)
	if b.limit.Size <= 0 {
		return grant{key: k, sent: p.clock.Now()}, ctx.Err()
	}
	select {
	case b.turn <- struct{}{}:
	case <-ctx.Done():
		return grant{}, ctx.Err()
	}
	defer func() { <-b.turn }()
	for {
		g, wait := p.try(b)
		if wait == 0 {
			g.key = k
			return g, ctx.Err()
		}
		if err := p.wait(ctx, b, wait); err != nil {
			return grant{}, err
		}
	}
}

// wait ends after a time, or sooner when there is an answer.
func (p *pace) wait(ctx context.Context, b *bucket, d time.Duration) error {
	timer := p.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C():
	case <-b.wake:
	}
	return ctx.Err()
}

// try takes a call out, or says how long there will be none.
func (p *pace) try(b *bucket) (grant, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	b.flow(now)
	if b.left >= 1+spare || b.left >= b.size() {
		b.left--
		b.fresh = append(b.fresh, now)
		return grant{sent: now}, 0
	}
	missing := min(1+spare, b.size()) - b.left
	wait := max(time.Duration(missing/b.rate()*float64(time.Second)), time.Millisecond)
	switch {
	case now.Before(b.none):
		return grant{}, min(wait, b.none.Sub(now))
	case len(b.fresh) > 0 && (b.window == 1 || float64(len(b.fresh)) > 1+b.rate()*unrefused.Seconds()):
		// A trial that overtakes them would take what is theirs.
		return grant{}, min(wait, max(b.fresh[0].Add(unrefused).Sub(now), time.Millisecond))
	case len(b.trials) < b.window:
		b.trials, b.tried = append(b.trials, trial{now, b.left + float64(len(b.fresh))}), now
		b.left--
		return grant{sent: now, trial: true}, 0
	}
	return grant{}, min(wait, max(b.trials[0].sent.Add(unrefused).Sub(now), time.Millisecond))
}

func (b *bucket) size() float64 { return max(1, float64(b.limit.Size)*b.factor) }

func (b *bucket) rate() float64 { return b.limit.Refill * b.factor }

// flow adds what has been refilled, lets the rate recover, and counts trials as
// passed that nobody refused.
func (b *bucket) flow(now time.Time) {
	seconds := now.Sub(b.at).Seconds()
	b.factor = min(1, b.factor+seconds*recovery)
	b.left = min(b.left+seconds*b.rate(), b.size())
	b.at = now
	b.fresh = slices.DeleteFunc(b.fresh, func(sent time.Time) bool { return now.Sub(sent) >= unrefused })
	for len(b.trials) > 0 && now.Sub(b.trials[0].sent) >= unrefused {
		b.passed(0, now)
	}
}

// passed takes a call off trial. What has been refilled since may have let it
// in, or what was spared: then it tells nothing, and has taken its token. Else the
// account has more than is published.
func (b *bucket) passed(i int, now time.Time) {
	t := b.trials[i]
	b.trials = slices.Delete(b.trials, i, i+1)
	if t.left+now.Sub(t.sent).Seconds()*b.rate() >= 1-spare {
		return
	}
	b.left++
	if b.window++; b.window >= most {
		b.window, b.pause = most, firstTrial
	}
}

// answer is what the service did with a call. The zero value is none.
type answer uint8

const (
	admitted answer = iota + 1
	refused         // for too many
	unknown         // there was no answer
)

// done ends a call.
func (p *pace) done(g grant, a answer) {
	b := p.bucket(g.key)
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	b.flow(now)
	if i := slices.Index(b.fresh, g.sent); i >= 0 && !g.trial && a != unknown {
		b.fresh = slices.Delete(b.fresh, i, i+1)
	}
	switch i := slices.IndexFunc(b.trials, func(t trial) bool { return t.sent.Equal(g.sent) }); {
	case a == refused:
		b.refused(g, now)
	case g.trial && i >= 0 && a == admitted:
		b.passed(i, now)
	}
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// refused tells that the service refused a call for too many. Calls that were
// sent before an earlier refusal tell nothing new.
func (b *bucket) refused(g grant, now time.Time) {
	onTrial := g.trial || now.Sub(b.tried) < time.Second // trials took what others had
	b.left += float64(len(b.trials))                     // what is refused takes no token
	b.trials, b.window = nil, 1
	if !now.Before(b.none) && onTrial {
		b.none = now.Add(b.pause)
		b.pause = min(longestTrial, 2*b.pause)
	}
	if onTrial {
		b.left = min(b.left, 1+spare)
		return
	}
	b.left = min(b.left, spare)
	if g.sent.Before(b.slowed) {
		return
	}
	b.factor, b.slowed = max(slowest, b.factor*slower), now
	b.none = now.Add(b.pause)
}

// next is about when the bucket has a call again.
func (p *pace) next(k bucketKey) time.Duration {
	b := p.bucket(k)
	p.mu.Lock()
	defer p.mu.Unlock()
	if b.limit.Size <= 0 {
		return time.Second
	}
	b.flow(p.clock.Now())
	return max(time.Second, time.Duration((1+spare-b.left)/b.rate()*float64(time.Second)))
}
