// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/speaker"
)

// announcement is what one node does with one Service.
type announcement struct {
	node     string
	decision speaker.Decision
	state    speaker.NodeState
	vitals   vitals
	faulty   bool // the decision rests on a cloud-config with faults
}

// announcements computes what every node decides for the Service: the same
// pure function as the speakers', over the same objects.
func (s *site) announcements(svc *v1.Service) []announcement {
	out := make([]announcement, 0, len(s.nodes))
	for _, n := range s.nodes {
		state := s.states[n.Name]
		view := speaker.NewView(speaker.Facts{
			Node: speaker.NodeFrom(n.Name, n), Phase: speaker.ParsePhase(state.Phase),
			Metal: s.config.Metal, Unclassed: speaker.UnclassedOurs,
		})
		out = append(out, announcement{
			node: n.Name, state: state, vitals: s.vitals(n), faulty: len(s.faults) > 0,
			decision: speaker.Decide(view, svc, s.slices[svc.Namespace+"/"+svc.Name]),
		})
	}
	return out
}

// session returns the state of the node's session with the peer.
func (a announcement) session(peer string) (speaker.SessionState, bool) {
	for _, s := range a.state.Sessions {
		if s.Peer == peer {
			return s, true
		}
	}
	return speaker.SessionState{}, false
}

// peerText names a peer, and says so when it does not hear of the route, or
// when nobody knows.
func (a announcement) peerText(peer string) string {
	s, ok := a.session(peer)
	switch {
	case a.vitals.pulse == noSpeaker:
		return peer + " (no speaker runs)"
	case !ok || s.State != sessionUp:
		return peer + " (session down)"
	case a.vitals.pulse == silent:
		return fmt.Sprintf("%s (last said Up at %s: %s)", peer, stamp(a.vitals.last, s.Since), a.vitals.why)
	}
	return peer
}

// sessionUp is the state of a session that carries routes.
const sessionUp = "Up"

// certainty is whether a node announces an address. The zero value is none.
type certainty uint8

const (
	withheld certainty = iota + 1
	unsure
	announced
)

// announces reports whether a peer hears of the address from the node.
func (a announcement) announces(ip netip.Addr) certainty {
	best := withheld
	for _, p := range a.decision.Paths {
		s, ok := a.session(p.Peer)
		if p.Addr != ip || !ok || s.State != sessionUp {
			continue
		}
		switch a.vitals.pulse {
		case running:
			return announced
		case silent:
			best = unsure
		case noSpeaker:
		}
	}
	for _, h := range a.decision.Withheld {
		if h.Addr == ip && a.doubted(h) {
			best = unsure
		}
	}
	return best
}

// doubted reports whether the node may announce all the same: the reason rests
// on a cloud-config with faults, the speaker goes on with its last good form,
// and it does send routes.
func (a announcement) doubted(h speaker.Withheld) bool {
	if !a.faulty || a.vitals.pulse == noSpeaker || a.sends() == "" {
		return false
	}
	switch h.Reason { //nolint:exhaustive // the others do not rest on the cloud-config
	case speaker.ReasonNotInAnyPool, speaker.ReasonNoAdvertisement, speaker.ReasonNodeNotSelected,
		speaker.ReasonNoPeerForNode, speaker.ReasonConflictingAdvertisements:
		return true
	}
	return false
}

// sends says how many routes the node sends to whom, by its own word.
func (a announcement) sends() string {
	var out []string
	for _, s := range a.state.Sessions {
		if s.State == sessionUp && s.Routes > 0 {
			out = append(out, fmt.Sprintf("%s to %s", count(s.Routes, "route"), s.Peer))
		}
	}
	return strings.Join(out, ", ")
}

// doubtText is said in place of a doubted reason.
func (a announcement) doubtText(h speaker.Withheld) string {
	return fmt.Sprintf("the speaker goes on with the last good form of what has a fault, and sends %s; by the cloud-config as it stands the reason would be %s",
		a.sends(), h.Reason)
}

// stamp is a time for people; the second counts where the first is not known.
func stamp(t, or time.Time) string {
	if t.IsZero() {
		t = or
	}
	return t.UTC().Format(time.RFC3339)
}
