// SPDX-License-Identifier: Apache-2.0

//go:build linux

package metal

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/fairlead/fairlead/test/bench/table"
)

// atMost is the verdict on a number that must not exceed a limit.
func atMost[T cmp.Ordered](have, limit T) table.Verdict { return table.Judge(have <= limit) }

// quantile is the first of the sorted values that comes after a share q of them,
// or the last. It is zero when there are none.
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

func mebibytes(bytes int64) string { return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20)) }
