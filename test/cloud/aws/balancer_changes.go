// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"slices"
	"strings"
)

// judgeBalancerGroups judges the groups of a load balancer.
func (c *Cloud) judgeBalancerGroups(ids []string, vpcID string) *refusal {
	if len(ids) > c.limits.GroupsPerInterface {
		return unfit("At most %d security groups can be attached", c.limits.GroupsPerInterface)
	}
	for i, id := range ids {
		g := c.groups.get(id)
		if g == nil || g.VPCID != vpcID || slices.Contains(ids[:i], id) {
			return bad("InvalidSecurityGroup", "One or more security groups are invalid: '%s'", id)
		}
	}
	return nil
}

type setSecurityGroupsIn struct {
	LoadBalancerArn string
	SecurityGroups  []string
	Enforce         string `in:"EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic"`
}

type setSecurityGroupsOut struct {
	SecurityGroupIDs []string `json:"SecurityGroupIds"`
	Enforce          string   `json:"EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic,omitempty"`
}

func (c *Cloud) setSecurityGroups(in setSecurityGroupsIn) (any, *refusal) {
	b, refused := c.balancer(in.LoadBalancerArn)
	if refused != nil {
		return nil, refused
	}
	if len(b.SecurityGroups) == 0 {
		return nil, unfit("You cannot set security groups on a Network Load Balancer which was created without any security groups.")
	}
	if len(in.SecurityGroups) == 0 {
		return nil, invalid("A load balancer that has security groups must keep at least one")
	}
	if in.Enforce != "" && in.Enforce != "on" && in.Enforce != "off" {
		return nil, invalid("'%s' is not on or off", in.Enforce)
	}
	if refused := c.judgeBalancerGroups(in.SecurityGroups, b.VPCID); refused != nil {
		return nil, refused
	}
	c.balancers.edit(in.LoadBalancerArn, c.now(), func(b *balancer) {
		b.SecurityGroups = in.SecurityGroups
		if in.Enforce != "" {
			b.EnforceInbound = in.Enforce
		}
	})
	c.regroup(in.LoadBalancerArn, in.SecurityGroups)
	return setSecurityGroupsOut{SecurityGroupIDs: in.SecurityGroups, Enforce: in.Enforce}, nil
}

type setSubnetsIn struct {
	LoadBalancerArn              string
	Subnets                      []string
	SubnetMappings               []mapping
	IPAddressType                string `json:"IpAddressType"`
	EnablePrefixForIpv6SourceNat string
}

type setSubnetsOut struct {
	AvailabilityZones []balancerZone
	IPAddressType     string `json:"IpAddressType"`
}

// setSubnets puts a load balancer where it is to be. What stays in a zone keeps
// its subnet and addresses: those of a zone cannot be changed.
func (c *Cloud) setSubnets(in setSubnetsIn) (any, *refusal) {
	old, refused := c.balancer(in.LoadBalancerArn)
	if refused != nil {
		return nil, refused
	}
	if (len(in.Subnets) == 0) == (len(in.SubnetMappings) == 0) {
		return nil, invalid("You must specify either subnets or subnet mappings, not both")
	}
	for _, id := range in.Subnets {
		in.SubnetMappings = append(in.SubnetMappings, mapping{SubnetID: id})
	}
	b := clone(old)
	if in.IPAddressType != "" {
		if refused := oneOf("IP address type", &in.IPAddressType, ipv4, dualstack); refused != nil {
			return nil, refused
		}
		b.IPAddressType = in.IPAddressType
	}
	b.AvailabilityZones = nil
	zones, vpcID, refused := c.zonesOf(b, in.SubnetMappings)
	if refused != nil {
		return nil, refused
	}
	if vpcID != old.VPCID {
		return nil, unfit("The subnets must belong to the VPC of the load balancer")
	}
	b.AvailabilityZones = zones
	if refused := keepsZones(old, b); refused != nil {
		return nil, refused
	}
	if refused := c.returns(old, b); refused != nil {
		return nil, refused
	}
	c.balancers.put(b.LoadBalancerArn, b, c.now())
	for _, z := range old.AvailabilityZones {
		if !slices.ContainsFunc(zones, func(n balancerZone) bool { return n.SubnetID == z.SubnetID }) {
			c.detach(b.LoadBalancerArn, z.SubnetID)
		}
	}
	for _, z := range zones {
		if c.nicOf(b.LoadBalancerArn, z.SubnetID) == nil {
			c.attach(b, z)
		}
	}
	return setSubnetsOut{AvailabilityZones: zones, IPAddressType: b.IPAddressType}, nil
}

// keepsZones judges the zones that are there before and after, and takes their
// addresses along.
func keepsZones(old, b *balancer) *refusal {
	for i, z := range b.AvailabilityZones {
		at := slices.IndexFunc(old.AvailabilityZones, func(o balancerZone) bool { return o.ZoneName == z.ZoneName })
		if at < 0 {
			continue
		}
		before := old.AvailabilityZones[at]
		if before.SubnetID != z.SubnetID {
			return unfit("The subnet of the Availability Zone '%s' cannot be changed", z.ZoneName)
		}
		if len(z.LoadBalancerAddresses) == 0 {
			b.AvailabilityZones[i].LoadBalancerAddresses = before.LoadBalancerAddresses
		} else if !slices.Equal(z.LoadBalancerAddresses, before.LoadBalancerAddresses) {
			return unfit("The addresses in the Availability Zone '%s' cannot be changed", z.ZoneName)
		}
	}
	return nil
}

// returns judges the zones that are new: one that the load balancer left shortly
// before has its interface still.
func (c *Cloud) returns(old, b *balancer) *refusal {
	for _, z := range b.AvailabilityZones {
		if slices.ContainsFunc(old.AvailabilityZones, func(o balancerZone) bool { return o.ZoneName == z.ZoneName }) {
			continue
		}
		for _, n := range c.nics.all() {
			if n.Balancer == b.LoadBalancerArn && n.AvailabilityZone == z.ZoneName {
				return unfit("You cannot specify an additional subnet from an Availability Zone that is already associated with the load balancer. "+
					"The Availability Zone '%s' corresponding to the new subnet '%s' is already associated with the load balancer.", z.ZoneName, z.SubnetID)
			}
		}
	}
	return nil
}

type setAddressTypeIn struct {
	LoadBalancerArn string
	IPAddressType   string `json:"IpAddressType"`
}

type setAddressTypeOut struct {
	IPAddressType string `json:"IpAddressType"`
}

func (c *Cloud) setAddressType(in setAddressTypeIn) (any, *refusal) {
	b, refused := c.balancer(in.LoadBalancerArn)
	if refused != nil {
		return nil, refused
	}
	if refused := oneOf("IP address type", &in.IPAddressType, ipv4, dualstack); refused != nil {
		return nil, refused
	}
	udp := slices.ContainsFunc(c.listenersOf(in.LoadBalancerArn), func(l *listener) bool { return strings.HasSuffix(l.Protocol, "UDP") })
	if in.IPAddressType == dualstack && udp && b.EnablePrefix != "on" {
		return nil, unfit("A load balancer with UDP listeners needs EnablePrefixForIpv6SourceNat for the IP address type dualstack")
	}
	for _, z := range b.AvailabilityZones {
		s := c.subnets.get(z.SubnetID)
		if in.IPAddressType == dualstack && (s == nil || len(s.Ipv6Blocks) == 0) {
			return nil, unfit("The subnet '%s' must have an IPv6 CIDR block for the IP address type dualstack", z.SubnetID)
		}
	}
	c.balancers.edit(in.LoadBalancerArn, c.now(), func(b *balancer) { b.IPAddressType = in.IPAddressType })
	for _, z := range b.AvailabilityZones {
		s, n := c.subnets.get(z.SubnetID), c.nicOf(in.LoadBalancerArn, z.SubnetID)
		if n == nil || s == nil {
			continue
		}
		c.nics.edit(n.NetworkInterfaceID, c.now(), func(n *networkInterface) {
			if n.Ipv6Addresses = nil; in.IPAddressType == dualstack {
				n.Ipv6Addresses = []ipv6Address{{Ipv6Address: c.freeAddress(s, s.prefix6()).String()}}
			}
		})
	}
	return setAddressTypeOut{IPAddressType: in.IPAddressType}, nil
}
