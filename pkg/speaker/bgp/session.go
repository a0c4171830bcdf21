// SPDX-License-Identifier: Apache-2.0

package bgp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	"github.com/osrg/gobgp/v4/pkg/server"

	"github.com/fairlead/fairlead/pkg/speaker"
)

// Session is one BGP session and the routes that it hands to its peer. Update
// and Close are called by one goroutine; Status by any.
type Session struct {
	cfg     speaker.SessionConfig
	server  *server.BgpServer
	changed func()
	cancel  context.CancelFunc
	lost    chan struct{} // the session went down and must be made anew
	done    chan struct{} // reconnect has ended

	routes map[netip.Prefix]speaker.Route // as handed to GoBGP; Update's alone

	mu     sync.Mutex
	status speaker.SessionStatus
	closed bool
	notice string // the NOTIFICATION that was seen while the session was up
}

// Update announces and withdraws routes. What is announced already in the same
// words is left alone. It returns the faults of single routes joined; the
// others are handed on. What GoBGP did not take is tried again by the next
// Update that names it.
func (s *Session) Update(d speaker.Delta) error {
	return errors.Join(s.announce(d.Announce), s.withdraw(d.Withdraw))
}

func (s *Session) announce(routes []speaker.Route) error {
	var errs []error
	var paths []*apiutil.Path
	var news []speaker.Route
	for _, r := range routes {
		if old, ok := s.routes[r.Prefix]; ok && old.Equal(r) {
			continue
		}
		p, err := path(s.cfg, r)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		paths, news = append(paths, p), append(news, r)
	}
	if len(paths) == 0 {
		return errors.Join(errs...)
	}
	if err := s.hand(func() error {
		_, err := s.server.AddPath(apiutil.AddPathRequest{Paths: paths})
		return err
	}); err != nil {
		return errors.Join(append(errs, fmt.Errorf("announce %d routes to peer %q: %w", len(paths), s.cfg.Peer, err))...)
	}
	for _, r := range news {
		s.routes[r.Prefix] = r
	}
	s.count(len(news))
	return errors.Join(errs...)
}

func (s *Session) withdraw(prefixes []netip.Prefix) error {
	var errs []error
	var paths []*apiutil.Path
	var gone []netip.Prefix
	for _, prefix := range prefixes {
		r, ok := s.routes[prefix]
		if !ok {
			continue
		}
		p, err := path(s.cfg, r)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		paths, gone = append(paths, p), append(gone, prefix)
	}
	if len(paths) == 0 {
		return errors.Join(errs...)
	}
	// By path and not by UUID: GoBGP looks for a UUID through all paths.
	if err := s.hand(func() error {
		return s.server.DeletePath(apiutil.DeletePathRequest{Paths: paths})
	}); err != nil {
		return errors.Join(append(errs, fmt.Errorf("withdraw %d routes from peer %q: %w", len(paths), s.cfg.Peer, err))...)
	}
	for _, prefix := range gone {
		delete(s.routes, prefix)
	}
	s.count(len(gone))
	return errors.Join(errs...)
}

// hand hands paths to GoBGP, one session at a time.
func (s *Session) hand(over func() error) error {
	processMu.Lock()
	defer processMu.Unlock()
	return over()
}

// count notes how many routes there are after n changed.
func (s *Session) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Routes = len(s.routes)
	s.status.Updates += uint64(n) //nolint:gosec // G115: a length
}

// Status returns what is known of the session now.
func (s *Session) Status() speaker.SessionStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Close ends the session and waits until it has ended. Calling it again does
// nothing.
func (s *Session) Close(ctx context.Context, mode speaker.CloseMode) error {
	s.mu.Lock()
	again := s.closed
	s.closed = true
	s.mu.Unlock()
	if again {
		return nil
	}
	s.cancel()
	<-s.done
	err := s.server.StopBgp(ctx, &api.StopBgpRequest{AllowGracefulRestart: mode == speaker.Keep})
	s.server.Stop() // ends the BFD server, which StopBgp leaves running
	if err != nil {
		return fmt.Errorf("close session with peer %q: %w", s.cfg.Peer, err)
	}
	return nil
}

// event follows the state of the session.
func (s *Session) event(e *apiutil.WatchEventMessage_PeerEvent) {
	if e.Type != apiutil.PEER_EVENT_STATE && e.Type != apiutil.PEER_EVENT_INIT {
		return
	}
	up := e.Peer.State.SessionState == bgp.BGP_FSM_ESTABLISHED
	s.mu.Lock()
	was := s.status.Phase == speaker.SessionUp
	if s.closed || up == was {
		s.mu.Unlock()
		if e.Peer.State.SessionState == bgp.BGP_FSM_IDLE && e.Peer.State.DisconnectMessage != "" {
			s.heard(disconnected(e.Peer.State.DisconnectMessage))
		}
		return
	}
	s.status.Since = time.Now()
	if up {
		s.status.Phase, s.notice = speaker.SessionUp, ""
		s.status.LocalAddress = e.Peer.Transport.LocalAddress.Unmap()
		s.status.RemoteRouterID = e.Peer.State.RouterID
	} else {
		s.status.Phase = speaker.SessionDown
		s.status.LastError = cmp.Or(s.notice, downReason(e.Peer.State))
	}
	s.mu.Unlock()
	if !up {
		select {
		case s.lost <- struct{}{}:
		default:
		}
	}
	s.changed()
}

// reconnect makes the peer anew after each loss: a used one waits 5 s before it
// connects again and would not say that forwarding was preserved.
func (s *Session) reconnect(ctx context.Context) {
	defer close(s.done)
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.lost:
		}
		for err := s.renew(ctx); err != nil; err = s.renew(ctx) {
			s.heard("reconnect: " + err.Error())
			again := time.NewTimer(max(s.cfg.ConnectRetry, time.Second))
			select {
			case <-again.C:
			case <-ctx.Done():
				again.Stop()
				return
			}
		}
	}
}

// renew replaces the peer by a new one of the same configuration.
func (s *Session) renew(ctx context.Context) error {
	known := false
	address := s.cfg.Address.String()
	err := s.server.ListPeer(ctx, &api.ListPeerRequest{Address: address}, func(*api.Peer) { known = true })
	if err != nil {
		return err
	}
	if known {
		if err := s.server.DeletePeer(ctx, &api.DeletePeerRequest{Address: address}); err != nil {
			return err
		}
	}
	return s.server.AddPeer(ctx, &api.AddPeerRequest{Peer: peer(s.cfg)})
}

// heard takes note of a fault that GoBGP met. While the session is up it is the
// NOTIFICATION that ends it, of which the event of the end may not tell.
func (s *Session) heard(fault string) {
	s.mu.Lock()
	if s.status.Phase == speaker.SessionUp {
		s.notice = fault
	}
	news := !s.closed && s.status.Phase != speaker.SessionUp && s.status.LastError != fault
	if news {
		s.status.LastError = fault
	}
	s.mu.Unlock()
	if news {
		s.changed()
	}
}
