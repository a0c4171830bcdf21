// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestDifferencesTellEachChangeOnce(t *testing.T) {
	addr := netip.MustParseAddr
	a, b := netip.MustParsePrefix("1.2.3.4/32"), netip.MustParsePrefix("1.2.3.5/32")
	one, two := addr("127.0.0.11"), addr("127.0.0.12")
	table := func(p netip.Prefix, hops ...netip.Addr) map[netip.Prefix][]netip.Addr {
		return map[netip.Prefix][]netip.Addr{p: hops}
	}
	for _, tc := range []struct {
		name     string
		was, now picture
		want     []string
	}{
		{name: "nothing"},
		{
			name: "a session comes up", now: picture{sessions: []netip.Addr{one}},
			want: []string{"BGP session with 127.0.0.11 is up"},
		},
		{
			name: "a session goes down", was: picture{sessions: []netip.Addr{one, two}}, now: picture{sessions: []netip.Addr{two}},
			want: []string{"BGP session with 127.0.0.11 is down"},
		},
		{
			name: "a route comes", now: picture{table: table(a, one, two)},
			want: []string{"1.2.3.4/32   via 127.0.0.11, 127.0.0.12"},
		},
		{
			name: "a next hop leaves", was: picture{table: table(a, one, two)}, now: picture{table: table(a, two)},
			want: []string{"1.2.3.4/32   via 127.0.0.12"},
		},
		{
			name: "one route goes and another comes", was: picture{table: table(a, one)}, now: picture{table: table(b, one)},
			want: []string{"1.2.3.4/32   is gone", "1.2.3.5/32   via 127.0.0.11"},
		},
		{name: "all stays", was: picture{table: table(a, one)}, now: picture{table: table(a, one)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := differences(tc.was, tc.now); !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestParagraphsAreWrapped(t *testing.T) {
	var out bytes.Buffer
	newTeller(&out).act("Title", strings.Repeat("word ", 40))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if lines[0] != "1. Title" || len(lines) != 4 {
		t.Errorf("got %q", lines)
	}
	for _, line := range lines {
		if len(line) > width || strings.TrimRight(line, " ") != line {
			t.Errorf("line %q", line)
		}
	}
}

func TestLongLinesHang(t *testing.T) {
	long := strings.TrimSpace(strings.Repeat("word ", 40))
	for text, lines := range map[string]int{"short": 1, long: 3, strings.Repeat("x", 200): 1} {
		got := strings.Split(hang(text), "\n")
		if len(got) != lines {
			t.Errorf("%d lines, want %d: %q", len(got), lines, got)
		}
		if strings.Join(strings.Fields(hang(text)), " ") != text {
			t.Errorf("the words changed: %q", got)
		}
	}
}

func TestColourIsForTerminals(t *testing.T) {
	var out bytes.Buffer
	newTeller(&out).line(kindRouter, "no terminal")
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("got %q", out.String())
	}
	t.Setenv(colourVariable, "1")
	newTeller(&out).line(kindRouter, "a terminal")
	if !strings.Contains(out.String(), "\x1b[32m") {
		t.Errorf("got %q", out.String())
	}
	t.Setenv("NO_COLOR", "1")
	out.Reset()
	newTeller(&out).line(kindRouter, "a terminal of somebody who wants none")
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("got %q", out.String())
	}
}
