// SPDX-License-Identifier: Apache-2.0

package metal

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// Row is one line of the table.
type Row struct {
	// What was measured.
	What string
	// Ours is what was measured here, in words.
	Ours string
	// Target and Peer are what we want, and MetalLB's number, in words; empty
	// when there is none.
	Target, Peer string
	// Verdict tells whether the target was met. The zero value is that there is
	// none.
	Verdict Verdict
}

// Verdict is whether a target was met. The zero value is that there was none.
type Verdict uint8

// The verdicts.
const (
	Met Verdict = iota + 1
	Missed
)

// String is the verdict as a word of a table.
func (v Verdict) String() string {
	switch v {
	case Met:
		return "yes"
	case Missed:
		return "**no**"
	}
	return ""
}

// atMost is the verdict on a number that must not exceed a limit.
func atMost[T ~int | ~int64 | ~float64](have, limit T) Verdict {
	if have <= limit {
		return Met
	}
	return Missed
}

// WriteTable writes rows in Markdown.
func WriteTable(out io.Writer, rows []Row) error {
	if _, err := fmt.Fprintf(out, "| what | here | target | met | MetalLB |\n|---|---|---|---|---|\n"); err != nil {
		return err
	}
	for _, r := range rows {
		if _, err := fmt.Fprintf(out, "| %s | %s | %s | %s | %s |\n", r.What, r.Ours, r.Target, r.Verdict, r.Peer); err != nil {
			return err
		}
	}
	return nil
}

// quantile is the value that a share q of the sorted values does not exceed:
// the nearest rank. It is zero when there are none.
func quantile(values []time.Duration, q float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(q * float64(len(sorted)))
	return sorted[min(rank, len(sorted)-1)]
}

// spread is the middle and the slow end of many trials.
func spread(values []time.Duration) string {
	return fmt.Sprintf("p50 %s, p95 %s", millis(quantile(values, 0.5)), millis(quantile(values, 0.95)))
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func mebibytes(bytes int64) string { return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20)) }
