// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// starterEnv makes the test binary a starter of a program, see below.
const starterEnv = "FAIRLEAD_TEST_STARTER_LOG"

func TestProgramsDieWithTheirStarter(t *testing.T) {
	if log := os.Getenv(starterEnv); log != "" {
		starter(t, log)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), starterEnv+"="+filepath.Join(t.TempDir(), "log"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("the starter said %q, want a pid", line)
	}
	if !alive(pid) {
		t.Fatalf("program %d does not run", pid)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	for deadline := time.After(time.Minute); alive(pid); {
		select {
		case <-deadline:
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatalf("program %d outlived its starter", pid)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// starter starts a program, says its pid, and waits to be killed.
func starter(t *testing.T, log string) {
	t.Helper()
	p, err := startProcess(t.Context(), "/bin/sleep", log, []string{"60"})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprintln(os.Stdout, p.proc.Pid)
	<-p.done
}

// alive tells whether pid runs. One that ended and waits to be reaped does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	_, state, ok := strings.Cut(string(stat), ") ")
	return ok && !strings.HasPrefix(state, "Z")
}
