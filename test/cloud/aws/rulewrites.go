// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"slices"
	"strings"
)

// describedRule is a rule as it is answered by itself.
type describedRule struct {
	CidrIPv4            string `json:"CidrIpv4,omitempty"`
	CidrIPv6            string `json:"CidrIpv6,omitempty"`
	Description         string `json:",omitempty"`
	FromPort            int
	GroupID             string `json:"GroupId"`
	GroupOwnerID        string `json:"GroupOwnerId"`
	IPProtocol          string `json:"IpProtocol"`
	IsEgress            bool
	PrefixListID        string           `json:"PrefixListId,omitempty"`
	ReferencedGroup     *referencedGroup `json:"ReferencedGroupInfo,omitempty"`
	SecurityGroupRuleID string           `json:"SecurityGroupRuleId"`
	Tags                []tag            `ec2:"tagSet"`
	ToPort              int
}

type referencedGroup struct {
	GroupID string `json:"GroupId"`
	UserID  string `json:"UserId"`
	VPCID   string `json:"VpcId"`
}

// describedRules tells of rules of a group.
func (c *Cloud) describedRules(g *securityGroup, rules []rule) []describedRule {
	port := func(p *int) int {
		if p == nil {
			return -1
		}
		return *p
	}
	out := make([]describedRule, len(rules))
	for i, r := range rules {
		out[i] = describedRule{
			CidrIPv4: r.CidrIPv4, CidrIPv6: r.CidrIPv6, Description: r.Description, FromPort: port(r.From), ToPort: port(r.To),
			GroupID: g.GroupID, GroupOwnerID: g.OwnerID, IPProtocol: r.Protocol, IsEgress: r.Egress,
			PrefixListID: r.PrefixListID, SecurityGroupRuleID: r.ID, Tags: r.Tags,
		}
		if r.GroupID != "" {
			out[i].ReferencedGroup = &referencedGroup{GroupID: r.GroupID, UserID: c.account, VPCID: g.VPCID}
		}
	}
	return out
}

type describeRulesIn struct {
	RuleIDs []string `in:"SecurityGroupRuleId"`
	question
}

type describeRulesOut struct {
	Rules     []describedRule `ec2:"securityGroupRuleSet"`
	NextToken string          `json:",omitempty"`
}

func (c *Cloud) describeRules(in describeRulesIn) (any, *refusal) {
	l := listed[describedRule]{
		prefix: "sgr-", malformed: "InvalidSecurityGroupRuleId.Malformed",
		missing: "InvalidSecurityGroupRuleId.NotFound", noun: "security group rule ID",
		id: func(r *describedRule) string { return r.SecurityGroupRuleID }, tags: func(r *describedRule) []tag { return r.Tags },
		filters: map[string]func(*describedRule) []string{
			"group-id":               one(func(r *describedRule) string { return r.GroupID }),
			"security-group-rule-id": one(func(r *describedRule) string { return r.SecurityGroupRuleID }),
		},
		least: 5, most: 1000,
	}
	var all []*describedRule
	for _, g := range c.groups.past(c.seen(EC2)) {
		for _, r := range c.describedRules(g, g.Rules) {
			all = append(all, &r)
		}
	}
	slices.SortFunc(all, func(a, b *describedRule) int {
		return strings.Compare(a.SecurityGroupRuleID, b.SecurityGroupRuleID)
	})
	found, next, refused := list(c, all, l, in.RuleIDs, in.question)
	return describeRulesOut{Rules: values(found), NextToken: next}, refused
}

type authorizeIn struct {
	GroupID           string             `json:"GroupId"`
	Permissions       []permission       `in:"IpPermissions"`
	TagSpecifications []tagSpecification `in:"TagSpecification"`
}

type authorizeOut struct {
	Return bool
	Rules  []describedRule `ec2:"securityGroupRuleSet"`
}

func (c *Cloud) authorizeIngress(in authorizeIn) (any, *refusal) { return c.authorize(in, inbound) }
func (c *Cloud) authorizeEgress(in authorizeIn) (any, *refusal)  { return c.authorize(in, outbound) }

// authorize adds all the rules or none.
func (c *Cloud) authorize(in authorizeIn, side direction) (any, *refusal) {
	g, refused := c.group(in.GroupID)
	if refused != nil {
		return nil, refused
	}
	tags, refused := c.specified(in.TagSpecifications, "security-group-rule")
	if refused != nil {
		return nil, refused
	}
	rules, refused := c.judged(in.Permissions, side)
	if refused != nil {
		return nil, refused
	}
	for i, r := range rules {
		if slices.ContainsFunc(g.Rules, func(have rule) bool { return have.same() == r.same() }) {
			return nil, bad("InvalidPermission.Duplicate", "the specified rule \"%s\" already exists", r.words())
		}
		rules[i].Tags = withTags(nil, tags)
	}
	count := len(rules)
	for _, r := range g.Rules {
		if r.side() == side {
			count++
		}
	}
	if count > c.limits.RulesPerGroup {
		return nil, bad("RulesPerSecurityGroupLimitExceeded",
			"The maximum number of rules per security group has been reached.")
	}
	for i := range rules {
		rules[i].ID = c.newID("sgr")
	}
	c.groups.edit(g.GroupID, c.now(), func(g *securityGroup) { g.Rules = append(g.Rules, rules...) })
	return authorizeOut{Return: true, Rules: c.describedRules(g, rules)}, nil
}

type revokeIn struct {
	GroupID     string       `json:"GroupId"`
	Permissions []permission `in:"IpPermissions"`
	RuleIDs     []string     `in:"SecurityGroupRuleId"`
}

type revokeOut struct {
	Return  bool
	Revoked []revokedRule `ec2:"revokedSecurityGroupRuleSet"`
}

type revokedRule struct {
	SecurityGroupRuleID string `json:"SecurityGroupRuleId"`
	GroupID             string `json:"GroupId"`
}

func (c *Cloud) revokeIngress(in revokeIn) (any, *refusal) { return c.revoke(in, inbound) }
func (c *Cloud) revokeEgress(in revokeIn) (any, *refusal)  { return c.revoke(in, outbound) }

// revoke removes all the rules or none.
func (c *Cloud) revoke(in revokeIn, side direction) (any, *refusal) {
	g, refused := c.group(in.GroupID)
	if refused != nil {
		return nil, refused
	}
	ids, refused := c.unwantedRules(g, in, side)
	if refused != nil {
		return nil, refused
	}
	c.groups.edit(g.GroupID, c.now(), func(g *securityGroup) {
		g.Rules = slices.DeleteFunc(g.Rules, func(r rule) bool { return slices.Contains(ids, r.ID) })
	})
	out := revokeOut{Return: true}
	for _, id := range ids {
		out.Revoked = append(out.Revoked, revokedRule{SecurityGroupRuleID: id, GroupID: g.GroupID})
	}
	return out, nil
}

// unwantedRules finds the rules that a request names, by id or by what they say. A
// description that is given must be the rule's.
func (c *Cloud) unwantedRules(g *securityGroup, in revokeIn, side direction) ([]string, *refusal) {
	var ids []string
	for _, id := range in.RuleIDs {
		if !slices.ContainsFunc(g.Rules, func(r rule) bool { return r.ID == id && r.side() == side }) {
			return nil, bad("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist", id)
		}
		ids = append(ids, id)
	}
	if len(ids) > 0 {
		if len(in.Permissions) > 0 {
			return nil, bad("InvalidParameterCombination", "ipPermissions and securityGroupRuleIds cannot be combined.")
		}
		return ids, nil
	}
	rules, refused := c.judged(in.Permissions, side)
	if refused != nil {
		return nil, refused
	}
	for _, r := range rules {
		i := slices.IndexFunc(g.Rules, func(have rule) bool {
			return have.same() == r.same() && (r.Description == "" || have.Description == r.Description)
		})
		if i < 0 {
			return nil, bad("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
		}
		ids = append(ids, g.Rules[i].ID)
	}
	return ids, nil
}

type ruleChange struct {
	SecurityGroupRuleID string `json:"SecurityGroupRuleId"`
	Rule                struct {
		IPProtocol        string `json:"IpProtocol"`
		FromPort          *int
		ToPort            *int
		CidrIPv4          string `json:"CidrIpv4"`
		CidrIPv6          string `json:"CidrIpv6"`
		PrefixListID      string `json:"PrefixListId"`
		ReferencedGroupID string `json:"ReferencedGroupId"`
		Description       string
	} `in:"SecurityGroupRule"`
}

type modifyRulesIn struct {
	GroupID string       `json:"GroupId"`
	Changes []ruleChange `in:"SecurityGroupRule"`
}

// modifyRules puts rules in the place of others, all or none.
func (c *Cloud) modifyRules(in modifyRulesIn) (any, *refusal) {
	g, refused := c.group(in.GroupID)
	if refused != nil {
		return nil, refused
	}
	g = clone(g)
	for _, change := range in.Changes {
		i := slices.IndexFunc(g.Rules, func(r rule) bool { return r.ID == change.SecurityGroupRuleID })
		if i < 0 {
			return nil, bad("InvalidSecurityGroupRuleId.NotFound",
				"The security group rule ID '%s' does not exist", change.SecurityGroupRuleID)
		}
		want := change.Rule
		p := permission{IPProtocol: want.IPProtocol, FromPort: want.FromPort, ToPort: want.ToPort}
		if refused := judgeProtocol(&p); refused != nil {
			return nil, refused
		}
		r := g.Rules[i]
		r.Protocol, r.From, r.To, r.Description = p.IPProtocol, p.FromPort, p.ToPort, want.Description
		r.CidrIPv4, r.CidrIPv6 = want.CidrIPv4, want.CidrIPv6
		r.PrefixListID, r.GroupID = want.PrefixListID, want.ReferencedGroupID
		if refused := c.judgePeer(&r); refused != nil {
			return nil, refused
		}
		g.Rules[i] = r
	}
	seen := map[string]bool{}
	for _, r := range g.Rules {
		if seen[r.same()] {
			return nil, bad("InvalidPermission.Duplicate", "the specified rule \"%s\" already exists", r.words())
		}
		seen[r.same()] = true
	}
	c.groups.put(g.GroupID, g, c.now())
	return returned{Return: true}, nil
}

type describeAnewIn struct {
	GroupID     string       `json:"GroupId"`
	Permissions []permission `in:"IpPermissions"`
}

// describeIngressAnew changes descriptions of rules that are there.
func (c *Cloud) describeIngressAnew(in describeAnewIn) (any, *refusal) {
	g, refused := c.group(in.GroupID)
	if refused != nil {
		return nil, refused
	}
	rules, refused := c.judged(in.Permissions, inbound)
	if refused != nil {
		return nil, refused
	}
	descriptions := map[string]string{}
	for _, r := range rules {
		if !slices.ContainsFunc(g.Rules, func(have rule) bool { return have.same() == r.same() }) {
			return nil, bad("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
		}
		descriptions[r.same()] = r.Description
	}
	c.groups.edit(g.GroupID, c.now(), func(g *securityGroup) {
		for i, r := range g.Rules {
			if text, ok := descriptions[r.same()]; ok {
				g.Rules[i].Description = text
			}
		}
	})
	return returned{Return: true}, nil
}
