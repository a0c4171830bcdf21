// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/speaker"
)

// The reasons of a speaker's events. All are about the Node.
const (
	EventSessionUp       = "SessionUp"
	EventSessionDown     = "SessionDown"
	EventRoutesMarked    = "RoutesMarked"
	EventRoutesWithdrawn = "RoutesWithdrawn"
	EventRoutesRestored  = "RoutesRestored"
)

// recorder writes events about the speaker's node.
type recorder struct {
	broadcaster record.EventBroadcaster
	events      record.EventRecorder
	node        *corev1.ObjectReference
}

func newRecorder(client kubernetes.Interface, node string) *recorder {
	b := record.NewBroadcaster()
	b.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	return &recorder{
		broadcaster: b,
		events:      b.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "fairlead-speaker", Host: node}),
		// As kubelet does, the UID of a Node event is its name.
		node: &corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: node, UID: types.UID(node)},
	}
}

func (r *recorder) stop() { r.broadcaster.Shutdown() }

// session tells that a session went up or down.
func (r *recorder) session(p *cloudconfig.Peer, s speaker.SessionStatus) {
	kind, reason, text := corev1.EventTypeNormal, EventSessionUp, "is up"
	if s.Phase != speaker.SessionUp {
		kind, reason, text = corev1.EventTypeWarning, EventSessionDown, "is down"
		if s.LastError != "" {
			text += ": " + s.LastError
		}
	}
	r.events.Event(r.node, kind, reason, fmt.Sprintf("BGP session with peer %q (%s, AS %d) %s", p.Name, p.Address, p.PeerASN, text))
}

// phase tells that the node began to leave, has left or came back.
func (r *recorder) phase(n speaker.Node, was, is speaker.Phase) {
	why := n.Leaving
	if !n.Known {
		why = "there is no Node object"
	}
	switch {
	case is == speaker.Draining:
		r.events.Event(r.node, corev1.EventTypeNormal, EventRoutesMarked, "The node leaves ("+why+"): its routes are marked GRACEFUL_SHUTDOWN")
	case is == speaker.Drained && was != 0:
		r.events.Event(r.node, corev1.EventTypeNormal, EventRoutesWithdrawn, "The node leaves ("+why+") and its drain time is over: its routes are withdrawn")
	case is == speaker.Serving && (was == speaker.Draining || was == speaker.Drained):
		r.events.Event(r.node, corev1.EventTypeNormal, EventRoutesRestored, "The node stays: its routes are announced again")
	}
}
