// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// settleTime is how long a starting speaker may wait for all its sessions
	// before it is ready without: a dead router must not stop a rolling update.
	settleTime = 20 * time.Second
	// stallTime is how long the loop may take for a turn before it counts as
	// stuck. It turns at least every idle time.
	stallTime = 6 * idle
)

// readiness is what the health endpoints know of the loop.
type readiness struct {
	mu    sync.Mutex
	begun time.Time // the first turn is done
	last  time.Time // the last turn
	up    bool      // all sessions were up at once, some time
}

func (r *readiness) started(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun = now
}

func (r *readiness) report(now time.Time, up bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = now
	r.up = r.up || up
}

// alive is nil unless the loop is stuck.
func (r *readiness) alive(now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if since := now.Sub(r.last); !r.begun.IsZero() && since > stallTime {
		return fmt.Errorf("no turn for %s", since.Truncate(time.Second))
	}
	return nil
}

// ready is nil once the sessions are up, or had time enough.
func (r *readiness) ready(now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.begun.IsZero():
		return errors.New("the cluster's state is not read yet")
	case !r.up && now.Sub(r.begun) < settleTime:
		return errors.New("not all sessions are up yet")
	default:
		return nil
	}
}

// Handler serves /metrics, /healthz and /readyz.
func (a *Agent) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/metrics", a.metrics.handler())
	check := func(f func(time.Time) error) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if err := f(time.Now()); err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
			_, _ = w.Write([]byte("ok\n"))
		}
	}
	mux.HandleFunc("/healthz", check(a.ready.alive))
	mux.HandleFunc("/readyz", check(a.ready.ready))
	return mux
}

// Serve answers at an address until ctx ends; "0" is no address and returns
// at once.
func (a *Agent) Serve(ctx context.Context, addr string) error {
	if addr == "0" {
		return nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("--metrics-bind-address %q: %w; choose a free port, or 0 for none", addr, err)
	}
	srv := &http.Server{Handler: a.Handler(), ReadHeaderTimeout: 5 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
