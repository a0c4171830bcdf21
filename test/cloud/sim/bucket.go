// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"math"
	"time"
)

// Bucket is a token bucket. The zero value refuses nothing.
type Bucket struct {
	// Size is how many calls may come at once.
	Size int
	// Refill is how many calls a second are given back.
	Refill float64
}

// Buckets are running buckets by name, each full until it is used first. It
// takes no lock.
type Buckets map[string]*level

type level struct {
	left float64
	at   time.Time
}

// Take removes one token from the bucket of that name, or says how long to wait
// for one.
func (b Buckets) Take(name string, bucket Bucket, now time.Time) (wait time.Duration, ok bool) {
	if bucket.Size <= 0 {
		return 0, true
	}
	l := b[name]
	if l == nil {
		l = &level{left: float64(bucket.Size), at: now}
		b[name] = l
	}
	l.left = math.Min(float64(bucket.Size), l.left+now.Sub(l.at).Seconds()*bucket.Refill)
	l.at = now
	if l.left >= 1 {
		l.left--
		return 0, true
	}
	return time.Duration((1 - l.left) / bucket.Refill * float64(time.Second)), false
}

// Left is how many tokens the bucket of that name has, once it was used.
func (b Buckets) Left(name string) (tokens float64, used bool) {
	l := b[name]
	if l == nil {
		return 0, false
	}
	return l.left, true
}

// Pause lets a call take its time, unless its client goes away.
func Pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
