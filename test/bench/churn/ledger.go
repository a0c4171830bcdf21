// SPDX-License-Identifier: Apache-2.0

// Package churn creates, edits and deletes Services while the controller is
// ended and started again and the pools are edited, and holds every address
// that was ever shown against two rules: it never changes unless its user asks
// for that, and no two Services have it unless they share it.
package churn

import (
	"fmt"
	"net/netip"
	"slices"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// sharingAnnotation holds the key by which Services share an address.
const sharingAnnotation = "fairlead.dev/allow-shared-ip"

// askAnnotation holds the addresses that a Service asks for.
const askAnnotation = "fairlead.dev/load-balancer-ips"

// ledger is who has what address, from the events of a watch in the order of
// the API server. It is no more than what users saw at each moment.
type ledger struct {
	holders map[types.UID]holder
	byAddr  map[netip.Addr]map[types.UID]bool
	faults  []string
	// events are how many were played, given how many addresses appeared, moves
	// how many changed since their users asked for that.
	events, given, moves int
}

// holder is a Service as it was seen last.
type holder struct {
	name    string
	addrs   []netip.Addr
	sharing string
	// asked are the addresses that it ever asked for: its status may follow a
	// wish when there is already another.
	asked []string
	// leaving Services give their addresses back: they are being deleted, or are
	// no load balancers any more. What their status shows for a while is no claim.
	leaving bool
	// refused Services wait for their users, and say so in a condition.
	refused bool
}

func newLedger() *ledger {
	return &ledger{holders: map[types.UID]holder{}, byAddr: map[netip.Addr]map[types.UID]bool{}}
}

// see plays a Service that was added or changed.
func (l *ledger) see(s *v1.Service) {
	l.events++
	last := l.holders[s.UID]
	h := holder{
		name: s.Name, addrs: addresses(s), sharing: s.Annotations[sharingAnnotation], asked: last.asked,
		leaving: s.DeletionTimestamp != nil || s.Spec.Type != v1.ServiceTypeLoadBalancer,
	}
	if ask := s.Annotations[askAnnotation]; ask != "" && !slices.Contains(h.asked, ask) {
		h.asked = append(slices.Clone(h.asked), ask)
	}
	if c := meta.FindStatusCondition(s.Status.Conditions, "fairlead.dev/Programmed"); c != nil {
		h.refused = c.Status == metav1.ConditionFalse
	}
	if !last.leaving && !h.leaving {
		l.compare(last, h)
	}
	l.replace(s.UID, last, h)
	for _, a := range h.addrs {
		if !slices.Contains(last.addrs, a) {
			l.given++
			l.claim(s.UID, a)
		}
	}
}

// compare holds the addresses of a Service against those that it had. One more
// is no change: a Service that prefers two families may get the second later.
func (l *ledger) compare(last, h holder) {
	lost := slices.DeleteFunc(slices.Clone(last.addrs), func(a netip.Addr) bool { return slices.Contains(h.addrs, a) })
	if len(lost) == 0 {
		return
	}
	wished := slices.ContainsFunc(h.addrs, func(a netip.Addr) bool {
		return slices.Contains(h.asked, a.String()) && !slices.Contains(last.addrs, a)
	})
	if wished {
		l.moves++
		return
	}
	l.fault("Service %s had %v and has %v, and its user did not ask for that", h.name, last.addrs, h.addrs)
}

// gone plays the end of a Service.
func (l *ledger) gone(s *v1.Service) {
	l.events++
	l.replace(s.UID, l.holders[s.UID], holder{})
	delete(l.holders, s.UID)
}

func (l *ledger) replace(uid types.UID, last, h holder) {
	for _, a := range last.addrs {
		delete(l.byAddr[a], uid)
	}
	for _, a := range h.addrs {
		if l.byAddr[a] == nil {
			l.byAddr[a] = map[types.UID]bool{}
		}
		l.byAddr[a][uid] = true
	}
	l.holders[uid] = h
}

// claim holds an address that a Service has from now on against all others.
func (l *ledger) claim(uid types.UID, a netip.Addr) {
	me := l.holders[uid]
	for other := range l.byAddr[a] {
		h := l.holders[other]
		if other == uid || h.leaving || me.leaving || (me.sharing != "" && me.sharing == h.sharing) {
			continue
		}
		l.fault("Services %s and %s both have %s", min(me.name, h.name), max(me.name, h.name), a)
	}
}

// audit holds all addresses against each other once more, when all is at rest.
func (l *ledger) audit() {
	for uid, h := range l.holders {
		for _, a := range h.addrs {
			l.claim(uid, a)
		}
	}
}

// waiting is an error as long as something must still come: an address, or the
// end of a Service that leaves.
func (l *ledger) waiting() error {
	for _, h := range l.holders {
		switch {
		case h.leaving && len(h.addrs) > 0:
			return fmt.Errorf("the Service %s leaves and still has %v", h.name, h.addrs)
		case !h.leaving && len(h.addrs) == 0 && !h.refused:
			return fmt.Errorf("the Service %s has no address, and no condition says why", h.name)
		}
	}
	return nil
}

func (l *ledger) fault(format string, args ...any) {
	l.faults = append(l.faults, fmt.Sprintf("event %d: ", l.events)+fmt.Sprintf(format, args...))
}

// addresses are those of the status, in its order.
func addresses(s *v1.Service) []netip.Addr {
	var out []netip.Addr
	for _, in := range s.Status.LoadBalancer.Ingress {
		if a, err := netip.ParseAddr(in.IP); err == nil {
			out = append(out, a)
		}
	}
	return out
}
