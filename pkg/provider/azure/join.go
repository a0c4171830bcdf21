// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure/machines"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// membership is what is done about the machines in one pass.
type membership struct {
	*machines.Membership
	// unread is why nothing is known of the machines, which the pools need; nil
	// when something is.
	unread error
	// pools are those that machines are to be in.
	pools []machines.Pool
	// old: it is made from what was known before, which may not show who has
	// joined meanwhile.
	old bool
	// next is when to look again at machines that cannot join; zero: never.
	next time.Duration

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

// warn tells the Services that no machine serves: none is in their pools, and
// none can join them. Where there is no node, they are told so already.
func (m *membership) warn(s *Settings, r *Result) {
	if m.unread != nil || m.old {
		return
	}
	joining := map[string]bool{}
	for _, w := range m.Writes {
		for _, pool := range w.Joins() {
			joining[pool] = true
		}
	}
	empty := map[string]bool{}
	for i := range m.pools {
		id := m.pools[i].ID
		empty[names.Key(id)] = !m.Joined(id) && !joining[names.Key(id)]
	}
	for key, places := range r.Places {
		served := func(p Place) bool {
			return !empty[names.Key(names.Child(p.LoadBalancer, names.Pools, names.Pool(s.Cluster, p.Family)))]
		}
		told := func(n provider.Notice) bool { return n.Reason == provider.ReasonNoTargets }
		if len(places) > 0 && !slices.ContainsFunc(places, served) && !slices.ContainsFunc(r.Notices[key], told) {
			r.Notices[key] = append(r.Notices[key], provider.NothingServes(whyNoMachine))
		}
	}
}

// whyNoMachine is why no machine of the nodes that may serve is in a pool.
const whyNoMachine = "the machines of all nodes that may serve are switched off, not ready or not listed by Azure yet, of another resource group, or in a pool of another load balancer; kubectl fairlead explain says which, and they join when that ends"

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
	empty := p.membership.ended(w, err)
	if err == nil || empty || w.Leaves() {
		return err
	}
	return &plan.LeftOutError{Untold: fmt.Errorf("%s in its pools, while the Services go on without: %w", cmp.Or(w.Node(), st.Target.String()), err)}
}

const (
	// firstLook is when machines that could not join their pools are looked at
	// again, and doubles up to longestLook: nothing in the cluster tells when a
	// machine is made, or runs again. Kubelets often register before it is.
	firstLook   = 15 * time.Second
	longestLook = 5 * time.Minute
)

// newAbsent are the nodes whose machines cannot join their pools yet.
func newAbsent() provider.Sought {
	return provider.Sought{First: firstLook, Longest: longestLook}
}

// lookAgain notes the nodes whose machines cannot join yet, and tells when to
// look at them again.
func (p *Provider) lookAgain(nodes ...string) time.Duration {
	now := p.clock.Now()
	return p.absent.Note(now, nodes, p.absent.Due(now, nodes)).Again
}
