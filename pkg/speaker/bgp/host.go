// SPDX-License-Identifier: Apache-2.0

// Package bgp carries routes to routers: it holds BGP sessions with GoBGP. Each
// session has a GoBGP server of its own, with its own AS number and identifier,
// so that no export policy is needed to tell peers apart, and a router that is
// dead cannot hold back the updates to the others (with graceful restart a
// server waits for the End-of-RIB of all its peers, RFC 4724 section 4.1).
package bgp

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/server"

	"github.com/fairlead/fairlead/pkg/speaker"
)

// processMu serialises what GoBGP keeps per process: StartBgp writes the options
// of path selection, which every server reads when it is given a path. (A server
// reads them when a session comes up, too, and may then see the same values
// being written again.)
var processMu sync.Mutex //nolint:gochecknoglobals // guards GoBGP's globals

// Host opens sessions.
type Host struct{ log slog.Handler }

// NewHost returns a Host that logs to a handler. GoBGP's lines are details:
// its Info is logged as Debug.
func NewHost(log slog.Handler) *Host { return &Host{log: log} }

// Open starts a session and hands it the routes before it first connects, so
// that the peer's End-of-RIB never flushes a route that is merely late. changed
// is called, from any goroutine, after every change of Status; it must not
// block. The session runs until Close, whatever becomes of ctx.
func (h *Host) Open(ctx context.Context, cfg speaker.SessionConfig, routes []speaker.Route, changed func()) (*Session, error) {
	s := &Session{
		cfg:     cfg,
		changed: changed,
		routes:  map[netip.Prefix]speaker.Route{},
		lost:    make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
	s.status.Phase = speaker.SessionDown
	s.status.Since = time.Now()
	ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.server = server.NewBgpServer(server.LoggerOption(slog.New(newLogHandler(h.log, s.heard)), nil))
	go s.server.Serve()
	if err := s.start(ctx, routes); err != nil {
		s.cancel()
		s.server.Stop()
		return nil, fmt.Errorf("session with peer %q: %w", cfg.Peer, err)
	}
	go s.reconnect(ctx)
	return s, nil
}

// start gives the server its routes, then its peer.
func (s *Session) start(ctx context.Context, routes []speaker.Route) error {
	processMu.Lock()
	err := s.server.StartBgp(ctx, &api.StartBgpRequest{Global: &api.Global{
		Asn:        s.cfg.LocalASN,
		RouterId:   s.cfg.RouterID.String(),
		ListenPort: -1, // never listens: port 179 stays free for others on the host
	}})
	processMu.Unlock()
	if err != nil {
		return err
	}
	if err := s.learnNothing(ctx); err != nil {
		return err
	}
	if err := s.Update(speaker.Delta{Announce: routes}); err != nil {
		return err
	}
	err = s.server.WatchEvent(ctx, server.WatchEventMessageCallbacks{
		OnPeerUpdate: func(e *apiutil.WatchEventMessage_PeerEvent, _ time.Time) { s.event(e) },
	}, server.WatchPeer())
	if err != nil {
		return err
	}
	return s.server.AddPeer(ctx, &api.AddPeerRequest{Peer: peer(s.cfg)})
}

// learnNothing keeps what the peer announces out of the routes: a speaker only
// announces, and a router may send the routes of other nodes.
func (s *Session) learnNothing(ctx context.Context) error {
	own := &api.Policy{Name: "own-routes", Statements: []*api.Statement{{
		Name:       "own-routes",
		Conditions: &api.Conditions{RouteType: api.Conditions_ROUTE_TYPE_LOCAL},
		Actions:    &api.Actions{RouteAction: api.RouteAction_ROUTE_ACTION_ACCEPT},
	}}}
	if err := s.server.AddPolicy(ctx, &api.AddPolicyRequest{Policy: own}); err != nil {
		return err
	}
	return s.server.AddPolicyAssignment(ctx, &api.AddPolicyAssignmentRequest{Assignment: &api.PolicyAssignment{
		Name:          "global",
		Direction:     api.PolicyDirection_POLICY_DIRECTION_IMPORT,
		Policies:      []*api.Policy{own},
		DefaultAction: api.RouteAction_ROUTE_ACTION_REJECT,
	}})
}
