// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rack

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	// gateEnv lets the tests run that need root.
	gateEnv = "FAIRLEAD_RACK"
	// programsEnv is a directory of other binaries than those of `make build`.
	programsEnv = "FAIRLEAD_RACK_PROGRAMS"
	// limit is how long one condition may take to come true.
	limit = 60 * time.Second
)

func TestMain(m *testing.M) {
	if os.Getenv(gateEnv) == "" && os.Getenv(helperEnv) == "" {
		os.Exit(m.Run())
	}
	os.Exit(Main(m.Run))
}

// needRoot leaves a test out that may not have root.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Getenv(gateEnv) == "" {
		t.Skip("left out: " + gateEnv + " is not set; `make rack` sets it")
	}
}

// newRack starts a rack that ends with the test.
func newRack(t *testing.T, o Options) *Rack {
	t.Helper()
	needRoot(t)
	if why := Missing(); why != "" {
		t.Fatalf("no rack can be built: %s", why)
	}
	o.Dir, o.LogDir = t.TempDir(), t.ArtifactDir()
	o.Programs = os.Getenv(programsEnv)
	begin := time.Now()
	r, err := Start(t.Context(), o)
	if err != nil {
		t.Fatalf("start a rack: %v", err)
	}
	t.Logf("the rack is up after %s", time.Since(begin).Round(time.Millisecond))
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("close the rack: %v", err)
		}
		if t.Failed() {
			showLogs(t, o.LogDir)
		}
	})
	return r
}

// showLogs shows what the programs said last.
func showLogs(t *testing.T, dir string) {
	t.Helper()
	for _, pattern := range []string{"fairlead-*.log", "bgpd.log", "bird.log", "client.log"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Error(err)
		}
		for _, file := range files {
			t.Logf("%s:\n%s", filepath.Base(file), tail(file, func(line string) bool {
				return !strings.Contains(line, "envvar.go") && !strings.Contains(line, "FLAG:")
			}))
		}
	}
}

// within is a context for one condition.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// must ends the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// testdata reads a file of the test.
func testdata(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	must(t, err)
	return string(data)
}
