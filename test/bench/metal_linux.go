// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"flag"
	"io"
	"strings"
	"time"

	"github.com/fairlead/fairlead/test/bench/metal"
	"github.com/fairlead/fairlead/test/rack"
)

// metalOptions are the flags of metal and soak.
type metalOptions struct {
	metal.Options
	sections string
	duration time.Duration
}

func (o *metalOptions) flags(fs *flag.FlagSet) {
	fs.StringVar(&o.Programs, "programs", "", "metal, soak: where the binaries are; bin of the checkout by default")
	fs.StringVar(&o.Dir, "dir", "", "metal, soak: where data and logs go; among the temporary files by default")
	fs.IntVar(&o.Trials, "trials", 50, "metal: how many single Services are measured in each condition")
	fs.StringVar(&o.sections, "sections", "", "metal: a comma-separated choice of "+strings.Join(metal.Sections(), ", "))
	fs.DurationVar(&o.duration, "duration", 10*time.Minute, "soak: how long it runs")
}

// inRack runs f where a rack can be built.
func inRack(f func() int) int { return rack.Main(f) }

func (o *metalOptions) measure(ctx context.Context, out io.Writer) error {
	if o.sections != "" {
		o.Sections = strings.Split(o.sections, ",")
	}
	return metal.Run(ctx, out, o.Options)
}

func (o *metalOptions) soak(ctx context.Context, out io.Writer) error {
	return metal.Soak(ctx, out, o.Options, o.duration)
}
