// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"context"
	"slices"
	"strings"
	"time"
)

const (
	// firstLook is when machines that could not join their pools are looked at
	// again, and doubles up to longestLook: nothing in the cluster tells when a
	// machine is made, or runs again. Kubelets often register before it is.
	firstLook   = 15 * time.Second
	longestLook = 5 * time.Minute
)

// later starts passes for machines that could not join their pools yet, as long
// as there are any.
type later struct {
	news chan []string // holds one, the newest
}

func newLater() *later { return &later{news: make(chan []string, 1)} }

// wait notes the nodes whose machines could not join when a pass looked; none
// when all could. There is one caller at a time.
func (l *later) wait(nodes []string) {
	select {
	case <-l.news: // older
	default:
	}
	l.news <- slices.Sorted(slices.Values(nodes))
}

// run calls look when it is time, until ctx ends.
func (l *later) run(ctx context.Context, look func()) {
	var due <-chan time.Time
	wait, who := firstLook, ""
	for {
		select {
		case <-ctx.Done():
			return
		case nodes := <-l.news:
			now := strings.Join(nodes, ",")
			switch {
			case now == "":
				due = nil
			case now != who:
				wait, due = firstLook, time.After(firstLook)
			case due == nil:
				wait = min(2*wait, longestLook)
				due = time.After(wait)
			}
			who = now
		case <-due:
			due = nil
			look()
		}
	}
}
