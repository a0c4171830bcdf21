// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

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

const (
	// eventNamespace is where events about Nodes, which have no namespace, are.
	eventNamespace = metav1.NamespaceDefault
	// eventBacklog is how many events may wait for the API server; more are
	// dropped, for they are told by metrics and the state object as well.
	eventBacklog = 64
	// eventMemory is how many different events are counted rather than written
	// anew when they come again.
	eventMemory = 64
	// eventInterval is the least time between two writes of the same event: a
	// session that flaps costs at most one write for each of its texts.
	eventInterval = 10 * time.Second
)

// note is an event without its time.
type note struct{ kind, reason, text string }

// recorder writes events about the speaker's node. It is used by one goroutine,
// and run by another.
type recorder struct {
	client API
	node   string
	queue  chan note
	last   int64 // the number in the name of the last event, of run alone
}

func newRecorder(client API, node string) *recorder {
	return &recorder{client: client, node: node, queue: make(chan note, eventBacklog)}
}

// say queues an event, or drops it when too many wait.
func (r *recorder) say(kind, reason, text string) {
	select {
	case r.queue <- note{kind, reason, text}:
	default:
	}
}

// session tells that a session went up or down.
func (r *recorder) session(p *cloudconfig.Peer, s speaker.SessionStatus) {
	kind, reason, text := v1.EventTypeNormal, EventSessionUp, "is up"
	if s.Phase != speaker.SessionUp {
		kind, reason, text = v1.EventTypeWarning, EventSessionDown, "is down"
		if s.LastError != "" {
			text += ": " + s.LastError
		}
	}
	r.say(kind, reason, fmt.Sprintf("BGP session with peer %q (%s, AS %d) %s", p.Name, p.Address, p.PeerASN, text))
}

// phase tells that the node began to leave, has left or came back.
func (r *recorder) phase(n speaker.Node, was, is speaker.Phase) {
	why := n.Leaving
	if !n.Known {
		why = "there is no Node object"
	}
	switch {
	case is == speaker.Draining:
		r.say(v1.EventTypeNormal, EventRoutesMarked, "The node leaves ("+why+"): its routes are marked GRACEFUL_SHUTDOWN")
	case is == speaker.Drained && was != 0:
		r.say(v1.EventTypeNormal, EventRoutesWithdrawn, "The node leaves ("+why+") and its drain time is over: its routes are withdrawn")
	case is == speaker.Serving && (was == speaker.Draining || was == speaker.Drained):
		r.say(v1.EventTypeNormal, EventRoutesRestored, "The node stays: its routes are announced again")
	}
}

// told is an event that was written.
type told struct {
	name  string
	count int32
	at    time.Time
}

// run writes events until ctx ends.
func (r *recorder) run(ctx context.Context) {
	memory := map[note]*told{}
	for {
		select {
		case <-ctx.Done():
			return
		case n := <-r.queue:
			if err := r.write(ctx, memory, n); err != nil && ctx.Err() == nil {
				klog.FromContext(ctx).Error(err, "An event was not written", "reason", n.reason)
			}
		}
	}
}

// write writes an event anew, or counts one that was written before.
func (r *recorder) write(ctx context.Context, memory map[note]*told, n note) error {
	now := time.Now()
	t, again := memory[n]
	if again {
		if t.count++; now.Sub(t.at) < eventInterval {
			return nil
		}
		t.at = now
		err := r.count(ctx, *t)
		if !apierrors.IsNotFound(err) {
			return err
		}
	}
	if len(memory) >= eventMemory {
		clear(memory)
	}
	r.last = max(now.UnixNano(), r.last+1) // two of one moment have two names
	t = &told{name: fmt.Sprintf("%s.%x", r.node, r.last), count: 1, at: now}
	memory[n] = t
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	stamp := metav1.NewTime(now)
	return r.client.CreateEvent(ctx, &v1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: t.name, Namespace: eventNamespace},
		// As kubelet does, the UID in an event about a Node is its name.
		InvolvedObject:      v1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: r.node, UID: types.UID(r.node)},
		Type:                n.kind,
		Reason:              n.reason,
		Message:             n.text,
		Source:              v1.EventSource{Component: "fairlead-speaker", Host: r.node},
		ReportingController: "fairlead-speaker",
		ReportingInstance:   r.node,
		FirstTimestamp:      stamp,
		LastTimestamp:       stamp,
		Count:               1,
	})
}

// count tells that an event came again.
func (r *recorder) count(ctx context.Context, t told) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	patch, err := json.Marshal(map[string]any{"count": t.count, "lastTimestamp": metav1.NewTime(t.at)})
	if err != nil {
		return err
	}
	return r.client.PatchEvent(ctx, eventNamespace, t.name, patch)
}
