// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"context"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/test/bench/stand"
	"github.com/fairlead/fairlead/test/bench/table"
	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// goal is how fast a burst is to be. Zero fields are no target.
type goal struct {
	create, remove time.Duration
	peer, peerGone string
}

// goals are by the number of Services.
func goals() map[int]goal {
	return map[int]goal{
		50:  {create: 12 * time.Second, remove: 28 * time.Second, peer: "297 s, 151 writes, 604 reads", peerGone: "751 s"},
		250: {create: 20 * time.Second, remove: 40 * time.Second, peer: "25 min", peerGone: "over an hour"},
		500: {create: 60 * time.Second, peer: "50 min"},
	}
}

// Limits that hold for any number of Services.
const (
	sharedWrites = 3  // of each load balancer, and of the security group
	fewRefused   = 5  // calls answered by 429
	fewReads     = 20 // of a restart and of a resync
	readsOfOne   = 4  // of one more Service
)

// burst is how many Services come at once, on which stand.
type burst struct {
	services int
	where    string
	options  standOptions
}

// run measures what becomes of a burst: created, ensured again, by a new
// controller too, one more, deleted.
func (b burst) run(ctx context.Context, m *table.Meter) error {
	s, err := newGround(ctx, b.options)
	if err != nil {
		return err
	}
	defer s.close()
	services := s.Services(b.services)
	if err := b.create(ctx, m, s, services); err != nil {
		return err
	}
	if b.services >= many {
		if err := b.again(ctx, m, s); err != nil {
			return err
		}
	}
	p, err := s.Measure(func() error { return s.Remove(ctx, services) })
	if err != nil {
		return err
	}
	m.Add(b.removed(p))
	return nil
}

// create measures the creation.
func (b burst) create(ctx context.Context, m *table.Meter, s *ground, services []*v1.Service) error {
	p, err := s.Measure(func() error { return s.Create(ctx, services) })
	if err != nil {
		return err
	}
	m.Add(b.created(p))
	return nil
}

// many is from how many Services on restarts are measured.
const many = 50

func (b burst) name() string {
	if b.services == 1 {
		return "1 Service"
	}
	return fmt.Sprintf("%d Services", b.services)
}

// created judges the creation.
func (b burst) created(p *stand.Phase) table.Row {
	g := goals()[b.services]
	w, refused := p.Writes, p.Refused
	shared := sharedWrites * b.options.balancers()
	r := table.Row{
		What: b.name() + b.where + ": all have an address", Ours: p.Describe(short), Peer: g.peer,
		Target: fmt.Sprintf("%d PIP, at most %d LB and %d NSG", b.services, shared, sharedWrites),
	}
	kept := []bool{
		w[azuresim.PublicIPs]-refused[azuresim.PublicIPs] == b.services,
		w[azuresim.LoadBalancers] <= shared, w[azuresim.SecurityGroups] <= sharedWrites,
	}
	if b.options.budget == stand.Published {
		kept = append(kept, sim.Total(refused) <= fewRefused)
		r.Target += fmt.Sprintf(", at most %d refused", fewRefused)
	}
	if g.create > 0 {
		r.Timed = table.Judge(p.Took < g.create)
		r.Target = fmt.Sprintf("under %.0f s, %s", g.create.Seconds(), r.Target)
	}
	r.Counted = table.Judge(kept...)
	return r
}

// removed judges the deletion.
func (b burst) removed(p *stand.Phase) table.Row {
	g := goals()[b.services]
	r := table.Row{What: b.name() + b.where + ": all deleted at once, nothing left", Ours: p.Describe(short), Peer: g.peerGone}
	if g.remove > 0 {
		r.Target, r.Timed = fmt.Sprintf("under %.0f s", g.remove.Seconds()), table.Judge(p.Took < g.remove)
	}
	return r
}

// again measures a resync, a restart and one more Service.
func (b burst) again(ctx context.Context, m *table.Meter, s *ground) error {
	quiet := func(what, peer string, act func() error) error {
		p, err := s.Measure(act)
		if err != nil {
			return err
		}
		writes, reads := p.Wrote(), sim.Total(p.Reads)
		m.Add(table.Row{
			What: b.name() + b.where + ": " + what, Ours: p.Describe(short), Peer: peer,
			Target: fmt.Sprintf("no write, at most %d reads", fewReads), Counted: table.Judge(writes == 0, reads <= fewReads),
		})
		return nil
	}
	peer := ""
	if b.services == 50 {
		peer = "204 to 305 reads, an NSG PUT for each Service whose rule has one destination"
	}
	if err := quiet("resync", peer, func() error { return s.Ensure(ctx, s.All()) }); err != nil {
		return err
	}
	if err := quiet("restart, everything ensured again", peer, func() error {
		if err := s.Restart(ctx); err != nil {
			return err
		}
		return s.Ensure(ctx, s.All())
	}); err != nil {
		return err
	}
	var more []*v1.Service
	p, err := s.Measure(func() error {
		more = s.Services(1)
		return s.Create(ctx, more)
	})
	if err != nil {
		return err
	}
	peer = ""
	if b.services == 250 {
		peer = "3 writes, 12 reads"
	}
	m.Add(table.Row{
		What: b.name() + b.where + ": one more", Ours: p.Describe(short), Peer: peer,
		Target:  fmt.Sprintf("3 writes, at most %d reads", readsOfOne),
		Counted: table.Judge(p.Wrote() == 3, sim.Total(p.Reads) <= readsOfOne),
	})
	return nil
}
