// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// process is a program that was started, and is ended by its id.
type process struct {
	name string
	proc *os.Process
	done chan struct{} // closed when the program has ended
}

// launch runs a program of the folder bin, which writes into a log file of its
// own. On Linux the program ends with the thread that started it, so the
// goroutine keeps its thread. It outlives ctx, until stop.
func launch(ctx context.Context, what program, bin, logs string) (*process, error) {
	out, err := os.OpenFile(filepath.Join(logs, what.name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	p := &process{name: what.name, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		defer close(p.done)
		defer func() { _ = out.Close() }()
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		cmd := exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(bin, what.binary), what.args...)
		cmd.Env = append(os.Environ(), what.env...)
		cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = out, out, sysProcAttr()
		err := cmd.Start()
		p.proc = cmd.Process
		started <- err
		if err == nil {
			_ = cmd.Wait() // the log says more than the exit code
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w; `make demo` builds %s", p.name, err, what.binary)
	}
	return p, nil
}

// stop asks the program to end, and kills it when it takes longer than grace.
func (p *process) stop(grace time.Duration) error {
	if err := p.proc.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	_ = p.resume() // one that is held hears nothing
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case <-p.done:
		return nil
	case <-late.C:
	}
	if err := p.proc.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	<-p.done
	return fmt.Errorf("%s did not end within %s, and was killed", p.name, grace)
}

// pause holds a program where it is, and resume lets it go on.
func (p *process) pause() error  { return p.proc.Signal(syscall.SIGSTOP) }
func (p *process) resume() error { return p.proc.Signal(syscall.SIGCONT) }
