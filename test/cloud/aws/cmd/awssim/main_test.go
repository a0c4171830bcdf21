// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// started is a running command.
type started struct {
	t    *testing.T
	url  string
	stop func() error
}

func start(t *testing.T, args ...string) started {
	t.Helper()
	out, in := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx, append([]string{"--listen=127.0.0.1:0"}, args...), in) }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return started{
		t: t, url: strings.TrimSpace(strings.TrimPrefix(line, "listening on ")),
		stop: func() error {
			cancel()
			return <-done
		},
	}
}

// ask sends a form and reads JSON.
func (s started) ask(method, path, form string, into any) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(form))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		s.t.Errorf("%s %s: status %d", method, path, answer.StatusCode)
	}
	if into != nil {
		if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
			s.t.Fatal(err)
		}
	}
}

func TestServesASeedAndWritesItsState(t *testing.T) {
	const seeds = "../../testdata/site/state.json,../../testdata/nlb-tls/state.json"
	state := filepath.Join(t.TempDir(), "state.json")
	s := start(t, "--seed="+seeds, "--state="+state)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Clean(state))
	if err != nil {
		t.Fatal(err)
	}
	again := awssim.New(awssim.Options{})
	if err := again.Seed(data); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(again.State()), `"a4b59c4f251ba4e61be646a4984647ae"`) {
		t.Error("the state lacks the load balancer of the seed")
	}
}

func TestWatchersSeeAndChangeTheSite(t *testing.T) {
	s := start(t, "--nodes=2", "--throttle", "--realistic", "--create-load-balancer=1ms")
	var launched []string
	s.ask(http.MethodPost, "/simulator/launch", "n=1", &launched)
	if len(launched) != 1 {
		t.Fatalf("launched %v", launched)
	}
	s.ask(http.MethodPost, "/simulator/power", "id="+launched[0]+"&state=stopped", nil)
	s.ask(http.MethodPost, "/simulator/apply?api=ec2.CreateTags", "ResourceId.1="+launched[0]+"&Tag.1.Key=k&Tag.1.Value=v", nil)
	var state struct {
		Reservations []struct {
			Instances []struct {
				InstanceID string `json:"InstanceId"`
				State      struct{ Name string }
				Tags       []struct{ Key string }
			}
		}
	}
	s.ask(http.MethodGet, "/simulator/state", "", &state)
	if len(state.Reservations) != 3 {
		t.Errorf("%d reservations, want 3", len(state.Reservations))
	}
	for _, r := range state.Reservations {
		m := r.Instances[0]
		if m.InstanceID == launched[0] && (m.State.Name != "stopped" || len(m.Tags) != 3) {
			t.Errorf("the machine is %+v", m)
		}
	}
	var writes []awssim.Call
	s.ask(http.MethodGet, "/simulator/writes", "", &writes)
	if len(writes) != 0 {
		t.Errorf("changes behind everybody's back are counted: %v", writes)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
}

func TestRefusesWhatItCannotRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "seed.json")
	if err := os.WriteFile(file, []byte(`[]`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--seed=" + file}, {"--seed=/nonexistent"}, {"--nodes=many"}} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
}
