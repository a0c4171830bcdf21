// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"math"
	"net/http"
	"strings"
	"time"
)

// Codes of calls that come too fast.
const (
	throttledEC2 = "RequestLimitExceeded"
	throttledELB = "Throttling"
)

// Bucket is a token bucket. The zero value refuses nothing.
type Bucket struct {
	// Size is how many calls may come at once.
	Size int
	// Refill is how many calls a second are given back.
	Refill float64
}

// Throttle are the buckets that calls are taken from, pages like first calls.
type Throttle struct {
	// Reads, UnfilteredReads and Writes are of EC2: one of each for every action.
	// A read is unfiltered when it names neither filters nor ids nor a page size.
	Reads, UnfilteredReads, Writes Bucket
	// BalancerReads, Registrations and BalancerWrites are of load balancing: one
	// of each for either API, which all its actions share.
	BalancerReads, Registrations, BalancerWrites Bucket
}

// PublishedThrottle are the buckets that AWS publishes for an account in a
// region.
func PublishedThrottle() Throttle {
	return Throttle{
		Reads:           Bucket{Size: 100, Refill: 20},
		UnfilteredReads: Bucket{Size: 50, Refill: 10},
		Writes:          Bucket{Size: 50, Refill: 5},
		BalancerReads:   Bucket{Size: 40, Refill: 10},
		Registrations:   Bucket{Size: 20, Refill: 4},
		BalancerWrites:  Bucket{Size: 20, Refill: 3},
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
	if call.Kind == Other {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	name, bucket := c.throttle.bucket(call)
	if c.throttle.take(name, bucket, c.now()) {
		return nil
	}
	return tooFast(call.Service)
}

// tooFast is the refusal of a call for which no token is left.
func tooFast(service Service) *refusal {
	if service == EC2 {
		return refuse(http.StatusServiceUnavailable, throttledEC2, "Request limit exceeded.")
	}
	return bad(throttledELB, "Rate exceeded")
}

// bucket is the one that a call is taken from, and its name.
func (b *buckets) bucket(call *Call) (name string, bucket Bucket) {
	read := call.Kind != Write
	switch {
	case call.Service == EC2 && read && unfiltered(call):
		return call.API() + " unfiltered", b.limits.UnfilteredReads
	case call.Service == EC2 && read:
		return call.API(), b.limits.Reads
	case call.Service == EC2:
		return call.API(), b.limits.Writes
	case read:
		return string(call.Service) + " reads", b.limits.BalancerReads
	case strings.Contains(call.Action, "egister"):
		return string(call.Service) + " registrations", b.limits.Registrations
	default:
		return string(call.Service) + " writes", b.limits.BalancerWrites
	}
}

// unfiltered reports whether a read asks for all there is.
func unfiltered(call *Call) bool { return len(call.Form) == 0 }

// take removes one token, if there is one.
func (b *buckets) take(name string, bucket Bucket, now time.Time) bool {
	if bucket.Size <= 0 {
		return true
	}
	l := b.levels[name]
	if l == nil {
		l = &level{left: float64(bucket.Size), at: now}
		b.levels[name] = l
	}
	l.left = math.Min(float64(bucket.Size), l.left+now.Sub(l.at).Seconds()*bucket.Refill)
	l.at = now
	if l.left < 1 {
		return false
	}
	l.left--
	return true
}
