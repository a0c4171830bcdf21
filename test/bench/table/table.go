// SPDX-License-Identifier: Apache-2.0

// Package table is what measurements print: rows with a target and a verdict, and
// a column for each size of the cluster.
package table

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Row is one line of the table.
type Row struct {
	What string // what was measured
	Ours string // what it was, in words
	// Target and Peer are what we want, and the peer's number, in words; empty
	// when there is none.
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

// Judge is Met when all limits are kept.
func Judge(kept ...bool) Verdict {
	if slices.Contains(kept, false) {
		return Missed
	}
	return Met
}

// Verdict is that on the whole row.
func (r *Row) Verdict() Verdict { return max(r.Counted, r.Timed) }

// Meter collects the rows of one size of the cluster.
type Meter struct {
	Rows []Row
	out  io.Writer
}

// NewMeter prints rows to out as they come.
func NewMeter(out io.Writer) *Meter { return &Meter{out: out} }

// Add takes a row.
func (m *Meter) Add(r Row) {
	m.Rows = append(m.Rows, r)
	_, _ = fmt.Fprintf(m.out, "%s: %s %s\n", r.What, r.Ours, r.Verdict())
}

// Write writes what was measured in Markdown: a column for each meter, under its
// heading, and a row for each thing that was measured.
func Write(out io.Writer, peer string, headings []string, meters []*Meter) error {
	var text strings.Builder
	text.WriteString("\n| what | " + strings.Join(headings, " | ") + " | target | met | " + peer + " |\n")
	text.WriteString("|---|---|---|---|" + strings.Repeat("---|", len(headings)) + "\n")
	for i, r := range meters[0].Rows {
		fmt.Fprintf(&text, "| %s |", r.What)
		var kept []bool
		for _, m := range meters {
			fmt.Fprintf(&text, " %s |", m.Rows[i].Ours)
			kept = append(kept, m.Rows[i].Verdict() != Missed)
		}
		met := r.Verdict()
		if met != 0 {
			met = Judge(kept...)
		}
		fmt.Fprintf(&text, " %s | %s | %s |\n", r.Target, met, r.Peer)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// Counts are counts by name, as in "4 (1 LB, 3 PIP)", with names made short.
func Counts(counts map[string]int, short func(string) string) string {
	total := 0
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		total += counts[name]
		parts = append(parts, fmt.Sprintf("%d %s", counts[name], short(name)))
	}
	if total == 0 {
		return "none"
	}
	return fmt.Sprintf("%d (%s)", total, strings.Join(parts, ", "))
}

// Seconds is a time in words.
func Seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
