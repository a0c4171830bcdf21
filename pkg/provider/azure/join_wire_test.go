// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure/arm"
	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
)

type anyToken struct{}

func (anyToken) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "any", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// A pass that finds a machine which is still being made has it looked at again,
// until it has joined, and tells that nothing serves meanwhile.
func TestPassTellsOfMachinesThatWait(t *testing.T) {
	sim := azuresim.New(azuresim.Options{})
	server := sim.Start()
	t.Cleanup(server.Close)
	site, err := sim.NewSite(azuresim.SiteOptions{Group: "rig", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.240.0.0/20")}})
	if err != nil {
		t.Fatal(err)
	}
	set := site.UniformScaleSet("pool1", 1)
	client, err := arm.New(arm.Options{
		Cloud:    arm.Cloud{Endpoint: server.URL, Audience: "https://management.azure.com", Authority: "https://login.example.com/"},
		Identity: arm.Identity{Credential: anyToken{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	conf, err := cloudconfig.Parse([]byte(`{"tenantId": "t", "subscriptionId": "` + azuresim.DefaultSubscription +
		`", "resourceGroup": "rig", "location": "eastus", "vnetName": "rig-vnet", "subnetName": "rig-subnet", "securityGroupName": "rig-nsg", "useManagedIdentityExtension": true}`))
	if err != nil {
		t.Fatal(err)
	}
	machine := set + "/virtualMachines/0"
	node := &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "pool1-0"}, Spec: v1.NodeSpec{ProviderID: "azure://" + machine},
		Status: v1.NodeStatus{Addresses: []v1.NodeAddress{{Type: v1.NodeInternalIP, Address: "10.240.0.4"}}},
	}
	nodes := cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil)
	if err := nodes.Add(node); err != nil {
		t.Fatal(err)
	}
	clock := clocktesting.NewFakePassiveClock(time.Now())
	p := New(Options{
		Client: client, Config: conf.Azure, Cluster: "kubernetes", Clock: clock, Nodes: corelisters.NewNodeLister(nodes),
		Services: corelisters.NewServiceLister(cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil)),
	})
	svc := &v1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "11111111-2222-3333-4444-555555555555"},
		Spec: v1.ServiceSpec{
			Type: v1.ServiceTypeLoadBalancer, IPFamilies: []v1.IPFamily{v1.IPv4Protocol},
			Ports: []v1.ServicePort{{Port: 80, NodePort: 30080, Protocol: v1.ProtocolTCP}},
		},
	}
	in, _ := intent.New(svc, intent.Azure, intent.Annotations())
	batch := provider.Batch{Nodes: []*v1.Node{node}, Items: []provider.Item{{Key: in.Key, Service: svc, Want: provider.Serve, Cause: provider.Nodes, Intent: in}}}
	for _, c := range []struct {
		state string
		want  time.Duration
	}{{"Creating", firstLook}, {"Succeeded", 0}} {
		if err := sim.Edit(machine, func(doc map[string]any) {
			properties, _ := doc["properties"].(map[string]any)
			properties["provisioningState"] = c.state
		}); err != nil {
			t.Fatal(err)
		}
		pass, err := p.Observe(t.Context(), batch)
		if err != nil {
			t.Fatal(err)
		}
		d := pass.Decide()
		if d.Again != c.want {
			t.Errorf("while %s it is looked at again after %s, want %s", c.state, d.Again, c.want)
		}
		told := slices.ContainsFunc(d.Notices[in.Key], func(n provider.Notice) bool { return n.Reason == provider.ReasonNoTargets })
		if told != (c.want > 0) {
			t.Errorf("while %s the Service is told %v", c.state, d.Notices[in.Key])
		}
		clock.SetTime(clock.Now().Add(d.Again))
	}
}
