// SPDX-License-Identifier: Apache-2.0

package votefront_test

import (
	"strings"
	"testing"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/azure/votefront"
)

func TestSiteIsMadeAndCanBeSeededAgain(t *testing.T) {
	cloud := azuresim.New(azuresim.Options{})
	if err := votefront.Prepare(cloud, 2); err != nil {
		t.Fatal(err)
	}
	state := cloud.State()
	again := azuresim.New(azuresim.Options{})
	if err := again.Seed(state); err != nil {
		t.Fatal(err)
	}
	if err := again.Scale(again.ID(votefront.Group, azuresim.ScaleSets, votefront.ScaleSet), 3); err != nil {
		t.Fatal(err)
	}
	if got, want := len(again.State()), len(state)+1; got != want {
		t.Errorf("%d resources with one more node, want %d", got, want)
	}
	doc, ok := again.Get(again.ID(votefront.Group, azuresim.PublicIPs, votefront.StaticIP))
	if !ok || !strings.Contains(string(doc), votefront.StaticAddress().String()) {
		t.Errorf("the static public IP is %s", doc)
	}
}

func TestNodesHaveTheAddressesOfTheirMachines(t *testing.T) {
	cloud := azuresim.New(azuresim.Options{})
	if err := votefront.Prepare(cloud, 3); err != nil {
		t.Fatal(err)
	}
	var state strings.Builder
	for _, doc := range cloud.State() {
		state.Write(doc)
	}
	for i := range byte(3) {
		id := strings.TrimPrefix(votefront.RegisteredNode(i).Spec.ProviderID, "azure://")
		if doc, ok := cloud.Get(id); !ok || !strings.Contains(string(doc), votefront.Node(i).Name) {
			t.Errorf("instance %s is %s", id, doc)
		}
		if !strings.Contains(state.String(), `"`+votefront.NodeAddress(i).String()+`"`) {
			t.Errorf("nothing has the address %s", votefront.NodeAddress(i))
		}
	}
}

func TestBalancingLeavesOutThePoolOfAllNodes(t *testing.T) {
	cloud := azuresim.New(azuresim.Options{})
	if err := votefront.Prepare(cloud, 1); err != nil {
		t.Fatal(err)
	}
	before, err := votefront.Balancing(cloud.State())
	if err != nil {
		t.Fatal(err)
	}
	for pool, same := range map[string]bool{votefront.ClusterName: true, "other": false} {
		err := cloud.Edit(cloud.ID(votefront.Group, azuresim.LoadBalancers, votefront.ClusterName), func(doc map[string]any) {
			properties, _ := doc["properties"].(map[string]any)
			pools, _ := properties["backendAddressPools"].([]any)
			properties["backendAddressPools"] = append(pools[:1:1], map[string]any{"name": pool})
		})
		if err != nil {
			t.Fatal(err)
		}
		if after, err := votefront.Balancing(cloud.State()); err != nil || (after == before) != same {
			t.Errorf("with pool %s: %v\n%s", pool, err, after)
		}
	}
}

func TestCloudConfigIsWithoutFault(t *testing.T) {
	text, err := votefront.CloudConfig("http://127.0.0.1:1", map[string]any{"loadBalancerBackendPoolConfigurationType": "nodeIP"})
	if err != nil {
		t.Fatal(err)
	}
	conf, err := cloudconfig.Parse(text)
	if err != nil || conf.Azure == nil || len(conf.Faults) > 0 {
		t.Fatalf("%v, %v, faults %v", conf.Azure, err, conf.Faults)
	}
	if conf.Azure.LoadBalancer.PoolType != cloudconfig.AzureNodeIP {
		t.Errorf("pools hold %s", conf.Azure.LoadBalancer.PoolType)
	}
}
