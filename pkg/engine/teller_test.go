// SPDX-License-Identifier: Apache-2.0

package engine

import (
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
