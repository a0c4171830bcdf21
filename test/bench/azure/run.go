// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/fairlead/fairlead/test/bench/table"
	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
)

// Options are what is measured.
type Options struct {
	Nodes []int // sizes of the cluster; 10 and 500 if none
	// Sections are a choice of Sections; all if none.
	Sections []string
}

// Sections are the parts of the measurement.
func Sections() []string { return []string{"bursts", "budgets", "nodes", "faults", "memory"} }

// Run measures and prints a table in Markdown, with a column for each size of the
// cluster.
func Run(ctx context.Context, out io.Writer, o Options) error {
	if len(o.Nodes) == 0 {
		o.Nodes = []int{10, 500}
	}
	if len(o.Sections) == 0 {
		o.Sections = Sections()
	}
	for _, s := range o.Sections {
		if !slices.Contains(Sections(), s) {
			return fmt.Errorf("section %q: there are %v", s, Sections())
		}
	}
	meters := make([]*table.Meter, len(o.Nodes))
	for i, nodes := range o.Nodes {
		meters[i] = table.NewMeter(out)
		if err := measureCluster(ctx, meters[i], o, nodes); err != nil {
			return fmt.Errorf("%d nodes: %w", nodes, err)
		}
	}
	return table.Write(out, "cloud-provider-azure", o.Nodes, meters)
}

// measureCluster measures one size of cluster.
func measureCluster(ctx context.Context, m *table.Meter, o Options, nodes int) error {
	plain := standOptions{nodes: nodes, latency: azuresim.BenchmarkLatencies(), budget: unlimited, quiet: 5 * time.Second}
	tight, two, addresses := plain, plain, plain
	tight.budget = published
	two.budget, two.config = published, twoConfigs
	addresses.config = nodeIPPools
	dual := addresses
	dual.families = dualStack()
	sections := map[string][]func() error{
		"budgets": {
			func() error { return burst{250, " under the published budgets", tight}.run(ctx, m) },
			func() error {
				return burst{500, " over two configurations under the published budgets", two}.run(ctx, m)
			},
		},
		"nodes": {
			func() error { return nodesCome(ctx, m, plain, "pools of network interfaces") },
			func() error { return nodesCome(ctx, m, addresses, "nodeIP pools") },
			func() error { return nodesCome(ctx, m, dual, "nodeIP pools of both families") },
		},
		"memory": {func() error { return memory(ctx, m, two, 500) }},
		"faults": {
			func() error { return throttled(ctx, m, plain) },
			func() error { return spoiled(ctx, m, plain) },
		},
	}
	for _, n := range []int{1, 10, 50, 250} {
		sections["bursts"] = append(sections["bursts"], func() error { return burst{n, "", plain}.run(ctx, m) })
	}
	for _, name := range o.Sections {
		for _, measure := range sections[name] {
			if err := measure(); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}
