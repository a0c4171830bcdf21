// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"context"
	"fmt"
	"time"

	"github.com/fairlead/fairlead/test/bench/stand"
	"github.com/fairlead/fairlead/test/bench/table"
	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/azure/rig"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// memory measures the real controller manager: Services that come at once
// through the API server, until all have an address, and a restart.
func memory(ctx context.Context, m *table.Meter, o standOptions, services int) error {
	s, err := newSite(o)
	if err != nil {
		return err
	}
	s.sim.SetLatency(o.latency)
	s.sim.SetThrottle(azuresim.PublishedThrottle())
	defer s.server.Close()
	c := &stand.Managed{
		Stand: s.Stand, Cloud: "azure", Config: rig.ConfigText(s.site, o.config+rig.Endpoint(s.server.URL)),
		Env: []string{"IDENTITY_ENDPOINT=" + s.server.URL + "/token", "IDENTITY_HEADER=any"},
	}
	return c.Measure(ctx, func() error { return measure(ctx, c, m, services) })
}

// measure makes the Services, then restarts the manager.
func measure(ctx context.Context, c *stand.Managed, m *table.Meter, services int) error {
	p, err := c.Manager(ctx, "first")
	if err != nil {
		return err
	}
	defer func() { p.Stop() }()
	if err := c.UntilCalm(ctx, p); err != nil {
		return err
	}
	began := time.Now()
	if err := c.Cluster.Create(ctx, c.Services(services)); err != nil {
		return err
	}
	created := time.Since(began)
	if err := c.UntilServed(ctx, p, services); err != nil {
		return err
	}
	took := time.Since(began)
	what := fmt.Sprintf("Controller manager on a real API server, %d Services at once under the published budgets", services)
	counts := c.Calls.Counts()
	if err := c.Report(ctx, m, p, table.Row{What: what, Ours: fmt.Sprintf("; all have an address after %s (created after %s), %d calls refused",
		table.Seconds(took), table.Seconds(created), sim.Total(counts.Refused))}); err != nil {
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
	return c.Report(ctx, m, p, table.Row{
		What: fmt.Sprintf("Controller manager started again with %d Services", services),
		Ours: "; those for nodes and tokens included, " + stand.Words(counts, short),
	})
}
