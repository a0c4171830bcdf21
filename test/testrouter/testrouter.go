// SPDX-License-Identifier: Apache-2.0

// Package testrouter runs BGP routers for tests on loopback: GoBGP in a process
// of its own, which is the test binary once more. It must be so, since GoBGP
// keeps options per process that starting a server writes.
package testrouter

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fairlead/fairlead/test/freeport"
)

// environment is set in the router's process and holds its Config.
const environment = "FAIRLEAD_TESTROUTER"

// waitTime bounds every wait for the router.
const waitTime = time.Minute

// Main is the TestMain of packages that use routers. It also fails when tests
// leave goroutines behind.
func Main(m *testing.M) {
	if conf := os.Getenv(environment); conf != "" {
		os.Exit(serve(conf))
	}
	goleak.VerifyTestMain(m,
		// GoBGP v4.8.0 (pkg/server/util.go, cleanInfiniteChannel) may close the
		// queue of a session before it is empty, and nobody reads it then.
		goleak.IgnoreAnyFunction("github.com/eapache/channels.(*InfiniteChannel).infiniteBuffer"),
	)
}

// Config is what a router is started with.
type Config struct {
	ASN             uint32
	RouterID        string
	Address         netip.Addr // where it listens, and its end of all sessions
	Port            uint16     // 0: a free one
	GracefulRestart bool
	Peers           []Peer
}

// Peer is one whom the router waits for.
type Peer struct {
	Address     netip.Addr
	ASN         uint32
	Password    string
	MultihopTTL uint32
}

// Route is one path of the router's table.
type Route struct {
	Prefix      netip.Prefix
	NextHop     netip.Addr
	From        netip.Addr
	LocalPref   *uint32
	Communities []uint32
	ASPath      []uint32
	Stale       bool
}

// Change is a change of the best path of a prefix.
type Change struct {
	Prefix    netip.Prefix
	Withdrawn bool
}

// Router is a running router.
type Router struct {
	Config
	cmd   *exec.Cmd
	stdin io.WriteCloser
	ended chan struct{}

	mu      sync.Mutex
	news    chan struct{} // closed and replaced whenever something changed
	up      map[netip.Addr]bool
	changes []Change
	table   []Route
	tables  int
	fault   string
}

// Start runs a router until the test ends.
func Start(t *testing.T, c Config) *Router {
	t.Helper()
	if c.Port == 0 {
		c.Port = freeport.ForTest(t, c.Address)
	}
	conf, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &Router{Config: c, ended: make(chan struct{}), news: make(chan struct{}), up: map[netip.Addr]bool{}}
	r.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), self)
	r.cmd.Env = append(os.Environ(), environment+"="+string(conf))
	r.cmd.Stderr = os.Stderr
	if r.stdin, err = r.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	go r.listen(stdout, ready)
	t.Cleanup(r.Kill)
	select {
	case <-ready:
	case <-r.ended:
		t.Fatalf("the router ended: %s", r.fault)
	case <-time.After(waitTime):
		t.Fatal("the router did not start")
	}
	return r
}

// Kill ends the router at once, without a word to its peers. Calling it again
// does nothing.
func (r *Router) Kill() {
	_ = r.cmd.Process.Kill()
	<-r.ended
}

// Reset makes the router reset all its sessions by a NOTIFICATION.
func (r *Router) Reset(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(r.stdin, "reset\n"); err != nil {
		t.Fatal(err)
	}
}

// listen follows what the router says until it ends.
func (r *Router) listen(stdout io.Reader, ready chan<- struct{}) {
	defer close(r.ended)
	defer func() { _ = r.cmd.Wait() }()
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var m message
		if json.Unmarshal(lines.Bytes(), &m) != nil {
			continue
		}
		if m.Kind == "ready" {
			close(ready)
		}
		r.note(m)
	}
}

func (r *Router) note(m message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch m.Kind {
	case "best":
		r.changes = append(r.changes, *m.Best)
	case "peer":
		r.up[m.Peer.Addr] = m.Peer.Up
	case "table":
		r.table = m.Table
		r.tables++
	case "error":
		r.fault = m.Error
	}
	close(r.news)
	r.news = make(chan struct{})
}

// wait waits until a condition, asked under the lock, holds.
func (r *Router) wait(t *testing.T, what string, cond func() bool) {
	t.Helper()
	limit := time.After(waitTime)
	for {
		r.mu.Lock()
		ok, news := cond(), r.news
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-news:
		case <-r.ended:
			t.Fatalf("the router ended while waiting until %s: %s", what, r.fault)
		case <-limit:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// WaitUp waits until the session with a peer is up or is not.
func (r *Router) WaitUp(t *testing.T, peer netip.Addr, up bool) {
	t.Helper()
	r.wait(t, "the session with "+peer.String()+" changes", func() bool { return r.up[peer] == up })
}

// Changes returns the changes of best paths since the last call, up to the last
// table at least.
func (r *Router) Changes() []Change {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.changes
	r.changes = nil
	return out
}

// Table returns all paths, by prefix and peer. Changes has all changes that led
// to it.
func (r *Router) Table(t *testing.T) []Route {
	t.Helper()
	r.mu.Lock()
	seen := r.tables
	r.mu.Unlock()
	if _, err := io.WriteString(r.stdin, "table\n"); err != nil {
		t.Fatal(err)
	}
	r.wait(t, "it tells its table", func() bool { return r.tables > seen })
	r.mu.Lock()
	out := slices.Clone(r.table)
	r.mu.Unlock()
	slices.SortFunc(out, func(a, b Route) int {
		if c := a.Prefix.Addr().Compare(b.Prefix.Addr()); c != 0 {
			return c
		}
		return a.From.Compare(b.From)
	})
	return out
}

// WaitTable waits until the table fulfils a condition, and returns it. It asks
// again whenever a best path changes, and from time to time, since not every
// change is one of best paths.
func (r *Router) WaitTable(t *testing.T, what string, cond func([]Route) bool) []Route {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(waitTime)
	for {
		table := r.Table(t)
		if cond(table) {
			return table
		}
		r.mu.Lock()
		news := r.news
		r.mu.Unlock()
		select {
		case <-news:
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited in vain until %s; the table is %+v", what, table)
		}
	}
}
