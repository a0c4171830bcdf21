// SPDX-License-Identifier: Apache-2.0

package machines

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/utils/clock"
)

func TestThoseWhoAskAtTheSameTimeShareACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.hold = make(chan struct{})
		r := NewReader(f, clock.RealClock{}, options())
		done := make(chan error)
		for range 20 {
			go func() {
				_, err := r.Instances().InstanceExists(t.Context(), node("n", uniformID("0")))
				done <- err
			}()
		}
		synctest.Wait()
		close(f.hold)
		for range 20 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if n := len(f.calls); n != 1 {
			t.Errorf("%d calls: %q", n, f.calls)
		}
	})
}

func TestACallThatEndsWithItsCallerIsMadeAgainByAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.hold = make(chan struct{})
		r := NewReader(f, clock.RealClock{}, options())
		ctx, cancel := context.WithCancel(t.Context())
		first, second := make(chan error, 1), make(chan error, 1)
		ask := func(ctx context.Context, done chan error) {
			_, err := r.Instances().InstanceExists(ctx, node("n", uniformID("0")))
			done <- err
		}
		go ask(ctx, first)
		synctest.Wait()
		go ask(t.Context(), second)
		synctest.Wait()
		cancel()
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Errorf("the first one got %v", err)
		}
		synctest.Wait()
		close(f.hold)
		if err := <-second; err != nil {
			t.Errorf("the second one got %v", err)
		}
	})
}

func TestOneWhoWantsANewerListingDoesNotTakeTheOneUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.hold = make(chan struct{})
		s := newShelf(f, clock.RealClock{}, parseScaleSet)
		c := setsOf(newGroup(subscription, "rig"))
		old := make(chan listing[ScaleSet], 1)
		go func() {
			list, _ := s.get(t.Context(), c, time.Time{})
			old <- list
		}()
		synctest.Wait()
		<-time.After(time.Second) // of the bubble
		asked := time.Now()
		fresh := make(chan listing[ScaleSet], 1)
		go func() {
			list, _ := s.get(t.Context(), c, asked)
			fresh <- list
		}()
		synctest.Wait()
		close(f.hold)
		if a, b := <-old, <-fresh; !a.begun.Before(asked) || b.begun.Before(asked) || len(f.calls) != 2 {
			t.Errorf("begun at %v and %v, asked at %v, %d calls", a.begun, b.begun, asked, len(f.calls))
		}
	})
}

func TestAFailedCallIsNotKept(t *testing.T) {
	f := newFake(t)
	c := setsOf(newGroup(subscription, "rig"))
	f.fail[c.path] = answer(http.StatusInternalServerError, "InternalServerError")
	f.fail["/subscriptions/"+subscription+"/resourcegroups/rig/providers/microsoft.compute/virtualmachinescalesets"] = f.fail[c.path]
	s := newShelf(f, clock.RealClock{}, parseScaleSet)
	if _, err := s.get(t.Context(), c, time.Time{}); err == nil {
		t.Fatal("no error")
	}
	f.fail = nil
	list, err := s.get(t.Context(), c, time.Time{})
	if err != nil || len(list.items) != 2 {
		t.Errorf("%d scale sets, %v", len(list.items), err)
	}
}
