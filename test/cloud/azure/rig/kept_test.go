// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/harness"
)

// members counts a pool's members, by address and by network interface.
func (w *world) members(t *testing.T, balancer string) (addresses, interfaces int) {
	t.Helper()
	raw, ok := w.sim.Get(w.sim.ID("rig", azuresim.LoadBalancers, balancer))
	if !ok {
		t.Fatalf("no load balancer %s", balancer)
	}
	var doc struct {
		Properties struct {
			BackendAddressPools []struct {
				Name       string
				Properties struct {
					LoadBalancerBackendAddresses []struct{ Properties struct{ IPAddress string } }
					BackendIPConfigurations      []json.RawMessage
				}
			}
		}
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	for _, p := range doc.Properties.BackendAddressPools {
		if p.Name != "kubernetes" {
			continue
		}
		for _, a := range p.Properties.LoadBalancerBackendAddresses {
			if a.Properties.IPAddress != "" {
				addresses++
			}
		}
		interfaces = len(p.Properties.BackendIPConfigurations)
	}
	return addresses, interfaces
}

// reconfigure lets a new controller live, with pools of this type.
func (w *world) reconfigure(t *testing.T, pools string) {
	t.Helper()
	w.pools = pools
	w.Restart(t)
}

// The other type of pool reaches also the pools of Services that are refused,
// and those of load balancers that the first batch is not about: none that
// serves goes empty.
func TestOtherPoolTypeKeepsServing(t *testing.T) {
	for _, to := range variants() {
		t.Run("to "+to, func(t *testing.T) {
			from := map[string]string{"nodeIP": "nodeIPConfiguration", "nodeIPConfiguration": "nodeIP"}[to]
			w := begun(t, from)
			services := many(3, -1, nil)
			services[2].Annotations[prefix+"azure-load-balancer-internal"] = "true"
			if errs := w.ensureEach(t, services); len(errs) > 0 {
				t.Fatal(errs)
			}
			for _, name := range []string{"web-00", "web-01"} {
				svc := w.Service(name)
				svc.Annotations[prefix+"azure-load-balancer-tcp-idle-timeout"] = "1000"
				if err := w.Services.Update(svc); err != nil {
					t.Fatal(err)
				}
			}
			w.reconfigure(t, to)
			failed, _ := w.Reconcile(harness.Quiet(t), []string{"web-00"}, harness.OfServices)
			if len(failed) != 1 {
				t.Fatalf("the Service that is refused did not fail: %v", failed)
			}
			for _, lb := range []string{"kubernetes", "kubernetes-internal"} {
				var addresses, interfaces int
				err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, harness.LongestSettle, true, func(context.Context) (bool, error) {
					addresses, interfaces = w.members(t, lb)
					return (to == "nodeIP") == (addresses == 2) && (to == "nodeIP" || addresses == 0 && interfaces >= 2), nil
				})
				if err != nil {
					t.Errorf("%s has %d addresses and %d network interfaces", lb, addresses, interfaces)
				}
			}
		})
	}
}

// Nodes come into the pool of a Service that is refused, though Azure throttles
// the first write: it is tried again.
func TestKeptServiceFollowsNodesThroughThrottling(t *testing.T) {
	w := begun(t, "nodeIP")
	w.Do(t, harness.Create(harness.NewService("web", 1, "TCP:80")))
	svc := w.Service("web")
	svc.Annotations[prefix+"azure-load-balancer-tcp-idle-timeout"] = "1000"
	if err := w.Services.Update(svc); err != nil {
		t.Fatal(err)
	}
	if err := w.addNode("pool2", 0); err != nil {
		t.Fatal(err)
	}
	var refused atomic.Bool
	w.sim.SetFault(func(call azuresim.Call) *azuresim.Fault {
		if call.Method != http.MethodPut || !strings.Contains(call.ID, "/loadBalancers/") || refused.Swap(true) {
			return nil
		}
		return azuresim.Refuse(http.StatusConflict, "AnotherOperationInProgress", 0)
	})
	if failed, _ := w.Reconcile(harness.Quiet(t), []string{"web"}, harness.OfNodes); len(failed) != 1 {
		t.Error("the refused Service did not fail")
	}
	if addresses, _ := w.members(t, "kubernetes"); addresses != 3 || !refused.Load() {
		t.Errorf("the pool has %d members", addresses)
	}
}
