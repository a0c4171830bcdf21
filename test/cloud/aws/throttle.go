// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"net/http"
	"strings"

	"github.com/fairlead/fairlead/test/cloud/sim"
)

// Codes of calls that come too fast.
const (
	throttledEC2 = "RequestLimitExceeded"
	throttledELB = "Throttling"
)

// Throttle are the buckets that calls are taken from, pages like first calls.
type Throttle struct {
	// Reads, UnfilteredReads and Writes are of EC2: one of each for every action.
	// A read is unfiltered when it names neither filters nor ids nor a page size.
	Reads, UnfilteredReads, Writes sim.Bucket
	// BalancerReads, Registrations and BalancerWrites are of load balancing: one
	// of each for either API, which all its actions share.
	BalancerReads, Registrations, BalancerWrites sim.Bucket
}

// PublishedThrottle are the buckets that AWS publishes for an account in a
// region.
func PublishedThrottle() Throttle {
	return Throttle{
		Reads:           sim.Bucket{Size: 100, Refill: 20},
		UnfilteredReads: sim.Bucket{Size: 50, Refill: 10},
		Writes:          sim.Bucket{Size: 50, Refill: 5},
		BalancerReads:   sim.Bucket{Size: 40, Refill: 10},
		Registrations:   sim.Bucket{Size: 20, Refill: 4},
		BalancerWrites:  sim.Bucket{Size: 20, Refill: 3},
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
	if call.Kind == Other {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	name, bucket := c.throttle.bucket(call)
	if _, ok := c.levels.Take(name, bucket, c.now()); ok {
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
func (t *Throttle) bucket(call *Call) (name string, bucket sim.Bucket) {
	read := call.Kind != Write
	switch {
	case call.Service == EC2 && read && unfiltered(call):
		return call.API() + " unfiltered", t.UnfilteredReads
	case call.Service == EC2 && read:
		return call.API(), t.Reads
	case call.Service == EC2:
		return call.API(), t.Writes
	case read:
		return string(call.Service) + " reads", t.BalancerReads
	case strings.Contains(call.Action, "egister"):
		return string(call.Service) + " registrations", t.Registrations
	default:
		return string(call.Service) + " writes", t.BalancerWrites
	}
}

// unfiltered reports whether a read asks for all there is.
func unfiltered(call *Call) bool { return len(call.Form) == 0 }
