// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process is a running controller manager.
type Process struct {
	cmd    *exec.Cmd
	exited chan struct{}
}

// start starts the program.
func start(ctx context.Context, log io.Writer, program string, env, args []string) (*Process, error) {
	if _, err := os.Stat(program); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s is not built: run `make build` first", program)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, exited: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // its exit is what is awaited, not its code
		close(p.exited)
	}()
	return p, nil
}

// Stop ends the manager with TERM, and returns when it is gone.
func (p *Process) Stop() {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return // it is gone
	}
	<-p.exited
}

// Last waits for a while. It is an error when the process ends before.
func (p *Process) Last(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-p.exited:
		return errors.New("the controller manager ended")
	}
}

// patience bounds every wait for an answer.
const patience = 10 * time.Minute

// Await asks until the answer is yes.
func (p *Process) Await(ctx context.Context, done func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the controller manager is not done: %w", ctx.Err())
		case <-p.exited:
			return errors.New("the controller manager ended")
		case <-tick.C:
		}
		if ok, err := done(ctx); ok || err != nil {
			return err
		}
	}
}

// Resident is the memory of the process now, and at most so far, in bytes:
// proc_pid_status(5).
func (p *Process) Resident() (now, most int64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(status)) {
		for name, to := range map[string]*int64{"VmRSS:": &now, "VmHWM:": &most} {
			if rest, ok := strings.CutPrefix(line, name); ok {
				n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
				if err != nil {
					return 0, 0, err
				}
				*to = n << 10
			}
		}
	}
	return now, most, nil
}
