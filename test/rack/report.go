// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rack

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Row is what one trial cost one Service.
type Row struct {
	// Router and Session are such as FRR and iBGP.
	Router, Session string
	// Trial is what was done, Service to whom.
	Trial, Service string
	// Sent is how many requests there were over connections of their own.
	Sent int
	// Lost are those without an answer, but for Moved.
	Lost int
	// Moved are requests that were under way while the router chose another
	// node for their connection, and were reset for that. A router that hashes
	// over equal-cost paths does so whenever their number changes.
	Moved int
	// Dark is the longest time without any answer.
	Dark time.Duration
	// Until is the time from the event to the last lost request; 0: none.
	Until time.Duration
	// Slowest is the longest time an answer took.
	Slowest time.Duration
	// Kept is how many kept connections there were requests over, Broken how
	// often one had to be made anew.
	Kept, Broken int
	// Changes is how often the router's route to the address changed, and
	// Routed the time from the event to the last of them.
	Changes int
	Routed  time.Duration
}

// NewRow sums up what became of the requests to an address while an event took
// place, with the changes of its route.
func NewRow(res Result, addr netip.Addr, changes []RouteChange, event time.Time) Row {
	row := Row{
		Service: res.Name, Sent: res.Sent, Dark: res.Dark, Slowest: res.Slowest,
		Kept: res.KeptSent, Broken: res.KeptBroken,
	}
	var own []RouteChange
	for _, c := range changes {
		if c.Prefix == netip.PrefixFrom(addr, addr.BitLen()) {
			own = append(own, c)
		}
	}
	row.Changes = len(own)
	if len(own) > 0 {
		row.Routed = max(0, own[len(own)-1].At.Sub(event))
	}
	for _, l := range res.Lost {
		if moved(l, own) {
			row.Moved++
			continue
		}
		row.Lost++
		if after := l.Start.Sub(event); after > row.Until {
			row.Until = after
		}
	}
	if row.Lost == 0 {
		row.Dark = 0
	}
	return row
}

// moved tells whether a request lost its connection because a change of the
// route took it to another node.
func moved(l Lost, changes []RouteChange) bool {
	if !l.Connected {
		return false
	}
	for _, c := range changes {
		if len(c.NextHops) > 0 && !c.At.Before(l.Start) && !c.At.After(l.End.Add(newsDelay)) {
			return true
		}
	}
	return false
}

// newsDelay is how long after a change of a route the news of it may be read.
const newsDelay = 20 * time.Millisecond

// Table lists rows for people.
func Table(rows []Row) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(cells ...string) { _, _ = fmt.Fprintln(w, strings.Join(cells, "\t")) }
	line("router", "session", "trial", "Service", "sent", "lost", "moved", "dark", "last lost after", "slowest", "kept broken", "route changes", "last after")
	for _, r := range rows {
		line(r.Router, r.Session, r.Trial, r.Service, strconv.Itoa(r.Sent), strconv.Itoa(r.Lost), strconv.Itoa(r.Moved),
			round(r.Dark), round(r.Until), round(r.Slowest), fmt.Sprintf("%d of %d", r.Broken, r.Kept), strconv.Itoa(r.Changes), round(r.Routed))
	}
	_ = w.Flush()
	return b.String()
}

func round(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return d.Round(time.Millisecond).String()
}

// WriteRows writes rows to a file as JSON, with times in seconds.
func WriteRows(file string, rows []Row) error {
	type seconds struct {
		Row
		Dark, Until, Slowest, Routed float64
	}
	out := make([]seconds, len(rows))
	for i, r := range rows {
		out[i] = seconds{r, r.Dark.Seconds(), r.Until.Seconds(), r.Slowest.Seconds(), r.Routed.Seconds()}
	}
	data, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, append(data, '\n'), 0o644)
}
