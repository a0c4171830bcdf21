// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"context"
	"fmt"

	"github.com/fairlead/fairlead/test/bench/table"
	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// nodesCome measures a node that is added, and removed again, with 50 Services.
func nodesCome(ctx context.Context, m *table.Meter, o standOptions, where string) error {
	s, err := newGround(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	latency := s.latency
	s.sim.SetLatency(azuresim.Latencies{})
	if err := s.Create(ctx, s.Services(many-1)); err != nil {
		return err
	}
	s.sim.SetLatency(latency)
	// In nodeIP pools a write takes the node in; elsewhere its scale set has.
	most, target := 0, "no write, at most 5 reads"
	if o.config == nodeIPPools {
		most = max(1, len(o.families))
		target = fmt.Sprintf("at most %d PUT, one for each family, and 5 reads", most)
	}
	handler := s.Controller.NodeHandler()
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
			return s.Cluster.Nodes.Add(n)
		}},
		{"one node removed", func() error {
			if err := s.sim.Scale(s.sets[0], o.nodes); err != nil {
				return err
			}
			defer handler.OnDelete(n)
			return s.Cluster.Nodes.Delete(n)
		}},
	} {
		p, err := s.MeasureQuiet(ctx, min(most, 1), change.act)
		if err != nil {
			return err
		}
		writes, reads := p.Wrote(), sim.Total(p.Reads)
		m.Add(table.Row{
			What: fmt.Sprintf("%s, %d Services, %s", change.what, many, where), Ours: p.Describe(short), Target: target,
			Peer: "251 to 352 reads", Counted: table.Judge(writes <= most, (writes > 0) == (most > 0), reads <= 5),
		})
	}
	return nil
}
