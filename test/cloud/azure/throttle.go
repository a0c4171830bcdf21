// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Bucket is a token bucket. The zero value refuses nothing.
type Bucket struct {
	// Size is how many calls may come at once.
	Size int
	// Refill is how many calls a second are given back.
	Refill float64
}

// Throttle are the buckets that calls are taken from: one of each for every
// resource type.
type Throttle struct {
	Reads, Writes, Deletes Bucket
}

// PublishedThrottle are the buckets that Azure publishes for a subscription and
// region.
func PublishedThrottle() Throttle {
	return Throttle{
		Reads:   Bucket{Size: 250, Refill: 25},
		Writes:  Bucket{Size: 200, Refill: 10},
		Deletes: Bucket{Size: 200, Refill: 10},
	}
}

// buckets are the running state of a Throttle.
type buckets struct {
	limits Throttle
	levels map[string]*level
}

type level struct {
	left float64
	at   time.Time
}

func newBuckets(t Throttle) *buckets { return &buckets{limits: t, levels: map[string]*level{}} }

// SetThrottle starts new buckets, all full.
func (c *Cloud) SetThrottle(t Throttle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.throttle = newBuckets(t)
}

// charge takes a call from its bucket, or refuses it.
func (c *Cloud) charge(call *Call) *refusal {
	if call.Type == "" || call.Kind == Poll {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	noun, bucket := c.throttle.bucket(call)
	wait, ok := c.throttle.take(noun+" "+rootType(call.Type), bucket, time.Now())
	if ok {
		return nil
	}
	refused := refuse(http.StatusTooManyRequests, "TooManyRequests",
		"The request is being throttled as the limit has been reached for operation type - %s. "+
			"Retry after %s seconds.", noun, seconds(wait))
	refused.retryAfter = wait
	return refused
}

// bucket is the one that a call is taken from, and its name.
func (b *buckets) bucket(call *Call) (noun string, bucket Bucket) {
	switch {
	case call.Method == http.MethodDelete:
		return "deletes", b.limits.Deletes
	case call.Kind == Write:
		return "writes", b.limits.Writes
	default:
		return "reads", b.limits.Reads
	}
}

// remaining adds the header that says how many calls are left, where there is a
// limit.
func (c *Cloud) remaining(call *Call, a *answer) {
	noun, bucket := c.throttle.bucket(call)
	l := c.throttle.levels[noun+" "+rootType(call.Type)]
	if bucket.Size > 0 && l != nil && !a.hangup {
		a.header.Set("x-ms-ratelimit-remaining-subscription-"+noun, strconv.Itoa(int(l.left)))
	}
}

// take removes one token, or says how long to wait for one.
func (b *buckets) take(name string, bucket Bucket, now time.Time) (time.Duration, bool) {
	if bucket.Size <= 0 {
		return 0, true
	}
	l := b.levels[name]
	if l == nil {
		l = &level{left: float64(bucket.Size), at: now}
		b.levels[name] = l
	}
	l.left = math.Min(float64(bucket.Size), l.left+now.Sub(l.at).Seconds()*bucket.Refill)
	l.at = now
	if l.left >= 1 {
		l.left--
		return 0, true
	}
	return time.Duration((1 - l.left) / bucket.Refill * float64(time.Second)), false
}

// rootType is the type that a child counts with.
func rootType(name string) string {
	parts := strings.SplitN(name, "/", 3)
	return strings.Join(parts[:min(len(parts), 2)], "/")
}
