// SPDX-License-Identifier: Apache-2.0

package azure_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure"
	"github.com/fairlead/fairlead/pkg/provider/providertest"
	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
)

// liveProvider is the whole provider on the simulated cloud, with a clock that
// stands still.
func (w *wired) liveProvider(t *testing.T, services ...*v1.Service) (*azure.Provider, *clocktesting.FakePassiveClock) {
	t.Helper()
	conf, err := cloudconfig.Parse([]byte(`{"tenantId": "22222222-2222-2222-2222-222222222222", "subscriptionId": "` + azuresim.DefaultSubscription +
		`", "resourceGroup": "rig", "location": "eastus", "vnetName": "rig-vnet", "subnetName": "rig-subnet", "securityGroupName": "rig-nsg",
		"useManagedIdentityExtension": true, "loadBalancerBackendPoolConfigurationType": "nodeIP"}`))
	if err != nil || conf.Azure == nil {
		t.Fatal(err, conf)
	}
	indexer := func() cache.Indexer {
		return cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	}
	known := indexer()
	for _, svc := range services {
		if err := known.Add(svc); err != nil {
			t.Fatal(err)
		}
	}
	nodes := indexer()
	for i := range w.nodes {
		if err := nodes.Add(w.nodes[i]); err != nil {
			t.Fatal(err)
		}
	}
	clock := clocktesting.NewFakePassiveClock(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	return azure.New(azure.Options{
		Client: w.client, Config: conf.Azure, Cluster: "kubernetes", Clock: clock,
		Services: corelisters.NewServiceLister(known), Nodes: corelisters.NewNodeLister(nodes),
	}), clock
}

// Zones that were read once count on while they cannot be read; without any, a
// Service that needs a new address fails.
func TestZonesOfBeforeCountWhenTheyCannotBeRead(t *testing.T) {
	for name, known := range map[string]bool{"known from before": true, "never known": false} {
		t.Run(name, func(t *testing.T) {
			w := wire(t, story{})
			p, clock := w.liveProvider(t)
			batch := w.batch(item(newService("web", "TCP:80"), provider.Serve, provider.Edit))
			if known {
				if _, err := p.Observe(t.Context(), batch); err != nil {
					t.Fatal(err)
				}
				clock.SetTime(clock.Now().Add(time.Hour))
			}
			w.cloud.SetFault(func(call azuresim.Call) *azuresim.Fault {
				if call.Method != http.MethodGet || !strings.HasSuffix(call.ID, "/providers/Microsoft.Compute") {
					return nil
				}
				return azuresim.Refuse(http.StatusForbidden, "AuthorizationFailed", 0)
			})
			pass, err := p.Observe(t.Context(), batch)
			if err != nil {
				t.Fatal(err)
			}
			d := providertest.Decide(t, pass)
			if refused := d.Refused[batch.Items[0].Key]; (refused == nil) != known {
				t.Errorf("the Service is refused: %v", refused)
			}
			if d.Plan.Empty() == known {
				t.Errorf("got\n%s", d.Plan)
			}
		})
	}
}
