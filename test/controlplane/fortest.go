// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"cmp"
	"testing"
	"time"

	"github.com/fairlead/fairlead/test/controlplane/binaries"
)

// ForTest starts a control plane that ends with the test. BinDir, Dir and
// LogDir are filled in when empty; `go test -artifacts` keeps the logs. The
// test fails at once when the binaries are not built.
func ForTest(tb testing.TB, o Options) *ControlPlane {
	tb.Helper()
	if o.BinDir == "" {
		dir, err := binaries.Find()
		if err != nil {
			tb.Fatal(err)
		}
		o.BinDir = dir
	}
	if o.Dir == "" {
		o.Dir = tb.TempDir()
		o.LogDir = cmp.Or(o.LogDir, tb.ArtifactDir())
	}
	begin := time.Now()
	cp, err := Start(tb.Context(), o)
	if err != nil {
		tb.Fatalf("start a control plane: %v", err)
	}
	tb.Logf("control plane ready at %s after %s", cp.URL(), time.Since(begin).Round(time.Millisecond))
	tb.Cleanup(func() {
		if err := cp.Stop(); err != nil {
			tb.Errorf("stop the control plane: %v", err)
		}
	})
	return cp
}
