// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rack

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// scene is a rack with the Services of the trials.
type scene struct {
	*Rack
	session string
	addrs   map[string]netip.Addr
	// table is the router's when nothing is out of order.
	table map[netip.Prefix][]netip.Addr
	// since is when the event was from which on the losses of a trial count.
	since time.Time
	rows  *[]Row
}

// expectation says what a trial may cost. The zero value is none.
type expectation uint8

const (
	// nothing: no request is lost, no kept connection breaks, no route changes.
	nothing expectation = iota + 1
	// noRequest: routes may change, but no request is lost, except one that was on
	// its way then (see cutOff).
	noRequest
	// shown: the cost is counted and shown.
	shown
)

// trial is an event and what it may cost the Services that are asked meanwhile.
type trial struct {
	name     string
	services []string
	expect   expectation
	event    event
}

// newScene puts the Services of the trials into a rack.
func newScene(t *testing.T, r *Rack, session string, rows *[]Row) *scene {
	t.Helper()
	s := &scene{Rack: r, session: session, addrs: map[string]netip.Addr{}, rows: rows}
	must(t, r.Apply(t.Context(), "testdata/services.yaml"))
	nodes := map[string][]*Node{
		"cluster": r.Nodes, "local": r.Nodes, "local-only": r.Nodes[:1], "cluster-only": r.Nodes,
	}
	for name, want := range nodes {
		addr, err := r.Address(within(t, limit), "default", name)
		must(t, err)
		s.addrs[name] = addr
		must(t, s.hops(within(t, limit), name, want...))
		for _, n := range r.Nodes {
			must(t, n.AwaitServed(within(t, limit), addr))
		}
	}
	s.settle(t)
	var err error
	s.table, err = r.Routes.Snapshot()
	must(t, err)
	return s
}

// settle asks all Services until nothing of their coming up is felt any more.
func (s *scene) settle(t *testing.T) {
	t.Helper()
	var targets []Target
	for name, addr := range s.addrs {
		targets = append(targets, Target{Name: name, URL: "http://" + addr.String()})
	}
	c, err := s.StartClient(targets...)
	must(t, err)
	err = c.Steady(within(t, limit), 200)
	_, stopped := c.Stop()
	must(t, errors.Join(err, stopped))
}

// run runs trials one after the other.
func (s *scene) run(t *testing.T, trials ...trial) {
	t.Helper()
	for _, tr := range trials {
		t.Run(tr.name, func(t *testing.T) { s.try(t, tr) })
	}
}

// try runs a trial and judges it.
func (s *scene) try(t *testing.T, tr trial) {
	t.Helper()
	ctx := within(t, 3*limit)
	targets := make([]Target, len(tr.services))
	for i, name := range tr.services {
		targets[i] = Target{Name: name, URL: "http://" + s.addrs[name].String(), Kept: 10}
	}
	mark, err := s.Routes.Now()
	must(t, err)
	c, err := s.StartClient(targets...)
	must(t, err)
	t.Cleanup(func() {
		if err := c.program.Kill(); err != nil {
			t.Error(err)
		}
	})
	must(t, c.Steady(ctx, 50))
	s.since = time.Now()
	must(t, tr.event(ctx, s, c))
	must(t, c.Steady(ctx, 100))
	results, err := c.Stop()
	must(t, err)
	changes, err := s.Routes.Since(mark)
	must(t, err)
	s.judge(t, tr, results, changes)
}

// judge notes what a trial cost and compares it with what it may.
func (s *scene) judge(t *testing.T, tr trial, results []Result, changes []RouteChange) {
	t.Helper()
	var rows []Row
	for _, res := range results {
		row := NewRow(res, s.addrs[res.Name], changes, s.since)
		row.Router, row.Session, row.Trial = s.opts.Router.String(), s.session, tr.name
		rows = append(rows, row)
	}
	*s.rows = append(*s.rows, rows...)
	t.Logf("\n%s", Table(rows))
	for i, row := range rows {
		lost := slices.DeleteFunc(slices.Clone(results[i].Lost), func(l Lost) bool { return tr.expect == noRequest && cutOff(l, changes) })
		if tr.expect != shown && len(lost) > 0 {
			t.Errorf("%s lost %d of %d requests:", row.Service, len(lost), row.Sent)
			for _, l := range lost[:min(5, len(lost))] {
				t.Errorf("  %s after %s: %s", l.Start.Format("15:04:05.000"), l.End.Sub(l.Start).Round(time.Millisecond), l.Error)
			}
		}
		if tr.expect == nothing && row.Broken+row.Moved > 0 {
			t.Errorf("%s: %d of its kept connections broke %q, %d requests moved", row.Service, row.Broken, results[i].KeptErrors, row.Moved)
		}
	}
	if tr.expect == nothing && len(changes) > 0 {
		t.Errorf("%d changes of routes", len(changes))
	}
	if t.Failed() {
		for _, c := range changes {
			t.Logf("%s", c)
		}
	}
}

// cutOff reports whether a request was reset while the path to its address
// changed: with the next hops, a router sends some connections to another node,
// which knows nothing of them (RFC 2992 on disruption). Kept connections break so,
// too.
func cutOff(l Lost, changes []RouteChange) bool {
	const lag = 100 * time.Millisecond // a change is seen a little later, on a busy machine too
	return strings.Contains(l.Error, "connection reset by peer") && slices.ContainsFunc(changes, func(c RouteChange) bool {
		return c.At.After(l.Start.Add(-lag)) && c.At.Before(l.End.Add(lag))
	})
}

func TestOnlyResetsWhileAPathChangesAreCutOff(t *testing.T) {
	at := time.Unix(100, 0)
	for name, tt := range map[string]struct {
		err    string
		change time.Duration // after the request began, which took 2 ms
		want   bool
	}{
		"reset while it changes":         {"read: connection reset by peer", time.Millisecond, true},
		"reset, the change is seen late": {"read: connection reset by peer", 70 * time.Millisecond, true},
		"reset long after":               {"read: connection reset by peer", -time.Second, false},
		"reset long before":              {"read: connection reset by peer", time.Second, false},
		"refused while it changes":       {"connect: connection refused", time.Millisecond, false},
		"no answer while it changes":     {"i/o timeout", time.Millisecond, false},
	} {
		l := Lost{Start: at, End: at.Add(2 * time.Millisecond), Error: tt.err}
		if got := cutOff(l, []RouteChange{{At: at.Add(tt.change)}}); got != tt.want {
			t.Errorf("%s: %t, want %t", name, got, tt.want)
		}
	}
}
