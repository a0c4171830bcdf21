// SPDX-License-Identifier: Apache-2.0

// Command kubectl-fairlead is the kubectl plugin.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/fairlead/fairlead/pkg/ccm"
	"github.com/fairlead/fairlead/pkg/cli"
)

func main() {
	os.Exit(run())
}

// run returns the exit code: 0 when all is well, 1 for an error, 2 when a plan
// is not empty or something is left over, 3 when it is and a Service is refused.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	// Packages register flags of their own there, which mean nothing here.
	pflag.CommandLine = pflag.NewFlagSet("", pflag.ContinueOnError)
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	err := cli.NewRootCommand(streams, ccm.Clouds()).ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, cli.ErrPlanned):
		return 2
	case errors.Is(err, cli.ErrRefused):
		return 3
	}
	fmt.Fprintln(os.Stderr, "Error:", err)
	return 1
}
