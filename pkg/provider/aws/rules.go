// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// sourceKind is what a rule lets in. The zero value is none.
type sourceKind uint8

const (
	fromIPv4 sourceKind = iota + 1
	fromIPv6
	fromGroup
	fromPrefixList
)

// rule is one rule of a security group. AWS has one for each protocol, ports
// and source, whatever the descriptions.
type rule struct {
	protocol string // tcp, udp, icmp, -1
	from, to int32  // -1: all
	kind     sourceKind
	source   string // a prefix, or the id of a group or prefix list
}

// described are rules with their descriptions.
type described map[rule]string

// icmp of path MTU discovery: type 3, code 4; for IPv6 type 2, code 0.
const (
	protocolICMP   = "icmp"
	icmpType       = 3
	icmpCode       = 4
	protocolICMPv6 = "icmpv6"
	icmpv6Type     = 2
	icmpv6Code     = 0
	allProtocols   = "-1"
)

// String is the rule in a plan.
func (r rule) String() string {
	switch {
	case r.protocol == allProtocols:
		return "all from " + r.source
	case r.from == r.to:
		return fmt.Sprintf("%s %d from %s", r.protocol, r.from, r.source)
	}
	return fmt.Sprintf("%s %d-%d from %s", r.protocol, r.from, r.to, r.source)
}

// opens reports whether the rule is for the port.
func (r rule) opens(protocol string, port int32) bool {
	return r.protocol == allProtocols || (r.protocol == protocol && r.spans(port))
}

// spans reports whether the rule's range of ports has the port.
func (r rule) spans(port int32) bool { return r.from <= port && port <= r.to }

// rulesOf are the single rules of permissions.
func rulesOf(permissions []ec2types.IpPermission) described {
	out := described{}
	for i := range permissions {
		p := &permissions[i]
		r := rule{protocol: awssdk.ToString(p.IpProtocol), from: -1, to: -1}
		if p.FromPort != nil && r.protocol != allProtocols {
			r.from = *p.FromPort
		}
		if p.ToPort != nil && r.protocol != allProtocols {
			r.to = *p.ToPort
		}
		add := func(kind sourceKind, source, description *string) {
			r.kind, r.source = kind, awssdk.ToString(source)
			out[r] = awssdk.ToString(description)
		}
		for _, x := range p.IpRanges {
			add(fromIPv4, canonical(x.CidrIp), x.Description)
		}
		for _, x := range p.Ipv6Ranges {
			add(fromIPv6, canonical(x.CidrIpv6), x.Description)
		}
		for _, x := range p.UserIdGroupPairs {
			add(fromGroup, x.GroupId, x.Description)
		}
		for _, x := range p.PrefixListIds {
			add(fromPrefixList, x.PrefixListId, x.Description)
		}
	}
	return out
}

// canonical is a range of addresses as a rule has it. EC2 may write one of IPv6
// in several ways, such as 2001:db8:0:0::/64 for 2001:db8::/64.
func canonical(text *string) *string {
	p, err := netip.ParsePrefix(awssdk.ToString(text))
	if err != nil {
		return text
	}
	return awssdk.String(p.Masked().String())
}

// permissions are the rules as calls have them: one permission for each
// protocol and ports.
func (d described) permissions() []ec2types.IpPermission {
	type head struct {
		protocol string
		from, to int32
	}
	at := map[head]int{}
	var out []ec2types.IpPermission
	for _, r := range sortedRules(d) {
		h := head{r.protocol, r.from, r.to}
		i, ok := at[h]
		if !ok {
			i = len(out)
			at[h] = i
			p := ec2types.IpPermission{IpProtocol: awssdk.String(r.protocol)}
			if r.protocol != allProtocols {
				p.FromPort, p.ToPort = awssdk.Int32(r.from), awssdk.Int32(r.to)
			}
			out = append(out, p)
		}
		addSource(&out[i], r, d[r])
	}
	return out
}

func addSource(p *ec2types.IpPermission, r rule, text string) {
	var description *string
	if text != "" {
		description = awssdk.String(text)
	}
	source := awssdk.String(r.source)
	switch r.kind {
	case fromIPv4:
		p.IpRanges = append(p.IpRanges, ec2types.IpRange{CidrIp: source, Description: description})
	case fromIPv6:
		p.Ipv6Ranges = append(p.Ipv6Ranges, ec2types.Ipv6Range{CidrIpv6: source, Description: description})
	case fromGroup:
		p.UserIdGroupPairs = append(p.UserIdGroupPairs, ec2types.UserIdGroupPair{GroupId: source, Description: description})
	case fromPrefixList:
		p.PrefixListIds = append(p.PrefixListIds, ec2types.PrefixListId{PrefixListId: source, Description: description})
	}
}

func sortedRules[V any](d map[rule]V) []rule {
	return slices.SortedFunc(maps.Keys(d), func(x, y rule) int {
		return cmp.Or(
			cmp.Compare(x.protocol, y.protocol), cmp.Compare(x.from, y.from), cmp.Compare(x.to, y.to),
			cmp.Compare(x.kind, y.kind), cmp.Compare(x.source, y.source),
		)
	})
}

// minus are the rules that are not in other.
func (d described) minus(other described) described {
	out := described{}
	for r, text := range d {
		if _, ok := other[r]; !ok {
			out[r] = text
		}
	}
	return out
}

// count is how many rules AWS counts: it limits those of each family, and of
// groups and prefix lists in both (Amazon VPC quotas, security groups).
func (d described) count() int {
	var four, six int
	for r := range d {
		if r.kind != fromIPv6 {
			four++
		}
		if r.kind != fromIPv4 {
			six++
		}
	}
	return max(four, six)
}
