// SPDX-License-Identifier: Apache-2.0

//go:build linux

package metal

import (
	"context"
	"fmt"
	"time"

	"github.com/fairlead/fairlead/test/bench/table"
)

const (
	// restartTarget is from the start of a controller to the route of a Service
	// that waited for it.
	restartTarget = 3 * time.Second
	// restartTrials are few: each is seconds long.
	restartTrials = 5
)

// measureRestart stops the controller by TERM, creates a Service, and starts
// the controller again.
func measureRestart(ctx context.Context, b *site, _ Options) ([]table.Row, error) {
	if _, err := b.present(ctx, batch("other", manyServices)); err != nil {
		return nil, err
	}
	waiting := batch("waiting", restartTrials)
	if err := b.createSlices(ctx, waiting); err != nil {
		return nil, err
	}
	var stops, routes, addresses []time.Duration
	for i := range waiting {
		one := waiting[i : i+1]
		if err := b.quiet(ctx); err != nil {
			return nil, err
		}
		f, begin := follow(b.Routes), time.Now()
		if err := b.Controller().Stop(); err != nil {
			return nil, err
		}
		stops = append(stops, time.Since(begin))
		if err := b.createServices(ctx, one); err != nil {
			return nil, err
		}
		begin = time.Now()
		if err := b.StartController(ctx); err != nil {
			return nil, err
		}
		addrs, given, err := b.status.addresses(ctx, one)
		if err != nil {
			return nil, err
		}
		complete, err := f.await(ctx, nodes, addrs...)
		if err != nil {
			return nil, err
		}
		addresses = append(addresses, given.Sub(begin))
		routes = append(routes, complete.Sub(begin))
	}
	row := table.Row{
		What: fmt.Sprintf("Controller stopped by TERM and started again with %d Services: from its start to all next hops of a Service that waited", manyServices),
		Ours: fmt.Sprintf("p50 %s, worst of %d %s (address after %s; it ended %s after TERM)", short(quantile(routes, 0.5)),
			restartTrials, short(quantile(routes, 1)), short(quantile(addresses, 0.5)), short(quantile(stops, 0.5))),
		Target: "3 s", Peer: "11 s", Timed: atMost(quantile(routes, 1), restartTarget),
	}
	b.say("%s: %s", row.What, row.Ours)
	return []table.Row{row}, nil
}
