// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// keepVerb is the verb of the process that owns a demo that stays.
	keepVerb = "keep"
	// storyFile and verdictFile are the pipes to the one who waits: what happens,
	// and at its end the word approved.
	storyFile, verdictFile = 3, 4
	approved               = "ok"
	// downLimit is how long everything may take to end.
	downLimit = 30 * time.Second
)

// detach lets a process of its own run the demo, shows the story and returns
// when it has been told; the process stays. It shares no terminal with us.
func detach(ctx context.Context, p paths, out io.Writer) error {
	if pid, held := p.owner(); held {
		return errRuns(pid)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	story, storyEnd, err := os.Pipe()
	if err != nil {
		return err
	}
	verdict, verdictEnd, err := os.Pipe()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(p.logs(), 0o750); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(p.logs(), "demo.log"))
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), self, keepVerb)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.root, log, log
	cmd.ExtraFiles = []*os.File{storyEnd, verdictEnd}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if isTerminal(out) {
		cmd.Env = append(os.Environ(), colourVariable+"=1")
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	_, _, _ = storyEnd.Close(), verdictEnd.Close(), log.Close()
	defer context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })()
	if _, err := io.Copy(out, story); err != nil {
		return err
	}
	word, err := io.ReadAll(verdict)
	if err != nil || string(word) != approved {
		_ = cmd.Wait() // the log says more than the exit code
		text, _ := os.ReadFile(log.Name())
		return fmt.Errorf("it did not come up:\n%s", bytes.TrimSpace(text))
	}
	return cmd.Process.Release()
}

// keep runs the demo, and after the story goes on until it is told to end.
func keep(ctx context.Context, p paths) error {
	release, err := p.claim()
	if err != nil {
		return err
	}
	defer release()
	// What we start must not hold the pipes open.
	syscall.CloseOnExec(storyFile)
	syscall.CloseOnExec(verdictFile)
	story, verdict := os.NewFile(storyFile, "story"), os.NewFile(verdictFile, "verdict")
	tell := newTeller(story)
	d := newPlay(p, tell)
	if err := d.up(ctx); err != nil {
		return errors.Join(err, d.down())
	}
	later, err := os.Create(p.story())
	if err != nil {
		return errors.Join(err, d.down())
	}
	d.howToUse()
	tell.redirect(later)
	_, err = verdict.WriteString(approved)
	if err = errors.Join(err, verdict.Close(), story.Close()); err == nil {
		<-ctx.Done()
	}
	return errors.Join(err, d.down(), later.Close())
}

// down ends a demo that stayed, by the id of its process.
func down(ctx context.Context, p paths, out io.Writer) error {
	pid, held := p.owner()
	if !held {
		_, err := fmt.Fprintln(out, "No demo runs.")
		return err
	}
	proc, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	if err := proc.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("end process %d: %w", pid, err)
	}
	ctx, cancel := context.WithTimeout(ctx, downLimit)
	defer cancel()
	if err := p.awaitFree(ctx); err != nil {
		return fmt.Errorf("process %d does not end: %w", pid, err)
	}
	_, err = fmt.Fprintln(out, "The demo has ended, with everything that it had started.")
	return err
}

func (p paths) logs() string  { return filepath.Join(p.dir, "logs") }
func (p paths) story() string { return filepath.Join(p.dir, "story.log") }
func (p paths) pid() string   { return filepath.Join(p.dir, "pid") }

func errRuns(pid int) error {
	return fmt.Errorf("a demo runs already, as process %d: end it with `make demo-down`", pid)
}

// claim makes this process the owner of the directory, and empties it. The
// file with the process id is locked for as long as the process lives, so that
// an id of long ago is never taken for that of a demo.
func (p paths) claim() (release func(), err error) {
	if err := os.MkdirAll(p.dir, 0o750); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(p.pid(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		pid, _ := p.owner()
		return nil, errors.Join(errRuns(pid), f.Close())
	}
	if err := errors.Join(p.sweep(), f.Truncate(0)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := fmt.Fprintln(f, os.Getpid()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, os.MkdirAll(p.logs(), 0o750)
}

// sweep deletes what the last run left, but for the log of this very process.
func (p paths) sweep() error {
	entries, err := os.ReadDir(p.dir)
	for _, e := range entries {
		if name := e.Name(); name != filepath.Base(p.pid()) && name != filepath.Base(p.logs()) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(p.dir, name)))
		}
	}
	logs, _ := filepath.Glob(filepath.Join(p.logs(), "*.log")) // the pattern is good
	for _, name := range logs {
		if filepath.Base(name) != "demo.log" {
			err = errors.Join(err, os.Remove(name))
		}
	}
	return err
}

// owner is the process that runs a demo, if one does.
func (p paths) owner() (pid int, held bool) {
	f, err := os.Open(p.pid())
	if err != nil {
		return 0, false
	}
	defer func() { _ = f.Close() }()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return 0, false
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return 0, false
	}
	pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
	return pid, err == nil
}

// awaitFree waits until no process owns the directory.
func (p paths) awaitFree(ctx context.Context) error {
	f, err := os.Open(p.pid())
	if err != nil {
		return err
	}
	free := make(chan error, 1)
	go func() { free <- syscall.Flock(int(f.Fd()), syscall.LOCK_SH) }()
	select {
	case err := <-free:
		return errors.Join(err, f.Close())
	case <-ctx.Done():
		return ctx.Err() // this process ends, and the goroutine with it
	}
}
