// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/fairlead/fairlead/test/bench/table"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// Options are what is measured.
type Options struct {
	Nodes []int // sizes of the cluster; 10 and 500 if none
	// Sections are a choice of Sections; all if none.
	Sections []string
	// Rest is how long a controller at rest is watched; a minute if zero.
	Rest time.Duration
}

// Sections are the parts of the measurement.
func Sections() []string { return []string{"nlb", "managed", "classic", "limits", "memory"} }

// Run measures and prints a table in Markdown, with a column for each size of the
// cluster.
func Run(ctx context.Context, out io.Writer, o Options) error {
	if len(o.Nodes) == 0 {
		o.Nodes = []int{10, 500}
	}
	if len(o.Sections) == 0 {
		o.Sections = Sections()
	}
	if o.Rest == 0 {
		o.Rest = time.Minute
	}
	for _, s := range o.Sections {
		if !slices.Contains(Sections(), s) {
			return fmt.Errorf("section %q: there are %v", s, Sections())
		}
	}
	if err := environment(); err != nil {
		return err
	}
	meters := make([]*table.Meter, len(o.Nodes))
	for i, nodes := range o.Nodes {
		meters[i] = table.NewMeter(out)
		if err := measureCluster(ctx, meters[i], o, nodes); err != nil {
			return fmt.Errorf("%d nodes: %w", nodes, err)
		}
		if _, err := fmt.Fprintf(out, "load of the machine: %s\n", load()); err != nil {
			return err
		}
	}
	return table.Write(out, "cloud-provider-aws", o.Nodes, meters)
}

// measureCluster measures one size of cluster.
func measureCluster(ctx context.Context, m *table.Meter, o Options, nodes int) error {
	plain := standOptions{nodes: nodes, kind: network, latency: awssim.BenchmarkLatencies(), budget: unlimited, quiet: 4 * time.Second}
	ofGroups, classics, tight := plain, plain, plain
	ofGroups.kind, classics.kind, tight.budget = managed, classic, published
	sections := map[string][]func() error{
		"managed": {func() error { return burst{200, ofGroups}.run(ctx, m) }},
		"limits":  {func() error { return burst{50, tight}.run(ctx, m) }},
		"memory":  {func() error { return memory(ctx, m, ofGroups, o.Rest) }},
	}
	for _, n := range []int{1, 10, 50, 200} {
		sections["nlb"] = append(sections["nlb"], func() error { return burst{n, plain}.run(ctx, m) })
		sections["classic"] = append(sections["classic"], func() error { return burst{n, classics}.run(ctx, m) })
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
