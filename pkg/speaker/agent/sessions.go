// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"k8s.io/klog/v2"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/speaker"
)

// patience is how long a new session may take to come up before it is told as
// down: routers take a few seconds.
const patience = 10 * time.Second

// session is a peer of the node: its session, or why it has none.
type session struct {
	peer    *cloudconfig.Peer
	cfg     speaker.SessionConfig
	link    Session // nil while blocked
	blocked string  // why there is no session
	doubted string  // why its password cannot be read any more
	since   time.Time
	told    speaker.SessionPhase // what the last event said
	updates uint64               // that the metric knows
}

// status is what is known of the peer.
func (s *session) status() speaker.SessionStatus {
	if s.link == nil {
		return speaker.SessionStatus{Phase: speaker.SessionBlocked, Since: s.since, LastError: s.blocked}
	}
	st := s.link.Status()
	if s.doubted != "" {
		st.LastError = s.doubted
	}
	return st
}

// sync makes the sessions those of the view and hands them the changes. It
// returns after how long it wants to look again (0: not by itself).
func (l *loop) sync(ctx context.Context, deltas map[string]speaker.Delta) time.Duration {
	wanted := map[string]bool{}
	passwords := map[cloudconfig.Password]bool{}
	for _, p := range l.view.Peers() {
		wanted[p.Name], passwords[p.Password] = true, true
		l.keep(ctx, p, deltas[p.Name])
	}
	for _, name := range slices.Sorted(maps.Keys(l.sessions)) {
		if !wanted[name] {
			l.close(ctx, l.sessions[name], speaker.Withdraw)
			delete(l.sessions, name)
			l.agent.metrics.forget(name)
		}
	}
	l.agent.passwords.retain(passwords)
	return l.tell()
}

// keep makes one session what it should be.
func (l *loop) keep(ctx context.Context, p *cloudconfig.Peer, d speaker.Delta) {
	log := klog.FromContext(ctx).WithValues("peer", p.Name)
	s, ok := l.sessions[p.Name]
	if !ok {
		s = &session{since: time.Now(), blocked: errPending.Error()}
		l.sessions[p.Name] = s
	}
	s.peer = p
	password, err := l.agent.passwords.lookup(p.Password, s.status().Phase == speaker.SessionUp)
	if err != nil && s.link == nil {
		l.block(ctx, s, err)
		return
	}
	if err != nil {
		// A session that runs does not need its password again.
		password = s.cfg.Password
	}
	l.doubt(ctx, s, err)
	cfg := speaker.NewSessionConfig(p, l.node, l.agent.opts.Source, password)
	if s.link != nil && s.cfg == cfg {
		if d.Empty() {
			return
		}
		if err := s.link.Update(d); err != nil {
			log.Error(err, "Some routes were not handed on")
		}
		return
	}
	mode := speaker.Withdraw
	if s.cfg.SamePeer(cfg) {
		mode = speaker.Keep
	}
	l.close(ctx, s, mode)
	s.cfg = cfg
	link, err := l.agent.opts.Open(ctx, cfg, l.table.Routes(p.Name), l.agent.inbox.nudge)
	if err != nil {
		l.block(ctx, s, err)
		return
	}
	s.link, s.blocked, s.updates = link, "", 0
	log.Info("Session opened", "address", cfg.Address, "peerASN", cfg.PeerASN, "routerID", cfg.RouterID)
}

// block leaves a peer without a session and remembers why.
func (l *loop) block(ctx context.Context, s *session, err error) {
	if s.link == nil && s.blocked == err.Error() {
		return
	}
	l.close(ctx, s, speaker.Withdraw)
	s.blocked, s.since = err.Error(), time.Now()
	if !errors.Is(err, errPending) {
		klog.FromContext(ctx).Error(err, "Session blocked", "peer", s.peer.Name)
	}
}

// doubt logs once that the password of a running session cannot be read.
func (l *loop) doubt(ctx context.Context, s *session, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != s.doubted && !errors.Is(err, errPending) {
		klog.FromContext(ctx).Error(err, "The session goes on with the password that it has", "peer", s.peer.Name)
	}
	s.doubted = text
}

func (l *loop) close(ctx context.Context, s *session, mode speaker.CloseMode) {
	if s.link == nil {
		return
	}
	if err := s.link.Close(ctx, mode); err != nil {
		klog.FromContext(ctx).Error(err, "Session closed with an error", "peer", s.peer.Name)
	}
	s.link = nil
}

// tell writes an event for every session that went up or down since the last
// one, and for one that does not come up.
func (l *loop) tell() time.Duration {
	next := time.Duration(0)
	now := time.Now()
	for _, name := range slices.Sorted(maps.Keys(l.sessions)) {
		s := l.sessions[name]
		st := s.status()
		if st.Phase == s.told {
			continue
		}
		if st.Phase == speaker.SessionBlocked && st.LastError == errPending.Error() {
			continue
		}
		if left := patience - now.Sub(st.Since); st.Phase == speaker.SessionDown && s.told == 0 && left > 0 {
			next = shorter(next, left)
			continue
		}
		s.told = st.Phase
		l.events.session(s.peer, st)
		l.agent.metrics.transition(name, st.Phase)
	}
	return next
}

// end closes all sessions and writes the last state. A node that has left
// withdraws; on one that stays the routers keep the routes.
func (l *loop) end(ctx context.Context) {
	mode := speaker.Keep
	if l.life.Phase == speaker.Drained || l.life.Phase == speaker.Draining || l.life.Phase == speaker.Holding {
		mode = speaker.Withdraw
	}
	state := l.state()
	for _, name := range slices.Sorted(maps.Keys(l.sessions)) {
		l.close(ctx, l.sessions[name], mode)
	}
	for i := range state.Sessions {
		state.Sessions[i].State = speaker.SessionDown.String()
		state.Sessions[i].LastError = "the speaker was stopped"
	}
	state.Stopped = time.Now().UTC().Truncate(time.Second)
	l.stopStates() // so that none comes after the last
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	if err := l.states.write(ctx, state); err != nil {
		klog.FromContext(ctx).Error(err, "The last state was not written")
	}
	klog.FromContext(ctx).Info("Stopped", "routes", mode.String())
}
