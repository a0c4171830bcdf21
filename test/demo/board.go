// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
)

const (
	// lookEvery is how often the router's table is read.
	lookEvery = 10 * time.Millisecond
	// limit is how long anything that is expected may take. Most takes some
	// milliseconds; a loaded machine needs more to start programs.
	limit = 60 * time.Second
)

// board holds what was seen of the cluster and of the router, for those who
// wait for something.
type board struct {
	mu       sync.Mutex
	news     chan struct{} // closed and replaced at every change
	nodes    map[string]*v1.Node
	pods     map[string]*v1.Pod
	services map[string]*v1.Service
	events   map[string]bool // reasons told, after the Service's name and a blank
	router   picture
	writes   map[int]written // to the simulated cloud, answered, by number
	failed   error           // a program has ended that should not
}

// written is a write to the simulated cloud.
type written struct {
	what string
	done bool // and not refused
}

func newBoard() *board {
	return &board{
		news:     make(chan struct{}),
		nodes:    map[string]*v1.Node{},
		pods:     map[string]*v1.Pod{},
		services: map[string]*v1.Service{},
		events:   map[string]bool{},
		writes:   map[int]written{},
	}
}

// change notes something, and wakes those who wait.
func (b *board) change(note func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	note()
	close(b.news)
	b.news = make(chan struct{})
}

// await waits until a condition over the board holds. The condition is asked
// under the board's lock.
func (b *board) await(ctx context.Context, what string, holds func() bool) error {
	late := time.NewTimer(limit)
	defer late.Stop()
	for {
		b.mu.Lock()
		ok, news, failed := holds(), b.news, b.failed
		b.mu.Unlock()
		switch {
		case ok:
			return nil
		case failed != nil:
			return fmt.Errorf("waited for %s, but %w", what, failed)
		}
		select {
		case <-news:
		case <-ctx.Done():
			return fmt.Errorf("stopped while waiting for %s", what)
		case <-late.C:
			return fmt.Errorf("waited %s in vain for %s", limit, what)
		}
	}
}

// follow reads the router again and again until ctx ends, and tells of every
// change.
func (b *board) follow(ctx context.Context, r *router, tell *teller) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		now, err := r.look(ctx)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if err == nil {
			b.see(now, tell)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// see compares a picture of the router with the last one.
func (b *board) see(now picture, tell *teller) {
	b.mu.Lock()
	was := b.router
	b.mu.Unlock()
	lines := differences(was, now)
	if len(lines) == 0 {
		return
	}
	for _, line := range lines {
		tell.line(kindRouter, "%s", line)
	}
	b.change(func() { b.router = now })
}

// differences are the changes from one picture to the next, in words.
func differences(was, now picture) []string {
	var out []string
	for _, addr := range now.sessions {
		if !slices.Contains(was.sessions, addr) {
			out = append(out, fmt.Sprintf("BGP session with %s is up", addr))
		}
	}
	for _, addr := range was.sessions {
		if !slices.Contains(now.sessions, addr) {
			out = append(out, fmt.Sprintf("BGP session with %s is down", addr))
		}
	}
	prefixes := maps.Clone(was.table)
	if prefixes == nil {
		prefixes = map[netip.Prefix][]netip.Addr{}
	}
	maps.Copy(prefixes, now.table)
	for _, p := range slices.SortedFunc(maps.Keys(prefixes), netip.Prefix.Compare) {
		if !slices.Equal(was.table[p], now.table[p]) {
			out = append(out, routeLine(p, now.table[p]))
		}
	}
	return out
}

// routeLine is a line of the router's table.
func routeLine(p netip.Prefix, hops []netip.Addr) string {
	if len(hops) == 0 {
		return fmt.Sprintf("%-12s is gone", p)
	}
	texts := make([]string, len(hops))
	for i, hop := range hops {
		texts[i] = hop.String()
	}
	return fmt.Sprintf("%-12s via %s", p, strings.Join(texts, ", "))
}
