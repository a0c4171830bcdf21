// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// networkInterface is an interface as it is listed by itself. Those of machines
// are kept with their machines.
type networkInterface struct {
	Association        *nicAssociation `json:",omitempty"`
	Attachment         *nicAttachment  `json:",omitempty"`
	AvailabilityZone   string
	Description        string
	Groups             []groupName `ec2:"groupSet"`
	InterfaceType      string
	Ipv6Addresses      []ipv6Address    `ec2:"ipv6AddressesSet"`
	NetworkInterfaceID string           `json:"NetworkInterfaceId"`
	OwnerID            string           `json:"OwnerId"`
	PrivateDNSName     string           `json:"PrivateDnsName,omitempty"`
	PrivateIPAddress   string           `json:"PrivateIpAddress"`
	PrivateIPAddresses []privateAddress `json:"PrivateIpAddresses" ec2:"privateIpAddressesSet"`
	RequesterID        string           `json:"RequesterId,omitempty"`
	RequesterManaged   bool
	SourceDestCheck    bool
	Status             string
	SubnetID           string `json:"SubnetId"`
	TagSet             []tag
	VPCID              string    `json:"VpcId"`
	Balancer           string    `json:"-"` // whose it is
	GoneAt             time.Time `json:"-"` // when it goes; zero is not
	Tags               []tag     `json:"-"`
}

type describeNICsIn struct {
	NetworkInterfaceIDs []string `in:"NetworkInterfaceId"`
	question
}

type describeNICsOut struct {
	NetworkInterfaces []networkInterface `ec2:"networkInterfaceSet"`
	NextToken         string             `json:",omitempty"`
}

func (c *Cloud) describeNICs(in describeNICsIn) (any, *refusal) {
	attached := func(field func(*nicAttachment) string) func(*networkInterface) []string {
		return func(n *networkInterface) []string {
			if n.Attachment == nil {
				return nil
			}
			return []string{field(n.Attachment)}
		}
	}
	associated := func(field func(*nicAssociation) string) func(*networkInterface) []string {
		return func(n *networkInterface) []string {
			if n.Association == nil {
				return nil
			}
			return []string{field(n.Association)}
		}
	}
	address := func(n *networkInterface) []string {
		var found []string
		for _, a := range n.PrivateIPAddresses {
			found = append(found, a.PrivateIPAddress)
		}
		return found
	}
	l := listed[networkInterface]{
		prefix: "eni-", malformed: "InvalidNetworkInterfaceId.Malformed",
		missing: "InvalidNetworkInterfaceID.NotFound", noun: "networkInterface ID",
		id:   func(n *networkInterface) string { return n.NetworkInterfaceID },
		tags: func(n *networkInterface) []tag { return n.TagSet },
		filters: map[string]func(*networkInterface) []string{
			"network-interface-id":         one(func(n *networkInterface) string { return n.NetworkInterfaceID }),
			"vpc-id":                       one(func(n *networkInterface) string { return n.VPCID }),
			"subnet-id":                    one(func(n *networkInterface) string { return n.SubnetID }),
			"description":                  one(func(n *networkInterface) string { return n.Description }),
			"status":                       one(func(n *networkInterface) string { return n.Status }),
			"interface-type":               one(func(n *networkInterface) string { return n.InterfaceType }),
			"requester-id":                 one(func(n *networkInterface) string { return n.RequesterID }),
			"private-ip-address":           one(func(n *networkInterface) string { return n.PrivateIPAddress }),
			"addresses.private-ip-address": address,
			"group-id":                     func(n *networkInterface) []string { return groupIDs(n.Groups) },
			"requester-managed":            one(func(n *networkInterface) string { return strconv.FormatBool(n.RequesterManaged) }),
			"attachment.instance-owner-id": attached(func(a *nicAttachment) string { return a.InstanceOwnerID }),
			"attachment.status":            attached(func(a *nicAttachment) string { return a.Status }),
			"attachment.instance-id":       attached(func(a *nicAttachment) string { return a.InstanceID }),
			"association.allocation-id":    associated(func(a *nicAssociation) string { return a.AllocationID }),
			"association.association-id":   associated(func(a *nicAssociation) string { return a.AssociationID }),
			"association.public-ip":        associated(func(a *nicAssociation) string { return a.PublicIP }),
			"ipv6-addresses.ipv6-address": func(n *networkInterface) []string {
				var found []string
				for _, a := range n.Ipv6Addresses {
					found = append(found, a.Ipv6Address)
				}
				return found
			},
		},
		least: 5, most: 1000,
	}
	found, next, refused := list(c, c.allNICs(c.seen(EC2)), l, in.NetworkInterfaceIDs, in.question)
	return describeNICsOut{NetworkInterfaces: values(found), NextToken: next}, refused
}

// allNICs are the interfaces of machines and all others, by id.
func (c *Cloud) allNICs(when time.Time) []*networkInterface {
	var all []*networkInterface
	for _, n := range c.nics.past(when) {
		n = clone(n)
		n.TagSet = n.Tags
		all = append(all, n)
	}
	for _, m := range c.instances.past(when) {
		for _, n := range m.NetworkInterfaces {
			attachment := n.Attachment
			attachment.InstanceID, attachment.InstanceOwnerID = m.InstanceID, c.account
			all = append(all, &networkInterface{
				Association: n.Association, Attachment: &attachment, AvailabilityZone: m.Placement.AvailabilityZone,
				Description: n.Description, Groups: n.Groups, InterfaceType: n.InterfaceType, Ipv6Addresses: n.Ipv6Addresses,
				NetworkInterfaceID: n.NetworkInterfaceID, OwnerID: n.OwnerID, PrivateDNSName: m.PrivateDNSName,
				PrivateIPAddress: n.PrivateIPAddress, PrivateIPAddresses: n.PrivateIPAddresses,
				SourceDestCheck: n.SourceDestCheck, Status: n.Status, SubnetID: n.SubnetID, VPCID: n.VPCID,
			})
		}
	}
	slices.SortFunc(all, func(a, b *networkInterface) int { return strings.Compare(a.NetworkInterfaceID, b.NetworkInterfaceID) })
	return all
}

// reservedAddresses are what nobody gets of a subnet: the first four and the
// last.
const reservedAddresses = 5

// isReserved reports whether an address of a subnet is one that nobody gets.
func isReserved(a netip.Addr, prefix netip.Prefix) bool {
	first := prefix.Masked().Addr()
	for range reservedAddresses - 1 {
		if a == first {
			return true
		}
		first = first.Next()
	}
	return !prefix.Contains(a.Next())
}

// freeAddress is the first address of the subnet that nobody has, of either
// family; invalid when there is none.
func (c *Cloud) freeAddress(s *subnet, prefix netip.Prefix) netip.Addr {
	if !prefix.IsValid() {
		return netip.Addr{}
	}
	used := c.usedAddresses(s.SubnetID)
	a := prefix.Addr()
	for range reservedAddresses - 1 {
		a = a.Next()
	}
	for ; prefix.Contains(a.Next()); a = a.Next() {
		if !used[a] {
			return a
		}
	}
	return netip.Addr{}
}

// usedAddresses are the addresses that somebody has in a subnet.
func (c *Cloud) usedAddresses(subnetID string) map[netip.Addr]bool {
	used := map[netip.Addr]bool{}
	add := func(four []privateAddress, six []ipv6Address) {
		for _, a := range four {
			used[parseAddr(a.PrivateIPAddress)] = true
		}
		for _, a := range six {
			used[parseAddr(a.Ipv6Address)] = true
		}
	}
	for _, n := range c.nics.all() {
		if n.SubnetID == subnetID {
			add(n.PrivateIPAddresses, n.Ipv6Addresses)
		}
	}
	for _, m := range c.instances.all() {
		for _, n := range m.NetworkInterfaces {
			if n.SubnetID == subnetID {
				add(n.PrivateIPAddresses, n.Ipv6Addresses)
			}
		}
	}
	return used
}

// parseAddr reads an address that was judged before.
func parseAddr(text string) netip.Addr {
	a, _ := netip.ParseAddr(text)
	return a
}

// counted copies subnets with how many addresses are free in each.
func (c *Cloud) counted(subnets []*subnet) []subnet {
	used := map[string]int{}
	for _, n := range c.nics.all() {
		used[n.SubnetID]++
	}
	for _, m := range c.instances.all() {
		for _, n := range m.NetworkInterfaces {
			used[n.SubnetID]++
		}
	}
	out := values(subnets)
	for i, s := range out {
		size := 1 << (32 - max(s.prefix().Bits(), 0))
		out[i].AvailableIPAddressCount = size - reservedAddresses - used[s.SubnetID] - s.Occupied
	}
	return out
}

// SetFree lets a subnet have that many free addresses.
func (c *Cloud) SetFree(subnetID string, n int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.subnets.get(subnetID)
	if s == nil {
		return fmt.Errorf("no subnet %q", subnetID)
	}
	free := c.counted([]*subnet{s})[0].AvailableIPAddressCount
	c.subnets.edit(subnetID, c.now(), func(s *subnet) { s.Occupied += free - n })
	return nil
}
