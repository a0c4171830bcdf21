// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fairlead/fairlead/pkg/provider"
)

// What was told about a Service is not kept beyond its life.
func TestTellerForgetsServicesThatAreGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCloud())
		told := newTeller(r.Options)
		defer told.queue.ShutDown()
		svc := r.put(t, service("web", 80))
		id, item := identOf(svc), provider.Item{Key: keyOf("web"), Service: svc}
		notice := []provider.Notice{{Reason: "DriftFound", Message: "it differs"}}
		told.note(id, item, notice)
		told.next(t.Context())
		if len(told.told) != 1 {
			t.Errorf("%d Services known, want the one that is there", len(told.told))
		}
		if err := r.services.Delete(svc); err != nil {
			t.Fatal(err)
		}
		told.forget(id)
		told.note(id, item, notice) // of a drift pass that began before
		told.next(t.Context())
		if len(told.told) != 0 {
			t.Errorf("known: %v, want nobody", told.told)
		}
	})
}

func TestSuccessFromTheStartWritesNoCondition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCloud())
		r.serve(t, service("web", 80))
		synctest.Wait()
		if n := len(r.client.Actions()); n != 0 {
			t.Errorf("%d calls to the API server, want none: %v", n, r.client.Actions())
		}
	})
}

func TestEventsAreSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.fault = always(invalid("never"))
		r := start(t, c)
		svc := r.put(t, service("web", 80))
		for range 3 {
			if err := r.ensure(t, svc); err == nil {
				t.Fatal("no error")
			}
			synctest.Wait()
		}
		if said := r.said(); len(said) != 1 {
			t.Errorf("events %q, want one", said)
		}
	})
}

// The sentence of a provider names what it was about, so nothing is put before it.
func TestWhatFailedIsNamedOnce(t *testing.T) {
	tests := map[string]struct {
		err  error
		want string
	}{
		"by the provider": {invalid("write address web: denied; grant it"), "write address web: denied; grant it"},
		"by the engine":   {errors.New("no such file"), "create address " + keyOf("web").String() + ": no such file"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCloud()
				c.fault = always(tt.err)
				r := start(t, c)
				if err := r.ensure(t, r.put(t, service("web", 80))); err == nil || err.Error() != tt.want {
					t.Errorf("the caller got %q, want %q", err, tt.want)
				}
				synctest.Wait()
				if said := r.said(); len(said) != 1 || !strings.HasSuffix(said[0], " "+tt.want) {
					t.Errorf("events %q, want one with %q", said, tt.want)
				}
			})
		})
	}
}

func TestNoticesOfQuickPassesAreAllTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCloud())
		tell := newTeller(r.Options)
		svc := r.put(t, service("web", 80))
		item := provider.Item{Key: keyOf("web"), Service: svc}
		for _, text := range []string{"first", "second", "second"} {
			tell.tell(identOf(svc), item, outcome{notices: []provider.Notice{{Reason: "Told", Message: text}}})
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			tell.run(ctx)
			close(done)
		}()
		synctest.Wait()
		cancel()
		<-done
		if said := r.said(); !slices.Equal(said, []string{"Normal Told first", "Normal Told second"}) {
			t.Errorf("events %q, want each notice once", said)
		}
	})
}
