// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"cmp"
	"fmt"
	"slices"
)

// address is an elastic IP.
type address struct {
	AllocationID            string `json:"AllocationId"`
	AssociationID           string `json:"AssociationId,omitempty"`
	Domain                  string
	InstanceID              string `json:"InstanceId,omitempty"`
	NetworkBorderGroup      string
	NetworkInterfaceID      string `json:"NetworkInterfaceId,omitempty"`
	NetworkInterfaceOwnerID string `json:"NetworkInterfaceOwnerId,omitempty"`
	PrivateIPAddress        string `json:"PrivateIpAddress,omitempty"`
	PublicIP                string `json:"PublicIp"`
	Tags                    []tag  `ec2:"tagSet"`
}

type describeAddressesIn struct {
	AllocationIDs []string `in:"AllocationId"`
	PublicIPs     []string `in:"PublicIp"`
	Filters       []filter `in:"Filter"`
}

type describeAddressesOut struct {
	Addresses []address `ec2:"addressesSet"`
}

// describeAddresses lists elastic IPs, all at once: AWS has no pages of them.
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
			"instance-id":          one(func(a *address) string { return a.InstanceID }),
			"network-border-group": one(func(a *address) string { return a.NetworkBorderGroup }),
			"network-interface-id": one(func(a *address) string { return a.NetworkInterfaceID }),
			"private-ip-address":   one(func(a *address) string { return a.PrivateIPAddress }),

			"network-interface-owner-id": one(func(a *address) string { return a.NetworkInterfaceOwnerID }),
		},
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
	Domain             string
	NetworkBorderGroup string
	TagSpecifications  []tagSpecification `in:"TagSpecification"`
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
	known := func(z *zone) bool { return c.borderGroup(z.ZoneName) == in.NetworkBorderGroup }
	if in.NetworkBorderGroup != "" && !slices.ContainsFunc(c.zones.all(), known) {
		return nil, wrong("Invalid value '%s' for NetworkBorderGroup.", in.NetworkBorderGroup)
	}
	tags, refused := c.specified(in.TagSpecifications, "elastic-ip")
	if refused != nil {
		return nil, refused
	}
	if len(c.addresses.all()) >= c.limits.Addresses {
		return nil, bad("AddressLimitExceeded", "The maximum number of addresses has been reached.")
	}
	a := c.newAddress()
	a.Tags, a.NetworkBorderGroup = withTags(nil, tags), cmp.Or(in.NetworkBorderGroup, c.region)
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

type associateAddressIn struct {
	AllocationID       string `json:"AllocationId"`
	InstanceID         string `json:"InstanceId"`
	NetworkInterfaceID string `json:"NetworkInterfaceId"`
	AllowReassociation bool
}

type associateAddressOut struct {
	AssociationID string `json:"AssociationId"`
}

// associateAddress gives an elastic IP to the interface of a machine, or to
// another one, but not to those of load balancing.
func (c *Cloud) associateAddress(in associateAddressIn) (any, *refusal) {
	a := c.addresses.get(in.AllocationID)
	switch {
	case a == nil:
		return nil, bad("InvalidAllocationID.NotFound", "The allocation ID '%s' does not exist", in.AllocationID)
	case (in.InstanceID == "") == (in.NetworkInterfaceID == ""):
		return nil, bad("InvalidParameterCombination", "You must specify an instance or a network interface, not both")
	case a.AssociationID != "" && !in.AllowReassociation:
		return nil, bad("Resource.AlreadyAssociated", "resource %s is already associated with associate-id %s", in.AllocationID, a.AssociationID)
	}
	at := slices.IndexFunc(c.allNICs(c.now()), func(n *networkInterface) bool {
		ofMachine := n.Attachment != nil && in.InstanceID != "" && n.Attachment.InstanceID == in.InstanceID && n.Attachment.DeviceIndex == 0
		return ofMachine || n.NetworkInterfaceID == in.NetworkInterfaceID
	})
	if at < 0 {
		return nil, bad("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '%s' does not exist", cmp.Or(in.NetworkInterfaceID, in.InstanceID))
	}
	n := c.allNICs(c.now())[at]
	if n.RequesterManaged || n.Association != nil {
		return nil, bad("OperationNotPermitted", "The interface '%s' takes no address", n.NetworkInterfaceID)
	}
	c.dissociate(a)
	association := &nicAssociation{AllocationID: a.AllocationID, AssociationID: c.newID("eipassoc"), PublicIP: a.PublicIP, IPOwnerID: c.account}
	c.setAssociation(n.NetworkInterfaceID, association)
	c.addresses.edit(a.AllocationID, c.now(), func(a *address) {
		a.AssociationID, a.NetworkInterfaceID, a.NetworkInterfaceOwnerID = association.AssociationID, n.NetworkInterfaceID, n.OwnerID
		a.PrivateIPAddress = n.PrivateIPAddress
		if n.Attachment != nil {
			a.InstanceID = n.Attachment.InstanceID
		}
	})
	return associateAddressOut{AssociationID: association.AssociationID}, nil
}

type disassociateAddressIn struct {
	AssociationID string `json:"AssociationId"`
}

func (c *Cloud) disassociateAddress(in disassociateAddressIn) (any, *refusal) {
	for _, a := range c.addresses.all() {
		if in.AssociationID == "" || a.AssociationID != in.AssociationID {
			continue
		}
		if n := c.nics.get(a.NetworkInterfaceID); n != nil && n.RequesterManaged {
			return nil, bad("AuthFailure", "You do not have permission to access the specified resource.")
		}
		c.dissociate(a)
		return nil, nil
	}
	return nil, bad("InvalidAssociationID.NotFound", "The association ID '%s' does not exist", in.AssociationID)
}

// dissociate takes an elastic IP off its interface.
func (c *Cloud) dissociate(a *address) {
	if a.NetworkInterfaceID == "" {
		return
	}
	c.setAssociation(a.NetworkInterfaceID, nil)
	c.addresses.edit(a.AllocationID, c.now(), func(a *address) {
		a.AssociationID, a.InstanceID, a.NetworkInterfaceID, a.NetworkInterfaceOwnerID, a.PrivateIPAddress = "", "", "", "", ""
	})
}

// setAssociation sets what elastic IP an interface has, of a machine or not.
func (c *Cloud) setAssociation(id string, to *nicAssociation) {
	if c.nics.get(id) != nil {
		c.nics.edit(id, c.now(), func(n *networkInterface) { n.Association = to })
		return
	}
	for _, m := range c.instances.all() {
		at := slices.IndexFunc(m.NetworkInterfaces, func(n instanceNIC) bool { return n.NetworkInterfaceID == id })
		if at < 0 {
			continue
		}
		c.instances.edit(m.InstanceID, c.now(), func(m *instance) {
			m.NetworkInterfaces = slices.Clone(m.NetworkInterfaces)
			m.NetworkInterfaces[at].Association, m.PublicIPAddress = to, ""
			if to != nil {
				m.PublicIPAddress = to.PublicIP
			}
		})
	}
}
