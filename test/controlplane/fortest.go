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
func ForTest(t testing.TB, o Options) *ControlPlane {
	t.Helper()
	if o.BinDir == "" {
		dir, err := binaries.Find()
		if err != nil {
			t.Fatal(err)
		}
		o.BinDir = dir
	}
	if o.Dir == "" {
		o.Dir = t.TempDir()
		o.LogDir = cmp.Or(o.LogDir, t.ArtifactDir())
	}
	begin := time.Now()
	cp, err := Start(t.Context(), o)
	if err != nil {
		t.Fatalf("start a control plane: %v", err)
	}
	t.Logf("control plane ready at %s after %s", cp.URL(), time.Since(begin).Round(time.Millisecond))
	t.Cleanup(func() {
		if err := cp.Stop(); err != nil {
			t.Errorf("stop the control plane: %v", err)
		}
	})
	return cp
}
