// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"github.com/fairlead/fairlead/pkg/speaker"
)

const (
	// countInterval is the least time between two writes of which the second
	// tells new counts of routes only.
	countInterval = 10 * time.Second
	// writeTimeout bounds one write.
	writeTimeout = 5 * time.Second
	// firstRetry and lastRetry bound the growing pauses after failed writes.
	firstRetry = time.Second
	lastRetry  = time.Minute
	// firstRead doubles up to lastRead while the state cannot be read.
	firstRead = 100 * time.Millisecond
	lastRead  = 5 * time.Second
)

// readState reads the node's state object, as long as it takes. None is the
// zero state. The error is ctx's.
func readState(ctx context.Context, o Options) (speaker.NodeState, error) {
	log := klog.FromContext(ctx)
	for wait := firstRead; ; wait = min(2*wait, lastRead) {
		cm, err := o.Client.ConfigMap(ctx, o.Namespace, speaker.StateName(o.Node))
		switch {
		case apierrors.IsNotFound(err):
			return speaker.NodeState{}, nil
		case err == nil:
			state, err := speaker.ParseState(cm.Data[speaker.StateKey])
			if err != nil {
				log.Error(err, "The state of the last run is not understood and not used", "object", klog.KObj(cm))
				return speaker.NodeState{}, nil
			}
			return state, nil
		}
		log.Error(err, "The state of the last run cannot be read")
		again := time.NewTimer(wait)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return speaker.NodeState{}, ctx.Err()
		}
	}
}

// stateWriter keeps the node's state object up to date: at once when something
// but counts changes, and at most every countInterval for counts.
type stateWriter struct {
	client    API
	node      string
	namespace string
	wake      chan struct{}

	mu      sync.Mutex
	want    speaker.NodeState
	written speaker.NodeState
	exists  bool // something was written
	at      time.Time
}

func newStateWriter(o Options) *stateWriter {
	return &stateWriter{client: o.Client, node: o.Node, namespace: o.Namespace, wake: make(chan struct{}, 1)}
}

// set says what the object shall hold.
func (w *stateWriter) set(s speaker.NodeState) {
	w.mu.Lock()
	news := !equalState(w.want, s, exactly)
	w.want = s
	w.mu.Unlock()
	if !news {
		return
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// start writes until ctx ends or the function that it returns is called, which
// waits for the end of a write under way.
func (w *stateWriter) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// run writes until ctx ends. What cannot be written is tried again.
func (w *stateWriter) run(ctx context.Context) {
	log := klog.FromContext(ctx)
	retry := firstRetry
	for ctx.Err() == nil {
		s, wait, pending := w.due(time.Now())
		switch {
		case !pending:
			pause(ctx, idle, w.wake)
			continue
		case wait > 0:
			pause(ctx, wait, w.wake)
			continue
		}
		err := w.write(ctx, s)
		if err == nil || ctx.Err() != nil {
			retry = firstRetry
			continue
		}
		log.Error(err, "The node's state was not written; trying again", "after", retry)
		pause(ctx, retry, nil)
		retry = min(2*retry, lastRetry)
	}
}

// pause returns after a time, when woken or when ctx ends.
func pause(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-timer.C:
	}
}

// due returns what is to be written, after how long, and whether anything is.
func (w *stateWriter) due(now time.Time) (speaker.NodeState, time.Duration, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.want.Node == "", w.exists && equalState(w.want, w.written, exactly):
		return speaker.NodeState{}, 0, false
	case w.exists && equalState(w.want, w.written, exceptCounts):
		return w.want, countInterval - now.Sub(w.at), true
	default:
		return w.want, 0, true
	}
}

// write puts a state into the object, which it makes when there is none.
func (w *stateWriter) write(ctx context.Context, s speaker.NodeState) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	data, err := s.Marshal()
	if err != nil {
		return err
	}
	want := &v1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name: speaker.StateName(w.node), Namespace: w.namespace,
			Labels: map[string]string{speaker.LabelComponent: speaker.ComponentSpeaker},
		},
		Data: map[string]string{speaker.StateKey: data},
	}
	if s.NodeUID != "" {
		want.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: w.node, UID: s.NodeUID}}
	}
	err = w.client.UpdateConfigMap(ctx, want)
	if apierrors.IsNotFound(err) {
		err = w.client.CreateConfigMap(ctx, want)
	}
	if err != nil {
		return fmt.Errorf("state object %s/%s: %w", w.namespace, want.Name, errors.Join(err, ctx.Err()))
	}
	w.mu.Lock()
	w.written, w.exists, w.at = s, true, time.Now()
	w.mu.Unlock()
	return nil
}

// comparison says how closely two states are compared.
type comparison uint8

const (
	exactly comparison = iota + 1
	exceptCounts
)

func equalState(a, b speaker.NodeState, c comparison) bool {
	if len(a.Sessions) != len(b.Sessions) {
		return false
	}
	for i := range a.Sessions {
		x, y := a.Sessions[i], b.Sessions[i]
		if c == exceptCounts {
			x.Routes, y.Routes = 0, 0
		}
		if !x.Since.Equal(y.Since) {
			return false
		}
		if x.Since, y.Since = (time.Time{}), (time.Time{}); x != y {
			return false
		}
	}
	return a.Node == b.Node && a.NodeUID == b.NodeUID && a.Phase == b.Phase && a.Since.Equal(b.Since) && a.Marked == b.Marked &&
		a.Reason == b.Reason && a.Message == b.Message && a.BootID == b.BootID &&
		a.Announced == b.Announced && a.Stopped.Equal(b.Stopped) && a.Version == b.Version
}
