// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// balancer is a network load balancer.
type balancer struct {
	AvailabilityZones     []balancerZone
	CanonicalHostedZoneID string `json:"CanonicalHostedZoneId"`
	CreatedTime           string
	DNSName               string
	EnablePrefix          string `json:"EnablePrefixForIpv6SourceNat,omitempty"`
	EnforceInbound        string `json:"EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic,omitempty"`
	IPAddressType         string `json:"IpAddressType"`
	LoadBalancerArn       string
	LoadBalancerName      string
	Scheme                string
	SecurityGroups        []string
	State                 balancerState
	Type                  string
	VPCID                 string      `json:"VpcId"`
	Attributes            []attribute `json:"-"`
	Tags                  []tag       `json:"-"`
	ActiveAt              time.Time   `json:"-"`
}

type balancerState struct {
	Code   string
	Reason string `json:",omitempty"`
}

type balancerZone struct {
	LoadBalancerAddresses []balancerAddress `json:",omitempty"`
	SubnetID              string            `json:"SubnetId"`
	ZoneName              string
}

type balancerAddress struct {
	AllocationID       string `json:"AllocationId,omitempty"`
	IPAddress          string `json:"IpAddress,omitempty"`
	IPv6Address        string `json:"IPv6Address,omitempty"`
	PrivateIPv4Address string `json:",omitempty"`
}

type attribute struct{ Key, Value string }

// Schemes and address types.
const (
	internetFacing = "internet-facing"
	internal       = "internal"
	ipv4           = "ipv4"
	ipv6           = "ipv6"
	dualstack      = "dualstack"
)

func balancerActions() map[string]action {
	return map[string]action{
		"elbv2.CreateLoadBalancer":             bind((*Cloud).createBalancer),
		"elbv2.DescribeLoadBalancers":          bind((*Cloud).describeBalancers),
		"elbv2.DeleteLoadBalancer":             bind((*Cloud).deleteBalancer),
		"elbv2.SetSecurityGroups":              bind((*Cloud).setSecurityGroups),
		"elbv2.SetSubnets":                     bind((*Cloud).setSubnets),
		"elbv2.SetIpAddressType":               bind((*Cloud).setAddressType),
		"elbv2.DescribeLoadBalancerAttributes": bind((*Cloud).describeBalancerAttributes),
		"elbv2.ModifyLoadBalancerAttributes":   bind((*Cloud).modifyBalancerAttributes),
		"elbv2.AddTags":                        bind((*Cloud).addTags),
		"elbv2.RemoveTags":                     bind((*Cloud).removeTags),
		"elbv2.DescribeTags":                   bind((*Cloud).describeTags),
	}
}

type mapping struct {
	SubnetID           string `json:"SubnetId"`
	AllocationID       string `json:"AllocationId"`
	PrivateIPv4Address string
	IPv6Address        string
}

type createBalancerIn struct {
	Name                         string
	Subnets                      []string
	SubnetMappings               []mapping
	SecurityGroups               []string
	Scheme                       string
	Tags                         []tag
	Type                         string
	IPAddressType                string `json:"IpAddressType"`
	EnablePrefixForIpv6SourceNat string
}

type balancersOut struct {
	LoadBalancers []balancer
	NextMarker    string `json:",omitempty"`
}

func (c *Cloud) createBalancer(in createBalancerIn) (any, *refusal) {
	if refused := c.judgeNewBalancer(&in); refused != nil {
		return nil, refused
	}
	b := &balancer{
		CanonicalHostedZoneID: networkZone, CreatedTime: c.stamp(), EnablePrefix: in.EnablePrefixForIpv6SourceNat,
		IPAddressType: in.IPAddressType, LoadBalancerName: in.Name, Scheme: in.Scheme, SecurityGroups: in.SecurityGroups,
		State: balancerState{Code: "active"}, Type: "network", Attributes: newBalancerAttributes(),
		Tags: withTags(nil, in.Tags), ActiveAt: c.now().Add(c.timing.Provisioning),
	}
	zones, vpcID, refused := c.zonesOf(b, in.SubnetMappings)
	if refused != nil {
		return nil, refused
	}
	b.AvailabilityZones, b.VPCID = zones, vpcID
	if refused := c.judgeBalancerGroups(b.SecurityGroups, vpcID); refused != nil {
		return nil, refused
	}
	if old := c.balancerNamed(in.Name); old != nil {
		if !sameBalancer(old, b) {
			return nil, bad("DuplicateLoadBalancerName",
				"A load balancer with the same name '%s' exists, but with different settings", in.Name)
		}
		return balancersOut{LoadBalancers: []balancer{c.withState(old)}}, nil
	}
	if len(c.balancers.all()) >= c.limits.NetworkLoadBalancers {
		return nil, bad("TooManyLoadBalancers", "The quota of %d network load balancers has been reached", c.limits.NetworkLoadBalancers)
	}
	id := c.digits("balancer", 16)
	b.LoadBalancerArn = c.arn("elasticloadbalancing", "loadbalancer/net/"+in.Name+"/"+id)
	b.DNSName = in.Name + "-" + id + ".elb." + c.region + ".amazonaws.com"
	c.balancers.put(b.LoadBalancerArn, b, c.now())
	for _, z := range b.AvailabilityZones {
		c.attach(b, z)
	}
	return balancersOut{LoadBalancers: []balancer{c.withState(b)}}, nil
}

func (c *Cloud) judgeNewBalancer(in *createBalancerIn) *refusal {
	if refused := judgeName("load balancer", in.Name); refused != nil {
		return refused
	}
	if strings.HasPrefix(in.Name, "internal-") {
		return invalid("The load balancer name '%s' cannot begin with 'internal-'", in.Name)
	}
	if in.Type != "network" {
		return invalid("Load balancers of type '%s' are not simulated: only network", in.Type)
	}
	if refused := oneOf("scheme", &in.Scheme, internetFacing, internal); refused != nil {
		return refused
	}
	if refused := oneOf("IP address type", &in.IPAddressType, ipv4, dualstack); refused != nil {
		return refused
	}
	if in.EnablePrefixForIpv6SourceNat != "" && in.IPAddressType != dualstack {
		return unfit("Prefixes for source NAT need the IP address type dualstack")
	}
	if (len(in.Subnets) == 0) == (len(in.SubnetMappings) == 0) {
		return invalid("You must specify either subnets or subnet mappings, not both")
	}
	for _, id := range in.Subnets {
		in.SubnetMappings = append(in.SubnetMappings, mapping{SubnetID: id})
	}
	return c.judgeBalancerTags(nil, in.Tags)
}

// oneOf judges a value out of a few; the first is the default.
func oneOf(noun string, value *string, allowed ...string) *refusal {
	if *value == "" {
		*value = allowed[0]
	}
	if !slices.Contains(allowed, *value) {
		return invalid("'%s' is not a valid %s", *value, noun)
	}
	return nil
}

// maxBalancerName is how long names of load balancers and target groups may be.
const maxBalancerName = 32

// judgeName judges the name of a load balancer or target group.
func judgeName(noun, name string) *refusal {
	other := strings.IndexFunc(name, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	switch {
	case name == "":
		return invalid("A %s name must be specified", noun)
	case len(name) > maxBalancerName:
		return invalid("The %s name '%s' cannot be longer than '%d' characters", noun, name, maxBalancerName)
	case other >= 0:
		return invalid("The %s name '%s' can only contain characters that are alphanumeric characters and hyphens(-)", noun, name)
	case strings.HasPrefix(name, "-") || strings.HasSuffix(name, "-"):
		return invalid("The %s name '%s' cannot begin or end with a hyphen(-)", noun, name)
	default:
		return nil
	}
}

func (c *Cloud) balancerNamed(name string) *balancer {
	for _, b := range c.balancers.all() {
		if b.LoadBalancerName == name {
			return b
		}
	}
	return nil
}

// sameBalancer reports whether a create asks for what is there.
func sameBalancer(old, b *balancer) bool {
	places := func(b *balancer) []balancerZone {
		zones := slices.Clone(b.AvailabilityZones)
		slices.SortFunc(zones, func(a, b balancerZone) int { return strings.Compare(a.SubnetID, b.SubnetID) })
		return zones
	}
	return old.Scheme == b.Scheme && old.IPAddressType == b.IPAddressType && old.VPCID == b.VPCID &&
		slices.EqualFunc(places(old), places(b), func(a, b balancerZone) bool {
			return a.SubnetID == b.SubnetID && slices.Equal(a.LoadBalancerAddresses, b.LoadBalancerAddresses)
		}) && sameSet(old.SecurityGroups, b.SecurityGroups) && sameTags(old.Tags, b.Tags)
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// withState copies a load balancer with its state by the clock.
func (c *Cloud) withState(b *balancer) balancer {
	out := *b
	if b.ActiveAt.After(c.now()) {
		out.State.Code = "provisioning"
	}
	return out
}

type describeBalancersIn struct {
	LoadBalancerArns []string
	Names            []string
	Marker           string
	PageSize         *int
}

// Sizes of pages and of lists of names: the API reference on
// DescribeLoadBalancers.
const (
	maxPage  = 400
	maxNames = 20
)

// balancerPage cuts a page out of a list of load balancing.
func balancerPage[T any](c *Cloud, all []*T, id func(*T) string, size *int, marker string) ([]*T, string, *refusal) {
	most := maxPage
	if size != nil {
		if most = *size; most < 1 || most > maxPage {
			return nil, "", invalid("The page size '%d' must be from 1 to %d", most, maxPage)
		}
	}
	found, next, ok := page(all, id, c.pageOf(most), marker)
	if !ok {
		return nil, "", invalid("The marker '%s' is not valid", marker)
	}
	return found, next, nil
}

// pickNamed finds the objects of the names, which must all be there.
func pickNamed[T any](all []*T, names []string, name func(*T) string, missing *refusal) ([]*T, *refusal) {
	if len(names) > maxNames {
		return nil, invalid("Up to '%d' names or ARNs can be specified", maxNames)
	}
	var found []*T
	for _, v := range all {
		if slices.Contains(names, name(v)) {
			found = append(found, v)
		}
	}
	wanted := slices.Compact(slices.Sorted(slices.Values(names)))
	if len(found) != len(wanted) {
		return nil, missing
	}
	return found, nil
}

func noBalancer() *refusal {
	return bad("LoadBalancerNotFound", "One or more load balancers not found")
}

func (c *Cloud) describeBalancers(in describeBalancersIn) (any, *refusal) {
	all := c.balancers.past(c.seen(ELBV2))
	arn := func(b *balancer) string { return b.LoadBalancerArn }
	var refused *refusal
	switch {
	case len(in.Names) > 0 && len(in.LoadBalancerArns) > 0:
		return nil, invalid("Load balancer names and load balancer ARNs cannot be specified at the same time")
	case len(in.Names)+len(in.LoadBalancerArns) > 0 && in.PageSize != nil:
		return nil, invalid("Names or ARNs and a page size cannot be specified at the same time")
	case len(in.Names) > 0:
		all, refused = pickNamed(all, in.Names, func(b *balancer) string { return b.LoadBalancerName }, noBalancer())
	case len(in.LoadBalancerArns) > 0:
		all, refused = pickNamed(all, in.LoadBalancerArns, arn, noBalancer())
	}
	if refused != nil {
		return nil, refused
	}
	found, next, refused := balancerPage(c, all, arn, in.PageSize, in.Marker)
	out := balancersOut{NextMarker: next}
	for _, b := range found {
		out.LoadBalancers = append(out.LoadBalancers, c.withState(b))
	}
	return out, refused
}

type balancerIn struct {
	LoadBalancerArn string
}

// deleteBalancer deletes what is there, and its listeners with it.
func (c *Cloud) deleteBalancer(in balancerIn) (any, *refusal) {
	b := c.balancers.get(in.LoadBalancerArn)
	if b == nil {
		if !strings.HasPrefix(in.LoadBalancerArn, "arn:") {
			return nil, invalid("'%s' is not a valid load balancer ARN", in.LoadBalancerArn)
		}
		return nil, nil
	}
	if valueOf(b.Attributes, "deletion_protection.enabled") == "true" {
		return nil, bad("OperationNotPermitted",
			"Load balancer '%s' cannot be deleted because deletion protection is enabled", b.LoadBalancerArn)
	}
	for _, l := range c.listenersOf(b.LoadBalancerArn) {
		c.listeners.remove(l.ListenerArn, c.now())
	}
	c.balancers.remove(b.LoadBalancerArn, c.now())
	for _, g := range c.targets.all() {
		if slices.Contains(g.LoadBalancerArns, b.LoadBalancerArn) && c.timing.Release > 0 {
			c.targets.edit(g.TargetGroupArn, c.now(), func(g *targetGroup) { g.BusyUntil = c.now().Add(c.timing.Release) })
		}
	}
	c.relate()
	c.detach(b.LoadBalancerArn, "")
	return nil, nil
}

func (c *Cloud) balancer(arn string) (*balancer, *refusal) {
	if b := c.balancers.get(arn); b != nil {
		return b, nil
	}
	return nil, bad("LoadBalancerNotFound", "Load balancer '%s' not found", arn)
}

// parseRange reads a range that was judged before.
func parseRange(text string) netip.Prefix {
	p, _ := netip.ParsePrefix(text)
	return p
}
