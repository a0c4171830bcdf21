// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"context"
	"fmt"
	"time"

	"github.com/fairlead/fairlead/test/bench/table"
	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// nodesCome measures a node that is added, and removed again, with 50 Services.
func nodesCome(ctx context.Context, m *table.Meter, o standOptions, where string) error {
	s, err := newStand(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	latency := s.latency
	s.sim.SetLatency(azuresim.Latencies{})
	if err := s.create(ctx, s.services(many-1)); err != nil {
		return err
	}
	s.sim.SetLatency(latency)
	// In nodeIP pools a write takes the node in; elsewhere its scale set has.
	most, target := 0, "no write, at most 5 reads"
	if o.config == nodeIPPools {
		most = max(1, len(o.families))
		target = fmt.Sprintf("at most %d PUT, one for each family, and 5 reads", most)
	}
	handler := s.ctl.NodeHandler()
	n := s.node(o.nodes)
	for _, change := range []struct {
		what string
		act  func() error
	}{
		{"one node added", func() error {
			if err := s.sim.Scale(s.sets[0], o.nodes+1); err != nil {
				return err
			}
			defer handler.OnAdd(n, false)
			return s.cluster.Nodes.Add(n)
		}},
		{"one node removed", func() error {
			if err := s.sim.Scale(s.sets[0], o.nodes); err != nil {
				return err
			}
			defer handler.OnDelete(n)
			return s.cluster.Nodes.Delete(n)
		}},
	} {
		p, err := s.measure(func() error {
			if err := change.act(); err != nil {
				return err
			}
			return s.untilQuiet(ctx, min(most, 1))
		})
		if err != nil {
			return err
		}
		p.took = p.busy()
		writes, reads := sim.Total(p.counts.Writes), sim.Total(p.counts.Reads)
		m.Add(table.Row{
			What: fmt.Sprintf("%s, %d Services, %s", change.what, many, where), Ours: p.describe(), Target: target,
			Peer: "251 to 352 reads", Counted: table.Judge(writes <= most, (writes > 0) == (most > 0), reads <= 5),
		})
	}
	return nil
}

// busy is from the first call to the end of the last one.
func (p *phase) busy() time.Duration {
	if len(p.calls) == 0 {
		return 0
	}
	end := p.calls[0].Arrived
	for _, c := range p.calls {
		if at := c.Arrived.Add(c.Took); at.After(end) {
			end = at
		}
	}
	return end.Sub(p.calls[0].Arrived)
}

// untilQuiet waits until there were so many writes, and then no call for a while.
func (s *stand) untilQuiet(ctx context.Context, writes int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	seen, since := 0, time.Now()
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
		if time.Since(since) > s.quiet && sim.Total(s.sim.Counts().Writes) >= writes {
			return nil
		}
	}
}
