// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"fmt"
	"net/netip"
	"slices"
)

// zone is an availability zone.
type zone struct {
	Messages           []tag  `ec2:"messageSet"`
	NetworkBorderGroup string `json:",omitempty"`
	RegionName         string
	State              string `ec2:"zoneState"`
	ZoneID             string `json:"ZoneId"`
	ZoneName           string
	ZoneType           string
}

// vpc is a virtual private cloud.
type vpc struct {
	CidrBlock       string
	CidrBlocks      []vpcBlock `json:"CidrBlockAssociationSet"`
	DhcpOptionsID   string     `json:"DhcpOptionsId"`
	InstanceTenancy string
	Ipv6Blocks      []ipv6Block `json:"Ipv6CidrBlockAssociationSet"`
	IsDefault       bool
	OwnerID         string `json:"OwnerId"`
	State           string
	Tags            []tag  `ec2:"tagSet"`
	VPCID           string `json:"VpcId"`
}

type blockState struct{ State string }

type vpcBlock struct {
	AssociationID string `json:"AssociationId"`
	CidrBlock     string
	State         blockState `json:"CidrBlockState"`
}

type ipv6Block struct {
	AssociationID string `json:"AssociationId"`
	Ipv6CidrBlock string
	State         blockState `json:"Ipv6CidrBlockState"`
}

// gateway is an internet gateway.
type gateway struct {
	Attachments       []gatewayAttachment `ec2:"attachmentSet"`
	InternetGatewayID string              `json:"InternetGatewayId"`
	OwnerID           string              `json:"OwnerId"`
	Tags              []tag               `ec2:"tagSet"`
}

type gatewayAttachment struct {
	State string
	VPCID string `json:"VpcId"`
}

type subnet struct {
	AssignIpv6AddressOnCreation bool
	AvailabilityZone            string
	AvailabilityZoneID          string `json:"AvailabilityZoneId"`
	AvailableIPAddressCount     int    `json:"AvailableIpAddressCount"`
	CidrBlock                   string
	DefaultForAz                bool
	Ipv6Blocks                  []ipv6Block `json:"Ipv6CidrBlockAssociationSet"`
	Ipv6Native                  bool
	MapPublicIPOnLaunch         bool       `json:"MapPublicIpOnLaunch"`
	OwnerID                     string     `json:"OwnerId"`
	PrivateDNSNameOptions       dnsOptions `json:"PrivateDnsNameOptionsOnLaunch"`
	State                       string
	SubnetArn                   string
	SubnetID                    string `json:"SubnetId"`
	Tags                        []tag  `ec2:"tagSet"`
	VPCID                       string `json:"VpcId"`
	Occupied                    int    `json:"-"` // addresses of what is not simulated
}

type dnsOptions struct {
	EnableResourceNameDNSAAAARecord bool `json:"EnableResourceNameDnsAAAARecord"`
	EnableResourceNameDNSARecord    bool `json:"EnableResourceNameDnsARecord"`
	HostnameType                    string
}

// prefix is the subnet's range of the older family.
func (s *subnet) prefix() netip.Prefix {
	p, _ := netip.ParsePrefix(s.CidrBlock) // seeded ones may lack it
	return p
}

// prefix6 is the subnet's range of the newer family; invalid when it has none.
func (s *subnet) prefix6() netip.Prefix {
	if len(s.Ipv6Blocks) == 0 {
		return netip.Prefix{}
	}
	p, _ := netip.ParsePrefix(s.Ipv6Blocks[0].Ipv6CidrBlock)
	return p
}

func networkActions() map[string]action {
	return map[string]action{
		"ec2.DescribeAvailabilityZones": bind((*Cloud).describeZones),
		"ec2.DescribeVpcs":              bind((*Cloud).describeVPCs),
		"ec2.DescribeInternetGateways":  bind((*Cloud).describeGateways),
		"ec2.DescribeSubnets":           bind((*Cloud).describeSubnets),
		"ec2.DescribeRouteTables":       bind((*Cloud).describeTables),
		"ec2.CreateRoute":               bind((*Cloud).createRoute),
		"ec2.ReplaceRoute":              bind((*Cloud).replaceRoute),
		"ec2.DeleteRoute":               bind((*Cloud).deleteRoute),
	}
}

// values copies what pointers point to.
func values[T any](list []*T) []T {
	out := make([]T, len(list))
	for i, v := range list {
		out[i] = *v
	}
	return out
}

type describeZonesIn struct {
	ZoneNames            []string `in:"ZoneName"`
	ZoneIDs              []string `in:"ZoneId"`
	Filters              []filter `in:"Filter"`
	AllAvailabilityZones bool
}

type describeZonesOut struct {
	AvailabilityZones []zone `ec2:"availabilityZoneInfo"`
}

func (c *Cloud) describeZones(in describeZonesIn) (any, *refusal) {
	l := listed[zone]{
		noun: "availability zone", missing: "InvalidParameterValue",
		id: func(z *zone) string { return z.ZoneName },
		filters: map[string]func(*zone) []string{
			"zone-name":   one(func(z *zone) string { return z.ZoneName }),
			"zone-id":     one(func(z *zone) string { return z.ZoneID }),
			"zone-type":   one(func(z *zone) string { return z.ZoneType }),
			"region-name": one(func(z *zone) string { return z.RegionName }),
			"state":       one(func(z *zone) string { return z.State }),
		},
	}
	all := c.zones.past(c.seen(EC2))
	if len(in.ZoneIDs) > 0 {
		all = slices.DeleteFunc(all, func(z *zone) bool { return !slices.Contains(in.ZoneIDs, z.ZoneID) })
		if len(all) != len(in.ZoneIDs) {
			return nil, wrong("Invalid availability-zone-ids: %v", in.ZoneIDs)
		}
	}
	found, _, refused := list(c, all, l, in.ZoneNames, question{Filters: in.Filters})
	return describeZonesOut{AvailabilityZones: values(found)}, refused
}

// LocalZone makes one of the region's zones a local one, of which accounts see
// those that they opted in to.
func (c *Cloud) LocalZone(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.zones.edit(name, c.now(), func(z *zone) { z.ZoneType, z.NetworkBorderGroup = "local-zone", name })
	c.zones.settled()
}

type describeVPCsIn struct {
	VPCIDs []string `in:"VpcId"`
	question
}

type describeVPCsOut struct {
	VPCs      []vpc  `ec2:"vpcSet"`
	NextToken string `json:",omitempty"`
}

func (c *Cloud) describeVPCs(in describeVPCsIn) (any, *refusal) {
	l := listed[vpc]{
		prefix: "vpc-", malformed: "InvalidVpcID.Malformed", missing: "InvalidVpcID.NotFound", noun: "vpc ID",
		id: func(v *vpc) string { return v.VPCID }, tags: func(v *vpc) []tag { return v.Tags },
		filters: map[string]func(*vpc) []string{
			"vpc-id": one(func(v *vpc) string { return v.VPCID }),
			"cidr":   one(func(v *vpc) string { return v.CidrBlock }),
			"state":  one(func(v *vpc) string { return v.State }),
		},
		least: 5, most: 1000,
	}
	found, next, refused := list(c, c.vpcs.past(c.seen(EC2)), l, in.VPCIDs, in.question)
	return describeVPCsOut{VPCs: values(found), NextToken: next}, refused
}

type describeGatewaysIn struct {
	InternetGatewayIDs []string `in:"InternetGatewayId"`
	question
}

type describeGatewaysOut struct {
	InternetGateways []gateway `ec2:"internetGatewaySet"`
	NextToken        string    `json:",omitempty"`
}

func (c *Cloud) describeGateways(in describeGatewaysIn) (any, *refusal) {
	l := listed[gateway]{
		prefix: "igw-", malformed: "InvalidInternetGatewayId.Malformed",
		missing: "InvalidInternetGatewayID.NotFound", noun: "internetGateway ID",
		id: func(g *gateway) string { return g.InternetGatewayID }, tags: func(g *gateway) []tag { return g.Tags },
		filters: map[string]func(*gateway) []string{
			"internet-gateway-id": one(func(g *gateway) string { return g.InternetGatewayID }),
			"attachment.vpc-id": func(g *gateway) []string {
				var ids []string
				for _, a := range g.Attachments {
					ids = append(ids, a.VPCID)
				}
				return ids
			},
		},
		least: 5, most: 1000,
	}
	found, next, refused := list(c, c.gateways.past(c.seen(EC2)), l, in.InternetGatewayIDs, in.question)
	return describeGatewaysOut{InternetGateways: values(found), NextToken: next}, refused
}

type describeSubnetsIn struct {
	SubnetIDs []string `in:"SubnetId"`
	question
}

type describeSubnetsOut struct {
	Subnets   []subnet `ec2:"subnetSet"`
	NextToken string   `json:",omitempty"`
}

func (c *Cloud) describeSubnets(in describeSubnetsIn) (any, *refusal) {
	l := listed[subnet]{
		prefix: "subnet-", malformed: "InvalidSubnetID.Malformed", missing: "InvalidSubnetID.NotFound", noun: "subnet ID",
		id: func(s *subnet) string { return s.SubnetID }, tags: func(s *subnet) []tag { return s.Tags },
		filters: map[string]func(*subnet) []string{
			"subnet-id":            one(func(s *subnet) string { return s.SubnetID }),
			"vpc-id":               one(func(s *subnet) string { return s.VPCID }),
			"availability-zone":    one(func(s *subnet) string { return s.AvailabilityZone }),
			"availability-zone-id": one(func(s *subnet) string { return s.AvailabilityZoneID }),
			"cidr-block":           one(func(s *subnet) string { return s.CidrBlock }),
			"state":                one(func(s *subnet) string { return s.State }),
		},
		least: 5, most: 1000,
	}
	found, next, refused := list(c, c.subnets.past(c.seen(EC2)), l, in.SubnetIDs, in.question)
	return describeSubnetsOut{Subnets: c.counted(found), NextToken: next}, refused
}

// borderGroup is where the addresses of a zone are announced: for usual zones
// the region.
func (c *Cloud) borderGroup(zoneName string) string {
	if z := c.zones.get(zoneName); z != nil && z.NetworkBorderGroup != "" {
		return z.NetworkBorderGroup
	}
	return c.region
}

// makeZones gives the region six zones.
func (c *Cloud) makeZones() {
	for i, letter := range "abcdef" {
		z := &zone{
			RegionName: c.region, State: "available", ZoneType: "availability-zone",
			ZoneID: fmt.Sprintf("use1-az%d", i+1), ZoneName: c.region + string(letter),
		}
		c.zones.put(z.ZoneName, z, c.now())
	}
}

// online reports whether a VPC has an internet gateway.
func (c *Cloud) online(vpcID string) bool {
	return slices.ContainsFunc(c.gateways.all(), func(g *gateway) bool {
		return slices.ContainsFunc(g.Attachments, func(a gatewayAttachment) bool { return a.VPCID == vpcID })
	})
}
