// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"strings"
	"testing"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/harness"
)

// Alone in the cloud, no call is refused: each write knows what the steps
// before it have moved.
func TestUndisturbedScenarioIsNeverRefused(t *testing.T) {
	for _, pools := range variants() {
		t.Run(pools, func(t *testing.T) {
			w := begun(t, pools)
			for _, s := range scenario(w) {
				before := len(w.sim.Calls())
				w.Do(t, s)
				w.neverRefused(t, s.Name, before)
			}
		})
	}
}

// A public IP that lists another Service stays when its frontend goes: it is
// written after the load balancer, which moves its etag.
func TestPublicIPOfAnotherServiceOutlivesItsFrontend(t *testing.T) {
	w := begun(t, "nodeIP")
	w.Do(t, harness.Create(harness.NewService("web", 1, "TCP:80"), harness.NewService("dns", 2, "TCP:53")))
	ip := w.sim.ID("rig", azuresim.PublicIPs, "kubernetes-a0000000100004000800000000000000")
	if err := w.sim.Edit(ip, func(doc map[string]any) {
		tags, _ := doc["tags"].(map[string]any)
		tags["k8s-azure-service"] = "shop/web,shop/ghost"
	}); err != nil {
		t.Fatal(err)
	}
	w.sim.ResetCalls()
	w.Do(t, harness.Remove("web"))
	doc, _ := w.sim.Get(ip)
	if !strings.Contains(string(doc), `"k8s-azure-service":"shop/ghost"`) || strings.Contains(string(doc), `"ipConfiguration"`) {
		t.Errorf("the public IP is %s", doc)
	}
	w.neverRefused(t, "delete web", 0)
}

// neverRefused checks the writes since a call.
func (w *world) neverRefused(t *testing.T, step string, since int) {
	t.Helper()
	for _, call := range w.sim.Calls()[since:] {
		if call.Kind == azuresim.Write && call.Status >= 400 {
			t.Errorf("%s: %s %s got %d %s", step, call.Method, call.ID, call.Status, call.Code)
		}
	}
}
