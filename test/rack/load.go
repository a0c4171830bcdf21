// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rack

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// repeatAfter is when Linux sends a SYN again (RFC 6298 section 2.1), less
	// the error of its clock.
	repeatAfter = 950 * time.Millisecond
	// connectLimit is for making a connection: a second SYN may be answered.
	connectLimit = 2500 * time.Millisecond
	// answerLimit is for the whole of a request: generous, since a loaded machine
	// is slow, and a lost connection does not end without it.
	answerLimit = 10 * time.Second
	// progressEvery is how often a client tells how far it is.
	progressEvery = 50 * time.Millisecond
	// keptEvery is how often each kept connection is used.
	keptEvery = 100 * time.Millisecond
)

// Target is what a client asks for.
type Target struct {
	// Name is the target's in results.
	Name string
	URL  string
	// Every is the time between the starts of two requests, each over a
	// connection of its own. 0: 10 ms.
	Every time.Duration
	// Kept is how many connections are kept besides and used ten times a second
	// each.
	Kept int
}

// loadOrder says what a client does.
type loadOrder struct {
	Targets []Target
}

// Lost is a request without an answer of status 200.
type Lost struct {
	Start time.Time
	End   time.Time
	// Connected tells that the connection was made.
	Connected bool
	Error     string
}

// Result is what became of the requests to one target.
type Result struct {
	Name string
	// Sent are the requests over connections of their own that have ended.
	Sent int
	Lost []Lost
	// Dark is the longest time during which every request was lost: from the
	// first of them to the next that was answered.
	Dark time.Duration
	// Slowest is the longest time an answer took.
	Slowest time.Duration
	// Answers counts them by Pod.
	Answers map[string]int
	// KeptSent are the requests over kept connections, KeptBroken how often one
	// of those connections had to be made anew.
	KeptSent   int
	KeptBroken int
	// KeptErrors say why, where the client was told.
	KeptErrors []string
}

// report is a line that the load writes: the counts so far, and at the end all.
type report struct {
	Progress map[string]Progress `json:",omitempty"`
	Results  []Result            `json:",omitempty"`
}

// Progress is how far a client is with one target.
type Progress struct {
	Sent, Lost int
	// Answered counts those that were answered since the last that was lost.
	Answered int
}

// load asks until ctx ends, and writes reports.
func load(ctx context.Context, o loadOrder, out io.Writer) error {
	enc := json.NewEncoder(out)
	runs := make([]*targetRun, len(o.Targets))
	var all sync.WaitGroup
	for i, t := range o.Targets {
		runs[i] = newTargetRun(t)
		all.Go(func() { runs[i].run(ctx) })
	}
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			progress := map[string]Progress{}
			for _, r := range runs {
				progress[r.target.Name] = r.progress()
			}
			if err := enc.Encode(report{Progress: progress}); err != nil {
				return err
			}
		case <-ctx.Done():
			all.Wait()
			results := make([]Result, len(runs))
			for i, r := range runs {
				results[i] = r.result()
			}
			return enc.Encode(report{Results: results})
		}
	}
}

// targetRun is the requests to one target.
type targetRun struct {
	target Target

	mu      sync.Mutex
	results []outcome
	lost    int
	streak  int
	slowest time.Duration
	answers map[string]int
	kept    int
	broken  int
	breaks  []string
}

// outcome is what became of one request.
type outcome struct {
	start time.Time
	lost  *Lost
}

func newTargetRun(t Target) *targetRun {
	if t.Every == 0 {
		t.Every = 10 * time.Millisecond
	}
	return &targetRun{target: t, answers: map[string]int{}}
}

// run starts a request at each tick, whatever became of those before. When ctx
// ends no more are started, and those that were are waited for.
func (r *targetRun) run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for range r.target.Kept {
		all.Go(func() { r.keep(ctx) })
	}
	single := &http.Client{Transport: transport(oneRequest), Timeout: answerLimit}
	tick := time.NewTicker(r.target.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			all.Go(func() { r.once(context.WithoutCancel(ctx), single) })
		}
	}
}

// lifetime says how long a connection is used. The zero value is none.
type lifetime uint8

const (
	oneRequest lifetime = iota + 1
	manyRequests
)

func transport(l lifetime) *http.Transport {
	t := &http.Transport{DialContext: dial, DisableKeepAlives: l == oneRequest}
	if l == manyRequests {
		// A request waits until the one before has given the connection back.
		t.MaxConnsPerHost = 1
	}
	return t
}

// errRepeated says that a connection was made, but not at the first try.
var errRepeated = errors.New("the first packet was lost")

// dial makes a connection, and fails when its first packet was not answered and
// had to be sent again. That it took long proves nothing, since this program may
// learn late of an answer. Nor does it alone that a packet was sent again: Linux
// does so at once where the server still has an old connection from that port.
func dial(ctx context.Context, network, addr string) (net.Conn, error) {
	begin := time.Now()
	conn, err := (&net.Dialer{Timeout: connectLimit}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	repeated, err := repeats(conn)
	if err == nil && repeated > 0 && time.Since(begin) >= repeatAfter {
		err = errRepeated
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// repeats is how many packets of a connection were sent again.
func repeats(conn net.Conn) (uint32, error) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return 0, fmt.Errorf("%T is no TCP connection", conn)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, err
	}
	var info *unix.TCPInfo
	var asked error
	err = raw.Control(func(fd uintptr) {
		info, asked = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	})
	if err := errors.Join(err, asked); err != nil {
		return 0, err
	}
	return info.Total_retrans, nil
}

// once sends one request and notes what became of it.
func (r *targetRun) once(ctx context.Context, client *http.Client) {
	start := time.Now()
	pod, connected, err := get(ctx, client, r.target.URL)
	end := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.lost, r.streak = r.lost+1, 0
		r.results = append(r.results, outcome{start, &Lost{Start: start, End: end, Connected: connected, Error: explain(err)}})
		return
	}
	r.streak++
	r.answers[pod]++
	r.slowest = max(r.slowest, end.Sub(start))
	r.results = append(r.results, outcome{start: start})
}

// get asks once and returns the name of the Pod that answered.
func get(ctx context.Context, client *http.Client, url string) (pod string, connected bool, err error) {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected = true },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", false, err
	}
	res, err := client.Do(req)
	if err != nil {
		return "", connected, err
	}
	_, err = io.Copy(io.Discard, res.Body)
	err = errors.Join(err, res.Body.Close())
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("answer %s", res.Status)
	}
	return res.Header.Get(podHeader), true, err
}

// explain is the end of an error's chain: what the kernel said.
func explain(err error) string {
	if errors.Is(err, errRepeated) {
		return errRepeated.Error()
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return "timeout"
	}
	return err.Error()
}

// keep uses one connection again and again, and counts how often it needs
// another.
func (r *targetRun) keep(ctx context.Context) {
	t := transport(manyRequests)
	defer t.CloseIdleConnections()
	client := &http.Client{Transport: t, Timeout: answerLimit}
	tick := time.NewTicker(keptEvery)
	defer tick.Stop()
	made := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		trace := httptrace.WithClientTrace(context.WithoutCancel(ctx), &httptrace.ClientTrace{
			GotConn: func(i httptrace.GotConnInfo) {
				if !i.Reused {
					made++
				}
			},
		})
		_, _, err := get(trace, client, r.target.URL)
		r.mu.Lock()
		r.kept++
		if err != nil || made > 1 {
			r.broken++
			made = min(made, 1)
		}
		if err != nil {
			r.breaks = append(r.breaks, explain(err))
		}
		r.mu.Unlock()
	}
}

func (r *targetRun) progress() Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Progress{Sent: len(r.results), Lost: r.lost, Answered: r.streak}
}

func (r *targetRun) result() Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortFunc(r.results, func(a, b outcome) int { return a.start.Compare(b.start) })
	out := Result{
		Name: r.target.Name, Sent: len(r.results), Dark: dark(r.results), Slowest: r.slowest,
		Answers: maps.Clone(r.answers), KeptSent: r.kept, KeptBroken: r.broken,
		KeptErrors: slices.Clone(r.breaks),
	}
	for _, o := range r.results {
		if o.lost != nil {
			out.Lost = append(out.Lost, *o.lost)
		}
	}
	slices.SortFunc(out.Lost, func(a, b Lost) int {
		return cmp.Or(a.Start.Compare(b.Start), a.End.Compare(b.End))
	})
	return out
}

// dark is the longest stretch of lost requests among outcomes in the order of
// their starts.
func dark(outcomes []outcome) time.Duration {
	var longest time.Duration
	var since time.Time
	for _, o := range outcomes {
		switch {
		case o.lost != nil && since.IsZero():
			since = o.start
		case o.lost == nil && !since.IsZero():
			longest = max(longest, o.start.Sub(since))
			since = time.Time{}
		}
	}
	if !since.IsZero() {
		longest = max(longest, outcomes[len(outcomes)-1].start.Sub(since))
	}
	return longest
}
