// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// ConditionProgrammed is the condition of a Service that waits or has failed,
// and of one for which that has ended.
const ConditionProgrammed = "fairlead.dev/Programmed"

const (
	// ReasonProgrammed is the reason of the condition when it is true.
	ReasonProgrammed = "Programmed"
	// reasonFailed is the reason when nobody gave one.
	reasonFailed = "SyncFailed"
	// longWait is a wait that the user is told of.
	longWait = 2 * time.Second
	// tellers is how many conditions are written at once.
	tellers = 8
)

// teller tells users how their Services do: by events, and by a condition. It
// tells each thing once. It keeps what is to be told until it is written.
type teller struct {
	Options
	queue workqueue.TypedRateLimitingInterface[ident]

	mu   sync.Mutex // protects news and told
	news map[ident]message
	told map[ident]said
}

// said is what a user was told last about a Service that is still there.
type said struct {
	err     error
	notices []provider.Notice
}

// message is what there is to tell about one Service.
type message struct {
	item    provider.Item
	err     error
	notices []provider.Notice
	removed bool
	aside   bool // how the Service does was not found out: only notices count
}

func newTeller(o Options) *teller {
	return &teller{
		Options: o,
		queue:   workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[ident]()),
		news:    map[ident]message{},
		told:    map[ident]said{},
	}
}

// tell puts the newest message about a Service in place of the last. Notices
// that were not told yet are kept: they are of what happened, not of how it is.
func (t *teller) tell(id ident, item provider.Item, out outcome) {
	t.mu.Lock()
	notices := slices.Concat(t.news[id].notices, out.notices)
	t.news[id] = message{item: item, err: out.err, notices: notices, removed: out.removed}
	t.mu.Unlock()
	t.queue.Add(id)
}

// note tells notices, and leaves what is known of the Service as it is.
func (t *teller) note(id ident, item provider.Item, notices []provider.Notice) {
	t.mu.Lock()
	m, untold := t.news[id]
	if !untold {
		m = message{item: item, err: t.told[id].err, aside: true}
	}
	m.notices = slices.Concat(m.notices, notices)
	t.news[id] = m
	t.mu.Unlock()
	t.queue.Add(id)
}

// forget drops what is known of a Service whose load balancer is gone.
func (t *teller) forget(id ident) {
	t.mu.Lock()
	delete(t.told, id)
	t.mu.Unlock()
}

// run writes until ctx ends.
func (t *teller) run(ctx context.Context) {
	var workers sync.WaitGroup
	for range tellers {
		workers.Go(func() {
			for t.next(ctx) {
			}
		})
	}
	<-ctx.Done()
	t.queue.ShutDown()
	workers.Wait()
}

func (t *teller) next(ctx context.Context) bool {
	id, quit := t.queue.Get()
	if quit {
		return false
	}
	defer t.queue.Done(id)
	t.mu.Lock()
	m, ok := t.news[id]
	last := t.told[id]
	delete(t.news, id)
	if done := m.removed && m.err == nil; ok && !done && t.exists(id) {
		t.told[id] = said{err: m.err, notices: m.notices}
	} else if ok {
		delete(t.told, id)
	}
	t.mu.Unlock()
	if ok {
		t.sendEvents(m, last)
		m.notices = nil // told; a retry is about the condition alone
		if !m.aside {
			t.retryUnless(ctx, t.writeCondition(ctx, m), id, m)
		}
	}
	return true
}

// exists reports whether this life of the Service is still there.
func (t *teller) exists(id ident) bool {
	svc, err := t.Services.Services(id.Namespace).Get(id.Name)
	return err == nil && svc.UID == id.uid
}

// retryUnless keeps a message whose condition could not be written.
func (t *teller) retryUnless(ctx context.Context, err error, id ident, m message) {
	if err == nil || apierrors.IsNotFound(err) {
		t.queue.Forget(id)
		return
	}
	klog.FromContext(ctx).V(2).Info("Condition not written yet", "service", id.Key, "err", err)
	t.mu.Lock()
	if _, newer := t.news[id]; !newer {
		t.news[id] = m
	}
	t.mu.Unlock()
	t.queue.AddRateLimited(id)
}

// sendEvents sends what was not said the last time.
func (t *teller) sendEvents(m message, last said) {
	if m.err != nil && (last.err == nil || last.err.Error() != m.err.Error()) {
		t.Recorder.Event(m.item.Service, v1.EventTypeWarning, reasonOf(m.err), m.err.Error())
	}
	for i, n := range m.notices {
		if slices.Contains(last.notices, n) || slices.Contains(m.notices[:i], n) {
			continue
		}
		kind := v1.EventTypeNormal
		if n.Warning {
			kind = v1.EventTypeWarning
		}
		t.Recorder.Event(m.item.Service, kind, n.Reason, n.Message)
	}
}

// writeCondition makes the condition of the Service say how it does. One that
// never waited nor failed has none.
func (t *teller) writeCondition(ctx context.Context, m message) error {
	svc, err := t.Services.Services(m.item.Key.Namespace).Get(m.item.Key.Name)
	if err != nil || t.Client == nil || svc.UID != m.item.Service.UID {
		return nil //nolint:nilerr // a Service that is gone has no condition
	}
	have := meta.FindStatusCondition(svc.Status.Conditions, ConditionProgrammed)
	if m.removed && m.err == nil {
		if have == nil {
			return nil
		}
		return t.patch(ctx, m.item.Key, map[string]any{"type": ConditionProgrammed, "$patch": "delete"})
	}
	want := t.condition(m.err, svc.Generation)
	if have == nil && want.Status == metav1.ConditionTrue {
		return nil
	}
	if have != nil && have.Status == want.Status && have.Reason == want.Reason && have.Message == want.Message {
		return nil
	}
	if have != nil && have.Status == want.Status {
		want.LastTransitionTime = have.LastTransitionTime
	}
	return t.patch(ctx, m.item.Key, want)
}

// condition is what the condition says: the cause and the cure, when there is
// an error.
func (t *teller) condition(err error, generation int64) metav1.Condition {
	c := metav1.Condition{
		Type: ConditionProgrammed, Status: metav1.ConditionTrue, Reason: ReasonProgrammed,
		ObservedGeneration: generation,
		LastTransitionTime: metav1.NewTime(t.Clock.Now()),
	}
	if err != nil {
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, reasonOf(err), err.Error()
	}
	return c
}

// patch writes one element of the conditions; others stay as they are.
func (t *teller) patch(ctx context.Context, key plan.Key, condition any) error {
	body, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": []any{condition}}})
	if err != nil {
		return fmt.Errorf("encode condition: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err = t.Client.CoreV1().Services(key.Namespace).Patch(ctx, key.Name, types.StrategicMergePatchType, body, metav1.PatchOptions{}, "status")
	if err != nil {
		return fmt.Errorf("write condition of %s: %w", key, err)
	}
	return nil
}

// reasonOf is the reason that the error carries.
func reasonOf(err error) string {
	if e, ok := errors.AsType[*plan.Error](err); ok && e.Reason != "" {
		return e.Reason
	}
	return reasonFailed
}
