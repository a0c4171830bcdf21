// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"reflect"
	"testing"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/provider/providertest"
)

// Every field of the configuration counts from the next pass on, or from the
// next start on, where a change is told; or it is known to be for others.
func TestEveryFieldOfTheConfigurationCounts(t *testing.T) {
	base := func() *cloudconfig.Azure {
		return &cloudconfig.Azure{
			ResourceGroup: "rig", RouteTableResourceGroup: "rig", RouteTableName: "routes", VMType: cloudconfig.AzureVMSS,
			LoadBalancer:  cloudconfig.AzureLoadBalancer{PoolType: cloudconfig.AzureNodeIPConfiguration},
			LoadBalancers: []cloudconfig.AzureLoadBalancerConfig{{Name: "kubernetes"}},
		}
	}
	atOnce := []string{
		"VnetName", "VnetResourceGroup", "SubnetName", "SecurityGroupName", "SecurityGroupResourceGroup", "PrivateLinkServiceResourceGroup",
		"ExtendedLocationName", "LoadBalancer.Name", "LoadBalancer.ResourceGroup", "LoadBalancer.PreConfiguredPools", "LoadBalancer.PoolType",
		"LoadBalancer.ExcludeControlPlane", "LoadBalancer.DisableOutboundSNAT", "LoadBalancer.MutateIPTags", "LoadBalancer.SharedProbe",
		"LoadBalancer.SharedProbePort", "LoadBalancer.SharedProbePath", "LoadBalancers.Name", "LoadBalancers.AllowServicePlacement",
		"LoadBalancers.PrimaryVMSet", "LoadBalancers.ServiceLabelSelector", "LoadBalancers.ServiceNamespaceSelector", "LoadBalancers.NodeSelector",
	}
	forOthers := []string{
		"ConfigType",           // of those who read the file
		"ExtendedLocationType", // the type of all edge zones is the same
	}
	providertest.EveryFieldCounts(t, providertest.Fields[cloudconfig.Azure]{
		Base: base, AtOnce: atOnce, Elsewhere: forOthers,
		Now:   func(c *cloudconfig.Azure) any { return NewSettings(c, "kubernetes") },
		Start: func(c *cloudconfig.Azure) any { return atStart(c) },
	})
	none := base()
	none.LoadBalancers = nil
	if reflect.DeepEqual(atStart(base()), atStart(none)) {
		t.Error("several load balancers that go ask for no restart")
	}
}
