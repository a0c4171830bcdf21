// SPDX-License-Identifier: Apache-2.0

package names

import (
	"fmt"
	"slices"
	"strings"
)

// Types of Azure resources.
const (
	LoadBalancers      = "Microsoft.Network/loadBalancers"
	PublicIPAddresses  = "Microsoft.Network/publicIPAddresses"
	SecurityGroups     = "Microsoft.Network/networkSecurityGroups"
	VirtualNetworks    = "Microsoft.Network/virtualNetworks"
	PrivateLinks       = "Microsoft.Network/privateLinkServices"
	RouteTables        = "Microsoft.Network/routeTables"
	collectionTemplate = "/subscriptions/%s/resourceGroups/%s/providers/%s"
)

// Children of load balancers and virtual networks.
const (
	Frontends   = "frontendIPConfigurations"
	Pools       = "backendAddressPools"
	Rules       = "loadBalancingRules"
	Probes      = "probes"
	Outbound    = "outboundRules"
	InboundNAT  = "inboundNatRules"
	InboundPool = "inboundNatPools"
	Subnets     = "subnets"
)

// Collection is the id of all resources of a type in a resource group.
func Collection(subscription, group, kind string) string {
	return fmt.Sprintf(collectionTemplate, subscription, group, kind)
}

// ID is the id of a resource.
func ID(subscription, group, kind, name string) string {
	return Collection(subscription, group, kind) + "/" + name
}

// Child is the id of a part of a resource.
func Child(parent, collection, name string) string {
	return parent + "/" + collection + "/" + name
}

// Last is the last segment of an id: the name.
func Last(id string) string {
	return id[strings.LastIndexByte(id, '/')+1:]
}

// HasPrefix reports whether s begins with the prefix, in any case.
func HasPrefix(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// CutPrefix is s without the prefix, in any case, and whether s begins with it; s
// itself where not.
func CutPrefix(s, prefix string) (string, bool) {
	if !HasPrefix(s, prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// Among reports whether s is in the list, in any case.
func Among(list []string, s string) bool {
	return slices.ContainsFunc(list, func(e string) bool { return strings.EqualFold(e, s) })
}

// Segment is the segment of an id after the one with this name, in any case,
// such as the resource group; empty when there is none.
func Segment(id, after string) string {
	parts := strings.Split(id, "/")
	for i := range len(parts) - 1 {
		if strings.EqualFold(parts[i], after) {
			return parts[i+1]
		}
	}
	return ""
}

// Group is the resource group of an id.
func Group(id string) string { return Segment(id, "resourceGroups") }

// Same reports whether two ids or names are of one resource: Azure compares
// without case.
func Same(a, b string) bool { return strings.EqualFold(a, b) }

// Key is the id or name in the form in which equal ones are equal strings.
func Key(id string) string { return strings.ToLower(id) }
