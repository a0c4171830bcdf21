// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rack

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func at(ms int) time.Time { return time.UnixMilli(int64(ms)) }

func TestDark(t *testing.T) {
	lost := func(ms int) outcome { return outcome{start: at(ms), lost: &Lost{}} }
	answered := func(ms int) outcome { return outcome{start: at(ms)} }
	for name, c := range map[string]struct {
		outcomes []outcome
		want     time.Duration
	}{
		"nothing was sent":          {nil, 0},
		"all was answered":          {[]outcome{answered(0), answered(10)}, 0},
		"one was lost":              {[]outcome{answered(0), lost(10), answered(20)}, 10 * time.Millisecond},
		"the longest stretch":       {[]outcome{lost(0), answered(10), lost(20), lost(30), answered(60)}, 40 * time.Millisecond},
		"dark until the end":        {[]outcome{answered(0), lost(10), lost(25)}, 15 * time.Millisecond},
		"lost ones between answers": {[]outcome{lost(0), answered(10), lost(20), answered(30)}, 10 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			if got := dark(c.outcomes); got != c.want {
				t.Errorf("dark for %s, want %s", got, c.want)
			}
		})
	}
}

func TestNewRow(t *testing.T) {
	addr := netip.MustParseAddr("1.2.3.4")
	prefix := netip.PrefixFrom(addr, 32)
	hops := []netip.Addr{netip.MustParseAddr("10.0.0.11")}
	change := func(ms int) RouteChange { return RouteChange{At: at(ms), Prefix: prefix, NextHops: hops} }
	reset := Lost{Start: at(100), End: at(110), Connected: true, Error: "connection reset by peer"}
	refused := Lost{Start: at(100), End: at(101), Error: "connection refused"}
	for name, c := range map[string]struct {
		lost        Lost
		change      RouteChange
		lostN, move int
	}{
		"reset while the route changed":           {reset, change(105), 0, 1},
		"reset before the route changed":          {reset, change(140), 1, 0},
		"reset after the route changed":           {reset, change(50), 1, 0},
		"refused while the route changed":         {refused, change(100), 1, 0},
		"reset while the route was withdrawn":     {reset, RouteChange{At: at(105), Prefix: prefix}, 1, 0},
		"reset while another route changed":       {reset, RouteChange{At: at(105), Prefix: netip.MustParsePrefix("1.2.3.5/32"), NextHops: hops}, 1, 0},
		"reset as the change was read a bit late": {reset, change(125), 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			row := NewRow(Result{Sent: 1, Lost: []Lost{c.lost}, Dark: time.Second}, addr, []RouteChange{c.change}, at(70))
			if row.Lost != c.lostN || row.Moved != c.move {
				t.Errorf("%d lost and %d moved, want %d and %d", row.Lost, row.Moved, c.lostN, c.move)
			}
			if want := time.Duration(c.lostN) * 30 * time.Millisecond; row.Until != want {
				t.Errorf("the last was lost after %s, want %s", row.Until, want)
			}
			if dark := row.Dark > 0; dark != (c.lostN > 0) {
				t.Errorf("dark for %s with %d lost", row.Dark, c.lostN)
			}
		})
	}
}

func TestRowsForPeopleAndPrograms(t *testing.T) {
	rows := []Row{{Router: "FRR", Session: "iBGP", Trial: "a trial", Service: "web", Sent: 7, Dark: 1500 * time.Millisecond}}
	table := Table(rows)
	for _, want := range []string{"a trial", "1.5s", "kept broken"} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
	file := filepath.Join(t.TempDir(), "new", "rack.json")
	must(t, WriteRows(file, rows))
	data, err := os.ReadFile(file)
	must(t, err)
	var back []map[string]any
	must(t, json.Unmarshal(data, &back))
	if len(back) != 1 || back[0]["Dark"] != 1.5 || back[0]["Trial"] != "a trial" {
		t.Errorf("the file holds %v", back)
	}
}

func TestNodesHaveAddressesOfTheirOwn(t *testing.T) {
	seen := map[string]int{}
	for slot := 1; slot <= 2; slot++ {
		for i := range maxNodes {
			p := network{slot: slot}.place(i)
			seen[p.mgmt.String()]++
			if slot == 1 {
				for _, a := range []string{p.addr.String(), p.addr6.String(), p.pods.String(), p.pods6.String()} {
					seen[a]++
				}
			}
		}
	}
	for a, n := range seen {
		if n > 1 {
			t.Errorf("%s belongs to %d nodes", a, n)
		}
	}
	if name := (network{slot: 250}).link(nodeName(maxNodes - 1)); len(name) > 15 {
		t.Errorf("Linux takes names of links of at most 15 characters, not %s", name)
	}
}
