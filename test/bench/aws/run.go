// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"
	"io"
	"time"

	"github.com/fairlead/fairlead/test/bench/stand"
	"github.com/fairlead/fairlead/test/bench/table"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// Options are what is measured.
type Options struct {
	stand.Options
	// Rest is how long a controller at rest is watched; a minute if zero.
	Rest time.Duration
}

// Sections are the parts of the measurement.
func Sections() []string { return []string{"nlb", "managed", "classic", "limits", "memory"} }

// Run measures and prints a table.
func Run(ctx context.Context, out io.Writer, o Options) error {
	if o.Rest == 0 {
		o.Rest = time.Minute
	}
	if err := environment(); err != nil {
		return err
	}
	return stand.Measurement{
		Peer: "cloud-provider-aws", Sections: Sections(),
		Of: func(m *table.Meter, nodes int) map[string][]func(context.Context) error {
			return steps(m, nodes, o.Rest)
		},
	}.Run(ctx, out, o.Options)
}

// steps are those of each section.
func steps(m *table.Meter, nodes int, rest time.Duration) map[string][]func(context.Context) error {
	plain := standOptions{nodes: nodes, kind: network, latency: awssim.BenchmarkLatencies(), budget: stand.Unlimited, quiet: 4 * time.Second}
	ofGroups, classics, tight := plain, plain, plain
	ofGroups.kind, classics.kind, tight.budget = managed, classic, stand.Published
	sections := map[string][]func(context.Context) error{
		"managed": {burst{200, ofGroups}.on(m)},
		"limits":  {burst{50, tight}.on(m)},
		"memory":  {func(ctx context.Context) error { return memory(ctx, m, ofGroups, rest) }},
	}
	for _, n := range []int{1, 10, 50, 200} {
		sections["nlb"] = append(sections["nlb"], burst{n, plain}.on(m))
		sections["classic"] = append(sections["classic"], burst{n, classics}.on(m))
	}
	return sections
}

// on is the step that measures it.
func (b burst) on(m *table.Meter) func(context.Context) error {
	return func(ctx context.Context) error { return b.run(ctx, m) }
}
