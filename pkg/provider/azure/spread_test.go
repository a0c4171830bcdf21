// SPDX-License-Identifier: Apache-2.0

package azure_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure"
	"github.com/fairlead/fairlead/pkg/provider/azure/arm"
	"github.com/fairlead/fairlead/pkg/provider/azure/document"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
	"github.com/fairlead/fairlead/pkg/provider/providertest"
	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
)

// spread is a provider of two load balancers over the simulated cloud. The
// second one is for namespaces of the tier gold.
type spread struct {
	cloud                                  *azuresim.Cloud
	provider                               *azure.Provider
	services, nodes, namespaces, endpoints cache.Indexer
}

const twoBalancers = `{
	"tenantId": "22222222-2222-2222-2222-222222222222", "subscriptionId": %q, "resourceGroup": "rig", "location": "eastus",
	"vnetName": "rig-vnet", "subnetName": "rig-subnet", "securityGroupName": "rig-nsg", "useManagedIdentityExtension": true,
	"loadBalancerSku": "standard", "loadBalancerBackendPoolConfigurationType": "nodeIP",
	"multipleStandardLoadBalancerConfigurations": [
		{"name": "kubernetes", "primaryVMSet": "pool1"},
		{"name": "second", "primaryVMSet": "pool2", "serviceNamespaceSelector": {"matchLabels": {"tier": "gold"}}}]}`

func newSpread(t *testing.T) *spread {
	t.Helper()
	index := func() cache.Indexer {
		return cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	}
	s := &spread{
		cloud:    azuresim.New(azuresim.Options{MaxRetryAfter: time.Nanosecond}),
		services: index(), nodes: index(), namespaces: index(), endpoints: index(),
	}
	site, err := s.cloud.NewSite(azuresim.SiteOptions{Group: "rig"})
	if err != nil {
		t.Fatal(err)
	}
	for i, set := range []string{site.UniformScaleSet("pool1", 2), site.UniformScaleSet("pool2", 2)} {
		for j := range 2 {
			s.put(t, s.nodes, &v1.Node{
				ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node%d%d", i+1, j)},
				Spec:       v1.NodeSpec{ProviderID: fmt.Sprintf("azure://%s/virtualMachines/%d", set, j)},
				Status:     v1.NodeStatus{Addresses: []v1.NodeAddress{{Type: v1.NodeInternalIP, Address: fmt.Sprintf("10.240.0.%d", 10*(i+1)+j)}}},
			})
		}
	}
	server := s.cloud.Start()
	t.Cleanup(server.Close)
	conf, err := cloudconfig.Parse(fmt.Appendf(nil, twoBalancers, azuresim.DefaultSubscription))
	if err != nil || conf.Azure == nil {
		t.Fatalf("%v %v", err, conf)
	}
	client, err := arm.New(arm.Options{
		Cloud:    arm.Cloud{Endpoint: server.URL, Audience: "https://management.azure.com/", Authority: "https://login.example.com/"},
		Identity: arm.Identity{Credential: token("a-long-enough-token")},
		Times:    arm.Times{Poll: time.Millisecond, Retry: time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.provider = azure.New(azure.Options{
		Client: client, Config: conf.Azure, Cluster: "kubernetes",
		Services: corelisters.NewServiceLister(s.services), Nodes: corelisters.NewNodeLister(s.nodes),
		Spread: azure.Spread{Namespaces: corelisters.NewNamespaceLister(s.namespaces), Endpoints: discoverylisters.NewEndpointSliceLister(s.endpoints)},
	})
	return s
}

func (s *spread) put(t *testing.T, to cache.Indexer, obj any) {
	t.Helper()
	if err := to.Update(obj); err != nil {
		t.Fatal(err)
	}
}

// pass does one pass over the Service, and returns how many steps it had.
func (s *spread) pass(t *testing.T, svc *v1.Service, cause provider.Cause) int {
	t.Helper()
	batch := provider.Batch{Items: []provider.Item{item(svc, provider.Serve, cause)}}
	for _, obj := range s.nodes.List() {
		if n, ok := obj.(*v1.Node); ok {
			batch.Nodes = append(batch.Nodes, n)
		}
	}
	slices.SortFunc(batch.Nodes, func(a, b *v1.Node) int { return strings.Compare(a.Name, b.Name) })
	p, err := s.provider.Observe(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	d := providertest.Decide(t, p)
	if err := d.Refused[batch.Items[0].Key]; err != nil {
		t.Fatal(err)
	}
	for _, st := range d.Plan.Steps {
		if err := p.Execute(t.Context(), st, map[plan.Key]bool{}); err != nil {
			t.Fatal(err)
		}
	}
	return len(d.Plan.Steps)
}

// pools are the members of each pool, as "second/shop-web: node10 node20".
func (s *spread) pools(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, doc := range s.cloud.State() {
		var h struct{ ID string }
		if err := json.Unmarshal(doc, &h); err != nil {
			t.Fatal(err)
		}
		id := h.ID
		if names.Segment(id, "loadBalancers") == "" {
			continue
		}
		pools, err := document.ListAt(doc, "properties", names.Pools)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range pools.Elements() {
			members, err := document.ListAt(e.Raw, "properties", "loadBalancerBackendAddresses")
			if err != nil {
				t.Fatal(err)
			}
			text := fmt.Sprintf("%s/%s:", names.Last(id), e.Name)
			for _, m := range members.Elements() {
				text += " " + m.Name
			}
			out = append(out, text)
		}
	}
	slices.Sort(out)
	return out
}

// endpointsOn is an EndpointSlice of shop/web with endpoints on the nodes.
func endpointsOn(nodes ...string) *discoveryv1.EndpointSlice {
	es := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "web-1", Labels: map[string]string{discoveryv1.LabelServiceName: "web"},
	}}
	for _, n := range nodes {
		es.Endpoints = append(es.Endpoints, discoveryv1.Endpoint{NodeName: &n})
	}
	return es
}

func (s *spread) asked() bool {
	select {
	case <-s.provider.Changed():
		return true
	default:
		return false
	}
}

// Where Services go, and which nodes serve them, follows the labels of their
// namespace, the scale sets of nodes and the endpoints.
func TestSeveralLoadBalancersFollowTheCluster(t *testing.T) {
	s := newSpread(t)
	s.put(t, s.namespaces, &v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{"tier": "gold"}}})
	shared, web := newService("api", "TCP:81"), local(newService("web", "TCP:80"))
	before := endpointsOn("node10", "node20")
	s.put(t, s.services, shared)
	s.put(t, s.services, web)
	s.put(t, s.endpoints, before)
	s.pass(t, shared, provider.Edit)
	s.pass(t, web, provider.Edit)
	if diff := cmp.Diff([]string{"second/kubernetes: node10 node11 node20 node21", "second/shop-web: node10 node20"}, s.pools(t)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.provider.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	handler := s.provider.EndpointHandler()
	handler.OnAdd(before, true)
	handler.OnUpdate(before, endpointsOn("node20", "node10", "node10"))
	if s.asked() {
		t.Error("a pass for the same nodes")
	}
	after := endpointsOn("node21")
	s.put(t, s.endpoints, after)
	handler.OnUpdate(before, after)
	<-s.provider.Changed()
	if n := s.pass(t, web, provider.Config); n != 1 {
		t.Errorf("%d steps", n)
	}
	if diff := cmp.Diff([]string{"second/kubernetes: node10 node11 node20 node21", "second/shop-web: node21"}, s.pools(t)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if n := s.pass(t, web, provider.Resync); n != 0 {
		t.Errorf("%d steps", n)
	}
}
