// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/fairlead/fairlead/pkg/speaker"
)

// report tells metrics, readiness and the state object how things stand.
func (l *loop) report() {
	l.states.set(l.state())
	up := true
	for name, s := range l.sessions {
		st := s.status()
		if st.Updates < s.updates { // another session
			s.updates = 0
		}
		l.agent.metrics.session(name, st, st.Updates-s.updates)
		s.updates = st.Updates
		up = up && st.Phase == speaker.SessionUp
	}
	l.agent.metrics.phase(l.life.Phase)
	l.agent.ready.report(time.Now(), up)
}

// state is what the node's state object shall say.
func (l *loop) state() speaker.NodeState {
	l.restored = l.restored || l.life.Phase == speaker.Serving
	out := speaker.NodeState{
		Node:      l.agent.opts.Node,
		NodeUID:   l.node.UID,
		Phase:     l.life.Phase.String(),
		Since:     stamp(l.life.Since),
		Marked:    l.view.Marked(),
		BootID:    l.agent.opts.BootID,
		Announced: l.restored,
		Version:   l.agent.opts.Version,
		Sessions:  []speaker.SessionState{},
	}
	if w, ok := l.view.Silence(); ok {
		out.Reason, out.Message = w.Reason, w.Message
	}
	for _, name := range slices.Sorted(maps.Keys(l.sessions)) {
		s := l.sessions[name]
		st := s.status()
		out.Sessions = append(out.Sessions, speaker.SessionState{
			Peer:           name,
			Address:        s.peer.Address.String(),
			PeerASN:        s.peer.PeerASN,
			MyASN:          s.peer.MyASN,
			State:          st.Phase.String(),
			Since:          stamp(st.Since),
			LastError:      st.LastError,
			Routes:         st.Routes,
			LocalAddress:   addrString(st.LocalAddress),
			RemoteRouterID: addrString(st.RemoteRouterID),
		})
	}
	return out
}

// stamp is a time as objects hold it: UTC, whole seconds.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

func addrString(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
