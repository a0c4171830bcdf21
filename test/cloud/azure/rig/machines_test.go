// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/fairlead/fairlead/pkg/plan"
	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/harness"
)

// machineCalls answers calls about machines with the fault.
func (w *world) machineCalls(method, path string, fault *azuresim.Fault) {
	w.sim.SetFault(func(call azuresim.Call) *azuresim.Fault {
		if call.Method == method && strings.Contains(strings.ToLower(call.ID), strings.ToLower(path)) {
			return fault
		}
		return nil
	})
}

func (w *world) inPool(machine string) bool {
	doc, _ := w.sim.Get(machine)
	return strings.Contains(string(doc), "backendAddressPools/kubernetes\"")
}

// One machine that cannot join is left out; nobody fails by it. It joins when
// it can.
func TestMachineThatCannotJoinFailsNobody(t *testing.T) {
	denied := azuresim.Refuse(http.StatusForbidden, "AuthorizationFailed", 0)
	w := begun(t, "nodeIPConfiguration")
	second := w.sets["pool1"] + "/virtualMachines/1"
	w.machineCalls(http.MethodPut, second, denied)
	services := many(10, -1, nil)
	if errs := w.ensureEach(t, services); len(errs) > 0 {
		t.Fatalf("failed: %v", errs)
	}
	if !w.inPool(w.sets["pool1"]+"/virtualMachines/0") || w.inPool(second) {
		t.Error("the first machine alone has to be in the pool")
	}
	w.sim.SetFault(nil)
	w.Do(t, harness.Churn("look again", func() error { return nil }))
	if !w.inPool(second) {
		t.Error("the machine has not joined when it could")
	}
	w.machineCalls(http.MethodPut, "virtualMachineScaleSets/pool1", denied)
	w.Do(t, harness.Remove(w.Names()[1:]...))
}

// Where no machine can join, the Services are not served.
func TestPoolThatStaysEmptyFailsItsServices(t *testing.T) {
	w := begun(t, "nodeIPConfiguration")
	w.machineCalls(http.MethodPut, "/virtualMachineScaleSets/pool1/virtualMachines/", azuresim.Refuse(http.StatusForbidden, "AuthorizationFailed", 0))
	for name, err := range w.ensureEach(t, many(3, -1, nil)) {
		if plan.KindOf(err) == plan.Denied {
			return
		}
		t.Errorf("%s: %v", name, err)
	}
	t.Error("all are served, but nobody is in the pool")
}

// Machines that cannot be read stop no write of anything else: what was known
// of them counts, and nothing is lost where nothing was known.
func TestUnreadMachinesStopNobodyElse(t *testing.T) {
	for name, known := range map[string]bool{"known before": true, "never read": false} {
		t.Run(name, func(t *testing.T) {
			w := begun(t, "nodeIPConfiguration")
			services := many(2, -1, nil)
			if known {
				if errs := w.ensureEach(t, services[:1]); len(errs) > 0 {
					t.Fatal(errs)
				}
			}
			w.machineCalls(http.MethodGet, "/Microsoft.Compute/", azuresim.Refuse(http.StatusForbidden, "AuthorizationFailed", 0))
			if known {
				w.Do(t, harness.Churn("a node pass", func() error { return nil }))
			}
			w.sim.ResetCalls()
			errs := w.ensureEach(t, services[1:])
			if failed := plan.KindOf(errs[services[1].Name]) == plan.Denied && errs[services[1].Name] != nil; failed == known {
				t.Errorf("got %v", errs)
			}
			writes := w.sim.Counts().Writes
			if writes[azuresim.PublicIPs] == 0 || writes[azuresim.LoadBalancers] == 0 || writes[azuresim.SecurityGroups] == 0 {
				t.Errorf("written: %v", writes)
			}
			w.sim.SetFault(nil)
			w.Do(t, annotate(services[1].Name, "azure-load-balancer-tcp-idle-timeout", "9"))
			if len(w.Service(services[1].Name).Status.LoadBalancer.Ingress) == 0 || !w.inPool(w.sets["pool1"]+"/virtualMachines/1") {
				t.Error("not served when the machines can be read")
			}
		})
	}
}
