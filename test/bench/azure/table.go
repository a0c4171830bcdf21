// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
)

// Row is one line of the table.
type Row struct {
	What string // what was measured
	Ours string // what it was, in words
	// Target and Peer are what we want, and cloud-provider-azure's number, in
	// words; empty when there is none.
	Target, Peer string
	// Counted is the verdict on calls and bytes, Timed on how long it took.
	Counted, Timed Verdict
}

// Verdict is whether a target was met. The zero value is that there was none.
type Verdict uint8

// The verdicts.
const (
	Met Verdict = iota + 1
	Missed
)

func (v Verdict) String() string {
	switch v {
	case Met:
		return "yes"
	case Missed:
		return "**no**"
	}
	return ""
}

// verdict is Met when all limits are kept.
func verdict(kept ...bool) Verdict {
	if slices.Contains(kept, false) {
		return Missed
	}
	return Met
}

// verdict is that on the whole row.
func (r *Row) verdict() Verdict { return max(r.Counted, r.Timed) }

// writeTable writes what was measured with each size of the cluster in
// Markdown: a column for each, and a row for each thing that was measured.
func writeTable(out io.Writer, nodes []int, meters []*meter) error {
	var text strings.Builder
	text.WriteString("\n| what |")
	for _, n := range nodes {
		fmt.Fprintf(&text, " %d nodes |", n)
	}
	text.WriteString(" target | met | cloud-provider-azure |\n|---|---|---|---|" + strings.Repeat("---|", len(nodes)) + "\n")
	for i, r := range meters[0].rows {
		fmt.Fprintf(&text, "| %s |", r.What)
		var kept []bool
		for _, m := range meters {
			fmt.Fprintf(&text, " %s |", m.rows[i].Ours)
			kept = append(kept, m.rows[i].verdict() != Missed)
		}
		met := r.verdict()
		if met != 0 {
			met = verdict(kept...)
		}
		fmt.Fprintf(&text, " %s | %s | %s |\n", r.Target, met, r.Peer)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// describe is a phase in words.
func (p *phase) describe() string {
	text := fmt.Sprintf("%s; writes: %s; reads: %s", seconds(p.took), countsOf(p.counts.Writes), countsOf(p.counts.Reads))
	if n := p.counts.Pages; n > 0 {
		text += fmt.Sprintf(", and %d further pages", n)
	}
	if n := azuresim.Total(p.counts.Refused); n > 0 {
		text += fmt.Sprintf("; refused: %s", countsOf(p.counts.Refused))
	}
	return text
}

// countsOf are counts by type, as in "4: 1 load balancer, 3 public IP".
func countsOf(counts map[string]int) string {
	total := azuresim.Total(counts)
	if total == 0 {
		return "none"
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[name], short(name)))
	}
	return fmt.Sprintf("%d (%s)", total, strings.Join(parts, ", "))
}

// short is the type in few letters.
func short(name string) string {
	words := map[string]string{
		azuresim.LoadBalancers: "LB", azuresim.SecurityGroups: "NSG", azuresim.PublicIPs: "PIP",
		azuresim.PrivateLinks: "PLS", azuresim.Interfaces: "NIC",
		azuresim.ScaleSets: "VMSS", azuresim.Instances: "VMSS VM", azuresim.Machines: "VM",
	}
	if word, ok := words[name]; ok {
		return word
	}
	if word := name[strings.LastIndexByte(name, '/')+1:]; word != "" {
		return word
	}
	return "zones" // of the provider itself
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
