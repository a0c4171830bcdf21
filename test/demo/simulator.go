// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// askEvery is how often the simulator is asked until it listens.
const askEvery = 20 * time.Millisecond

// simulator is a simulated cloud, a process of its own.
type simulator struct {
	url string
}

// simulate starts a simulated cloud.
func (d *simulated) simulate(ctx context.Context, binary string, args ...string) error {
	if _, err := d.start(ctx, program{name: binary, args: append([]string{"--listen=127.0.0.1:0"}, args...)}); err != nil {
		return err
	}
	log := filepath.Join(d.logs(), binary+".log")
	err := wait.PollUntilContextTimeout(ctx, askEvery, limit, true, func(context.Context) (bool, error) {
		text, err := os.ReadFile(log)
		if err != nil {
			return false, err
		}
		_, address, _ := strings.Cut(string(text), "listening on ")
		var said bool
		d.sim.url, _, said = strings.Cut(address, "\n")
		return said, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the simulated cloud: %w", err)
	}
	return nil
}

// ask asks the simulator something about itself.
func (s *simulator) ask(ctx context.Context, method, what string, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, s.url+"/simulator/"+what, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		return fmt.Errorf("%s %s: %s: %s", method, request.URL, answer.Status, text)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

// seen is a write to a simulated cloud. The zero status is that it was not
// answered yet.
type seen struct {
	number, status int
	what           string // what was written
	took           time.Duration
	line           string // in a few words
}

// follow reads the simulator's log again and again until ctx ends, and tells of
// every write that was answered.
func follow[Call any](ctx context.Context, d *simulated, read func(Call) seen) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		var writes []Call
		err := d.sim.ask(ctx, http.MethodGet, "writes", &writes)
		if err != nil && ctx.Err() == nil {
			return err
		}
		for i := range writes {
			d.see(read(writes[i]))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// see tells of a write, once.
func (d *simulated) see(w seen) {
	if _, told := d.board.writes[w.number]; told || w.status == 0 {
		return
	}
	line := w.line
	if w.took >= lookEvery {
		line += fmt.Sprintf(", after %.2f s", w.took.Seconds())
	}
	d.tell.line(d.kind, "%s", line)
	d.board.change(func() { d.board.writes[w.number] = written{what: w.what, done: w.status < http.StatusBadRequest} })
}
