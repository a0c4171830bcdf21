// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"
	"errors"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/test/bench/table"
	"github.com/fairlead/fairlead/test/cloud/aws/web"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// nodes measures a node that is added, and removed again.
func (b burst) nodes(ctx context.Context, m *table.Meter, s *stand) error {
	n, err := s.launch()
	if err != nil {
		return err
	}
	handler := s.ctl.NodeHandler()
	for _, change := range []struct {
		what string
		act  func() error
	}{
		{"one node added", func() error {
			defer handler.OnAdd(n, false)
			return s.cluster.Nodes.Add(n)
		}},
		{"one node removed", func() error {
			defer handler.OnDelete(n)
			return s.cluster.Nodes.Delete(n)
		}},
	} {
		p, err := s.measure(func() error {
			if err := change.act(); err != nil {
				return err
			}
			return s.untilQuiet(ctx, b.services)
		})
		if err != nil {
			return err
		}
		p.took = p.busy()
		m.Add(table.Row{
			What: b.name() + ": " + change.what, Ours: p.describe(), Peer: b.stand.kind.goal().peerNode,
			Target:  fmt.Sprintf("a write for each, at most %d reads in all", readsOfNode),
			Counted: table.Judge(p.writes() == b.services, p.reads() <= readsOfNode),
		})
	}
	return nil
}

// launch starts one more machine, and returns its node.
func (s *stand) launch() (*v1.Node, error) {
	id := s.site.Launch(1)[0]
	machines, err := web.Machines(s.sim.State())
	for i := range machines {
		if machines[i].ID == id {
			return machines[i].Node(), nil
		}
	}
	return nil, errors.Join(fmt.Errorf("machine %s is not there", id), err)
}

// busy is from the first call to the end of the last one.
func (p *phase) busy() time.Duration {
	if len(p.calls) == 0 {
		return 0
	}
	end := p.calls[0].Arrived
	for i := range p.calls {
		if at := p.calls[i].Arrived.Add(p.calls[i].Took); at.After(end) {
			end = at
		}
	}
	return end.Sub(p.calls[0].Arrived)
}

// enough is how long that many writes are waited for.
const enough = 30 * time.Second

// untilQuiet waits until there were that many writes, or none came for long, and
// then for no more calls for a while.
func (s *stand) untilQuiet(ctx context.Context, writes int) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	seen, since, began := 0, time.Now(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the controller is not quiet: %w", ctx.Err())
		case <-tick.C:
		}
		calls := s.sim.Calls()
		if len(calls) != seen || len(calls) == 0 || calls[len(calls)-1].Took == 0 {
			seen, since = len(calls), time.Now()
		}
		if time.Since(since) > s.quiet && (sim.Total(s.sim.Counts().Writes) >= writes || time.Since(began) > enough) {
			return nil
		}
	}
}
