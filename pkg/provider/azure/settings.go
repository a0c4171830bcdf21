// SPDX-License-Identifier: Apache-2.0

// Package azure serves Services with Azure's load balancers. Its core is pure:
// Compute turns what a few list calls answered and a batch of Services into
// the documents to write, the plan that explains them, and what is refused.
// Names, tags, priorities and fields are cloud-provider-azure's ("the peer" in
// comments), and so are the tests of whether something has to change: what it
// made needs no write.
package azure

import (
	"cmp"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/provider/azure/machines"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
	"github.com/fairlead/fairlead/pkg/provider/azure/routes"
)

// Members is how nodes join a backend pool. The zero value is none.
type Members uint8

// The ways to join a pool.
const (
	ByInterface Members = iota + 1 // the nodes' network interfaces name the pool
	ByAddress                      // the pool lists the nodes' addresses
)

// ProbeMode is how ports of Services with externalTrafficPolicy Cluster are
// probed. The zero value is none.
type ProbeMode uint8

// The probe modes.
const (
	OwnProbes   ProbeMode = iota + 1 // each port has a probe of its node port
	SharedProbe                      // one probe of the nodes for all
)

// Settings is what the cloud config says that load balancers depend on.
type Settings struct {
	Cluster string // --cluster-name
	// Subscription is that of load balancers, public IPs and the security
	// group; NodeSubscription that of the nodes and their virtual network.
	Subscription, NodeSubscription string
	Location                       string
	// Edge is the edge zone that all is made in; empty for none.
	Edge string

	ResourceGroup      string // of the cluster
	LoadBalancerGroup  string // empty: ResourceGroup
	SecurityGroupGroup string // empty: ResourceGroup
	NetworkGroup       string // of the virtual network; empty: ResourceGroup
	PrivateLinkGroup   string // empty: ResourceGroup

	Network       string // the virtual network
	Subnet        string
	SecurityGroup string
	// LoadBalancer is the name of the load balancers; empty: Cluster.
	LoadBalancer string
	// Configurations are several load balancers, with pools ByAddress alone;
	// empty: there is one.
	Configurations []Configuration

	// Tags are for all that is made. SystemTags are the prefixes of tags that
	// stay, when others that are not in Tags shall go; empty: all stay.
	Tags       map[string]string
	SystemTags []string

	Members Members
	// Preconfigured are the load balancers whose pools are not ours to touch.
	Preconfigured map[names.Exposure]bool
	// KeepControlPlane lets control-plane nodes serve.
	KeepControlPlane bool
	// NoOutboundSNAT is disableOutboundSnat of rules.
	NoOutboundSNAT bool
	// MutableIPTags: IP tags of public IPs can be changed in place.
	MutableIPTags bool

	Probes          ProbeMode
	SharedProbePort uint16
	SharedProbePath string
}

func (s *Settings) loadBalancerGroup() string { return cmp.Or(s.LoadBalancerGroup, s.ResourceGroup) }

func (s *Settings) privateLinkGroup() string { return cmp.Or(s.PrivateLinkGroup, s.ResourceGroup) }

func (s *Settings) networkGroup() string { return cmp.Or(s.NetworkGroup, s.ResourceGroup) }

// single is the name of the one load balancer configuration.
func (s *Settings) single() string { return cmp.Or(s.LoadBalancer, s.Cluster) }

// LoadBalancerID is the id of the load balancer with the name.
func (s *Settings) LoadBalancerID(name string) string {
	return names.ID(s.Subscription, s.loadBalancerGroup(), names.LoadBalancers, name)
}

// SecurityGroupID is the id of the network security group.
func (s *Settings) SecurityGroupID() string {
	return names.ID(s.Subscription, cmp.Or(s.SecurityGroupGroup, s.ResourceGroup), names.SecurityGroups, s.SecurityGroup)
}

// NetworkID is the id of the virtual network.
func (s *Settings) NetworkID() string {
	return names.ID(s.NodeSubscription, s.networkGroup(), names.VirtualNetworks, s.Network)
}

// SubnetID is the id of a subnet of the virtual network.
func (s *Settings) SubnetID(name string) string {
	return names.Child(names.ID(s.Subscription, s.networkGroup(), names.VirtualNetworks, s.Network), names.Subnets, name)
}

// PublicIPID is the id of a public IP.
func (s *Settings) PublicIPID(group, name string) string {
	return names.ID(s.Subscription, group, names.PublicIPAddresses, name)
}

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
