// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// minFreeAddresses is how many addresses a subnet must have free for a load
// balancer whose address AWS chooses: the user guide on Network Load Balancers.
const minFreeAddresses = 8

// zonesOf judges where a load balancer is to be, and gives its zones in the
// order of their names, and its VPC.
func (c *Cloud) zonesOf(b *balancer, mappings []mapping) (zones []balancerZone, vpcID string, refused *refusal) {
	seen, given := map[string]bool{}, map[string]bool{}
	for _, m := range mappings {
		if given[m.AllocationID] {
			return nil, "", invalid("The allocation ID '%s' cannot be specified more than once", m.AllocationID)
		}
		given[m.AllocationID] = m.AllocationID != ""
		s := c.subnets.get(m.SubnetID)
		if s == nil {
			return nil, "", bad("SubnetNotFound", "The subnet ID '%s' is not valid", m.SubnetID)
		}
		if seen[s.AvailabilityZone] {
			return nil, "", unfit("A load balancer cannot be attached to multiple subnets in the same Availability Zone")
		}
		seen[s.AvailabilityZone] = true
		if vpcID == "" {
			vpcID = s.VPCID
		}
		if s.VPCID != vpcID {
			return nil, "", unfit("All subnets must belong to the same VPC: '%s'", vpcID)
		}
		z, refused := c.zoneOf(b, s, m)
		if refused != nil {
			return nil, "", refused
		}
		zones = append(zones, z)
	}
	if b.Scheme == internetFacing && !c.online(vpcID) {
		return nil, "", bad("InvalidSubnet", "VPC %s has no internet gateway", vpcID)
	}
	slices.SortFunc(zones, func(a, b balancerZone) int { return strings.Compare(a.ZoneName, b.ZoneName) })
	return zones, vpcID, nil
}

// zoneOf judges one subnet and the addresses in it.
func (c *Cloud) zoneOf(b *balancer, s *subnet, m mapping) (balancerZone, *refusal) {
	z := balancerZone{SubnetID: s.SubnetID, ZoneName: s.AvailabilityZone}
	mine := c.nicOf(b.LoadBalancerArn, s.SubnetID) != nil
	if !mine && m.PrivateIPv4Address == "" && c.counted([]*subnet{s})[0].AvailableIPAddressCount < minFreeAddresses {
		return z, bad("InvalidSubnet", "Not enough IP space available in %s. ELB requires at least %d free IP addresses in each subnet.",
			s.SubnetID, minFreeAddresses)
	}
	if b.IPAddressType == dualstack && len(s.Ipv6Blocks) == 0 {
		return z, unfit("The subnet '%s' must have an IPv6 CIDR block for the IP address type dualstack", s.SubnetID)
	}
	given := balancerAddress{AllocationID: m.AllocationID}
	if m.AllocationID != "" {
		a, refused := c.elastic(b, s, m.AllocationID)
		if refused != nil {
			return z, refused
		}
		given.IPAddress = a.PublicIP
	}
	if m.PrivateIPv4Address != "" {
		if b.Scheme != internal {
			return z, unfit("Private IPv4 addresses can be specified for internal load balancers only")
		}
		if refused := c.judgeFree(b, s.prefix(), s, m.PrivateIPv4Address); refused != nil {
			return z, refused
		}
		given.PrivateIPv4Address = m.PrivateIPv4Address
	}
	if m.IPv6Address != "" {
		if b.IPAddressType != dualstack {
			return z, unfit("IPv6 addresses need the IP address type dualstack")
		}
		if refused := c.judgeFree(b, s.prefix6(), s, m.IPv6Address); refused != nil {
			return z, refused
		}
		given.IPv6Address = m.IPv6Address
	}
	if given != (balancerAddress{}) {
		z.LoadBalancerAddresses = []balancerAddress{given}
	}
	return z, nil
}

// elastic judges an elastic IP for a load balancer in a subnet.
func (c *Cloud) elastic(b *balancer, s *subnet, id string) (*address, *refusal) {
	a := c.addresses.get(id)
	switch {
	case a == nil:
		return nil, bad("AllocationIdNotFound", "The allocation IDs '%s' do not exist", id)
	case b.Scheme != internetFacing:
		return nil, unfit("Elastic IP addresses can be specified for internet-facing load balancers only")
	case a.AssociationID != "" && c.addressHolder(a) != b.LoadBalancerArn && !c.heldByName(a, b.LoadBalancerName):
		return nil, bad("ResourceInUse", "The allocation IDs '%s' are in use", id)
	case a.NetworkBorderGroup != "" && a.NetworkBorderGroup != c.borderGroup(s.AvailabilityZone):
		return nil, unfit("The allocation ID '%s' is not of the network border group of the subnet '%s'", id, s.SubnetID)
	default:
		return a, nil
	}
}

// addressHolder is the load balancer that has an elastic IP.
func (c *Cloud) addressHolder(a *address) string {
	if n := c.nics.get(a.NetworkInterfaceID); n != nil {
		return n.Balancer
	}
	return "another"
}

// heldByName reports whether the load balancer of that name has an elastic IP: a
// second create of the same is no conflict.
func (c *Cloud) heldByName(a *address, name string) bool {
	b := c.balancerNamed(name)
	return b != nil && c.addressHolder(a) == b.LoadBalancerArn
}

// judgeFree judges an address that a load balancer shall have in a subnet.
func (c *Cloud) judgeFree(b *balancer, prefix netip.Prefix, s *subnet, text string) *refusal {
	a, err := netip.ParseAddr(text)
	if err != nil || !prefix.Contains(a) {
		return unfit("The address '%s' is not in the range of the subnet '%s'", text, s.SubnetID)
	}
	if isReserved(a, prefix) {
		return unfit("The address '%s' is reserved in the subnet '%s'", text, s.SubnetID)
	}
	for _, n := range c.allNICs(c.now()) {
		own := c.balancers.get(n.Balancer)
		if own != nil && own.LoadBalancerName == b.LoadBalancerName || n.SubnetID != s.SubnetID {
			continue
		}
		if slices.ContainsFunc(n.PrivateIPAddresses, func(p privateAddress) bool { return p.PrivateIPAddress == text }) ||
			slices.ContainsFunc(n.Ipv6Addresses, func(p ipv6Address) bool { return p.Ipv6Address == text }) {
			return unfit("The address '%s' is already in use", text)
		}
	}
	return nil
}

func (c *Cloud) nicOf(balancer, subnetID string) *networkInterface {
	for _, n := range c.nics.all() {
		if n.Balancer == balancer && balancer != "" && n.SubnetID == subnetID && n.GoneAt.IsZero() {
			return n
		}
	}
	return nil
}

// attach makes the interface of a load balancer in a zone.
func (c *Cloud) attach(b *balancer, z balancerZone) {
	_, path, _ := strings.Cut(b.LoadBalancerArn, "loadbalancer/")
	given := balancerAddress{}
	if len(z.LoadBalancerAddresses) > 0 {
		given = z.LoadBalancerAddresses[0]
	}
	n := c.balancerNIC(z.SubnetID, given)
	n.Description, n.InterfaceType, n.Balancer = "ELB "+path, "network_load_balancer", b.LoadBalancerArn
	n.Groups = c.named(b.SecurityGroups)
	if b.IPAddressType == dualstack && given.IPv6Address == "" {
		s := c.subnets.get(z.SubnetID)
		n.Ipv6Addresses = []ipv6Address{{Ipv6Address: c.freeAddress(s, s.prefix6()).String()}}
	}
	if given.AllocationID != "" {
		association := c.newID("eipassoc")
		n.Association = &nicAssociation{
			AllocationID: given.AllocationID, AssociationID: association, PublicIP: given.IPAddress, IPOwnerID: c.account,
		}
		c.addresses.edit(given.AllocationID, c.now(), func(a *address) {
			a.AssociationID, a.NetworkInterfaceID, a.PrivateIPAddress = association, n.NetworkInterfaceID, n.PrivateIPAddress
			a.NetworkInterfaceOwnerID = n.OwnerID
		})
	}
	c.nics.put(n.NetworkInterfaceID, n, c.now())
}

// balancerNIC is an interface that load balancing has in a subnet.
func (c *Cloud) balancerNIC(subnetID string, given balancerAddress) *networkInterface {
	s := c.subnets.get(subnetID)
	text := given.PrivateIPv4Address
	if text == "" {
		text = c.freeAddress(s, s.prefix()).String()
	}
	n := &networkInterface{
		NetworkInterfaceID: c.newID("eni"), OwnerID: c.account, AvailabilityZone: s.AvailabilityZone,
		RequesterID: "amazon-elb", RequesterManaged: true, Status: "in-use", SubnetID: subnetID, VPCID: s.VPCID,
		PrivateIPAddress: text, PrivateIPAddresses: []privateAddress{{Primary: true, PrivateIPAddress: text}},
		Attachment: &nicAttachment{
			AttachmentID: "ela-attach-" + c.digits("ela", 17), DeleteOnTermination: false, DeviceIndex: 1,
			InstanceOwnerID: "amazon-elb", Status: "attached",
		},
	}
	if given.IPv6Address != "" {
		n.Ipv6Addresses = []ipv6Address{{Ipv6Address: given.IPv6Address}}
	}
	return n
}

// detach lets the interfaces of a load balancer go, all or those in a subnet:
// at once, or when they have lingered.
func (c *Cloud) detach(balancer, subnetID string) {
	gone := c.now().Add(c.timing.Linger)
	for _, n := range c.nics.all() {
		if n.Balancer != balancer || subnetID != "" && n.SubnetID != subnetID || !n.GoneAt.IsZero() {
			continue
		}
		c.nics.edit(n.NetworkInterfaceID, c.now(), func(n *networkInterface) { n.GoneAt = gone })
		c.leaving[n.NetworkInterfaceID] = gone
	}
	c.settle()
}

// depart removes an interface, and frees the elastic IP that it has.
func (c *Cloud) depart(id string, when time.Time) {
	n := c.nics.get(id)
	if n == nil {
		return
	}
	if n.Association != nil && c.addresses.get(n.Association.AllocationID) != nil {
		c.addresses.edit(n.Association.AllocationID, when, func(a *address) {
			a.AssociationID, a.NetworkInterfaceID, a.NetworkInterfaceOwnerID, a.PrivateIPAddress = "", "", "", ""
		})
	}
	c.nics.remove(id, when)
}

// regroup changes the groups of a load balancer's interfaces.
func (c *Cloud) regroup(balancer string, groups []string) {
	for _, n := range c.nics.all() {
		if n.Balancer == balancer && n.GoneAt.IsZero() {
			c.nics.edit(n.NetworkInterfaceID, c.now(), func(n *networkInterface) { n.Groups = c.named(groups) })
		}
	}
}
