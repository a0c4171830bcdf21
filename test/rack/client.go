// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
	"time"
)

// Client is a load that the rack's client machine makes. Its methods may be
// called by several goroutines at once.
type Client struct {
	program *Program
	read    chan struct{} // closed when all was read

	mu       sync.Mutex
	progress map[string]Progress
	results  []Result
	wake     chan struct{}
	err      error
}

// StartClient begins to ask targets, until Stop. Each is asked on whatever
// becomes of the answers.
func (r *Rack) StartClient(targets ...Target) (*Client, error) {
	order, err := json.Marshal(loadOrder{Targets: targets})
	if err != nil {
		return nil, err
	}
	cmd, err := helperCommand("client", r.net.client(), helpLoad, r.opts.LogDir)
	if err != nil {
		return nil, err
	}
	out, in := io.Pipe()
	cmd.input, cmd.output = bytes.NewReader(order), in
	c := &Client{read: make(chan struct{}), wake: make(chan struct{})}
	if c.program, err = cmd.start(); err != nil {
		return nil, err
	}
	go func() {
		<-c.program.done
		_ = in.Close()
	}()
	go c.follow(out)
	return c, nil
}

// follow reads the reports.
func (c *Client) follow(out io.Reader) {
	defer close(c.read)
	dec := json.NewDecoder(out)
	for {
		var rep report
		err := dec.Decode(&rep)
		c.mu.Lock()
		switch {
		case errors.Is(err, io.EOF):
		case err != nil:
			c.err = err
		case rep.Results != nil:
			c.results = rep.Results
		default:
			c.progress = rep.Progress
		}
		close(c.wake)
		c.wake = make(chan struct{})
		c.mu.Unlock()
		if err != nil {
			_, _ = io.Copy(io.Discard, out) // the program must not block
			return
		}
	}
}

// Await waits until ok accepts the progress of every target.
func (c *Client) Await(ctx context.Context, ok func(Progress) bool) error {
	for {
		c.mu.Lock()
		wake, progress := c.wake, c.progress
		c.mu.Unlock()
		good := len(progress) > 0
		for _, p := range progress {
			good = good && ok(p)
		}
		if good {
			return nil
		}
		select {
		case <-wake:
		case <-c.read:
			return fmt.Errorf("the client ended; its last lines:\n%s", c.program.tail())
		case <-ctx.Done():
			return fmt.Errorf("the client got as far as %+v: %w", progress, context.Cause(ctx))
		}
	}
}

// Steady waits until every target has answered n requests in a row.
func (c *Client) Steady(ctx context.Context, n int) error {
	return c.Await(ctx, func(p Progress) bool { return p.Answered >= n })
}

// More waits until every target was asked n times more than now.
func (c *Client) More(ctx context.Context, n int) error {
	c.mu.Lock()
	begin := 0
	for _, p := range c.progress {
		begin = max(begin, p.Sent)
	}
	c.mu.Unlock()
	return c.Await(ctx, func(p Progress) bool { return p.Sent >= begin+n })
}

// Stop ends the load, waits for the requests that are under way, and returns
// what became of all, in the order of the targets.
func (c *Client) Stop() ([]Result, error) {
	if c.program.Running() {
		if err := c.program.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return nil, fmt.Errorf("stop the client: %w", err)
		}
	}
	late := time.NewTimer(answerLimit + stopGrace)
	defer late.Stop()
	select {
	case <-c.read:
	case <-late.C:
		return nil, errors.Join(errors.New("the client does not end"), c.program.Kill())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.results == nil {
		return nil, errors.Join(fmt.Errorf("the client gave no results; its last lines:\n%s", c.program.tail()), c.err)
	}
	return c.results, nil
}

// Get asks a URL once from the client machine, with curl, and returns the body.
func (r *Rack) Get(ctx context.Context, url string) (string, error) {
	return output(ctx, r.net.client(), "curl", "-sSf", "--max-time", "3", "--noproxy", "*", url)
}
