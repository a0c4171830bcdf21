// SPDX-License-Identifier: Apache-2.0

package api

import (
	"reflect"
	"strings"
)

// Bucket is a token bucket of the service: Size calls may come at once, and
// Refill are given back each second.
type Bucket struct {
	Size   int
	Refill float64
}

// Limits are the token buckets of an account in one region.
type Limits struct {
	// Read, UnfilteredRead and Write are of EC2, which has one of each for every
	// action. A read is unfiltered that names neither filters nor ids nor a size
	// of its pages.
	Read, UnfilteredRead, Write Bucket
	// BalancerRead, Registration and BalancerWrite are of load balancing, which
	// has one of each for either of its APIs.
	BalancerRead, Registration, BalancerWrite Bucket
}

// PublishedLimits are those that AWS gives to accounts: EC2, "Request throttling
// for the Amazon EC2 API"; Elastic Load Balancing, "Throttling for the Elastic
// Load Balancing API".
func PublishedLimits() Limits {
	return Limits{
		Read:           Bucket{Size: 100, Refill: 20},
		UnfilteredRead: Bucket{Size: 50, Refill: 10},
		Write:          Bucket{Size: 50, Refill: 5},
		BalancerRead:   Bucket{Size: 40, Refill: 10},
		Registration:   Bucket{Size: 20, Refill: 4},
		BalancerWrite:  Bucket{Size: 20, Refill: 3},
	}
}

// class is what the services count calls by. The zero value is none.
type class uint8

const (
	read class = iota + 1
	unfiltered
	write
	register
)

func (c class) String() string {
	switch c {
	case read:
		return "read"
	case unfiltered:
		return "unfiltered"
	case write:
		return "write"
	case register:
		return "register"
	}
	return "none"
}

// bucketKey names what is throttled together.
type bucketKey struct {
	service string // the SDK's ServiceID
	action  string // empty where all actions of the class share a bucket
	class   class
}

// The SDK's ServiceIDs, in which limits differ.
const serviceEC2 = "EC2"

// bucketOf is the bucket that a call is taken from. in is the SDK's input.
func bucketOf(service, action string, in any) bucketKey {
	k := bucketKey{service: service, class: write}
	switch {
	case isRead(action):
		k.class = read
	case service != serviceEC2 && strings.Contains(action, "egister"):
		k.class = register
	}
	if service == serviceEC2 {
		k.action = action
		if k.class == read && isEmpty(in) {
			k.class = unfiltered
		}
	}
	return k
}

func isRead(action string) bool {
	return strings.HasPrefix(action, "Describe") || strings.HasPrefix(action, "Get")
}

// isEmpty reports whether the input asks for all there is.
func isEmpty(in any) bool {
	v := reflect.Indirect(reflect.ValueOf(in))
	return !v.IsValid() || v.IsZero()
}

func (l *Limits) of(k bucketKey) Bucket {
	if k.service == serviceEC2 {
		switch k.class {
		case read:
			return l.Read
		case unfiltered:
			return l.UnfilteredRead
		case write, register:
			return l.Write
		}
	}
	switch k.class {
	case read, unfiltered:
		return l.BalancerRead
	case register:
		return l.Registration
	case write:
	}
	return l.BalancerWrite
}
