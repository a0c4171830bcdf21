// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"slices"
	"strings"
)

// States of machines that others ask for.
const (
	running    = "running"
	terminated = "terminated"
)

// instance is a machine.
type instance struct {
	Architecture      string `json:",omitempty"`
	ImageID           string `json:"ImageId,omitempty"`
	InstanceID        string `json:"InstanceId"`
	InstanceLifecycle string `json:",omitempty"`
	InstanceType      string
	Ipv6Address       string        `json:",omitempty"`
	LaunchTime        string        `json:",omitempty"`
	NetworkInterfaces []instanceNIC `ec2:"networkInterfaceSet"`
	Placement         placement
	PrivateDNSName    string      `json:"PrivateDnsName"`
	PrivateIPAddress  string      `json:"PrivateIpAddress,omitempty"`
	PublicDNSName     string      `json:"PublicDnsName,omitempty" ec2:"dnsName"`
	PublicIPAddress   string      `json:"PublicIpAddress,omitempty" ec2:"ipAddress"`
	SecurityGroups    []groupName `ec2:"groupSet"`
	SourceDestCheck   bool
	State             powerState `ec2:"instanceState"`
	SubnetID          string     `json:"SubnetId,omitempty"`
	Tags              []tag      `ec2:"tagSet"`
	VPCID             string     `json:"VpcId,omitempty"`
	Reservation       string     `json:"-"`
	Topology          []string   `json:"-"`
}

type placement struct {
	AvailabilityZone string
	GroupName        string `json:",omitempty"`
	Tenancy          string
}

type powerState struct {
	Code int
	Name string
}

// instanceNIC is an interface of a machine.
type instanceNIC struct {
	Association        *nicAssociation `json:",omitempty"`
	Attachment         nicAttachment
	Description        string
	Groups             []groupName `ec2:"groupSet"`
	InterfaceType      string
	Ipv6Addresses      []ipv6Address `ec2:"ipv6AddressesSet"`
	MacAddress         string
	NetworkInterfaceID string           `json:"NetworkInterfaceId"`
	OwnerID            string           `json:"OwnerId"`
	PrivateDNSName     string           `json:"PrivateDnsName,omitempty"`
	PrivateIPAddress   string           `json:"PrivateIpAddress"`
	PrivateIPAddresses []privateAddress `json:"PrivateIpAddresses" ec2:"privateIpAddressesSet"`
	SourceDestCheck    bool
	Status             string
	SubnetID           string `json:"SubnetId"`
	VPCID              string `json:"VpcId"`
}

type nicAssociation struct {
	AllocationID  string `json:"AllocationId,omitempty"`
	AssociationID string `json:"AssociationId,omitempty"`
	IPOwnerID     string `json:"IpOwnerId,omitempty"`
	PublicDNSName string `json:"PublicDnsName,omitempty"`
	PublicIP      string `json:"PublicIp,omitempty"`
}

type nicAttachment struct {
	AttachTime          string `json:",omitempty"`
	AttachmentID        string `json:"AttachmentId"`
	DeleteOnTermination bool
	DeviceIndex         int
	InstanceID          string `json:"InstanceId,omitempty"`
	InstanceOwnerID     string `json:"InstanceOwnerId,omitempty"`
	NetworkCardIndex    int
	Status              string
}

type ipv6Address struct {
	Ipv6Address string
}

type privateAddress struct {
	Primary          bool
	PrivateIPAddress string `json:"PrivateIpAddress"`
}

func machineActions() map[string]action {
	return map[string]action{
		"ec2.DescribeInstances":         bind((*Cloud).describeInstances),
		"ec2.DescribeInstanceTopology":  bind((*Cloud).describeTopology),
		"ec2.ModifyInstanceAttribute":   bind((*Cloud).modifyInstance),
		"ec2.DescribeNetworkInterfaces": bind((*Cloud).describeNICs),
		"ec2.DescribeAddresses":         bind((*Cloud).describeAddresses),
		"ec2.AllocateAddress":           bind((*Cloud).allocateAddress),
		"ec2.ReleaseAddress":            bind((*Cloud).releaseAddress),
		"ec2.AssociateAddress":          bind((*Cloud).associateAddress),
		"ec2.DisassociateAddress":       bind((*Cloud).disassociateAddress),
	}
}

// ofNICs makes a filter of a field of a machine's interfaces.
func ofNICs(field func(instanceNIC) []string) func(*instance) []string {
	return func(m *instance) []string {
		var found []string
		for _, n := range m.NetworkInterfaces {
			found = append(found, field(n)...)
		}
		return found
	}
}

func groupIDs(groups []groupName) []string {
	ids := make([]string, len(groups))
	for i, g := range groups {
		ids[i] = g.GroupID
	}
	return ids
}

func listedInstances() listed[instance] {
	return listed[instance]{
		prefix: "i-", malformed: "InvalidInstanceID.Malformed", missing: "InvalidInstanceID.NotFound", noun: "instance ID",
		id: func(m *instance) string { return m.InstanceID }, tags: func(m *instance) []tag { return m.Tags },
		filters: map[string]func(*instance) []string{
			"instance-id":                one(func(m *instance) string { return m.InstanceID }),
			"instance-state-name":        one(func(m *instance) string { return m.State.Name }),
			"instance-type":              one(func(m *instance) string { return m.InstanceType }),
			"vpc-id":                     one(func(m *instance) string { return m.VPCID }),
			"subnet-id":                  one(func(m *instance) string { return m.SubnetID }),
			"availability-zone":          one(func(m *instance) string { return m.Placement.AvailabilityZone }),
			"private-dns-name":           one(func(m *instance) string { return m.PrivateDNSName }),
			"private-ip-address":         one(func(m *instance) string { return m.PrivateIPAddress }),
			"instance.group-id":          func(m *instance) []string { return groupIDs(m.SecurityGroups) },
			"network-interface.group-id": ofNICs(func(n instanceNIC) []string { return groupIDs(n.Groups) }),
			"network-interface.private-dns-name": ofNICs(func(n instanceNIC) []string {
				return []string{n.PrivateDNSName}
			}),
		},
		least: 5, most: 1000,
	}
}

type describeInstancesIn struct {
	InstanceIDs []string `in:"InstanceId"`
	question
}

type reservation struct {
	Groups        []groupName `ec2:"groupSet"`
	Instances     []instance  `ec2:"instancesSet"`
	OwnerID       string      `json:"OwnerId"`
	ReservationID string      `json:"ReservationId"`
}

type describeInstancesOut struct {
	Reservations []reservation `ec2:"reservationSet"`
	NextToken    string        `json:",omitempty"`
}

func (c *Cloud) describeInstances(in describeInstancesIn) (any, *refusal) {
	if len(in.InstanceIDs) > 0 && in.MaxResults != nil {
		return nil, bad("InvalidParameterCombination",
			"The parameter instancesSet cannot be used with the parameter maxResults")
	}
	found, next, refused := list(c, c.instances.past(c.seen(EC2)), listedInstances(), in.InstanceIDs, in.question)
	return describeInstancesOut{Reservations: c.reservations(found), NextToken: next}, refused
}

// reservations puts machines of one launch together.
func (c *Cloud) reservations(machines []*instance) []reservation {
	var out []reservation
	at := map[string]int{}
	for _, m := range machines {
		i, ok := at[m.Reservation]
		if !ok {
			i = len(out)
			at[m.Reservation] = i
			out = append(out, reservation{OwnerID: c.account, ReservationID: m.Reservation})
		}
		out[i].Instances = append(out[i].Instances, *m)
	}
	return out
}

type describeTopologyIn struct {
	InstanceIDs []string `in:"InstanceId"`
	GroupNames  []string `in:"GroupName"`
	question
}

type topology struct {
	AvailabilityZone string
	GroupName        string `json:",omitempty"`
	InstanceID       string `json:"InstanceId"`
	InstanceType     string
	NetworkNodes     []string `ec2:"networkNodeSet"`
	ZoneID           string   `json:"ZoneId"`
}

type describeTopologyOut struct {
	Instances []topology `ec2:"instanceSet"`
	NextToken string     `json:",omitempty"`
}

// describeTopology answers for machines that run and have a topology: those of
// the accelerated and high performance families.
func (c *Cloud) describeTopology(in describeTopologyIn) (any, *refusal) {
	if len(in.InstanceIDs) > 0 && in.MaxResults != nil {
		return nil, bad("InvalidParameterCombination",
			"The parameter instancesSet cannot be used with the parameter maxResults")
	}
	if len(in.InstanceIDs) > 100 {
		return nil, wrong("The number of instance IDs exceeds 100")
	}
	l := listedInstances()
	l.least, l.most = 1, 100
	found, next, refused := list(c, c.instances.past(c.seen(EC2)), l, in.InstanceIDs, in.question)
	if refused != nil {
		return nil, refused
	}
	out := describeTopologyOut{NextToken: next}
	for _, m := range found {
		if len(m.Topology) == 0 || m.State.Name != running {
			continue
		}
		z := c.zones.get(m.Placement.AvailabilityZone)
		t := topology{
			AvailabilityZone: m.Placement.AvailabilityZone, GroupName: m.Placement.GroupName,
			InstanceID: m.InstanceID, InstanceType: m.InstanceType, NetworkNodes: m.Topology,
		}
		if z != nil {
			t.ZoneID = z.ZoneID
		}
		out.Instances = append(out.Instances, t)
	}
	return out, nil
}

type truth struct{ Value bool }

type modifyInstanceIn struct {
	InstanceID      string `json:"InstanceId"`
	SourceDestCheck *truth
	Groups          []string `in:"GroupId"`
}

func (c *Cloud) modifyInstance(in modifyInstanceIn) (any, *refusal) {
	m := c.instances.get(in.InstanceID)
	switch {
	case !strings.HasPrefix(in.InstanceID, "i-"):
		return nil, bad("InvalidInstanceID.Malformed", "Invalid id: \"%s\" (expecting \"i-...\")", in.InstanceID)
	case m == nil:
		return nil, bad("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", in.InstanceID)
	case (in.SourceDestCheck == nil) == (len(in.Groups) == 0):
		return nil, bad("InvalidParameterCombination", "Exactly one attribute must be specified.")
	case m.State.Name == terminated:
		return nil, bad("IncorrectInstanceState", "The instance '%s' is not in a valid state", in.InstanceID)
	case len(m.NetworkInterfaces) > 1:
		return nil, bad("InvalidInstanceID", "There are multiple interfaces attached to instance '%s'. "+
			"Please specify an interface ID for the operation instead.", in.InstanceID)
	}
	for _, id := range in.Groups {
		if _, refused := c.group(id); refused != nil {
			return nil, refused
		}
	}
	c.instances.edit(in.InstanceID, c.now(), func(m *instance) {
		if in.SourceDestCheck != nil {
			m.SourceDestCheck = in.SourceDestCheck.Value
		} else {
			m.SecurityGroups = c.named(in.Groups)
		}
		for i := range m.NetworkInterfaces {
			m.NetworkInterfaces[i].SourceDestCheck = m.SourceDestCheck
			m.NetworkInterfaces[i].Groups = slices.Clone(m.SecurityGroups)
		}
	})
	return nil, nil
}
