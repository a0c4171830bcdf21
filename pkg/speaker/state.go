// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"encoding/json"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Labels and key of the state object: one ConfigMap per node in the namespace
// of our own objects.
const (
	// LabelComponent has the value ComponentSpeaker on state objects.
	LabelComponent   = "fairlead.dev/component"
	ComponentSpeaker = "speaker"
	// StateKey is the key of the ConfigMap that holds the NodeState.
	StateKey = "state.json"
)

// StateName is the name of a node's state object.
func StateName(node string) string { return "speaker-" + node }

// NodeState is what a node's speaker says about itself in its state object.
type NodeState struct {
	Node string `json:"node"`
	// NodeUID is that of the Node object, which owns the state object: it is
	// deleted with it. Empty while there was none.
	NodeUID types.UID `json:"nodeUID,omitempty"`
	// Phase is Serving, Holding, Draining or Drained, see Phase.
	Phase string `json:"phase"`
	// Since is when the phase began; for a leaving node, when it began to leave.
	Since time.Time `json:"since,omitzero"`
	// Marked is true when the routes ask routers to prefer other paths.
	Marked bool `json:"marked,omitempty"`
	// Reason and Message say why the node announces nothing, when so.
	Reason  Reason `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// BootID is the machine's boot in which this was written.
	BootID string `json:"bootID,omitempty"`
	// Announced is true once the speaker announced in this boot: then a restart
	// does not wait for kube-proxy.
	Announced bool           `json:"announced,omitempty"`
	Sessions  []SessionState `json:"sessions"`
	// Stopped is when the speaker ended in good order; zero while it runs.
	Stopped time.Time `json:"stopped,omitzero"`
	Version string    `json:"version,omitempty"`
}

// SessionState is one session in a NodeState.
type SessionState struct {
	Peer    string `json:"peer"`
	Address string `json:"address"`
	PeerASN uint32 `json:"peerASN"`
	MyASN   uint32 `json:"myASN"`
	// State is Up, Down or Blocked, see SessionPhase.
	State string    `json:"state"`
	Since time.Time `json:"since,omitzero"`
	// LastError is why the session is, or last was, down.
	LastError string `json:"lastError,omitempty"`
	// Routes is how many routes the peer is sent. It may lag by ten seconds.
	Routes         int    `json:"routes"`
	LocalAddress   string `json:"localAddress,omitempty"`
	RemoteRouterID string `json:"remoteRouterID,omitempty"`
}

// Marshal is the state as the object holds it.
func (s NodeState) Marshal() (string, error) {
	b, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return "", fmt.Errorf("state of node %q: %w", s.Node, err)
	}
	return string(b), nil
}

// ParseState reads what Marshal wrote.
func ParseState(data string) (NodeState, error) {
	var s NodeState
	if err := json.Unmarshal([]byte(data), &s); err != nil {
		return NodeState{}, fmt.Errorf("%s: %w", StateKey, err)
	}
	return s, nil
}

// Lifecycle is where the node stood when the state was written.
func (s NodeState) Lifecycle() Lifecycle {
	return Lifecycle{Phase: ParsePhase(s.Phase), Since: s.Since}
}
