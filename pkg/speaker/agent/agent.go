// SPDX-License-Identifier: Apache-2.0

// Package agent is the speaker at work: it watches Services, EndpointSlices and
// its own Node, asks package speaker what to announce, hands the routes to BGP
// sessions and tells the cluster how they stand. One goroutine owns all state
// and turns what happened into routes; when it is idle nothing waits, and when
// it is busy all that came meanwhile is one turn.
package agent

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/klog/v2"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/speaker"
)

// Session is one BGP session and the routes that it hands to its peer.
type Session interface {
	// Update announces and withdraws routes. What is announced already in the
	// same words costs nothing.
	Update(speaker.Delta) error
	// Status returns what is known of the session now.
	Status() speaker.SessionStatus
	// Close ends the session and waits until it has ended.
	Close(context.Context, speaker.CloseMode) error
}

// OpenFunc starts a session that announces the routes from its first
// connection on. changed is called after every change of its Status and must
// not block. The session outlives ctx, until Close.
type OpenFunc func(ctx context.Context, cfg speaker.SessionConfig, routes []speaker.Route, changed func()) (Session, error)

// Options are what an Agent needs.
type Options struct {
	Client API
	Open   OpenFunc
	// Node is the name of the speaker's own Node.
	Node string
	// Namespace holds the state objects and the passwords' Secrets.
	Namespace string
	// Source is the source address of all sessions of its family; invalid
	// leaves it to the configuration.
	Source    netip.Addr
	Unclassed speaker.Unclassed
	// BootID is of the machine's boot; empty when it is not known, and then
	// every start is that of a new node.
	BootID  string
	Version string
	// Probe asks a URL of kube-proxy whether it is healthy or serves a Service's
	// local endpoints; nil is an HTTP GET that must answer 200.
	Probe func(ctx context.Context, url string) error
}

// Agent is one node's speaker.
type Agent struct {
	opts      Options
	inbox     *inbox
	cluster   *cluster
	passwords *passwords
	metrics   *speakerMetrics
	ready     readiness
	proxy     *programmed
	gateURL   atomic.Pointer[string] // what answers for kube-proxy now
}

// New prepares a speaker.
func New(o Options) (*Agent, error) {
	if o.Node == "" {
		return nil, errors.New("the node's name is empty; set --node-name or NODE_NAME")
	}
	if o.Probe == nil {
		o.Probe = probe
	}
	if o.Unclassed == 0 {
		o.Unclassed = speaker.UnclassedOurs
	}
	in := newInbox()
	c, err := newCluster(o.Client, o.Node, in)
	if err != nil {
		return nil, err
	}
	return &Agent{
		opts:      o,
		inbox:     in,
		cluster:   c,
		passwords: newPasswords(o.Client, o.Namespace, in.nudge),
		metrics:   newMetrics(),
		proxy:     newProgrammed(o.Probe, in.service),
	}, nil
}

// Configure gives the speaker its configuration, before Run or at any time
// while it runs. It must not change afterwards. Sessions whose own parameters
// stay the same are not touched.
func (a *Agent) Configure(m *cloudconfig.Metal) { a.inbox.configure(m) }

// Run announces until ctx ends. Then a node that leaves finishes its drain
// time and withdraws; on a node that stays the sessions end as in a crash, so
// that routers keep the routes until the next speaker has come up.
func (a *Agent) Run(ctx context.Context) error {
	log := klog.FromContext(ctx)
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	var background sync.WaitGroup
	defer func() {
		stop()
		a.cluster.stop()
		background.Wait()
	}()
	background.Go(func() { a.passwords.run(inner) })
	background.Go(func() { a.proxy.run(inner) })

	starting, cancel := context.WithCancel(inner) // what ends when told to stop
	defer context.AfterFunc(ctx, cancel)()
	defer cancel()
	first, before, err := a.prepare(starting, inner)
	if err != nil {
		return stopped(ctx, err)
	}
	l := newLoop(a, before)
	l.stopStates = l.states.start(inner)
	defer l.stopStates()
	background.Go(func() { l.events.run(inner) })
	l.begin(starting, first)
	if l.life.Phase == speaker.Holding {
		background.Go(func() { a.gate(starting) })
	}
	log.Info("Announcing", "node", a.opts.Node, "phase", l.life.Phase, "restarted", before.Announced)
	l.run(ctx, inner)
	return nil
}

// prepare waits for all that the first decisions rest on: a configuration, the
// whole picture of the cluster, and what the last run wrote. The watches run
// until inner ends.
func (a *Agent) prepare(ctx, inner context.Context) (mail, speaker.NodeState, error) {
	first, err := a.inbox.first(ctx)
	if err != nil {
		return mail{}, speaker.NodeState{}, err
	}
	if !a.cluster.start(inner, ctx) {
		return mail{}, speaker.NodeState{}, context.Cause(ctx)
	}
	before, err := readState(ctx, a.opts)
	return first, before, err
}

// stopped is the error of a run that ended early: none when it was told to.
func stopped(ctx context.Context, err error) error {
	select {
	case <-ctx.Done():
		return nil
	default:
		return err
	}
}

// gate asks for kube-proxy's health until it is well, once a second, or until
// the configuration wants no such question any more.
func (a *Agent) gate(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if url := *a.gateURL.Load(); url == "" || a.opts.Probe(ctx, url) == nil {
			a.inbox.kubeProxy(speaker.Healthy)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// probeTimeout bounds one question for kube-proxy's health.
const probeTimeout = time.Second

// probe asks a URL and wants the answer 200.
func probe(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	req.Close = true // each Service has a port of its own
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return &statusError{url: url, status: res.Status}
	}
	return nil
}
