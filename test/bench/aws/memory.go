// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"
	"fmt"
	"time"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/test/bench/manager"
	"github.com/fairlead/fairlead/test/bench/stand"
	"github.com/fairlead/fairlead/test/bench/table"
	"github.com/fairlead/fairlead/test/cloud/aws/rig"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

const (
	// memoryServices is with how many Services memory is measured.
	memoryServices = 200
	// restReads is how many reads an hour there may be at rest.
	restReads = 120
	// noDrift keeps passes against drift away: each makes the reads of a resync.
	noDrift = "drift: {interval: 24h}\n"
)

// memory measures the real controller manager: Services that come at once
// through the API server, until all have a name, a restart, and then rest.
func memory(ctx context.Context, m *table.Meter, o standOptions, rest time.Duration) error {
	s, err := newSite(o)
	if err != nil {
		return err
	}
	defer s.server.Close()
	c := &cluster{Managed: &stand.Managed{
		Stand: s.Stand, Cloud: "aws", Config: s.text + noDrift, Flags: []string{"--cluster-name=" + rig.Name},
	}, kind: o.kind}
	return c.Measure(ctx, func() error { return c.measure(ctx, m, rest) })
}

// cluster is a real API server with the nodes of a stand.
type cluster struct {
	*stand.Managed
	kind kind
}

// measure makes the Services, restarts the manager, and lets it rest.
func (c *cluster) measure(ctx context.Context, m *table.Meter, rest time.Duration) error {
	p, err := c.Manager(ctx, "first")
	if err != nil {
		return err
	}
	defer func() { p.Stop() }()
	began := time.Now()
	if err := c.Cluster.Create(ctx, c.Services(memoryServices)); err != nil {
		return err
	}
	created := time.Since(began)
	if err := c.UntilServed(ctx, p, memoryServices); err != nil {
		return err
	}
	took := time.Since(began)
	counts := c.Calls.Counts()
	what := fmt.Sprintf("Controller manager on a real API server, %d %s at once", memoryServices, c.kind)
	err = c.Report(ctx, m, p, table.Row{What: what, Ours: fmt.Sprintf("; all have a name after %s (created after %s), %d calls refused",
		table.Seconds(took), table.Seconds(created), sim.Total(counts.Refused))})
	if err != nil {
		return err
	}
	p.Stop()
	c.Calls.Reset()
	if p, err = c.Manager(ctx, "second"); err != nil {
		return err
	}
	if err := c.UntilCalm(ctx, p); err != nil {
		return err
	}
	counts = c.Calls.Counts()
	err = c.Report(ctx, m, p, table.Row{
		What: fmt.Sprintf("Controller manager started again with %d Services", memoryServices), Target: "no write, ",
		Ours:    "; those for nodes included, " + stand.Words(counts, short),
		Counted: table.Judge(sim.Total(counts.Writes) == 0),
	})
	if err != nil {
		return err
	}
	return c.rest(ctx, m, p, rest)
}

// rest counts the calls of a manager that has nothing to do.
func (c *cluster) rest(ctx context.Context, m *table.Meter, p *manager.Process, d time.Duration) error {
	c.Calls.Reset()
	if err := p.Last(ctx, d); err != nil {
		return err
	}
	counts := c.Calls.Counts()
	reads, writes := sim.Total(counts.Reads)+counts.Pages, sim.Total(counts.Writes)
	hourly := float64(reads) * float64(time.Hour) / float64(d)
	m.Add(table.Row{
		What: fmt.Sprintf("At rest with %d Services, beside the passes against drift, by default one in %s with the reads of a resync", memoryServices, cloudconfig.DefaultDriftInterval),
		Ours: fmt.Sprintf("in %s: %s; %.0f reads an hour", d, stand.Words(counts, short), hourly),
		Peer: "5,040 with 500 nodes", Target: fmt.Sprintf("no write, at most %d reads an hour", restReads),
		Counted: table.Judge(writes == 0, hourly <= restReads),
	})
	return nil
}
