// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// ask runs a load until enough says so, and returns its results.
func ask(t *testing.T, target Target, enough <-chan struct{}) Result {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	done := make(chan error, 1)
	go func() { done <- load(ctx, loadOrder{Targets: []Target{target}}, &out) }()
	<-enough
	cancel()
	must(t, <-done)
	dec := json.NewDecoder(&out)
	var last report
	for {
		var r report
		err := dec.Decode(&r)
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		last = r
	}
	if len(last.Results) != 1 {
		t.Fatalf("the last report is %+v", last)
	}
	return last.Results[0]
}

func TestLoadCountsAnswersByPod(t *testing.T) {
	var asked atomic.Int32
	enough := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(podHeader, "web-1")
		if asked.Add(1) == 20 {
			close(enough)
		}
	}))
	defer srv.Close()
	got := ask(t, Target{Name: "web", URL: srv.URL, Every: time.Millisecond}, enough)
	if got.Sent < 20 || len(got.Lost) > 0 || got.Answers["web-1"] != got.Sent {
		t.Errorf("got %+v, want at least 20 sent and all answered by web-1", got)
	}
}

func TestLoadCountsWhatIsLost(t *testing.T) {
	for name, c := range map[string]struct {
		answer    http.HandlerFunc
		connected bool
		says      string
	}{
		"an error of the server": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, true, "502"},
		"a connection that breaks": {func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_ = conn.(*net.TCPConn).SetLinger(0)
				_ = conn.Close()
			}
		}, true, "connection reset"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			enough := make(chan struct{})
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c.answer(w, r)
				if asked.Add(1) == 5 {
					close(enough)
				}
			}))
			defer srv.Close()
			got := ask(t, Target{Name: "web", URL: srv.URL, Every: time.Millisecond}, enough)
			if len(got.Lost) != got.Sent || got.Sent == 0 {
				t.Fatalf("%d of %d lost, want all", len(got.Lost), got.Sent)
			}
			if l := got.Lost[0]; l.Connected != c.connected || !strings.Contains(l.Error, c.says) {
				t.Errorf("lost %+v, want an error with %q", l, c.says)
			}
		})
	}
}

func TestLoadCountsKeptConnectionsThatBreak(t *testing.T) {
	var made, asked atomic.Int32
	enough := make(chan struct{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		switch asked.Add(1) {
		case 2:
			w.Header().Set("Connection", "close")
		case 4:
			close(enough)
		}
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			made.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	got := ask(t, Target{Name: "web", URL: srv.URL, Every: time.Hour, Kept: 1}, enough)
	if made.Load() != 2 || got.KeptBroken != 1 || got.KeptSent < 4 {
		t.Errorf("%d connections, %d of %d requests found theirs broken; want 2, 1 and at least 4", made.Load(), got.KeptBroken, got.KeptSent)
	}
}
