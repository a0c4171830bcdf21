// SPDX-License-Identifier: Apache-2.0

package table_test

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead/fairlead/test/bench/table"
)

func TestTableHasAColumnForEachSize(t *testing.T) {
	meter := func(ours string, v table.Verdict, memory string) *table.Meter {
		m := table.NewMeter(io.Discard)
		m.Add(table.Row{What: "a node", Ours: ours, Target: "1 s", Peer: "1 min", Timed: v})
		m.Add(table.Row{What: "memory", Ours: memory})
		return m
	}
	var out strings.Builder
	meters := []*table.Meter{meter("0.5 s", table.Met, "1 MB"), meter("2.0 s", table.Missed, "2 MB")}
	if err := table.Write(&out, "peer", []string{"10 nodes", "500 nodes"}, meters); err != nil {
		t.Fatal(err)
	}
	want := `
| what | 10 nodes | 500 nodes | target | met | peer |
|---|---|---|---|---|---|
| a node | 0.5 s | 2.0 s | 1 s | **no** | 1 min |
| memory | 1 MB | 2 MB |  |  |  |
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
