// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"context"
	"io"
	"time"

	"github.com/fairlead/fairlead/test/bench/stand"
	"github.com/fairlead/fairlead/test/bench/table"
	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
)

// Sections are the parts of the measurement.
func Sections() []string { return []string{"bursts", "budgets", "nodes", "faults", "memory"} }

// Run measures and prints a table.
func Run(ctx context.Context, out io.Writer, o stand.Options) error {
	return stand.Measurement{Peer: "cloud-provider-azure", Sections: Sections(), Of: steps}.Run(ctx, out, o)
}

// steps are those of each section.
func steps(m *table.Meter, nodes int) map[string][]func(context.Context) error {
	plain := standOptions{nodes: nodes, latency: azuresim.BenchmarkLatencies(), budget: stand.Unlimited, quiet: 5 * time.Second}
	tight, two, addresses := plain, plain, plain
	tight.budget = stand.Published
	two.budget, two.config = stand.Published, twoConfigs
	addresses.config = nodeIPPools
	dual := addresses
	dual.families = dualStack()
	sections := map[string][]func(context.Context) error{
		"budgets": {
			burst{250, " under the published budgets", tight}.on(m),
			burst{500, " over two configurations under the published budgets", two}.on(m),
		},
		"nodes": {
			func(ctx context.Context) error { return nodesCome(ctx, m, plain, "pools of network interfaces") },
			func(ctx context.Context) error { return nodesCome(ctx, m, addresses, "nodeIP pools") },
			func(ctx context.Context) error { return nodesCome(ctx, m, dual, "nodeIP pools of both families") },
		},
		"memory": {func(ctx context.Context) error { return memory(ctx, m, two, 500) }},
		"faults": {
			func(ctx context.Context) error { return throttled(ctx, m, plain) },
			func(ctx context.Context) error { return spoiled(ctx, m, plain) },
		},
	}
	for _, n := range []int{1, 10, 50, 250} {
		sections["bursts"] = append(sections["bursts"], burst{n, "", plain}.on(m))
	}
	return sections
}

// on is the step that measures it.
func (b burst) on(m *table.Meter) func(context.Context) error {
	return func(ctx context.Context) error { return b.run(ctx, m) }
}
