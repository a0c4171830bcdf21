// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"
	"errors"
	"fmt"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/test/bench/table"
	"github.com/fairlead/fairlead/test/cloud/aws/web"
)

// nodes measures a node that is added, and removed again.
func (b burst) nodes(ctx context.Context, m *table.Meter, s *ground) error {
	n, err := s.launch()
	if err != nil {
		return err
	}
	handler := s.Controller.NodeHandler()
	for _, change := range []struct {
		what string
		act  func() error
	}{
		{"one node added", func() error {
			defer handler.OnAdd(n, false)
			return s.Cluster.Nodes.Add(n)
		}},
		{"one node removed", func() error {
			defer handler.OnDelete(n)
			return s.Cluster.Nodes.Delete(n)
		}},
	} {
		p, err := s.MeasureQuiet(ctx, b.services, change.act)
		if err != nil {
			return err
		}
		m.Add(table.Row{
			What: b.name() + ": " + change.what, Ours: p.Describe(short), Peer: b.options.kind.goal().peerNode,
			Target:  fmt.Sprintf("a write for each, at most %d reads in all", readsOfNode),
			Counted: table.Judge(p.Wrote() == b.services, p.Read() <= readsOfNode),
		})
	}
	return nil
}

// launch starts one more machine, and returns its node.
func (s *ground) launch() (*v1.Node, error) {
	id := s.site.Launch(1)[0]
	machines, err := web.Machines(s.sim.State())
	for i := range machines {
		if machines[i].ID == id {
			return machines[i].Node(), nil
		}
	}
	return nil, errors.Join(fmt.Errorf("machine %s is not there", id), err)
}
