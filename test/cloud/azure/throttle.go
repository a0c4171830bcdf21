// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fairlead/fairlead/test/cloud/sim"
)

// Throttle are the buckets that calls are taken from: one of each for every
// resource type.
type Throttle struct {
	Reads, Writes, Deletes sim.Bucket
}

// PublishedThrottle are the buckets that Azure publishes for a subscription and
// region.
func PublishedThrottle() Throttle {
	return Throttle{
		Reads:   sim.Bucket{Size: 250, Refill: 25},
		Writes:  sim.Bucket{Size: 200, Refill: 10},
		Deletes: sim.Bucket{Size: 200, Refill: 10},
	}
}

// SetThrottle starts new buckets, all full.
func (c *Cloud) SetThrottle(t Throttle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.throttle, c.levels = t, sim.Buckets{}
}

// charge takes a call from its bucket, or refuses it.
func (c *Cloud) charge(call *Call) *refusal {
	if call.Type == "" || call.Kind == Poll {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	noun, bucket := c.throttle.bucket(call)
	wait, ok := c.levels.Take(noun+" "+rootType(call.Type), bucket, time.Now())
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
func (t *Throttle) bucket(call *Call) (noun string, bucket sim.Bucket) {
	switch {
	case call.Method == http.MethodDelete:
		return "deletes", t.Deletes
	case call.Kind == Write:
		return "writes", t.Writes
	default:
		return "reads", t.Reads
	}
}

// remaining adds the header that says how many calls are left, where there is a
// limit.
func (c *Cloud) remaining(call *Call, a *answer) {
	noun, bucket := c.throttle.bucket(call)
	left, used := c.levels.Left(noun + " " + rootType(call.Type))
	if bucket.Size > 0 && used && !a.hangup {
		a.header.Set("x-ms-ratelimit-remaining-subscription-"+noun, strconv.Itoa(int(left)))
	}
}

// rootType is the type that a child counts with.
func rootType(name string) string {
	parts := strings.SplitN(name, "/", 3)
	return strings.Join(parts[:min(len(parts), 2)], "/")
}
