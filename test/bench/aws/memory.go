// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"
	"fmt"
	"os"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/test/bench/manager"
	"github.com/fairlead/fairlead/test/bench/table"
	"github.com/fairlead/fairlead/test/cloud/aws/rig"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

const (
	// memoryLimit is the target, in bytes, with that many Services.
	memoryLimit    = 150_000_000
	memoryServices = 200
	// restReads is how many reads an hour there may be at rest.
	restReads = 120
	// noDrift keeps passes against drift away: each makes the reads of a resync.
	noDrift = "drift: {interval: 24h}\n"
)

// memory measures the real controller manager: Services that come at once
// through the API server, until all have a name, a restart, and then rest.
func memory(ctx context.Context, m *table.Meter, o standOptions, rest time.Duration) error {
	dir, err := os.MkdirTemp("", "fairlead-aws-")
	if err != nil {
		return err
	}
	s, err := newSite(o)
	if err != nil {
		return err
	}
	defer s.server.Close()
	c, err := startCluster(ctx, dir, s)
	if err != nil {
		return fmt.Errorf("%w; logs are in %s", err, dir)
	}
	defer c.Stop()
	if err := c.measure(ctx, m, rest); err != nil {
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
	var nodes []*v1.Node
	for _, obj := range s.cluster.Nodes.List() {
		if n, ok := obj.(*v1.Node); ok {
			nodes = append(nodes, n)
		}
	}
	c, err := manager.NewCluster(ctx, dir, nodes)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(c.File("cloud-config.yaml"), []byte(s.text+noDrift), 0o600); err != nil {
		c.Stop()
		return nil, err
	}
	return &cluster{stand: s, Cluster: c}, nil
}

// measure makes the Services, restarts the manager, and lets it rest.
func (c *cluster) measure(ctx context.Context, m *table.Meter, rest time.Duration) error {
	p, err := c.startManager(ctx, "first")
	if err != nil {
		return err
	}
	defer func() { p.Stop() }()
	began := time.Now()
	if err := c.Create(ctx, c.services(memoryServices)); err != nil {
		return err
	}
	created := time.Since(began)
	if err := c.UntilServed(ctx, p, memoryServices); err != nil {
		return err
	}
	took := time.Since(began)
	counts := c.sim.Counts()
	what := fmt.Sprintf("Controller manager on a real API server, %d %s at once", memoryServices, c.kind)
	err = c.report(ctx, m, p, table.Row{What: what, Ours: fmt.Sprintf("; all have a name after %s (created after %s), %d calls refused",
		table.Seconds(took), table.Seconds(created), sim.Total(counts.Refused))})
	if err != nil {
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
	err = c.report(ctx, m, p, table.Row{
		What: fmt.Sprintf("Controller manager started again with %d Services", memoryServices), Target: "no write, ",
		Ours:    fmt.Sprintf("; writes: %s; reads, those for nodes included: %s", table.Counts(counts.Writes, short), table.Counts(counts.Reads, short)),
		Counted: table.Judge(sim.Total(counts.Writes) == 0),
	})
	if err != nil {
		return err
	}
	return c.rest(ctx, m, p, rest)
}

// rest counts the calls of a manager that has nothing to do.
func (c *cluster) rest(ctx context.Context, m *table.Meter, p *manager.Process, d time.Duration) error {
	c.sim.ResetCalls()
	if err := p.Last(ctx, d); err != nil {
		return err
	}
	counts := c.sim.Counts()
	reads, writes := sim.Total(counts.Reads)+counts.Pages, sim.Total(counts.Writes)
	hourly := float64(reads) * float64(time.Hour) / float64(d)
	m.Add(table.Row{
		What: fmt.Sprintf("At rest with %d Services, beside the passes against drift, by default one in %s with the reads of a resync", memoryServices, cloudconfig.DefaultDriftInterval),
		Ours: fmt.Sprintf("in %s: writes: %s; reads: %s; %.0f reads an hour", d, table.Counts(counts.Writes, short), table.Counts(counts.Reads, short), hourly),
		Peer: "5,040 with 500 nodes", Target: fmt.Sprintf("no write, at most %d reads an hour", restReads),
		Counted: table.Judge(writes == 0, hourly <= restReads),
	})
	return nil
}

// report adds to a row the memory that the manager has when it is calm.
func (c *cluster) report(ctx context.Context, m *table.Meter, p *manager.Process, r table.Row) error {
	if err := c.untilCalm(ctx, p); err != nil {
		return err
	}
	now, most, err := p.Resident()
	if err != nil {
		return err
	}
	r.What += ": resident memory"
	r.Ours = fmt.Sprintf("%d MB (at most %d MB)", now/1e6, most/1e6) + r.Ours
	r.Target += fmt.Sprintf("under %d MB", memoryLimit/1_000_000)
	r.Counted = max(r.Counted, table.Judge(most < memoryLimit))
	m.Add(r)
	return nil
}

// untilCalm waits until the cloud was asked, and then not for a while.
func (c *cluster) untilCalm(ctx context.Context, p *manager.Process) error {
	return c.UntilCalm(ctx, p, func() int { return len(c.sim.Calls()) }, c.quiet)
}

// startManager starts the controller manager.
func (c *cluster) startManager(ctx context.Context, name string) (*manager.Process, error) {
	return c.Run(ctx, name, nil, []string{
		"--cloud-provider=aws", "--cloud-config=" + c.File("cloud-config.yaml"), "--cluster-name=" + rig.Name, "--configure-cloud-routes=false",
	})
}
