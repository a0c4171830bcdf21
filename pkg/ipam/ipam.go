// SPDX-License-Identifier: Apache-2.0

// Package ipam decides which address a Service gets. It is pure: pools, what
// is allocated and a request go in; addresses or a refusal with its reason
// come out.
package ipam

import (
	"cmp"
	"net/netip"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
)

// State is all that an allocation depends on, besides the requests.
type State struct {
	Pools   *Pools
	Holders []Holder // one for each key, in any order
	History History
}

// History is when addresses were freed: a larger number is later. An address
// that is not in it was never used, or so long ago that it was forgotten.
type History map[netip.Addr]uint64

// Holder is a Service that has addresses, whoever gave them.
type Holder struct {
	Key       plan.Key
	Created   time.Time
	Addresses []netip.Addr
	// Shown are the addresses that its status shows, which may lag behind what
	// it was given: nobody else gets one as long as it does.
	Shown   []netip.Addr
	Sharing Sharing
}

// older orders holders by age: of those that hold one address without being
// allowed to share it, the oldest is its owner.
func (h *Holder) older(o *Holder) int {
	return cmp.Or(h.Created.Compare(o.Created), plan.CompareKeys(h.Key, o.Key))
}

// Request is what one Service wants.
type Request struct {
	Key             plan.Key
	Created         time.Time
	Labels          labels.Set
	NamespaceLabels labels.Set
	Families        []intent.Family // the first is the primary
	Policy          intent.FamilyPolicy
	Addresses       []netip.Addr // asked for by name, at most one a family
	Pool            string       // asked for by name; empty: any
	Sharing         Sharing
	Fields          Fields
}

// Fields are the names under which the user wrote the request, for sentences.
type Fields struct {
	Addresses, Pool, Sharing string
}

// Assignment is what a Service has from now on.
type Assignment struct {
	// Addresses are in the order of the families asked for.
	Addresses []netip.Addr
	// Pools are the pools of Addresses, one for each; empty for an address that
	// no pool holds.
	Pools []string
	// Added and Released are how it differs from what the Service held.
	Added, Released []netip.Addr
	// Homeless are those of Released that were given up because no pool holds
	// them any more.
	Homeless []netip.Addr
	// Missing says why the Service has only one of the two families that it
	// prefers; nil when it has all.
	Missing error
	// Contested are younger Services that hold one of Addresses although they
	// may not share it.
	Contested []plan.Key
}

// Answer is what became of one request: an assignment, or a refusal, which is
// a *plan.Error. A refused Service keeps what it holds.
type Answer struct {
	Assignment

	Err error
}

// Allocate answers the requests in their order, after the Services that leave
// have freed what they hold. What a Service holds it keeps, as long as a pool
// holds the address and the request does not ask for another one. Equal
// arguments give equal answers; none of them is changed.
//
// Otherwise an address asked for by name is taken from the pool that holds it;
// one from a pool asked for by name, from that pool; any other from the pools
// limited to such Services, then from those open to all, each in the order of
// their priority and then of the file. A Service with a sharing key joins an
// address that it may share, if there is one. In a pool the lowest address
// never used is chosen, then the one freed longest ago.
func Allocate(s State, leaving []plan.Key, requests []Request) []Answer {
	t := newTable(s)
	for _, key := range leaving {
		t.leave(key)
	}
	answers := make([]Answer, len(requests))
	for i := range requests {
		as, err := t.assign(&requests[i])
		if err != nil {
			answers[i].Err = err
			continue
		}
		answers[i].Assignment = as
	}
	return answers
}
