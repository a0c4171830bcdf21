// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// rule is a rule of a security group: exactly one of the peers is set.
type rule struct {
	ID           string
	Egress       bool
	Protocol     string
	From, To     *int // nil is all
	CidrIPv4     string
	CidrIPv6     string
	PrefixListID string
	GroupID      string
	Description  string
	Tags         []tag
}

// direction is the side of a group that a rule is of.
type direction uint8

const (
	inbound direction = iota + 1
	outbound
)

func (r rule) side() direction {
	if r.Egress {
		return outbound
	}
	return inbound
}

// anyProtocol stands for all protocols and ports.
const anyProtocol = "-1"

// number writes a port; "" when there is none.
func number(n *int) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(*n)
}

func (r rule) peer() string { return r.CidrIPv4 + r.CidrIPv6 + r.PrefixListID + r.GroupID }

// same is what must differ between the rules of a group; descriptions may not.
func (r rule) same() string {
	return fmt.Sprintf("%d %s %s %s %s", r.side(), r.Protocol, number(r.From), number(r.To), r.peer())
}

// words are how errors tell of a rule.
func (r rule) words() string {
	if r.Protocol == anyProtocol {
		return fmt.Sprintf("peer: %s, ALL, ALLOW", r.peer())
	}
	return fmt.Sprintf("peer: %s, %s, from port: %s, to port: %s, ALLOW",
		r.peer(), strings.ToUpper(r.Protocol), number(r.From), number(r.To))
}

// permission is how requests and answers tell of rules: peers by protocol and
// ports.
type permission struct {
	FromPort      *int      `json:",omitempty"`
	IPProtocol    string    `json:"IpProtocol"`
	IPRanges      []ipRange `json:"IpRanges"`
	Ipv6Ranges    []ipv6Range
	PrefixListIDs []prefixList `json:"PrefixListIds"`
	ToPort        *int         `json:",omitempty"`
	GroupPairs    []groupPair  `json:"UserIdGroupPairs" in:"Groups" ec2:"groups"`
}

type ipRange struct {
	CidrIP      string `json:"CidrIp"`
	Description string `json:",omitempty"`
}

type ipv6Range struct {
	CidrIPv6    string `json:"CidrIpv6"`
	Description string `json:",omitempty"`
}

type prefixList struct {
	Description  string `json:",omitempty"`
	PrefixListID string `json:"PrefixListId"`
}

type groupPair struct {
	Description string `json:",omitempty"`
	GroupID     string `json:"GroupId"`
	GroupName   string `json:",omitempty"`
	UserID      string `json:"UserId"`
	VPCID       string `json:"VpcId,omitempty"`
}

// permissions tells of the rules of one side: sorted, with one entry for each
// protocol and ports.
func (c *Cloud) permissions(rules []rule, side direction) []permission {
	rules = slices.DeleteFunc(slices.Clone(rules), func(r rule) bool { return r.side() != side })
	slices.SortStableFunc(rules, func(a, b rule) int {
		port := func(p *int) int {
			if p == nil {
				return -2
			}
			return *p
		}
		return cmp.Or(cmp.Compare(port(a.From), port(b.From)), cmp.Compare(a.Protocol, b.Protocol),
			cmp.Compare(port(a.To), port(b.To)), cmp.Compare(a.peer(), b.peer()))
	})
	var permissions []permission
	for _, r := range rules {
		n := len(permissions) - 1
		if n < 0 || permissions[n].IPProtocol != r.Protocol || number(permissions[n].FromPort) != number(r.From) ||
			number(permissions[n].ToPort) != number(r.To) {
			permissions = append(permissions, permission{IPProtocol: r.Protocol, FromPort: r.From, ToPort: r.To})
			n++
		}
		p := &permissions[n]
		switch {
		case r.CidrIPv4 != "":
			p.IPRanges = append(p.IPRanges, ipRange{CidrIP: r.CidrIPv4, Description: r.Description})
		case r.CidrIPv6 != "":
			p.Ipv6Ranges = append(p.Ipv6Ranges, ipv6Range{CidrIPv6: r.CidrIPv6, Description: r.Description})
		case r.PrefixListID != "":
			p.PrefixListIDs = append(p.PrefixListIDs, prefixList{PrefixListID: r.PrefixListID, Description: r.Description})
		default:
			p.GroupPairs = append(p.GroupPairs, groupPair{GroupID: r.GroupID, UserID: c.account, Description: r.Description})
		}
	}
	return permissions
}

// rulesOf makes rules of a permission, without judging it.
func rulesOf(p permission, side direction) []rule {
	base := rule{Egress: side == outbound, Protocol: p.IPProtocol, From: p.FromPort, To: p.ToPort}
	var rules []rule
	add := func(description string, set func(*rule)) {
		r := base
		r.Description = description
		set(&r)
		rules = append(rules, r)
	}
	for _, peer := range p.IPRanges {
		add(peer.Description, func(r *rule) { r.CidrIPv4 = peer.CidrIP })
	}
	for _, peer := range p.Ipv6Ranges {
		add(peer.Description, func(r *rule) { r.CidrIPv6 = peer.CidrIPv6 })
	}
	for _, peer := range p.PrefixListIDs {
		add(peer.Description, func(r *rule) { r.PrefixListID = peer.PrefixListID })
	}
	for _, peer := range p.GroupPairs {
		add(peer.Description, func(r *rule) { r.GroupID = peer.GroupID })
	}
	return rules
}

// judged makes the rules that a request asks for, each by itself as it must be.
func (c *Cloud) judged(permissions []permission, side direction) ([]rule, *refusal) {
	if len(permissions) == 0 {
		return nil, bad("MissingParameter", "Either 'ipPermissions' or 'securityGroupRuleIds' should be provided.")
	}
	var rules []rule
	seen := map[string]bool{}
	for _, p := range permissions {
		if refused := judgeProtocol(&p); refused != nil {
			return nil, refused
		}
		parts := rulesOf(p, side)
		if len(parts) == 0 {
			return nil, bad("MissingParameter", "Missing source specification: include source security group or CIDR information")
		}
		for _, r := range parts {
			if refused := c.judgePeer(&r); refused != nil {
				return nil, refused
			}
			if seen[r.same()] {
				return nil, wrong("The same permission must not appear multiple times")
			}
			seen[r.same()] = true
			rules = append(rules, r)
		}
	}
	return rules, nil
}

// judgeProtocol judges protocol and ports, and brings them into their one form.
func judgeProtocol(p *permission) *refusal {
	usual := map[string]string{"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "all": anyProtocol, "icmpv6": "icmpv6"}
	p.IPProtocol = strings.ToLower(p.IPProtocol)
	if name := usual[p.IPProtocol]; name != "" {
		p.IPProtocol = name
	}
	switch p.IPProtocol {
	case "tcp", "udp":
		if p.FromPort == nil || p.ToPort == nil || *p.FromPort < 0 || *p.ToPort > 65535 || *p.FromPort > *p.ToPort {
			return wrong("Invalid value '%s-%s' for portRange.", number(p.FromPort), number(p.ToPort))
		}
	case "icmp", "icmpv6":
		if p.FromPort == nil || p.ToPort == nil || *p.FromPort < -1 || *p.FromPort > 255 || *p.ToPort < -1 || *p.ToPort > 255 {
			return wrong("ICMP code or type is invalid: %s, %s", number(p.FromPort), number(p.ToPort))
		}
	default:
		n, err := strconv.Atoi(p.IPProtocol)
		if err != nil || n < -1 || n > 255 {
			return wrong("Invalid value '%s' for IP protocol. Unknown protocol.", p.IPProtocol)
		}
		p.FromPort, p.ToPort = nil, nil
	}
	return nil
}

// judgePeer judges peer and description, and brings the peer into its one form.
func (c *Cloud) judgePeer(r *rule) *refusal {
	if r.Description != "" && !groupText().MatchString(r.Description) {
		return wrong("Invalid rule description. Valid descriptions are strings less than 256 characters "+
			"from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*. Got: %s", r.Description)
	}
	switch {
	case r.CidrIPv4 != "":
		prefix, err := netip.ParsePrefix(r.CidrIPv4)
		if err != nil || !prefix.Addr().Is4() {
			return wrong("CIDR block %s is malformed", r.CidrIPv4)
		}
		r.CidrIPv4 = prefix.Masked().String()
	case r.CidrIPv6 != "":
		prefix, err := netip.ParsePrefix(r.CidrIPv6)
		if err != nil || prefix.Addr().Is4() {
			return wrong("CIDR block %s is malformed", r.CidrIPv6)
		}
		r.CidrIPv6 = prefix.Masked().String()
	case r.PrefixListID != "":
		if !strings.HasPrefix(r.PrefixListID, "pl-") {
			return bad("InvalidPrefixListID.NotFound", "The prefix list ID '%s' does not exist", r.PrefixListID)
		}
	default:
		_, refused := c.group(r.GroupID)
		return refused
	}
	return nil
}
