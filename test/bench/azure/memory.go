// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"context"
	"fmt"
	"os"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/test/bench/manager"
	"github.com/fairlead/fairlead/test/bench/table"
	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/azure/rig"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// memoryLimit is the target, in bytes.
const memoryLimit = 150_000_000

// memory measures the real controller manager: Services that come at once
// through the API server, until all have an address, and a restart.
func memory(ctx context.Context, m *table.Meter, o standOptions, services int) error {
	dir, err := os.MkdirTemp("", "fairlead-azure-")
	if err != nil {
		return err
	}
	s, err := newSite(o)
	if err != nil {
		return err
	}
	s.sim.SetLatency(o.latency)
	s.sim.SetThrottle(azuresim.PublishedThrottle())
	defer s.server.Close()
	c, err := startCluster(ctx, dir, s)
	if err != nil {
		return fmt.Errorf("%w; logs are in %s", err, dir)
	}
	defer c.Stop()
	if err := c.measure(ctx, m, services); err != nil {
		return fmt.Errorf("%w; logs are in %s", err, dir)
	}
	return os.RemoveAll(dir)
}

// cluster is a real API server with the nodes of a stand.
type cluster struct {
	*stand
	*manager.Cluster
}

func startCluster(ctx context.Context, dir string, s *stand) (*cluster, error) {
	nodes := make([]*v1.Node, s.nodes)
	for i := range nodes {
		nodes[i] = s.node(i)
	}
	c, err := manager.NewCluster(ctx, dir, nodes)
	if err != nil {
		return nil, err
	}
	text := rig.ConfigText(s.site, s.config+rig.Endpoint(s.server.URL))
	if err := os.WriteFile(c.File("azure.json"), []byte(text), 0o600); err != nil {
		c.Stop()
		return nil, err
	}
	return &cluster{stand: s, Cluster: c}, nil
}

// measure makes the Services, then restarts the manager.
func (c *cluster) measure(ctx context.Context, m *table.Meter, services int) error {
	p, err := c.startManager(ctx, "first")
	if err != nil {
		return err
	}
	defer func() { p.Stop() }()
	if err := c.untilCalm(ctx, p); err != nil {
		return err
	}
	began := time.Now()
	made := make([]*v1.Service, services)
	for i := range made {
		made[i] = service(i)
	}
	if err := c.Create(ctx, made); err != nil {
		return err
	}
	created := time.Since(began)
	if err := c.UntilServed(ctx, p, services); err != nil {
		return err
	}
	took := time.Since(began)
	what := fmt.Sprintf("Controller manager on a real API server, %d Services at once under the published budgets", services)
	counts := c.sim.Counts()
	if err := c.report(ctx, m, p, what, fmt.Sprintf("; all have an address after %s (created after %s), %d calls refused",
		table.Seconds(took), table.Seconds(created), sim.Total(counts.Refused))); err != nil {
		return err
	}
	p.Stop()
	c.sim.ResetCalls()
	if p, err = c.startManager(ctx, "second"); err != nil {
		return err
	}
	if err := c.untilCalm(ctx, p); err != nil {
		return err
	}
	counts = c.sim.Counts()
	return c.report(ctx, m, p, fmt.Sprintf("Controller manager started again with %d Services", services),
		fmt.Sprintf("; writes: %s; reads, those for nodes and tokens included: %s", countsOf(counts.Writes), countsOf(counts.Reads)))
}

// report adds a row on the memory that the manager has when it is calm.
func (c *cluster) report(ctx context.Context, m *table.Meter, p *manager.Process, what, more string) error {
	if err := c.untilCalm(ctx, p); err != nil {
		return err
	}
	now, most, err := p.Resident()
	if err != nil {
		return err
	}
	m.Add(table.Row{
		What: what + ": resident memory", Ours: fmt.Sprintf("%d MB (at most %d MB)%s", now/1e6, most/1e6, more),
		Target: fmt.Sprintf("under %d MB", memoryLimit/1_000_000), Counted: table.Judge(most < memoryLimit),
	})
	return nil
}

// untilCalm waits until the cloud was asked, and then not for a while.
func (c *cluster) untilCalm(ctx context.Context, p *manager.Process) error {
	return c.UntilCalm(ctx, p, func() int { return len(c.sim.Calls()) }, c.quiet)
}

// startManager starts the controller manager.
func (c *cluster) startManager(ctx context.Context, name string) (*manager.Process, error) {
	env := []string{"IDENTITY_ENDPOINT=" + c.server.URL + "/token", "IDENTITY_HEADER=any"}
	return c.Run(ctx, name, env, []string{
		"--cloud-provider=azure", "--cloud-config=" + c.File("azure.json"), "--configure-cloud-routes=false",
	})
}
