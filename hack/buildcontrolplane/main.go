// SPDX-License-Identifier: Apache-2.0

// Command buildcontrolplane builds the programs of the test control plane into
// bin/controlplane.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/fairlead/fairlead/test/controlplane/binaries"
)

func main() {
	if err := run(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "controlplane:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root, err := binaries.Root()
	if err != nil {
		return err
	}
	_, err = binaries.Build(ctx, root, os.Stdout)
	return err
}
