// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"os"
	"runtime/debug"
)

// gcPercent trades some CPU in bursts for memory at all times: with 1,000
// Services 8 MiB of 79 less than by Go's default of 100, and 0.6 s more CPU for
// creating them at once.
const gcPercent = 50

// TuneMemory sets how much garbage the process may hold, unless GOGC does.
func TuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
