// SPDX-License-Identifier: Apache-2.0

package stand

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/fairlead/fairlead/test/bench/table"
)

// Options are what is measured.
type Options struct {
	Nodes []int // sizes of the cluster; 10 and 500 if none
	// Sections are a choice of those of the measurement; all if none.
	Sections []string
}

// Measurement is that of one cloud.
type Measurement struct {
	Peer     string   // whose numbers stand beside ours
	Sections []string // its parts, in order
	// Of are the steps of each part, with so many nodes.
	Of func(m *table.Meter, nodes int) map[string][]func(context.Context) error
}

// Run measures and prints a table in Markdown, with a column for each size of the
// cluster.
func (x Measurement) Run(ctx context.Context, out io.Writer, o Options) error {
	if len(o.Nodes) == 0 {
		o.Nodes = []int{10, 500}
	}
	if len(o.Sections) == 0 {
		o.Sections = x.Sections
	}
	for _, s := range o.Sections {
		if !slices.Contains(x.Sections, s) {
			return fmt.Errorf("section %q: there are %v", s, x.Sections)
		}
	}
	meters, headings := make([]*table.Meter, len(o.Nodes)), make([]string, len(o.Nodes))
	for i, nodes := range o.Nodes {
		headings[i] = fmt.Sprintf("%d nodes", nodes)
		meters[i] = table.NewMeter(out)
		if err := x.measure(ctx, meters[i], o.Sections, nodes); err != nil {
			return fmt.Errorf("%d nodes: %w", nodes, err)
		}
		if _, err := fmt.Fprintf(out, "load of the machine: %s\n", load()); err != nil {
			return err
		}
	}
	return table.Write(out, x.Peer, headings, meters)
}

// measure measures one size of cluster.
func (x Measurement) measure(ctx context.Context, m *table.Meter, sections []string, nodes int) error {
	of := x.Of(m, nodes)
	for _, name := range sections {
		for _, step := range of[name] {
			if err := step(ctx); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// load is how many processes wait for the processors now, on average over a
// minute: proc_loadavg(5). Times are worth little when it is high.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	now, _, _ := strings.Cut(string(text), " ")
	return now
}
