// SPDX-License-Identifier: Apache-2.0

package stand

import (
	"context"
	"fmt"
	"os"

	"github.com/fairlead/fairlead/test/bench/manager"
	"github.com/fairlead/fairlead/test/bench/table"
)

// memoryLimit is the target for the controller manager, in bytes.
const memoryLimit = 150_000_000

// Managed is a real API server with the nodes of a stand, for the controller
// manager that ships.
type Managed struct {
	*Stand
	*manager.Cluster
	// Cloud is the value of --cloud-provider, Config the text of the cloud-config.
	Cloud, Config string
	// Env and Flags are those of the manager, beside --cloud-config.
	Env, Flags []string
}

// Measure starts the API server and measures; logs are kept when that fails.
func (c *Managed) Measure(ctx context.Context, measure func() error) error {
	dir, err := os.MkdirTemp("", "fairlead-"+c.Cloud+"-")
	if err != nil {
		return err
	}
	if c.Cluster, err = manager.NewCluster(ctx, dir, c.Nodes()); err != nil {
		return fmt.Errorf("%w; logs are in %s", err, dir)
	}
	defer c.Stop()
	if err = os.WriteFile(c.file(), []byte(c.Config), 0o600); err == nil {
		err = measure()
	}
	if err != nil {
		return fmt.Errorf("%w; logs are in %s", err, dir)
	}
	return os.RemoveAll(dir)
}

func (c *Managed) file() string { return c.File("cloud-config") }

// Manager starts the controller manager, with a log of that name.
func (c *Managed) Manager(ctx context.Context, name string) (*manager.Process, error) {
	return c.Run(ctx, name, c.Env, append([]string{
		"--cloud-provider=" + c.Cloud, "--cloud-config=" + c.file(), "--configure-cloud-routes=false",
	}, c.Flags...))
}

// Report adds to a row the memory that the manager has when it is calm.
func (c *Managed) Report(ctx context.Context, m *table.Meter, p *manager.Process, r table.Row) error {
	if err := c.UntilCalm(ctx, p); err != nil {
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

// UntilCalm waits until the cloud was asked, and then not for a while.
func (c *Managed) UntilCalm(ctx context.Context, p *manager.Process) error {
	return c.Cluster.UntilCalm(ctx, p, func() int { return len(c.Calls.All()) }, c.Quiet)
}
