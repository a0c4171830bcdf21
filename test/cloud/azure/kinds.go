// SPDX-License-Identifier: Apache-2.0

package azuresim

import "strings"

// API versions that are served: those of armnetwork v9, armcompute v7 and
// armresources, and the one of the network resources of scale sets.
const (
	networkVersion   = "2025-05-01"
	computeVersion   = "2025-04-01"
	scaleSetVersion  = "2018-10-01"
	providersVersion = "2021-04-01"
)

// kind is what the simulator knows of one type of resource.
type kind struct {
	name    string
	version string
	// verbs are the methods that a resource of the type takes.
	verbs string
	// children are the arrays in properties whose elements are resources too.
	children []string
	// held says that a PUT holds its answer until it is done.
	held bool
	// operation is the word in PutXOperation.
	operation string

	// prepare judges a PUT and fills in what the server fills in.
	prepare func(*write) *refusal
	// complete is run when a PUT is done; nil for most.
	complete func(*Cloud, *resource)
	// links are the references that others feel.
	links func(*resource) []link
	// derive writes the back-references; nil for most.
	derive func(*Cloud, *resource)
	// inUse refuses a DELETE; nil when nothing holds a resource of the type.
	inUse func(*Cloud, *resource) *refusal
}

func (k *kind) compute() bool { return strings.HasPrefix(k.name, "Microsoft.Compute/") }

const (
	readOnly  = "GET"
	readWrite = "GET PUT"
	allVerbs  = "GET PUT DELETE"
)

// kindTable is every type that is stored, by its name in lower case. Types of
// children are not in it: they live in their parents' documents.
func kindTable() map[string]*kind {
	table := map[string]*kind{}
	for _, k := range append(networkKinds(), computeKinds()...) {
		k.version = networkVersion
		if k.compute() {
			k.version = computeVersion
		}
		table[strings.ToLower(k.name)] = k
	}
	return table
}

func networkKinds() []*kind {
	return []*kind{
		{
			name: LoadBalancers, verbs: allVerbs, held: true, operation: "LoadBalancer",
			children: []string{
				"frontendIPConfigurations", "backendAddressPools", "loadBalancingRules", "probes",
				"inboundNatRules", "outboundRules", "inboundNatPools",
			},
			prepare: prepareLoadBalancer, links: loadBalancerLinks,
			derive: deriveLoadBalancer, inUse: loadBalancerInUse,
		},
		{
			name: PublicIPs, verbs: allVerbs, operation: "PublicIpAddress",
			prepare: preparePublicIP, complete: completePublicIP, links: publicIPLinks,
			derive: derivePublicIP, inUse: publicIPInUse,
		},
		{
			name: PublicIPPrefixes, verbs: readOnly, operation: "PublicIpPrefix",
			derive: derivePrefix,
		},
		{
			name: SecurityGroups, verbs: allVerbs, operation: "NetworkSecurityGroup",
			children: []string{"securityRules", "defaultSecurityRules"},
			prepare:  prepareSecurityGroup, derive: deriveSecurityGroup, inUse: securityGroupInUse,
		},
		{
			name: RouteTables, verbs: allVerbs, operation: "RouteTable", children: []string{"routes"},
			prepare: prepareRouteTable, derive: deriveRouteTable, inUse: routeTableInUse,
		},
		{
			name: VirtualNetworks, verbs: allVerbs, operation: "VirtualNetwork",
			children: []string{"subnets", "virtualNetworkPeerings"},
			prepare:  prepareNetwork, links: networkLinks, derive: deriveNetwork, inUse: networkInUse,
		},
		{
			name: PrivateLinks, verbs: allVerbs, operation: "PrivateLinkService",
			children: []string{"ipConfigurations", "privateEndpointConnections"},
			prepare:  preparePrivateLink, links: privateLinkLinks, inUse: privateLinkInUse,
		},
		{
			name: Interfaces, verbs: allVerbs, held: true, operation: "NetworkInterface",
			children: []string{"ipConfigurations"},
			prepare:  prepareInterface, links: interfaceLinks, derive: deriveInterface, inUse: interfaceInUse,
		},
	}
}

func computeKinds() []*kind {
	return []*kind{
		{
			name: ScaleSets, verbs: readWrite, operation: "VirtualMachineScaleSet",
			prepare: prepareScaleSet, complete: completeScaleSet, links: scaleSetLinks,
		},
		{
			name: Instances, verbs: readWrite, operation: "VirtualMachineScaleSetVM",
			prepare: prepareInstance, links: instanceLinks,
		},
		{name: Machines, verbs: readOnly, operation: "VirtualMachine", links: machineLinks},
		{name: AvailabilitySets, verbs: readOnly, operation: "AvailabilitySet", derive: deriveAvailabilitySet},
	}
}

// childOf finds the parent's kind and the array for a path one level below a
// stored resource, such as a load balancer's backendAddressPools.
func (c *Cloud) childOf(id resourceID) (parent *kind, array string) {
	n := len(id.types) - 1
	k := c.kinds[strings.ToLower(id.namespace+"/"+strings.Join(id.types[:n], "/"))]
	if k == nil {
		return nil, ""
	}
	for _, array := range k.children {
		if strings.EqualFold(array, id.types[n]) {
			return k, array
		}
	}
	return nil, ""
}
