// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"runtime/debug"
	"testing"
)

func TestTuneLeavesTheWordToTheUser(t *testing.T) {
	before := debug.SetGCPercent(77)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	for _, tt := range []struct {
		name, gogc string
		want       int
	}{
		{"GOGC is set", "77", 77},
		{"GOGC is not set", "", Speaker},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("GOGC", tt.gogc)
			Tune(Speaker)
			if got := debug.SetGCPercent(77); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}
