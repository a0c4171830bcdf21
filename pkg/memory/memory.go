// SPDX-License-Identifier: Apache-2.0

// Package memory says how much memory a process of ours trades for CPU.
package memory

import (
	"os"
	"runtime/debug"
)

const (
	// Controller is the percentage of garbage for a controller manager. It
	// trades some CPU in bursts for memory at all times: with 1,000 Services
	// 8 MiB of 79 less than by Go's default of 100, and 0.6 s more CPU for
	// creating them at once.
	Controller = 50
	// Speaker is that for a speaker, which needs little CPU and runs on every
	// node: at 1,000 Services 5 MiB less than by Go's default.
	Speaker = 40
)

// Tune sets how much garbage the process may hold, in percent of what is in
// use, unless GOGC does.
func Tune(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}
