// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/provider/azure/machines"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
	"github.com/fairlead/fairlead/pkg/provider/azure/routes"
)

// NewSettings are the settings of a cloud-config, in the cluster of that name.
func NewSettings(c *cloudconfig.Azure, cluster string) *Settings {
	s := &Settings{
		Cluster:            cluster,
		Subscription:       c.NetworkResourceSubscriptionID,
		NodeSubscription:   c.SubscriptionID,
		Location:           c.Location,
		Edge:               c.ExtendedLocationName,
		ResourceGroup:      c.ResourceGroup,
		LoadBalancerGroup:  c.LoadBalancer.ResourceGroup,
		SecurityGroupGroup: c.SecurityGroupResourceGroup,
		NetworkGroup:       c.VnetResourceGroup,
		PrivateLinkGroup:   c.PrivateLinkServiceResourceGroup,
		Network:            c.VnetName,
		Subnet:             c.SubnetName,
		SecurityGroup:      c.SecurityGroupName,
		LoadBalancer:       c.LoadBalancer.Name,
		Tags:               c.Tags,
		SystemTags:         c.SystemTags,
		Members:            ByInterface,
		Preconfigured:      map[names.Exposure]bool{},
		KeepControlPlane:   !c.LoadBalancer.ExcludeControlPlane,
		NoOutboundSNAT:     c.LoadBalancer.DisableOutboundSNAT,
		MutableIPTags:      c.LoadBalancer.MutateIPTags,
		Probes:             OwnProbes,
		SharedProbePort:    c.LoadBalancer.SharedProbePort,
		SharedProbePath:    c.LoadBalancer.SharedProbePath,
		Configurations:     newConfigurations(c.LoadBalancers),
	}
	if c.LoadBalancer.PoolType == cloudconfig.AzureNodeIP {
		s.Members = ByAddress
	}
	if c.LoadBalancer.SharedProbe {
		s.Probes = SharedProbe
	}
	for pools, exposure := range map[cloudconfig.AzurePools]names.Exposure{
		cloudconfig.AzureInternalPools: names.Internal, cloudconfig.AzureExternalPools: names.Public,
	} {
		if c.LoadBalancer.PreConfiguredPools.Has(pools) {
			s.Preconfigured[exposure] = true
		}
	}
	return s
}

// machineOptions are what the reader of machines has to know.
func machineOptions(c *cloudconfig.Azure) machines.Options {
	o := machines.Options{
		Subscription: c.SubscriptionID, ResourceGroup: c.ResourceGroup,
		VMType: machines.VMSS, Grace: c.NodeGracePeriod,
	}
	switch c.VMType {
	case cloudconfig.AzureStandardVM:
		o.VMType = machines.Standard
	case cloudconfig.AzureVMSSFlex:
		o.VMType = machines.VMSSFlex
	case cloudconfig.AzureVMSS:
	}
	return o
}

// routeOptions are what the keeper of the route table has to know.
func routeOptions(c *cloudconfig.Azure) routes.Options {
	o := routes.Options{
		TableID:  names.ID(c.NetworkResourceSubscriptionID, c.RouteTableResourceGroup, names.RouteTables, c.RouteTableName),
		Location: c.Location, SystemTags: c.SystemTags,
	}
	if names.Same(c.RouteTableResourceGroup, c.ResourceGroup) {
		o.Tags = c.Tags
	}
	return o
}
