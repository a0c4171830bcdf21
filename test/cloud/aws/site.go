// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"fmt"
	"net/netip"
	"strings"
)

// SiteOptions say what an installer has made. The zero value is a cluster named
// rig in three zones, for one family.
type SiteOptions struct {
	// Cluster is the id in the tags; rig if empty.
	Cluster string
	// Zones is how many zones there are, up to six; 3 if zero.
	Zones int
	// Families are the address families of the subnets: "ipv4" if empty, or
	// "dualstack".
	Families string
}

// Site is what stands before a controller comes: a VPC with a gateway, a public
// and a private subnet in each zone, and a security group for nodes.
type Site struct {
	cloud *Cloud
	// Cluster is the id in the tags.
	Cluster string
	// VPC, NodeGroup, MainTable and PublicTable are ids.
	VPC, NodeGroup, MainTable, PublicTable string
	// Public and Private are ids of subnets, by zone.
	Public, Private []string
	machines        int
}

// NewSite makes a site, which no lag hides.
func (c *Cloud) NewSite(o SiteOptions) *Site {
	if o.Cluster == "" {
		o.Cluster = "rig"
	}
	if o.Zones == 0 {
		o.Zones = 3
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	s := &Site{cloud: c, Cluster: o.Cluster, VPC: c.newID("vpc"), MainTable: c.newID("rtb"), PublicTable: c.newID("rtb")}
	v := &vpc{
		CidrBlock: "10.0.0.0/16", DhcpOptionsID: "default", InstanceTenancy: "default", OwnerID: c.account,
		State: "available", Tags: s.tags(o.Cluster), VPCID: s.VPC,
		CidrBlocks: []vpcBlock{{AssociationID: c.newID("vpc-cidr-assoc"), CidrBlock: "10.0.0.0/16", State: blockState{State: "associated"}}},
	}
	if o.Families == dualstack {
		v.Ipv6Blocks = []ipv6Block{{
			AssociationID: c.newID("vpc-cidr-assoc"), Ipv6CidrBlock: "2600:1f18:1000::/56", State: blockState{State: "associated"},
		}}
	}
	c.vpcs.put(s.VPC, v, now)
	igw := &gateway{
		InternetGatewayID: c.newID("igw"), OwnerID: c.account,
		Attachments: []gatewayAttachment{{State: "available", VPCID: s.VPC}},
	}
	c.gateways.put(igw.InternetGatewayID, igw, now)
	for i, z := range c.zones.all()[:o.Zones] {
		s.Public = append(s.Public, s.subnet(z, i, "public", o.Families))
		s.Private = append(s.Private, s.subnet(z, i+6, "private", o.Families))
	}
	s.routes(igw.InternetGatewayID)
	s.group("default", "default VPC security group", nil)
	s.NodeGroup = s.group("nodes."+o.Cluster, "Nodes of the cluster", s.tags("nodes."+o.Cluster))
	c.groups.edit(s.NodeGroup, now, func(g *securityGroup) {
		g.Rules = append(g.Rules, rule{ID: c.newID("sgr"), Protocol: anyProtocol, GroupID: s.NodeGroup})
	})
	c.vpcs.settled()
	c.gateways.settled()
	c.subnets.settled()
	c.tables.settled()
	c.groups.settled()
	return s
}

func (s *Site) tags(name string) []tag {
	return []tag{{Key: "Name", Value: name}, {Key: "kubernetes.io/cluster/" + s.Cluster, Value: "owned"}}
}

// subnet makes the nth subnet, in a zone.
func (s *Site) subnet(z *zone, n int, kind, families string) string {
	c := s.cloud
	role := map[string]string{"public": "kubernetes.io/role/elb", "private": "kubernetes.io/role/internal-elb"}[kind]
	id := c.newID("subnet")
	block := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(16 * n), 0}), 20)
	v := &subnet{
		AvailabilityZone: z.ZoneName, AvailabilityZoneID: z.ZoneID,
		CidrBlock: block.String(), OwnerID: c.account, State: "available", SubnetArn: c.arn("ec2", "subnet/"+id), SubnetID: id,
		Tags: append(s.tags(kind+"-"+z.ZoneName), tag{Key: role, Value: "1"}), VPCID: s.VPC,
		PrivateDNSNameOptions: dnsOptions{HostnameType: "ip-name"},
	}
	if families == dualstack {
		v.Ipv6Blocks = []ipv6Block{{
			AssociationID: c.newID("subnet-cidr-assoc"), State: blockState{State: "associated"},
			Ipv6CidrBlock: fmt.Sprintf("2600:1f18:1000:%x::/64", n),
		}}
	}
	c.subnets.put(id, v, c.now())
	return id
}

// routes makes the main table and that of the public subnets.
func (s *Site) routes(igw string) {
	c := s.cloud
	local := route{DestinationCidrBlock: "10.0.0.0/16", GatewayID: "local", Origin: "CreateRouteTable", State: "active"}
	out := route{DestinationCidrBlock: "0.0.0.0/0", GatewayID: igw, Origin: "CreateRoute", State: "active"}
	associated := func(table string) association {
		return association{
			AssociationState: blockState{State: "associated"}, RouteTableAssociationID: c.newID("rtbassoc"), RouteTableID: table,
		}
	}
	a := associated(s.MainTable)
	a.Main = true
	c.tables.put(s.MainTable, &routeTable{
		Associations: []association{a}, OwnerID: c.account, RouteTableID: s.MainTable, Routes: []route{local}, VPCID: s.VPC,
	}, c.now())
	t := &routeTable{
		OwnerID: c.account, RouteTableID: s.PublicTable, Routes: []route{local, out}, Tags: s.tags("public"), VPCID: s.VPC,
	}
	for _, id := range s.Public {
		a := associated(s.PublicTable)
		a.SubnetID = id
		t.Associations = append(t.Associations, a)
	}
	c.tables.put(s.PublicTable, t, c.now())
}

func (s *Site) group(name, description string, tags []tag) string {
	c := s.cloud
	id := c.newID("sg")
	c.groups.put(id, &securityGroup{
		Description: description, GroupID: id, GroupName: name, OwnerID: c.account, Tags: tags, VPCID: s.VPC,
		Rules: []rule{{ID: c.newID("sgr"), Egress: true, Protocol: anyProtocol, CidrIPv4: "0.0.0.0/0"}},
	}, c.now())
	return id
}

// Group makes a security group of the user's own, without rules for what comes
// in, and returns its id.
func (s *Site) Group(name string) string {
	s.cloud.mu.Lock()
	defer s.cloud.mu.Unlock()
	return s.group(name, "Made by the user", nil)
}

// Launch starts n machines, in the private subnets in turn, and returns their
// ids.
func (s *Site) Launch(n int) []string {
	s.cloud.mu.Lock()
	defer s.cloud.mu.Unlock()
	ids := make([]string, n)
	for i := range n {
		ids[i] = s.launch(s.Private[s.machines%len(s.Private)])
		s.machines++
	}
	return ids
}

func (s *Site) launch(subnetID string) string {
	c := s.cloud
	sn := c.subnets.get(subnetID)
	id, a := c.newID("i"), c.freeAddress(sn, sn.prefix())
	dns := c.dnsName(a.String())
	groups := c.named([]string{s.NodeGroup})
	octets := a.As4()
	n := instanceNIC{
		Attachment:  nicAttachment{AttachmentID: c.newID("eni-attach"), DeleteOnTermination: true, Status: "attached"},
		Description: "Primary network interface", Groups: groups, InterfaceType: "interface",
		MacAddress:         fmt.Sprintf("02:00:%02x:%02x:%02x:%02x", octets[0], octets[1], octets[2], octets[3]),
		NetworkInterfaceID: c.newID("eni"), OwnerID: c.account, PrivateDNSName: dns, PrivateIPAddress: a.String(),
		PrivateIPAddresses: []privateAddress{{Primary: true, PrivateIPAddress: a.String()}},
		SourceDestCheck:    true, Status: "in-use", SubnetID: subnetID, VPCID: s.VPC,
	}
	m := &instance{
		Architecture: "x86_64", InstanceID: id, InstanceType: "m5.large", LaunchTime: c.stamp(),
		Placement: placement{AvailabilityZone: sn.AvailabilityZone, Tenancy: "default"}, PrivateDNSName: dns,
		PrivateIPAddress: a.String(), SecurityGroups: groups, SourceDestCheck: true, State: powerState{Code: 16, Name: running},
		SubnetID: subnetID, Tags: s.tags("node"), VPCID: s.VPC, Reservation: c.newID("r"),
	}
	if v6 := c.freeAddress(sn, sn.prefix6()); v6.IsValid() {
		n.Ipv6Addresses, m.Ipv6Address = []ipv6Address{{Ipv6Address: v6.String()}}, v6.String()
	}
	m.NetworkInterfaces = []instanceNIC{n}
	c.instances.put(id, m, c.now())
	return id
}

// dnsName is the private name of an address.
func (c *Cloud) dnsName(address string) string {
	name := "ip-" + strings.ReplaceAll(address, ".", "-")
	if c.region == DefaultRegion {
		return name + ".ec2.internal"
	}
	return name + "." + c.region + ".compute.internal"
}
