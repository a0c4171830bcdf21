// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"strings"
	"sync/atomic"
	"testing"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/harness"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// Whatever changes while no controller is there is found at the next start.
func TestChangesWhileTheControllerIsDown(t *testing.T) {
	for _, pools := range variants() {
		t.Run(pools, trials(pools).Down)
	}
}

// once is a hook that acts at the first write of that method and type.
func once(method, kind string, at sim.Moment, act func()) func(sim.Moment, azuresim.Call) sim.Verdict {
	var done atomic.Bool
	return func(m sim.Moment, call azuresim.Call) sim.Verdict {
		if m == at && call.Method == method && call.Type == kind && done.CompareAndSwap(false, true) {
			act()
		}
		return sim.Proceed
	}
}

// What another writer changes between our look and our write is not undone.
func TestForeignChangeBetweenLookAndWriteSurvives(t *testing.T) {
	for _, tt := range []struct{ kind, name string }{
		{azuresim.LoadBalancers, "kubernetes"},
		{azuresim.SecurityGroups, "rig-nsg"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := begun(t, "nodeIP")
			w.Do(t, harness.Create(harness.NewService("web", 1, "TCP:80")))
			id := w.sim.ID("rig", tt.kind, tt.name)
			w.sim.SetHook(once("PUT", tt.kind, sim.BeforeCommit, func() {
				if err := w.sim.Edit(id, func(doc map[string]any) {
					doc["tags"] = map[string]any{"owner": "somebody", "late": "yes"}
				}); err != nil {
					t.Error(err)
				}
			}))
			before := len(w.sim.Calls())
			w.Do(t, harness.Create(harness.NewService("dns", 2, "UDP:53")))
			doc, _ := w.sim.Get(id)
			if !strings.Contains(string(doc), `"late":"yes"`) {
				t.Errorf("the other writer's tag is lost: %s", doc)
			}
			refused := 0
			for _, call := range w.sim.Calls()[before:] {
				if call.Status == 412 {
					refused++
				}
			}
			if refused != 1 {
				t.Errorf("%d writes were refused for their etag, want 1", refused)
			}
			if len(w.Service("dns").Status.LoadBalancer.Ingress) != 1 {
				t.Error("the Service is not served")
			}
		})
	}
}

// A public IP that was made for a Service, and that somebody has taken into use
// since, is not deleted with the Service.
func TestPublicIPInForeignUseIsKept(t *testing.T) {
	const name = "kubernetes-a0000000100004000800000000000000"
	for what, moment := range map[string]struct {
		method, kind string
		at           sim.Moment
	}{
		"when its load balancer let it go":  {"PUT", azuresim.LoadBalancers, sim.AfterCommit},
		"when its deletion is under way":    {"DELETE", azuresim.PublicIPs, sim.BeforeCommit},
		"when the security group is closed": {"PUT", azuresim.SecurityGroups, sim.AfterCommit},
	} {
		t.Run(what, func(t *testing.T) {
			w := begun(t, "nodeIP")
			w.Do(t, harness.Create(harness.NewService("web", 1, "TCP:80"), harness.NewService("dns", 2, "TCP:53")))
			ip := w.sim.ID("rig", azuresim.PublicIPs, name)
			var took atomic.Bool
			w.sim.SetHook(once(moment.method, moment.kind, moment.at, func() {
				_, err := w.sim.Make(w.sim.ID("rig", azuresim.LoadBalancers, "theirs"), map[string]any{
					"location": azuresim.DefaultLocation, "sku": map[string]any{"name": "Standard"},
					"properties": map[string]any{"frontendIPConfigurations": []any{map[string]any{
						"name": "front", "properties": map[string]any{"publicIPAddress": map[string]any{"id": ip}},
					}}},
				})
				took.Store(err == nil)
			}))
			w.Do(t, harness.Remove("web"))
			if _, there := w.sim.Get(ip); took.Load() && !there {
				t.Error("the public IP was deleted")
			} else if !took.Load() && there {
				t.Error("the public IP was not in use, but is still there")
			}
			if w.Service("web") != nil {
				t.Error("the Service is still there")
			}
			if len(w.Service("dns").Status.LoadBalancer.Ingress) != 1 {
				t.Error("the other Service is not served")
			}
		})
	}
}
