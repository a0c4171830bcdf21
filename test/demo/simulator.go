// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/azure/votefront"
)

const (
	simulatorName = "azuresim"
	// askEvery is how often the simulator is asked until it listens.
	askEvery = 20 * time.Millisecond
)

// simulator is the simulated Azure, a process of its own.
type simulator struct {
	url string
}

// startSimulator starts it with the site of votefront.
func (d *azure) startSimulator(ctx context.Context, nodes int) error {
	seed := filepath.Join(d.dir, "seed.json")
	if err := writeSeed(seed, nodes); err != nil {
		return err
	}
	_, err := d.start(ctx, program{name: simulatorName, args: append([]string{
		"--listen=127.0.0.1:0", "--seed=" + seed, "--max-retry-after=1s",
	}, latencies()...)})
	if err != nil {
		return err
	}
	log := filepath.Join(d.logs(), simulatorName+".log")
	err = wait.PollUntilContextTimeout(ctx, askEvery, limit, true, func(context.Context) (bool, error) {
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
		return fmt.Errorf("wait for the simulated Azure: %w", err)
	}
	return nil
}

// latencies are some of Azure's, shortened.
func latencies() []string {
	return []string{"--load-balancer-put=600ms", "--security-group-put=300ms", "--public-ip-put=300ms", "--write=150ms", "--read=20ms"}
}

func writeSeed(file string, nodes int) error {
	cloud := azuresim.New(azuresim.Options{})
	if err := votefront.Prepare(cloud, nodes); err != nil {
		return err
	}
	data, err := json.Marshal(cloud.State())
	if err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o600)
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

// scale does what the autoscaler does.
func (s *simulator) scale(ctx context.Context, nodes int) error {
	set := azuresim.New(azuresim.Options{}).ID(votefront.Group, azuresim.ScaleSets, votefront.ScaleSet)
	query := url.Values{"set": {set}, "capacity": {fmt.Sprint(nodes)}}
	return s.ask(ctx, http.MethodPost, "scale?"+query.Encode(), nil)
}

// balancing is what votefront.Balancing says of the simulator's resources.
func (s *simulator) balancing(ctx context.Context) (string, error) {
	var all []json.RawMessage
	if err := s.ask(ctx, http.MethodGet, "resources", &all); err != nil {
		return "", err
	}
	return votefront.Balancing(all)
}

// follow reads the simulator's log again and again until ctx ends, and tells of
// every write that was answered.
func (d *azure) follow(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		var writes []azuresim.Call
		err := d.sim.ask(ctx, http.MethodGet, "writes", &writes)
		if err != nil && ctx.Err() == nil {
			return err
		}
		for _, w := range writes {
			d.see(w)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// see tells of a write, once.
func (d *azure) see(w azuresim.Call) {
	if _, told := d.board.writes[w.Seq]; told || w.Status == 0 {
		return
	}
	d.tell.line(kindCloud, "%s", callLine(w))
	d.board.change(func() { d.board.writes[w.Seq] = w })
}

// callLine is a write in a few words.
func callLine(w azuresim.Call) string {
	_, name, _ := strings.Cut(w.ID, "/providers/Microsoft.")
	_, name, _ = strings.Cut(name, "/")
	text := fmt.Sprintf("%-6s %s: %d %s", w.Method, name, w.Status, strings.ToLower(http.StatusText(w.Status)))
	if w.Took >= lookEvery {
		text += fmt.Sprintf(", after %.2f s", w.Took.Seconds())
	}
	return text
}
