// SPDX-License-Identifier: Apache-2.0

//go:build linux

package metal

import (
	"context"
	"fmt"
	"time"

	"github.com/fairlead/fairlead/test/bench/table"
)

// The targets for a burst.
const (
	burstTarget      = 10 * time.Second
	creationsTarget  = 3200 * time.Millisecond // creations alone, where the target was set
	writesTarget     = 5.0
	speakerMemory    = 60 << 20
	controllerMemory = 80 << 20
)

// burst measures n Services created at once, and their deletion.
func (b *site) burst(ctx context.Context, n int) ([]table.Row, error) {
	services := batch(fmt.Sprintf("burst%d", n), n)
	if err := b.createSlices(ctx, services); err != nil {
		return nil, err
	}
	if err := b.quiet(ctx); err != nil {
		return nil, err
	}
	m, err := b.meter()
	if err != nil {
		return nil, err
	}
	f, begin := follow(b.Routes), time.Now()
	if err := b.createServices(ctx, services); err != nil {
		return nil, err
	}
	created := time.Since(begin)
	addrs, given, err := b.status.addresses(ctx, services)
	if err != nil {
		return nil, err
	}
	complete, err := f.await(ctx, nodes, addrs...)
	if err != nil {
		return nil, err
	}
	if err := b.quiet(ctx); err != nil {
		return nil, err
	}
	rows, err := b.burstRows(n, m)
	if err != nil {
		return nil, err
	}
	route := table.Row{
		What: fmt.Sprintf("%d Services at once: all routes with all next hops in the router", n),
		Ours: fmt.Sprintf("%s (created after %s, addresses after %s)", short(complete.Sub(begin)), short(created), short(given.Sub(begin))),
	}
	if n == manyServices {
		// The machine's part is in both numbers, so their ratio is compared.
		times, limit := complete.Sub(begin).Seconds()/b.alone.Seconds(), burstTarget.Seconds()/creationsTarget.Seconds()
		route.Ours += fmt.Sprintf(": %.1f times the creations alone", times)
		route.Target = fmt.Sprintf("10 s where the creations alone take 3.2 s: %.1f times", limit)
		route.Peer, route.Timed = "40 to 72 s: 12 to 22 times", atMost(times, limit)
	}
	rows = append([]table.Row{route}, rows...)
	b.say("%s: %s", route.What, route.Ours)

	f, begin = follow(b.Routes), time.Now()
	if err := b.deleteServices(ctx, services); err != nil {
		return nil, err
	}
	gone, err := f.await(ctx, 0, addrs...)
	if err != nil {
		return nil, err
	}
	rows = append(rows, table.Row{What: fmt.Sprintf("%d Services deleted at once: all routes gone", n), Ours: short(gone.Sub(begin))})
	if err := b.deleteSlices(ctx, services); err != nil {
		return nil, err
	}
	return rows, b.quiet(ctx)
}

// creations measures the API server alone: as many Services created at once
// with nobody to serve them.
func (b *site) creations(ctx context.Context, n int) ([]table.Row, error) {
	services := batch("idle", n)
	if err := b.Controller().Stop(); err != nil {
		return nil, err
	}
	begin := time.Now()
	if err := b.createServices(ctx, services); err != nil {
		return nil, err
	}
	b.alone = time.Since(begin)
	row := table.Row{
		What: fmt.Sprintf("%d Services created at once while no controller runs", n),
		Ours: short(b.alone), Peer: short(creationsTarget),
	}
	b.say("%s: %s", row.What, row.Ours)
	if err := b.deleteServices(ctx, services); err != nil {
		return nil, err
	}
	if err := b.StartController(ctx); err != nil {
		return nil, err
	}
	return []table.Row{row}, b.quiet(ctx)
}

// short is a time in the unit that suits it.
func short(d time.Duration) string {
	if d < time.Second {
		return millis(d)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// meter is the state of all counters at a point in time.
type meter struct {
	audit      int64
	controller usage
	speakers   []usage
}

func (b *site) meter() (meter, error) {
	var m meter
	var err error
	if m.audit, err = b.audit.size(); err != nil {
		return m, err
	}
	if m.controller, err = usageOf(b.Controller().PID()); err != nil {
		return m, err
	}
	for _, n := range b.Nodes {
		u, err := usageOf(n.Speaker().PID())
		if err != nil {
			return m, err
		}
		m.speakers = append(m.speakers, u)
	}
	return m, nil
}

// burstRows are the writes and what processes used since a point in time.
func (b *site) burstRows(n int, from meter) ([]table.Row, error) {
	to, err := b.meter()
	if err != nil {
		return nil, err
	}
	w, err := b.audit.since(from.audit)
	if err != nil {
		return nil, err
	}
	b.say("writes of the burst of %d:\n%s", n, w)
	perService := float64(w.by(userController)) / float64(n)
	rows := []table.Row{writesRow(fmt.Sprintf("%d Services at once: API server writes a Service", n), perService, w.by(userSpeaker))}
	if n == manyServices {
		rows[0].Peer = "14.8"
		rows = append(rows, b.memoryRows(from, to)...)
	}
	return rows, nil
}

func writesRow(what string, perService float64, speakers int) table.Row {
	return table.Row{
		What: what, Ours: fmt.Sprintf("%.2f, and %d in all by speakers", perService, speakers),
		Target: "5", Counted: atMost(perService, writesTarget),
	}
}

func (b *site) memoryRows(from, to meter) []table.Row {
	var speaker usage
	for i, u := range to.speakers {
		speaker.resident = max(speaker.resident, u.resident)
		speaker.peak = max(speaker.peak, u.peak)
		speaker.cpu = max(speaker.cpu, u.cpu-from.speakers[i].cpu)
	}
	row := func(who string, u usage, cpu time.Duration, limit int64) table.Row {
		return table.Row{
			What:   fmt.Sprintf("%s with %d Services: resident memory, and CPU time for the burst", who, manyServices),
			Ours:   fmt.Sprintf("%s (at most %s), %s", mebibytes(u.resident), mebibytes(u.peak), short(cpu)),
			Target: mebibytes(limit), Counted: atMost(u.peak, limit),
		}
	}
	s := row("Speaker", speaker, speaker.cpu, speakerMemory)
	s.Peer = "103 MiB"
	return []table.Row{s, row("Controller", to.controller, to.controller.cpu-from.controller.cpu, controllerMemory)}
}
