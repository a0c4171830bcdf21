// SPDX-License-Identifier: Apache-2.0

// Command bench measures what docs/benchmarks.md holds.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // as in the real command

	"github.com/fairlead/fairlead/pkg/ccm"
	"github.com/fairlead/fairlead/test/bench/scale"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	if len(os.Args) > 1 && os.Args[1] == "manager" {
		os.Exit(manager(os.Args[2:]))
	}
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run runs the parts that are asked for, by default all.
func run(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	var size scale.Size
	fs.IntVar(&size.Nodes, "nodes", 5000, "nodes of the large cluster")
	fs.IntVar(&size.Services, "services", 1000, "Services of the large cluster")
	if err := fs.Parse(args); err != nil {
		return err
	}
	parts := fs.Args()
	want := func(part string) bool { return len(parts) == 0 || slices.Contains(parts, part) }
	if want("scale") {
		if err := scale.Run(ctx, os.Stdout, size); err != nil {
			return fmt.Errorf("scale: %w", err)
		}
	}
	return nil
}

// manager is the controller manager over a slow cloud, in a process of its own.
func manager(args []string) int {
	cmd, err := ccm.NewCommand(scale.Clouds())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cmd.SetContext(ctx)
	cmd.SetArgs(args)
	return cli.Run(cmd)
}
