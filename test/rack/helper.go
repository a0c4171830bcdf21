// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rack

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// helperEnv chooses what a process does that a rack starts of its own program.
// It is the only way into a namespace for many connections: a goroutine may be
// moved to another thread at any time.
const helperEnv = "FAIRLEAD_RACK_HELPER"

// The helpers.
const (
	helpServe = "serve" // a Pod
	helpLoad  = "load"  // the client
)

// helper does what mode says, as standard input orders, until TERM.
func helper(mode string) int {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	err := fmt.Errorf("%s=%s: no such helper", helperEnv, mode)
	switch mode {
	case helpServe:
		var order serveOrder
		if err = json.NewDecoder(os.Stdin).Decode(&order); err == nil {
			err = serve(ctx, order, os.Stdout)
		}
	case helpLoad:
		var order loadOrder
		if err = json.NewDecoder(os.Stdin).Decode(&order); err == nil {
			err = load(ctx, order, os.Stdout)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// helperCommand starts this program anew as a helper in a namespace.
func helperCommand(name, ns, mode, logDir string) (command, error) {
	self, err := os.Executable()
	return command{
		name: name, ns: ns, args: []string{self}, env: []string{helperEnv + "=" + mode}, logDir: logDir,
	}, err
}
