// SPDX-License-Identifier: Apache-2.0

//go:build linux

package metal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/fairlead/fairlead/test/bench/table"
)

// manyServices is the size of the cluster for which there are targets.
const manyServices = 1000

// Options say what to measure.
type Options struct {
	// Programs holds the controller-manager and the speaker: bin of the checkout
	// by default.
	Programs string
	// Dir holds data and logs; empty is a new one among the temporary files.
	Dir string
	// Trials is how many single Services are measured in each condition.
	Trials int
	// Sections are the names of those to run; none is all.
	Sections []string

	slot int
}

// section is some measurements that share a rack.
type section struct {
	name    string
	proxies proxies
	limit   time.Duration
	run     func(context.Context, *site, Options) ([]table.Row, error)
}

func sections() []section {
	return []section{
		{"services", proxiesOff, 15 * time.Minute, measureServices},
		{"rolling", proxiesOn, 10 * time.Minute, measureRolling},
		{"restart", proxiesOff, 10 * time.Minute, measureRestart},
		{"churn", proxiesOff, 20 * time.Minute, measureChurn},
	}
}

// Run measures and prints a table. It must run inside rack.Main.
func Run(ctx context.Context, out io.Writer, o Options) error {
	var all []table.Row
	var failed []error
	for i, p := range sections() {
		if len(o.Sections) > 0 && !slices.Contains(o.Sections, p.name) {
			continue
		}
		// The kernel may still clear up the namespaces of the last rack.
		o.slot = i + 1
		rows, err := runSection(ctx, out, o, p)
		all = append(all, rows...)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", p.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	err := table.Write(out, "MetalLB", []string{"here"}, []*table.Meter{{Rows: all}})
	return errors.Join(append(failed, err)...)
}

func runSection(ctx context.Context, out io.Writer, o Options, p section) (rows []table.Row, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	s, err := build(ctx, out, o, p.proxies)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return p.run(ctx, s, o)
}

// measureServices measures how Services come and go.
func measureServices(ctx context.Context, s *site, o Options) ([]table.Row, error) {
	var rows []table.Row
	add := func(more []table.Row, err error) error {
		rows = append(rows, more...)
		return err
	}
	if err := add(s.creations(ctx, manyServices)); err != nil {
		return rows, fmt.Errorf("creations alone: %w", err)
	}
	for _, n := range []int{1, 100, manyServices} {
		if err := add(s.burst(ctx, n)); err != nil {
			return rows, fmt.Errorf("burst of %d: %w", n, err)
		}
	}
	if err := add(s.single(ctx, "idle", o.Trials)); err != nil {
		return rows, err
	}
	if err := add(s.writesOfOne(ctx, "alone")); err != nil {
		return rows, err
	}
	others := batch("other", manyServices)
	addrs, err := s.present(ctx, others)
	if err != nil {
		return rows, err
	}
	beside := fmt.Sprintf("beside %d others", manyServices)
	if err := add(s.single(ctx, beside, o.Trials)); err != nil {
		return rows, err
	}
	if err := add(s.writesOfOne(ctx, beside)); err != nil {
		return rows, err
	}
	return rows, s.clear(ctx, others, addrs)
}

// Sections are the names of all sections, in order.
func Sections() []string {
	var names []string
	for _, s := range sections() {
		names = append(names, s.name)
	}
	return names
}
