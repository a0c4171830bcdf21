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
