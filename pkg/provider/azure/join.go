// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/machines"
)

// membership is what is done about the machines in one pass.
type membership struct {
	*machines.Membership
	// unread is why nothing is known of the machines, which the pools need; nil
	// when something is.
	unread error
	pools  []machines.Pool
	// old: it is made from what was known before, which may not show who has
	// joined meanwhile.
	old bool

	mu sync.Mutex
	// left are the writes by which machines join a pool that are not done yet,
	// and joined are the pools that have machines, by id in lower case.
	left   map[string]int
	joined map[string]bool
}

// count begins to count who joins which pool.
func (m *membership) count() {
	m.left, m.joined = map[string]int{}, map[string]bool{}
	for _, w := range m.Writes {
		for _, pool := range w.Joins() {
			m.left[pool]++
			m.joined[pool] = m.Joined(pool)
		}
	}
}

// refuse adds the Services that cannot know their machines to those that are
// refused. What else they need is written all the same.
func (m *membership) refuse(refused map[plan.Key]error) map[plan.Key]error {
	if m.unread == nil {
		return refused
	}
	out := maps.Clone(refused)
	for _, pool := range m.pools {
		for _, key := range pool.Serves {
			if out[key] == nil {
				out[key] = needed(m.unread, "the Service waits until the machines of its nodes can join the load balancer, and they cannot be read")
			}
		}
	}
	return out
}

// ended notes that a write is over, and reports whether a pool is left that no
// machine is in, with nobody left to join it.
func (m *membership) ended(w *machines.Write, err error) (empty bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, pool := range w.Joins() {
		m.left[pool]--
		m.joined[pool] = m.joined[pool] || err == nil
		empty = empty || (m.left[pool] == 0 && !m.joined[pool])
	}
	return empty && !m.old
}

// writeMachine lets a machine join or leave pools. One that cannot is left out,
// and tried again: it fails Services only when nobody else is in their pool, or
// when the pool has to go.
func (p *pass) writeMachine(ctx context.Context, st plan.Step, w *machines.Write) error {
	err := p.provider.machines.Write(ctx, w)
	name := cmp.Or(w.Node(), st.Target.String())
	empty := p.membership.ended(w, err)
	if err == nil {
		p.provider.later.done(name)
		return nil
	}
	if empty || w.Leaves() {
		return err
	}
	p.provider.later.failed(name, retryJoin(err))
	klog.FromContext(ctx).Info("The pools of a machine are not written, and tried again later; the Services go on without", "node", w.Node(), "target", st.Target, "err", err)
	return nil
}

// retryJoin is when a write of a machine's pools is tried again.
func retryJoin(err error) time.Duration {
	switch plan.KindOf(err) {
	case plan.Throttled:
		if e, ok := errors.AsType[*plan.Error](err); ok {
			return max(e.RetryAfter, soonLook)
		}
	case plan.Transient, plan.Conflict:
		return soonLook
	case plan.Denied, plan.Invalid, plan.Exhausted:
	}
	return firstLook
}
