// SPDX-License-Identifier: Apache-2.0

package speaker

import "time"

// Phase is where a node stands between coming and going. The zero value is
// none.
type Phase uint8

// The phases of a node.
const (
	// Serving: what can be announced is announced.
	Serving Phase = iota + 1
	// Holding: a new node whose kube-proxy is not healthy yet announces nothing.
	Holding
	// Draining: the node leaves; its routes are marked until the drain time is
	// over.
	Draining
	// Drained: the node leaves and announces nothing any more.
	Drained
)

// String is the phase as it stands in state objects and metrics.
func (p Phase) String() string {
	switch p {
	case Serving:
		return "Serving"
	case Holding:
		return "Holding"
	case Draining:
		return "Draining"
	case Drained:
		return "Drained"
	default:
		return "Unknown"
	}
}

// ParsePhase is the opposite of String; an unknown word gives the zero phase.
func ParsePhase(s string) Phase {
	for _, p := range []Phase{Serving, Holding, Draining, Drained} {
		if p.String() == s {
			return p
		}
	}
	return 0
}

// Lifecycle is a node's phase and since when it is in it.
type Lifecycle struct {
	Phase Phase
	// Since is when a leaving node began to leave, and the start of the phase
	// otherwise.
	Since time.Time
}

// Next returns where the node stands now, and after how long to ask again (0:
// not before something changes). A node that leaves is marked for the drain
// time and then withdrawn; when the cause goes away it serves again. healthy
// is whether a new node may begin to announce; it matters in Holding only, so a
// kube-proxy that fails later withdraws nothing.
func (l Lifecycle) Next(now time.Time, n Node, health Health, drain time.Duration) (Lifecycle, time.Duration) {
	gone := !n.Known || n.Leaving != ""
	switch {
	case l.Phase == Holding && health == Unhealthy:
		return l, 0
	case l.Phase == Holding || l.Phase == 0:
		if gone { // it announced nothing yet, so there is nothing to drain
			return Lifecycle{Phase: Drained, Since: now}, 0
		}
		l = Lifecycle{Phase: Serving, Since: now}
	}
	switch l.Phase {
	case Serving:
		if !gone {
			return l, 0
		}
		l = Lifecycle{Phase: Draining, Since: now}
	case Draining, Drained:
		if !gone {
			return Lifecycle{Phase: Serving, Since: now}, 0
		}
	case Holding:
	}
	if left := drain - now.Sub(l.Since); left > 0 && l.Phase == Draining {
		return l, left
	}
	return Lifecycle{Phase: Drained, Since: l.Since}, 0
}

// Health is what is known of kube-proxy. The zero value is none.
type Health uint8

// Whether kube-proxy is ready to forward.
const (
	Healthy Health = iota + 1
	Unhealthy
)
