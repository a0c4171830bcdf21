// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// process is one running program. It is ended by its own pid and nothing else.
type process struct {
	name string
	log  string
	proc *os.Process
	// done is closed once the program has ended and was reaped.
	done chan struct{}
}

// startProcess runs binary with args and appends what it prints to log.
//
// The program is started by a goroutine that keeps its operating system
// thread until the program ends. Linux sends the death signal when the thread
// that started a program ends, and a caller may be on a thread that ends soon,
// as tests that enter a network namespace are.
func startProcess(ctx context.Context, binary, log string, args []string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	p := &process{name: filepath.Base(binary), log: log, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		defer close(p.done)
		defer func() { _ = out.Close() }()
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		// The program outlives the start, so no context ends it: stop does.
		cmd := exec.CommandContext(context.WithoutCancel(ctx), binary, args...)
		cmd.Stdout, cmd.Stderr = out, out
		cmd.SysProcAttr = sysProcAttr()
		err := cmd.Start()
		p.proc = cmd.Process
		started <- err
		if err == nil {
			_ = cmd.Wait() // the exit code tells nothing that the log does not
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	return p, nil
}

// running tells whether the program has not ended yet.
func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// stop asks the program to end, and kills it when it has not done so within
// grace. It returns when the program is gone. A nil process is gone already.
func (p *process) stop(grace time.Duration) error {
	if p == nil || !p.running() {
		return nil
	}
	if err := p.proc.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case <-p.done:
		return nil
	case <-late.C:
		return p.kill()
	}
}

// kill ends the program at once, as a crash would, and waits until it is gone.
func (p *process) kill() error {
	if p == nil || !p.running() {
		return nil
	}
	if err := p.proc.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	<-p.done
	return nil
}

// await polls ready until it gives no error. It fails when the program ends
// first or ctx is done, and then says what the program printed last.
func (p *process) await(ctx context.Context, ready func(context.Context) error) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		last := probe(ctx, ready)
		if last == nil {
			return nil
		}
		select {
		case <-p.done:
			return &exitError{name: p.name, tail: tail(p.log, tailLines)}
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w (%w); its last lines:\n%s",
				p.name, last, context.Cause(ctx), tail(p.log, tailLines))
		case <-tick.C:
		}
	}
}

// probe asks once. It is given up after probeLimit, since another program may
// hold the port and never answer.
func probe(ctx context.Context, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	return ready(ctx)
}

// exitError says that a program ended before it was ready.
type exitError struct {
	name, tail string
}

// Error gives the name of the program and its last lines.
func (e *exitError) Error() string {
	return fmt.Sprintf("%s ended before it was ready; its last lines:\n%s", e.name, e.tail)
}

// portTaken tells whether err is the end of a program that found its port in
// use. The programs say so in their logs only.
func portTaken(err error) bool {
	exit, ok := errors.AsType[*exitError](err)
	return ok && strings.Contains(exit.tail, syscall.EADDRINUSE.Error())
}

// tail returns the last n lines of a file, or why it cannot be read.
func tail(file string, n int) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimRight(data, "\n"), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-n):], []byte("\n")))
}
