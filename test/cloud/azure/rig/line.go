// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
)

// lineHeader says on which line a call came.
const lineHeader = "X-Rig-Line"

// Exchange lies between controllers and a cloud. Each life of a controller has
// a line of its own, so that it can be cut off from the cloud at once, as the
// death of its process would.
type Exchange struct {
	// URL is the resource manager's endpoint.
	URL    string
	cloud  http.Handler
	server *httptest.Server

	mu    sync.Mutex
	quiet *sync.Cond // a call has ended
	lines []*Line
}

// NewExchange listens on loopback for a cloud. It must be closed.
func NewExchange(cloud http.Handler) *Exchange {
	x := &Exchange{cloud: cloud}
	x.quiet = sync.NewCond(&x.mu)
	x.server = httptest.NewServer(x)
	x.URL = x.server.URL
	return x
}

// Close ends all connections and stops listening.
func (x *Exchange) Close() {
	x.server.CloseClientConnections()
	x.server.Close()
}

// Line is the way of one controller to the cloud. It is the transport of its
// client.
type Line struct {
	exchange *Exchange
	number   int
	client   http.Client

	// Guarded by the exchange.
	cut    bool
	conns  []net.Conn
	inside int // calls that the cloud works on
	tried  int // calls that the controller made after the cut
}

// Line makes a line.
func (x *Exchange) Line() *Line {
	x.mu.Lock()
	defer x.mu.Unlock()
	l := &Line{exchange: x, number: len(x.lines)}
	l.client.Transport = &http.Transport{DialContext: l.dial, MaxIdleConnsPerHost: maxIdle}
	x.lines = append(x.lines, l)
	return l
}

// maxIdle is as many calls as a pass makes at once.
const maxIdle = 64

var errCut = errors.New("the process is dead")

func (l *Line) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	l.exchange.mu.Lock()
	defer l.exchange.mu.Unlock()
	if l.cut {
		return nil, errors.Join(errCut, conn.Close())
	}
	l.conns = append(l.conns, conn)
	return conn, nil
}

// Do sends a call, unless the line is cut.
func (l *Line) Do(req *http.Request) (*http.Response, error) {
	if l.refuses() {
		return nil, errCut
	}
	req = req.Clone(req.Context())
	req.Header.Set(lineHeader, strconv.Itoa(l.number))
	return l.client.Do(req)
}

func (l *Line) refuses() bool {
	l.exchange.mu.Lock()
	defer l.exchange.mu.Unlock()
	if l.cut {
		l.tried++
	}
	return l.cut
}

// Cut ends the line as the end of a process does: its connections are closed,
// nothing that comes from now on reaches the cloud, and nobody hears an answer.
func (l *Line) Cut() {
	l.exchange.mu.Lock()
	defer l.exchange.mu.Unlock()
	l.cut = true
	for _, conn := range l.conns {
		_ = conn.Close() // one that is closed already is as good
	}
	l.conns = nil
}

// Drain waits until the cloud has ended the calls that it had when the line
// was cut.
func (l *Line) Drain() {
	l.exchange.mu.Lock()
	defer l.exchange.mu.Unlock()
	for l.inside > 0 {
		l.exchange.quiet.Wait()
	}
}

// Tried is how many calls the controller made after the line was cut.
func (l *Line) Tried() int {
	l.exchange.mu.Lock()
	defer l.exchange.mu.Unlock()
	return l.tried
}

// ServeHTTP lets calls of living lines in.
func (x *Exchange) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	number, err := strconv.Atoi(r.Header.Get(lineHeader))
	if err != nil || !x.enter(number) {
		panic(http.ErrAbortHandler) // closes the connection
	}
	defer x.leave(number)
	x.cloud.ServeHTTP(w, r)
}

func (x *Exchange) enter(number int) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if number >= len(x.lines) {
		return false
	}
	l := x.lines[number]
	if l.cut {
		return false
	}
	l.inside++
	return true
}

func (x *Exchange) leave(number int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.lines[number].inside--
	x.quiet.Broadcast()
}
