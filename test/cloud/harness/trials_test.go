// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"slices"
	"testing"
)

func TestTrialsAreSpreadOverWritesAndWays(t *testing.T) {
	const ways, writes = 3, 40
	all := spread(ways*writes, ways, writes)
	slices.SortFunc(all, func(a, b point) int { return (a.write-b.write)*ways + a.way - b.way })
	if all = slices.Compact(all); len(all) != ways*writes || all[0].write != 1 || all[len(all)-1].write != writes {
		t.Errorf("%d of %d: %v", len(all), ways*writes, all)
	}
	for _, n := range []int{1, 2, 3, 8, 10} {
		met, last := map[int]int{}, 0
		for _, p := range spread(n, ways, writes) {
			met[p.way]++
			if p.write <= last || p.write > writes {
				t.Errorf("%d: write %d comes after %d", n, p.write, last)
			}
			last = p.write
		}
		if len(met) != min(n, ways) || last <= writes-2*writes/n {
			t.Errorf("%d: ways %v, last write %d", n, met, last)
		}
	}
}
