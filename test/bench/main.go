// SPDX-License-Identifier: Apache-2.0

// Command bench measures what docs/benchmarks.md holds: `bench [flags] [PART...]`
// with the parts metal, scale, azure and aws, by default all. `bench soak` keeps the rack
// under churn and restarts.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // as in the real command

	"github.com/fairlead/fairlead/pkg/ccm"
	"github.com/fairlead/fairlead/pkg/memory"
	"github.com/fairlead/fairlead/test/bench/aws"
	"github.com/fairlead/fairlead/test/bench/azure"
	"github.com/fairlead/fairlead/test/bench/scale"
	"github.com/fairlead/fairlead/test/bench/stand"
)

func main() {
	os.Exit(program(os.Args[1:]))
}

// program chooses what this process is.
func program(args []string) int {
	if len(args) > 0 && args[0] == "manager" {
		return manager(args[1:])
	}
	o, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 2
	}
	work := func() int {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		if err := run(ctx, o); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			return 1
		}
		return 0
	}
	if o.want("metal") || o.want("soak") {
		return inRack(work)
	}
	return work()
}

// options are the command line.
type options struct {
	parts []string
	size  scale.Size
	azure stand.Options
	aws   aws.Options
	metal metalOptions
}

// parse reads the flags, which may stand before and after the parts.
func parse(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.IntVar(&o.size.Nodes, "nodes", 5000, "scale: nodes of the large cluster")
	fs.IntVar(&o.size.Services, "services", 1000, "scale: Services of the large cluster")
	azureSections := fs.String("azure-sections", "", "azure: a comma-separated choice of "+strings.Join(azure.Sections(), ", "))
	azureNodes := fs.String("azure-nodes", "10,500", "azure: a comma-separated choice of sizes of the cluster")
	awsSections := fs.String("aws-sections", "", "aws: a comma-separated choice of "+strings.Join(aws.Sections(), ", "))
	awsNodes := fs.String("aws-nodes", "10,500", "aws: a comma-separated choice of sizes of the cluster")
	fs.DurationVar(&o.aws.Rest, "aws-rest", 11*time.Minute, "aws: how long a controller at rest is watched, longer than twice the 5 minutes between looks at nodes")
	o.metal.flags(fs)
	for len(args) > 0 {
		if err := fs.Parse(args); err != nil {
			return o, err
		}
		args = fs.Args()
		if len(args) == 0 {
			break
		}
		switch args[0] {
		case "metal", "scale", "azure", "aws", "soak":
			o.parts = append(o.parts, args[0])
		default:
			return o, fmt.Errorf("part %q: there are metal, scale, azure, aws and soak", args[0])
		}
		args = args[1:]
	}
	if len(o.parts) == 0 {
		o.parts = []string{"metal", "scale", "azure", "aws"}
	}
	if *azureSections != "" {
		o.azure.Sections = strings.Split(*azureSections, ",")
	}
	if *awsSections != "" {
		o.aws.Sections = strings.Split(*awsSections, ",")
	}
	var err, err2 error
	o.azure.Nodes, err = sizes("azure-nodes", *azureNodes)
	o.aws.Nodes, err2 = sizes("aws-nodes", *awsNodes)
	return o, errors.Join(err, err2)
}

// sizes reads a flag with sizes of clusters.
func sizes(flag, value string) ([]int, error) {
	var out []int
	for text := range strings.SplitSeq(value, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 2 {
			return nil, fmt.Errorf("-%s %q: numbers of at least 2, with commas", flag, value)
		}
		out = append(out, n)
	}
	return out, nil
}

func (o options) want(part string) bool {
	return slices.Contains(o.parts, part)
}

// run runs the parts, in this order.
func run(ctx context.Context, o options) error {
	if o.want("metal") {
		if err := o.metal.measure(ctx, os.Stdout); err != nil {
			return fmt.Errorf("metal: %w", err)
		}
	}
	if o.want("soak") {
		if err := o.metal.soak(ctx, os.Stdout); err != nil {
			return fmt.Errorf("soak: %w", err)
		}
	}
	if o.want("scale") {
		if err := scale.Run(ctx, os.Stdout, o.size); err != nil {
			return fmt.Errorf("scale: %w", err)
		}
	}
	if o.want("azure") {
		if err := azure.Run(ctx, os.Stdout, o.azure); err != nil {
			return fmt.Errorf("azure: %w", err)
		}
	}
	if o.want("aws") {
		if err := aws.Run(ctx, os.Stdout, o.aws); err != nil {
			return fmt.Errorf("aws: %w", err)
		}
	}
	return nil
}

// manager is the controller manager over clouds that take no time, in a process
// of its own.
func manager(args []string) int {
	memory.Tune(memory.Controller)
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
