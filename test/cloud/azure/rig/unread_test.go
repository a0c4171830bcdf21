// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	v1 "k8s.io/api/core/v1"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/harness"
)

// What one Service names, and what cannot be read, fails it alone: the others
// are served and follow the nodes, and that Service can be deleted.
func TestUnreadableNameFailsItsServiceAlone(t *testing.T) {
	type change map[string]string
	for name, tt := range map[string]struct {
		change   change
		refuses  string // reads with this in the path are denied
		sentence string
	}{
		"a resource group that cannot be": {
			change{"azure-load-balancer-resource-group": "a/b"},
			"nothing",
			`annotation service.beta.kubernetes.io/azure-load-balancer-resource-group is "a/b", but must be a name of`,
		},
		"a resource group without rights": {
			change{"azure-load-balancer-resource-group": "Secret"},
			"/resourceGroups/Secret/",
			`annotation service.beta.kubernetes.io/azure-load-balancer-resource-group names resource group "Secret", whose public IPs cannot be read: ` +
				"read public IPs in Secret: denied: the identity lacks Microsoft.Network/publicIPAddresses/read on ",
		},
		"a subnet without rights": {
			change{"azure-load-balancer-internal": "true", "azure-load-balancer-internal-subnet": "apps"},
			"/subnets/apps",
			`annotation service.beta.kubernetes.io/azure-load-balancer-internal-subnet names subnet "apps", which cannot be read: ` +
				"read subnet apps in rig: denied: the identity lacks Microsoft.Network/virtualNetworks/subnets/read on ",
		},
		"private link services without rights": {
			change{"azure-load-balancer-internal": "true", "azure-pls-create": "true"},
			"/privateLinkServices",
			`the private link services of resource group "rig" (annotation service.beta.kubernetes.io/azure-pls-resource-group, or privateLinkServiceResourceGroup in the cloud config) cannot be read: ` +
				"read private link services in rig: denied: the identity lacks Microsoft.Network/privateLinkServices/read on ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := begun(t, "nodeIP")
			w.sim.SetFault(func(call azuresim.Call) *azuresim.Fault {
				if call.Method != http.MethodGet || !strings.Contains(call.ID, tt.refuses) {
					return nil
				}
				return azuresim.Refuse(http.StatusForbidden, "AuthorizationFailed", 0)
			})
			services := many(20, badIndex, func(svc *v1.Service) {
				for key, value := range tt.change {
					svc.Annotations[prefix+key] = value
				}
			})
			w.othersServed(t, services, w.ensureEach(t, services), tt.sentence)
			if err := w.addNode("pool2", 0); err != nil {
				t.Fatal(err)
			}
			w.sim.ResetCalls()
			failed, err := w.Reconcile(harness.Quiet(t), w.Names(), harness.OfNodes)
			if len(failed) > 1 || (len(failed) == 1 && failed[0] != badName) {
				t.Errorf("after a new node %v failed: %v", failed, err)
			}
			if got := w.sim.Counts().Writes[azuresim.LoadBalancers]; got != 1 {
				t.Errorf("a new node took %d writes of load balancers", got)
			}
			w.Do(t, harness.Remove(badName))
			if w.Service(badName) != nil {
				t.Error("the Service cannot be deleted")
			}
		})
	}
}

// A Service whose public IP is in a group that cannot be read any more waits
// with its removal, and loses nothing.
func TestRemovalWaitsForWhatMayBeThere(t *testing.T) {
	w := begun(t, "nodeIP")
	w.sim.AddGroup("network")
	services := many(2, 1, func(svc *v1.Service) { svc.Annotations[prefix+"azure-load-balancer-resource-group"] = "network" })
	if errs := w.ensureEach(t, services); len(errs) > 0 {
		t.Fatal(errs)
	}
	w.sim.SetFault(func(call azuresim.Call) *azuresim.Fault {
		if call.Method != http.MethodGet || !strings.Contains(call.ID, "/resourceGroups/network/") {
			return nil
		}
		return azuresim.Refuse(http.StatusForbidden, "AuthorizationFailed", 0)
	})
	err := w.Controller(t).Sync(t.Context(), w.Service("web-01"))
	if err == nil || !strings.Contains(err.Error(), "whose public IPs cannot be read") {
		t.Errorf("the removal ended with %v", err)
	}
	w.Do(t, harness.Remove("web-00"))
	w.sim.SetFault(nil)
	w.Do(t, harness.Remove("web-01"))
	for _, doc := range w.sim.State() {
		if strings.Contains(string(doc), "kubernetes-a0000010") {
			t.Errorf("left over: %s", doc)
		}
	}
}

// The public IP in the resource group that the annotation named before goes,
// with an edit and with a removal.
func TestPublicIPOfTheGroupBeforeGoes(t *testing.T) {
	w := begun(t, "nodeIP")
	w.sim.AddGroup("network")
	services := many(2, -1, nil)
	for _, svc := range services {
		svc.Annotations[prefix+"azure-load-balancer-resource-group"] = "network"
	}
	if errs := w.ensureEach(t, services); len(errs) > 0 {
		t.Fatal(errs)
	}
	w.Do(t, annotate("web-00", "azure-load-balancer-resource-group", "rig"))
	svc := w.Service("web-01")
	svc.Annotations[prefix+"azure-load-balancer-resource-group"] = "a/b"
	if err := w.Services.Update(svc); err != nil {
		t.Fatal(err)
	}
	if failed, err := w.Reconcile(harness.Quiet(t), []string{"web-01"}, harness.OfServices); len(failed) != 1 {
		t.Errorf("a group that cannot be was taken: %v", err)
	}
	w.Do(t, harness.Remove("web-01"))
	for _, doc := range w.sim.State() {
		if strings.Contains(string(doc), "/resourceGroups/network/providers/Microsoft.Network/publicIPAddresses/") {
			t.Errorf("left over: %s", doc)
		}
	}
	if len(w.Service("web-00").Status.LoadBalancer.Ingress) != 1 {
		t.Error("the Service in its new group is not served")
	}
}

// A read that fails for a while holds back only the Service that asked for it,
// until it succeeds.
func TestReadThatFailsForAWhile(t *testing.T) {
	w := begun(t, "nodeIP")
	w.sim.AddGroup("network")
	var failures atomic.Int32
	w.sim.SetFault(func(call azuresim.Call) *azuresim.Fault {
		if call.Method == http.MethodGet && strings.Contains(call.ID, "/resourceGroups/network/") && failures.Add(1) <= 4 {
			return azuresim.Refuse(http.StatusInternalServerError, "InternalServerError", 0)
		}
		return nil
	})
	services := many(2, 1, func(svc *v1.Service) { svc.Annotations[prefix+"azure-load-balancer-resource-group"] = "network" })
	if errs := w.ensureEach(t, services); len(errs) > 0 {
		t.Fatal(errs)
	}
	if failures.Load() <= 4 {
		t.Error("the group was not read again")
	}
}
