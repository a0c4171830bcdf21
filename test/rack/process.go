// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// stopGrace is how long a program may take to end by itself.
	stopGrace = 10 * time.Second
	// tailLines is how much of a log an error carries.
	tailLines = 15
)

// command says how to start a program.
type command struct {
	// name is that of the log file, without .log.
	name string
	// ns is the network namespace; empty is the rack's own.
	ns   string
	args []string
	env  []string
	// logDir gets the log, to which each start of the program adds.
	logDir string
	// input and output, when set, are the program's; output is otherwise the log.
	input  io.Reader
	output io.Writer
}

// Program is one running program of a rack. It is ended by its own pid.
type Program struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{}
}

// start runs a program until it ends or is ended.
func (c command) start() (*Program, error) {
	args := c.args
	if c.ns != "" {
		args = append([]string{"ip", "netns", "exec", c.ns}, args...)
	}
	p := &Program{name: c.name, log: filepath.Join(c.logDir, c.name+".log"), done: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	// The program outlives what starts it, so no context ends it.
	p.cmd = exec.CommandContext(context.Background(), args[0], args[1:]...)
	p.cmd.Env = append(os.Environ(), c.env...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = c.input, log, log
	if c.output != nil {
		p.cmd.Stdout = c.output
	}
	// A Ctrl-C is for the rack, which ends its programs in order.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", c.name, err), log.Close())
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // the exit code tells nothing that the log does not
		_ = log.Close()
	}()
	return p, nil
}

// PID is the process id of the program.
func (p *Program) PID() int { return p.cmd.Process.Pid }

// Log is the file that holds what the program printed.
func (p *Program) Log() string { return p.log }

// Running tells whether the program has not ended yet.
func (p *Program) Running() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Stop asks the program to end by TERM and waits until it has. After ten
// seconds it is killed, which is an error.
func (p *Program) Stop() error {
	if !p.Running() {
		return nil
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	late := time.NewTimer(stopGrace)
	defer late.Stop()
	select {
	case <-p.done:
		return nil
	case <-late.C:
		return errors.Join(fmt.Errorf("%s did not end within %s of TERM", p.name, stopGrace), p.Kill())
	}
}

// Kill ends the program at once, as a crash would, and waits until it is gone.
func (p *Program) Kill() error {
	if !p.Running() {
		return nil
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	<-p.done
	return nil
}

// tail is what the program printed last.
func (p *Program) tail() string {
	return tail(p.log, func(string) bool { return true })
}

// tail is the last lines of a file among those that count.
func tail(file string, counts func(string) bool) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := slices.DeleteFunc(strings.Split(strings.TrimRight(string(data), "\n"), "\n"), func(line string) bool {
		return !counts(line)
	})
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}

// await polls check until it gives no error. It fails when the program ends
// first or ctx does.
func (p *Program) await(ctx context.Context, check func(context.Context) error) error {
	err := poll(ctx, func(ctx context.Context) error {
		err := check(ctx)
		if err != nil && !p.Running() {
			return stop{fmt.Errorf("%s ended", p.name)}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%s is not ready: %w; its last lines:\n%s", p.name, err, p.tail())
	}
	return nil
}

// pollEvery is how often a condition is looked at that tells nobody of itself.
const pollEvery = 20 * time.Millisecond

// stop is an error that ends a poll.
type stop struct{ error }

// poll calls check until it gives no error. When ctx ends first, it returns
// what check said last.
func poll(ctx context.Context, check func(context.Context) error) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var last error
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil {
			last = err // and not that the end of ctx cut it short
		}
		if s, ok := errors.AsType[stop](err); ok {
			return s.error
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", last, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// output runs a program to its end and returns what it printed.
func output(ctx context.Context, ns string, args ...string) (string, error) {
	if ns != "" {
		args = append([]string{"ip", "netns", "exec", ns}, args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(out), fmt.Errorf("%v: %w: %s", args, err, bytes.TrimSpace(exit.Stderr))
	}
	return string(out), err
}
