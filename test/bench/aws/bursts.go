// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"
	"errors"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/test/bench/stand"
	"github.com/fairlead/fairlead/test/bench/table"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// goal is what is wanted of the Services of a kind, each. Zero fields are no
// target.
type goal struct {
	create, resync, remove float64 // calls, reads, calls
	// The peer's numbers.
	peerCreate, peerResync, peerNode, peerRemove string
}

func (k kind) goal() goal {
	switch k {
	case network:
		return goal{
			create: 6, resync: 3.3, remove: 3.5,
			peerCreate: "13 calls each (alone 16)", peerResync: "11.3 reads each", peerNode: "13 calls each", peerRemove: "8 calls each",
		}
	case classic:
		return goal{
			create: 8, resync: 1.5,
			peerCreate: "17 calls each", peerResync: "10.3 reads and a write each",
		}
	case managed:
		return goal{resync: 3.3}
	}
	return goal{}
}

const (
	many        = 50  // from how many Services on averages are judged, and restarts measured
	most        = 200 // from how many on the reads of a restart are judged
	ready       = 6 * time.Second
	readsOfNode = 5 // in all
	fewRefused  = 5 // calls
	overLimit   = 1.3
)

// burst is how many Services come at once, on which stand.
type burst struct {
	services int
	options  standOptions
}

func (b burst) name() string {
	text := fmt.Sprintf("%d %s", b.services, b.options.kind)
	if b.options.budget == stand.Published {
		text += " under the published limits"
	}
	return text
}

// run measures what becomes of a burst: created, ensured again, by a new
// controller too, with a node more and one less, deleted.
func (b burst) run(ctx context.Context, m *table.Meter) error {
	s, err := newGround(ctx, b.options)
	if err != nil {
		return err
	}
	defer s.close()
	before, err := s.left()
	if err != nil {
		return err
	}
	services := s.Services(b.services)
	p, err := s.Measure(func() error { return s.Create(ctx, services) })
	if err != nil {
		return err
	}
	m.Add(b.created(p, s.sim.Calls()))
	if b.services >= many && b.options.budget == stand.Unlimited {
		if err := errors.Join(b.again(ctx, m, s, services), b.nodes(ctx, m, s)); err != nil {
			return err
		}
	}
	if p, err = s.Measure(func() error { return s.Remove(ctx, services) }); err != nil {
		return err
	}
	m.Add(b.removed(p))
	after, err := s.left()
	if err == nil && after != before {
		err = fmt.Errorf("%s: something is left; before:\n%s\nafter:\n%s", b.name(), before, after)
	}
	return err
}

// created judges the creation.
func (b burst) created(p *stand.Phase, calls []awssim.Call) table.Row {
	g := b.options.kind.goal()
	r := table.Row{What: b.name() + ": all have a name", Ours: fmt.Sprintf("%s; %.1f calls each", p.Describe(short), p.Each(b.services))}
	switch {
	case b.options.budget == stand.Published:
		longest := time.Duration(overLimit * float64(allowed(calls)))
		r.Target = fmt.Sprintf("%.1f times what the limits allow: %s; at most %d refused", overLimit, table.Seconds(longest), fewRefused)
		r.Counted, r.Timed = table.Judge(sim.Total(p.Refused) <= fewRefused), table.Judge(p.Took <= longest)
		r.Peer = "55 s, 1,540 calls"
	case b.services >= many && g.create > 0:
		r.Target = fmt.Sprintf("at most %.0f calls each, no error", g.create)
		r.Counted, r.Peer = table.Judge(p.Each(b.services) <= g.create, p.Flawless()), g.peerCreate
	default:
		r.Target, r.Counted, r.Peer = "no error", table.Judge(p.Flawless()), g.peerCreate
	}
	if b.services == many && b.options.kind == network && b.options.budget == stand.Unlimited {
		r.Target = fmt.Sprintf("under %.0f s, %s", ready.Seconds(), r.Target)
		r.Timed = table.Judge(p.Took < ready)
		r.Peer = "12.6 s with 20 workers, 176 s with its one; " + r.Peer
	}
	return r
}

// removed judges the deletion.
func (b burst) removed(p *stand.Phase) table.Row {
	g := b.options.kind.goal()
	r := table.Row{
		What: b.name() + ": all deleted at once, nothing left", Peer: g.peerRemove,
		Ours: fmt.Sprintf("%s; %.1f calls each", p.Describe(short), p.Each(b.services)),
	}
	if b.services >= many && g.remove > 0 {
		r.Target, r.Counted = fmt.Sprintf("at most %.1f calls each", g.remove), table.Judge(p.Each(b.services) <= g.remove)
	}
	return r
}

// again measures a resync and a restart.
func (b burst) again(ctx context.Context, m *table.Meter, s *ground, services []*v1.Service) error {
	g := b.options.kind.goal()
	for _, c := range []struct {
		what string
		act  func() error
	}{
		{"resync", func() error { return s.Ensure(ctx, services) }},
		{"restart, everything ensured again", func() error {
			if err := s.Restart(ctx); err != nil {
				return err
			}
			return s.Ensure(ctx, services)
		}},
	} {
		p, err := s.Measure(c.act)
		if err != nil {
			return err
		}
		each := float64(p.Read()) / float64(b.services)
		r := table.Row{
			What: b.name() + ": " + c.what, Ours: fmt.Sprintf("%s; %.2f reads each", p.Describe(short), each), Peer: g.peerResync,
			Target: "no write", Counted: table.Judge(p.Wrote() == 0),
		}
		if b.services >= most {
			r.Target, r.Counted = fmt.Sprintf("no write, at most %.1f reads each", g.resync), table.Judge(p.Wrote() == 0, each <= g.resync)
		}
		m.Add(r)
	}
	return nil
}
