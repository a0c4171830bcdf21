// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/fairlead/fairlead/test/controlplane/binaries"
	"github.com/fairlead/fairlead/test/inputs"
)

// buildCommands builds binaries of cmd/ and returns their directory.
func buildCommands(t *testing.T, names ...string) string {
	t.Helper()
	root, err := binaries.Root()
	if err != nil {
		t.Fatal(err)
	}
	if err := inputs.Note("cmd", "pkg"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	args := []string{"build", "-o", dir + string(filepath.Separator)}
	for _, name := range names {
		args = append(args, "./cmd/"+name)
	}
	build := exec.CommandContext(t.Context(), "go", args...)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %q: %v\n%s", names, err, out)
	}
	return dir
}

// program is a running binary.
type program struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// start runs a binary until the test ends, at the latest. What it writes is
// shown when the test fails.
func start(t *testing.T, binary string, args ...string) *program {
	t.Helper()
	name := filepath.Base(binary)
	log := filepath.Join(t.ArtifactDir(), name+".log")
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	p := &program{cmd: exec.CommandContext(context.WithoutCancel(t.Context()), binary, args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // the exit code is in ProcessState
		_ = out.Close()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		if text, err := os.ReadFile(log); err == nil && t.Failed() {
			t.Logf("%s wrote:\n%s", name, text)
		}
	})
	return p
}

// stop asks the program to end and waits until it has.
func (p *program) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-t.Context().Done():
		t.Fatal("the program did not end")
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("%s ended with %d", filepath.Base(p.cmd.Path), code)
	}
}
