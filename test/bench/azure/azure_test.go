// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
)

// fast is a small cluster on a cloud that is twenty times as fast as the one of
// the tables: calls are counted, not timed.
func fast() standOptions {
	l := azuresim.BenchmarkLatencies()
	for name := range l.Put {
		l.Put[name] /= 20
	}
	l.Read, l.Poll, l.Write = l.Read/20, l.Poll/20, l.Write/20
	return standOptions{nodes: 10, latency: l, budget: unlimited, waits: time.Nanosecond, quiet: 1100 * time.Millisecond}
}

func creation(t *testing.T, m *meter, b burst) error {
	t.Helper()
	s, err := newStand(t.Context(), b.stand)
	if err != nil {
		return err
	}
	defer s.close()
	return b.create(t.Context(), m, s, s.services(b.services))
}

// The calls are as many as docs/benchmarks.md says.
func TestCalls(t *testing.T) {
	plain := fast()
	tight, two, addresses := plain, plain, plain
	tight.budget = published
	two.config, addresses.config = twoConfigs, nodeIPPools
	addresses.families = dualStack()
	for name, tt := range map[string]struct {
		measure func(*meter) error
		rows    int
	}{
		"many Services":                     {func(m *meter) error { return burst{50, "", plain}.run(t.Context(), m) }, 5},
		"several load balancers":            {func(m *meter) error { return burst{60, "", two}.run(t.Context(), m) }, 5},
		"more Services than a bucket":       {func(m *meter) error { return creation(t, m, burst{205, "", tight}) }, 1},
		"nodes in pools of interfaces":      {func(m *meter) error { return nodesCome(t.Context(), m, plain, "") }, 2},
		"nodes in pools of their addresses": {func(m *meter) error { return nodesCome(t.Context(), m, addresses, "") }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &meter{out: t.Output()}
			if err := tt.measure(m); err != nil {
				t.Fatal(err)
			}
			if len(m.rows) != tt.rows {
				t.Errorf("%d rows", len(m.rows))
			}
			for _, r := range m.rows {
				if r.Counted == Missed {
					t.Errorf("%s: %s; want %s", r.What, r.Ours, r.Target)
				}
			}
		})
	}
}

func TestTableHasAColumnForEachSize(t *testing.T) {
	row := func(ours string, v Verdict) Row {
		return Row{What: "a node", Ours: ours, Target: "1 s", Peer: "1 min", Counted: v}
	}
	var out strings.Builder
	if err := writeTable(&out, []int{10, 500}, []*meter{
		{rows: []Row{row("0.5 s", Met), {What: "memory", Ours: "1 MB"}}},
		{rows: []Row{row("2.0 s", Missed), {What: "memory", Ours: "2 MB"}}},
	}); err != nil {
		t.Fatal(err)
	}
	want := `
| what | 10 nodes | 500 nodes | target | met | cloud-provider-azure |
|---|---|---|---|---|---|
| a node | 0.5 s | 2.0 s | 1 s | **no** | 1 min |
| memory | 1 MB | 2 MB |  |  |  |
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
