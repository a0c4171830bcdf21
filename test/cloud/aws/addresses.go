// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"fmt"
	"slices"
)

// address is an elastic IP.
type address struct {
	AllocationID       string `json:"AllocationId"`
	AssociationID      string `json:"AssociationId,omitempty"`
	Domain             string
	InstanceID         string `json:"InstanceId,omitempty"`
	NetworkBorderGroup string
	NetworkInterfaceID string `json:"NetworkInterfaceId,omitempty"`
	PrivateIPAddress   string `json:"PrivateIpAddress,omitempty"`
	PublicIP           string `json:"PublicIp"`
	Tags               []tag  `ec2:"tagSet"`
}

type describeAddressesIn struct {
	AllocationIDs []string `in:"AllocationId"`
	PublicIPs     []string `in:"PublicIp"`
	Filters       []filter `in:"Filter"`
}

type describeAddressesOut struct {
	Addresses []address `ec2:"addressesSet"`
}

func (c *Cloud) describeAddresses(in describeAddressesIn) (any, *refusal) {
	l := listed[address]{
		prefix: "eipalloc-", malformed: "InvalidAllocationID.Malformed",
		missing: "InvalidAllocationID.NotFound", noun: "allocation ID",
		id: func(a *address) string { return a.AllocationID }, tags: func(a *address) []tag { return a.Tags },
		filters: map[string]func(*address) []string{
			"allocation-id":        one(func(a *address) string { return a.AllocationID }),
			"association-id":       one(func(a *address) string { return a.AssociationID }),
			"public-ip":            one(func(a *address) string { return a.PublicIP }),
			"domain":               one(func(a *address) string { return a.Domain }),
			"network-interface-id": one(func(a *address) string { return a.NetworkInterfaceID }),
		},
		most: 1000,
	}
	all := c.addresses.past(c.seen(EC2))
	for _, ip := range in.PublicIPs {
		if !slices.ContainsFunc(all, func(a *address) bool { return a.PublicIP == ip }) {
			return nil, bad("InvalidAddress.NotFound", "Address '%s' not found.", ip)
		}
	}
	if len(in.PublicIPs) > 0 {
		all = slices.DeleteFunc(all, func(a *address) bool { return !slices.Contains(in.PublicIPs, a.PublicIP) })
	}
	found, _, refused := list(c, all, l, in.AllocationIDs, question{Filters: in.Filters})
	return describeAddressesOut{Addresses: values(found)}, refused
}

type allocateAddressIn struct {
	Domain            string
	TagSpecifications []tagSpecification `in:"TagSpecification"`
}

type allocateAddressOut struct {
	AllocationID       string `json:"AllocationId"`
	Domain             string
	NetworkBorderGroup string
	PublicIP           string `json:"PublicIp"`
}

func (c *Cloud) allocateAddress(in allocateAddressIn) (any, *refusal) {
	if in.Domain != "" && in.Domain != "vpc" {
		return nil, wrong("Invalid value '%s' for domain.", in.Domain)
	}
	tags, refused := c.specified(in.TagSpecifications, "elastic-ip")
	if refused != nil {
		return nil, refused
	}
	if len(c.addresses.all()) >= c.limits.Addresses {
		return nil, bad("AddressLimitExceeded", "The maximum number of addresses has been reached.")
	}
	a := c.newAddress()
	a.Tags = withTags(nil, tags)
	c.addresses.put(a.AllocationID, a, c.now())
	return allocateAddressOut{
		AllocationID: a.AllocationID, Domain: a.Domain,
		NetworkBorderGroup: a.NetworkBorderGroup, PublicIP: a.PublicIP,
	}, nil
}

// newAddress is an elastic IP that is not stored yet.
func (c *Cloud) newAddress() *address {
	c.serials["public"]++
	n := c.serials["public"]
	return &address{
		AllocationID: c.newID("eipalloc"), Domain: "vpc", NetworkBorderGroup: c.region,
		PublicIP: fmt.Sprintf("203.0.%d.%d", 113+n/250, n%250+1),
	}
}

type releaseAddressIn struct {
	AllocationID string `json:"AllocationId"`
}

func (c *Cloud) releaseAddress(in releaseAddressIn) (any, *refusal) {
	a := c.addresses.get(in.AllocationID)
	if a == nil {
		return nil, bad("InvalidAllocationID.NotFound", "The allocation ID '%s' does not exist", in.AllocationID)
	}
	if a.AssociationID != "" {
		return nil, bad("InvalidIPAddress.InUse", "Address %s is in use.", a.PublicIP)
	}
	c.addresses.remove(in.AllocationID, c.now())
	return nil, nil
}
