// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"testing"
	"time"

	"github.com/fairlead/fairlead/test/bench/stand"
	"github.com/fairlead/fairlead/test/bench/table"
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
	return standOptions{nodes: 10, latency: l, budget: stand.Unlimited, waits: time.Nanosecond, quiet: 1100 * time.Millisecond}
}

func creation(t *testing.T, m *table.Meter, b burst) error {
	t.Helper()
	s, err := newGround(t.Context(), b.options)
	if err != nil {
		return err
	}
	defer s.close()
	return b.create(t.Context(), m, s, s.Services(b.services))
}

// The calls are as many as docs/benchmarks.md says.
func TestCalls(t *testing.T) {
	plain := fast()
	tight, two, addresses := plain, plain, plain
	tight.budget = stand.Published
	two.config, addresses.config = twoConfigs, nodeIPPools
	addresses.families = dualStack()
	for name, tt := range map[string]struct {
		measure func(*table.Meter) error
		rows    int
	}{
		"many Services":                     {func(m *table.Meter) error { return burst{50, "", plain}.run(t.Context(), m) }, 5},
		"several load balancers":            {func(m *table.Meter) error { return burst{60, "", two}.run(t.Context(), m) }, 5},
		"more Services than a bucket":       {func(m *table.Meter) error { return creation(t, m, burst{205, "", tight}) }, 1},
		"nodes in pools of interfaces":      {func(m *table.Meter) error { return nodesCome(t.Context(), m, plain, "") }, 2},
		"nodes in pools of their addresses": {func(m *table.Meter) error { return nodesCome(t.Context(), m, addresses, "") }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := table.NewMeter(t.Output())
			if err := tt.measure(m); err != nil {
				t.Fatal(err)
			}
			if len(m.Rows) != tt.rows {
				t.Errorf("%d rows", len(m.Rows))
			}
			for _, r := range m.Rows {
				if r.Counted == table.Missed {
					t.Errorf("%s: %s; want %s", r.What, r.Ours, r.Target)
				}
			}
		})
	}
}
