// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/pkg/speaker"
)

// slowAPI takes writes of state objects as its test wants.
type slowAPI struct {
	API
	writes []speaker.NodeState
	owners []metav1.OwnerReference // of the last write
	update func(ctx context.Context) error
}

func (a *slowAPI) UpdateConfigMap(ctx context.Context, m *v1.ConfigMap) error {
	if a.update != nil {
		if err := a.update(ctx); err != nil {
			return err
		}
	}
	a.owners = m.OwnerReferences
	s, err := speaker.ParseState(m.Data[speaker.StateKey])
	if err == nil {
		a.writes = append(a.writes, s)
	}
	return err
}

// pass lets time pass in a synctest bubble, and waits for what comes of it.
func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // virtual time
	synctest.Wait()
}

func stateWith(up string, routes int) speaker.NodeState {
	return speaker.NodeState{Node: "node-a", Sessions: []speaker.SessionState{{Peer: "x", State: up, Routes: routes}}}
}

func TestCountsAreWrittenNowAndThenAndChangesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &slowAPI{}
		w := newStateWriter(Options{Client: api, Node: "node-a", Namespace: "ns"})
		stop := w.start(t.Context())
		defer stop()
		w.set(stateWith("Up", 0))
		synctest.Wait()
		for i := range 1000 {
			w.set(stateWith("Up", i+1))
			pass(20 * time.Millisecond)
		}
		synctest.Wait()
		if n := len(api.writes); n != 2 && n != 3 {
			t.Errorf("1,000 new counts within 20 s made %d writes, want one per 10 s", n)
		}
		before := len(api.writes)
		w.set(stateWith("Down", 1000))
		synctest.Wait()
		if n := len(api.writes) - before; n != 1 || api.writes[before].Sessions[0].State != "Down" {
			t.Errorf("a session that went down made %d writes at once, want 1", n)
		}
		pass(time.Minute)
		if last := api.writes[len(api.writes)-1]; last.Sessions[0].Routes != 1000 {
			t.Errorf("the last count written is %d", last.Sessions[0].Routes)
		}
	})
}

func TestFailedWriteIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		api := &slowAPI{update: func(context.Context) error {
			if tries++; tries < 4 {
				return apierrors.NewServiceUnavailable("away")
			}
			return nil
		}}
		w := newStateWriter(Options{Client: api, Node: "node-a", Namespace: "ns"})
		stop := w.start(t.Context())
		defer stop()
		w.set(stateWith("Up", 1))
		pass(10 * time.Second)
		if tries != 4 || len(api.writes) != 1 {
			t.Errorf("%d tries and %d writes after 10 s, want 4 and 1", tries, len(api.writes))
		}
	})
}

// TestWriterStopsWhileAWriteHangs would spin for ever where a write that was
// cut off is tried again without a look at the context.
func TestWriterStopsWhileAWriteHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &slowAPI{update: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		w := newStateWriter(Options{Client: api, Node: "node-a", Namespace: "ns"})
		stop := w.start(t.Context())
		w.set(stateWith("Up", 1))
		synctest.Wait()
		stop()
	})
}

// deafAPI fails to read state objects for a while.
type deafAPI struct {
	API
	failures int
}

func (a *deafAPI) ConfigMap(context.Context, string, string) (*v1.ConfigMap, error) {
	if a.failures--; a.failures >= 0 {
		return nil, apierrors.NewServiceUnavailable("not now")
	}
	text, err := stateWith("Up", 3).Marshal()
	return &v1.ConfigMap{Data: map[string]string{speaker.StateKey: text}}, err
}

func TestStateIsReadHoweverLongItTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, err := readState(t.Context(), Options{Client: &deafAPI{failures: 50}, Node: "node-a", Namespace: "ns"})
		if err != nil || got.Node != "node-a" {
			t.Errorf("got %v, %v: want the state, after 50 failures", got, err)
		}
	})
}

func TestStateBelongsToItsNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &slowAPI{}
		w := newStateWriter(Options{Client: api, Node: "node-a", Namespace: "ns"})
		stop := w.start(t.Context())
		defer stop()
		s := stateWith("Up", 0)
		w.set(s)
		synctest.Wait()
		if len(api.owners) != 0 {
			t.Errorf("owned by %v, though no Node is known", api.owners)
		}
		s.NodeUID = "uid-1"
		w.set(s)
		synctest.Wait()
		want := metav1.OwnerReference{APIVersion: "v1", Kind: "Node", Name: "node-a", UID: "uid-1"}
		if len(api.owners) != 1 || api.owners[0] != want {
			t.Errorf("owned by %v, want %v", api.owners, want)
		}
	})
}
