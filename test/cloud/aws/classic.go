// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"fmt"
	"slices"
	"strconv"
)

// classic is a classic load balancer.
type classic struct {
	AvailabilityZones       []string
	Backends                []backend `json:"BackendServerDescriptions"`
	CanonicalHostedZoneName string
	CanonicalHostedZoneID   string `json:"CanonicalHostedZoneNameID,omitempty"`
	CreatedTime             string
	DNSName                 string
	HealthCheck             classicHealthCheck
	Instances               []instanceRef
	Listeners               []classicListenerPolicies `json:"ListenerDescriptions"`
	LoadBalancerName        string
	Policies                classicPolicies
	Scheme                  string
	SecurityGroups          []string
	SourceSecurityGroup     sourceGroup
	Subnets                 []string
	VPCID                   string            `json:"VPCId"`
	Attributes              classicAttributes `json:"-"`
	Defined                 []policy          `json:"-"`
	Tags                    []tag             `json:"-"`
}

type backend struct {
	InstancePort int
	PolicyNames  []string
}

type classicHealthCheck struct {
	HealthyThreshold   int
	Interval           int
	Target             string
	Timeout            int
	UnhealthyThreshold int
}

type instanceRef struct {
	InstanceID string `json:"InstanceId"`
}

type classicListenerPolicies struct {
	Listener    classicListener
	PolicyNames []string
}

type classicListener struct {
	InstancePort     int
	InstanceProtocol string
	LoadBalancerPort int
	Protocol         string
	SSLCertificateID string `json:"SSLCertificateId,omitempty"`
}

type classicPolicies struct {
	AppCookies []string `json:"AppCookieStickinessPolicies"`
	LBCookies  []string `json:"LBCookieStickinessPolicies"`
	Others     []string `json:"OtherPolicies"`
}

type sourceGroup struct {
	GroupName  string
	OwnerAlias string
}

func classicActions() map[string]action {
	return map[string]action{
		"elb.CreateLoadBalancer":                    bind((*Cloud).createClassic),
		"elb.DescribeLoadBalancers":                 bind((*Cloud).describeClassics),
		"elb.DeleteLoadBalancer":                    bind((*Cloud).deleteClassic),
		"elb.AttachLoadBalancerToSubnets":           bind((*Cloud).attachSubnets),
		"elb.DetachLoadBalancerFromSubnets":         bind((*Cloud).detachSubnets),
		"elb.ApplySecurityGroupsToLoadBalancer":     bind((*Cloud).applyGroups),
		"elb.ConfigureHealthCheck":                  bind((*Cloud).configureHealthCheck),
		"elb.RegisterInstancesWithLoadBalancer":     bind((*Cloud).registerInstances),
		"elb.DeregisterInstancesFromLoadBalancer":   bind((*Cloud).deregisterInstances),
		"elb.DescribeInstanceHealth":                bind((*Cloud).describeInstanceHealth),
		"elb.CreateLoadBalancerListeners":           bind((*Cloud).createClassicListeners),
		"elb.DeleteLoadBalancerListeners":           bind((*Cloud).deleteClassicListeners),
		"elb.SetLoadBalancerListenerSSLCertificate": bind((*Cloud).setClassicCertificate),
	}
}

type createClassicIn struct {
	LoadBalancerName string
	Listeners        []classicListener
	Scheme           string
	SecurityGroups   []string
	Subnets          []string
	Tags             []tag
}

type createClassicOut struct {
	DNSName string
}

func (c *Cloud) createClassic(in createClassicIn) (any, *refusal) {
	b, refused := c.newClassic(in)
	if refused != nil {
		return nil, refused
	}
	if old := c.classics.get(in.LoadBalancerName); old != nil {
		return c.sameClassic(old, b)
	}
	if len(c.classics.all()) >= c.limits.ClassicLoadBalancers {
		return nil, bad("TooManyLoadBalancers", "The quota of %d classic load balancers has been reached", c.limits.ClassicLoadBalancers)
	}
	number, _ := strconv.ParseUint(c.digits("classic", 8), 16, 64)
	b.DNSName = fmt.Sprintf("%s-%010d.%s.elb.amazonaws.com", b.LoadBalancerName, number, c.region)
	if b.Scheme == internal {
		b.DNSName = "internal-" + b.DNSName
	}
	b.CanonicalHostedZoneName = b.DNSName
	c.classics.put(b.LoadBalancerName, b, c.now())
	for _, id := range b.Subnets {
		c.attachClassic(b, id)
	}
	return createClassicOut{DNSName: b.DNSName}, nil
}

// sameClassic answers a create of a name that is taken.
func (c *Cloud) sameClassic(old, b *classic) (any, *refusal) {
	if !sameTags(old.Tags, b.Tags) {
		return nil, bad("DuplicateLoadBalancerName",
			"Load Balancer named %s already exists and it is configured with different tags.", b.LoadBalancerName)
	}
	ports := func(b *classic) []string {
		var all []string
		for _, l := range b.Listeners {
			all = append(all, fmt.Sprint(l.Listener))
		}
		return all
	}
	if old.Scheme != b.Scheme || !sameSet(old.Subnets, b.Subnets) || !sameSet(old.SecurityGroups, b.SecurityGroups) ||
		!sameSet(ports(old), ports(b)) {
		return nil, bad("DuplicateLoadBalancerName",
			"Load Balancer named %s already exists and it is configured with different parameters.", b.LoadBalancerName)
	}
	return createClassicOut{DNSName: old.DNSName}, nil
}

// newClassic judges a create and makes what it asks for.
func (c *Cloud) newClassic(in createClassicIn) (*classic, *refusal) {
	if refused := judgeName("load balancer", in.LoadBalancerName); refused != nil {
		return nil, refused
	}
	if refused := oneOf("scheme", &in.Scheme, internetFacing, internal); refused != nil {
		return nil, bad("InvalidScheme", "The scheme '%s' is not valid", in.Scheme)
	}
	if len(in.Listeners) == 0 {
		return nil, invalid("At least one listener must be specified")
	}
	if refused := c.judgeBalancerTags(nil, in.Tags); refused != nil {
		return nil, refused
	}
	b := &classic{
		CanonicalHostedZoneID: classicZone, CreatedTime: c.stamp(), LoadBalancerName: in.LoadBalancerName, Scheme: in.Scheme,
		SecurityGroups: in.SecurityGroups, Subnets: in.Subnets, Tags: withTags(nil, in.Tags), Attributes: newClassicAttributes(),
	}
	if refused := c.judgeClassicSubnets(b); refused != nil {
		return nil, refused
	}
	if refused := c.defaultGroups(b); refused != nil {
		return nil, refused
	}
	if refused := c.addListeners(b, in.Listeners); refused != nil {
		return nil, refused
	}
	b.HealthCheck = classicHealthCheck{
		HealthyThreshold: 10, Interval: 30, Timeout: 5, UnhealthyThreshold: 2,
		Target: fmt.Sprintf("TCP:%d", in.Listeners[0].InstancePort),
	}
	return b, nil
}

// judgeClassicSubnets judges where a load balancer is to be, and derives its
// zones and its VPC.
func (c *Cloud) judgeClassicSubnets(b *classic) *refusal {
	if len(b.Subnets) == 0 {
		return invalid("Load balancers without subnets are not simulated")
	}
	zones := map[string]bool{}
	b.AvailabilityZones = nil
	for _, id := range b.Subnets {
		s := c.subnets.get(id)
		if s == nil {
			return bad("SubnetNotFound", "The requested subnet %s cannot be found", id)
		}
		if b.VPCID == "" {
			b.VPCID = s.VPCID
		}
		switch {
		case zones[s.AvailabilityZone]:
			return unfit("ELB cannot be attached to multiple subnets in the same AZ.")
		case s.VPCID != b.VPCID:
			return bad("InvalidSubnet", "Subnets must be in the same VPC: %s", id)
		case c.nicOf("classic/"+b.LoadBalancerName, id) == nil &&
			c.counted([]*subnet{s})[0].AvailableIPAddressCount < minFreeAddresses:
			return bad("InvalidSubnet", "Not enough IP space available in %s. ELB requires at least %d free IP addresses in each subnet.",
				id, minFreeAddresses)
		}
		zones[s.AvailabilityZone] = true
		b.AvailabilityZones = append(b.AvailabilityZones, s.AvailabilityZone)
	}
	slices.Sort(b.AvailabilityZones)
	if b.Scheme == internetFacing && !c.online(b.VPCID) {
		return bad("InvalidSubnet", "VPC %s has no internet gateway", b.VPCID)
	}
	return nil
}

// defaultGroups judges the groups, and gives the VPC's own when there are none.
func (c *Cloud) defaultGroups(b *classic) *refusal {
	if len(b.SecurityGroups) == 0 {
		for _, g := range c.groups.all() {
			if g.VPCID == b.VPCID && g.GroupName == "default" {
				b.SecurityGroups = []string{g.GroupID}
			}
		}
	}
	if refused := c.judgeBalancerGroups(b.SecurityGroups, b.VPCID); refused != nil {
		return refused
	}
	if len(b.SecurityGroups) > 0 {
		b.SourceSecurityGroup = sourceGroup{GroupName: c.named(b.SecurityGroups)[0].GroupName, OwnerAlias: c.account}
	}
	return nil
}

// attachClassic makes the interface of a load balancer in a subnet.
func (c *Cloud) attachClassic(b *classic, subnetID string) {
	n := c.balancerNIC(subnetID, balancerAddress{})
	n.Description, n.InterfaceType = "ELB "+b.LoadBalancerName, "interface"
	n.Balancer, n.Groups = "classic/"+b.LoadBalancerName, c.named(b.SecurityGroups)
	c.nics.put(n.NetworkInterfaceID, n, c.now())
}

func (c *Cloud) classic(name string) (*classic, *refusal) {
	if b := c.classics.get(name); b != nil {
		return b, nil
	}
	return nil, noClassic(name)
}

func noClassic(name string) *refusal {
	return bad("LoadBalancerNotFound", "There is no ACTIVE Load Balancer named '%s'", name)
}

type describeClassicsIn struct {
	LoadBalancerNames []string
	Marker            string
	PageSize          *int
}

type describeClassicsOut struct {
	LoadBalancers []classic `json:"LoadBalancerDescriptions"`
	NextMarker    string    `json:",omitempty"`
}

func (c *Cloud) describeClassics(in describeClassicsIn) (any, *refusal) {
	all := c.classics.past(c.seen(ELB))
	name := func(b *classic) string { return b.LoadBalancerName }
	for _, n := range in.LoadBalancerNames {
		if !slices.ContainsFunc(all, func(b *classic) bool { return b.LoadBalancerName == n }) {
			return nil, noClassic(n)
		}
	}
	if len(in.LoadBalancerNames) > 0 {
		all = slices.DeleteFunc(all, func(b *classic) bool { return !slices.Contains(in.LoadBalancerNames, b.LoadBalancerName) })
	}
	found, next, refused := balancerPage(c, all, name, in.PageSize, in.Marker)
	return describeClassicsOut{LoadBalancers: values(found), NextMarker: next}, refused
}

type classicIn struct {
	LoadBalancerName string
}

// deleteClassic deletes what is there.
func (c *Cloud) deleteClassic(in classicIn) (any, *refusal) {
	if in.LoadBalancerName == "" {
		return nil, invalid("A load balancer name must be specified")
	}
	c.classics.remove(in.LoadBalancerName, c.now())
	c.detach("classic/"+in.LoadBalancerName, "")
	return nil, nil
}
