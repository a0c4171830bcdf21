// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"regexp"
	"slices"
	"strings"
)

// securityGroup is a group with its rules, each of one peer.
type securityGroup struct {
	Description      string `ec2:"groupDescription"`
	GroupID          string `json:"GroupId"`
	GroupName        string
	OwnerID          string `json:"OwnerId"`
	SecurityGroupArn string `json:",omitempty"`
	Tags             []tag  `ec2:"tagSet"`
	VPCID            string `json:"VpcId"`
	Rules            []rule `json:"-"`
}

// describedGroup is a group as it is answered.
type describedGroup struct {
	securityGroup
	IPPermissions       []permission `json:"IpPermissions"`
	IPPermissionsEgress []permission `json:"IpPermissionsEgress"`
}

func groupActions() map[string]action {
	return map[string]action{
		"ec2.DescribeSecurityGroups":                     bind((*Cloud).describeGroups),
		"ec2.CreateSecurityGroup":                        bind((*Cloud).createGroup),
		"ec2.DeleteSecurityGroup":                        bind((*Cloud).deleteGroup),
		"ec2.DescribeSecurityGroupRules":                 bind((*Cloud).describeRules),
		"ec2.AuthorizeSecurityGroupIngress":              bind((*Cloud).authorizeIngress),
		"ec2.AuthorizeSecurityGroupEgress":               bind((*Cloud).authorizeEgress),
		"ec2.RevokeSecurityGroupIngress":                 bind((*Cloud).revokeIngress),
		"ec2.RevokeSecurityGroupEgress":                  bind((*Cloud).revokeEgress),
		"ec2.ModifySecurityGroupRules":                   bind((*Cloud).modifyRules),
		"ec2.UpdateSecurityGroupRuleDescriptionsIngress": bind((*Cloud).describeIngressAnew),
	}
}

type describeGroupsIn struct {
	GroupIDs   []string `in:"GroupId"`
	GroupNames []string `in:"GroupName"`
	question
}

type describeGroupsOut struct {
	SecurityGroups []describedGroup `ec2:"securityGroupInfo"`
	NextToken      string           `json:",omitempty"`
}

// ofRules makes a filter of a field of a group's inbound rules.
func ofRules(field func(rule) string) func(*securityGroup) []string {
	return func(g *securityGroup) []string {
		var found []string
		for _, r := range g.Rules {
			if text := field(r); !r.Egress && text != "" {
				found = append(found, text)
			}
		}
		return found
	}
}

func listedGroups() listed[securityGroup] {
	return listed[securityGroup]{
		prefix: "sg-", malformed: "InvalidGroupId.Malformed", missing: "InvalidGroup.NotFound", noun: "security group",
		id: func(g *securityGroup) string { return g.GroupID }, tags: func(g *securityGroup) []tag { return g.Tags },
		filters: map[string]func(*securityGroup) []string{
			"group-id":                     one(func(g *securityGroup) string { return g.GroupID }),
			"group-name":                   one(func(g *securityGroup) string { return g.GroupName }),
			"description":                  one(func(g *securityGroup) string { return g.Description }),
			"owner-id":                     one(func(g *securityGroup) string { return g.OwnerID }),
			"vpc-id":                       one(func(g *securityGroup) string { return g.VPCID }),
			"ip-permission.cidr":           ofRules(func(r rule) string { return r.CidrIPv4 }),
			"ip-permission.ipv6-cidr":      ofRules(func(r rule) string { return r.CidrIPv6 }),
			"ip-permission.group-id":       ofRules(func(r rule) string { return r.GroupID }),
			"ip-permission.prefix-list-id": ofRules(func(r rule) string { return r.PrefixListID }),
			"ip-permission.protocol":       ofRules(func(r rule) string { return r.Protocol }),
			"ip-permission.from-port":      ofRules(func(r rule) string { return number(r.From) }),
			"ip-permission.to-port":        ofRules(func(r rule) string { return number(r.To) }),
		},
		least: 5, most: 1000,
	}
}

func (c *Cloud) describeGroups(in describeGroupsIn) (any, *refusal) {
	if len(in.GroupNames) > 0 {
		return nil, bad("InvalidGroup.NotFound",
			"The security group '%s' does not exist in default VPC 'none'", in.GroupNames[0])
	}
	found, next, refused := list(c, c.groups.past(c.seen(EC2)), listedGroups(), in.GroupIDs, in.question)
	if refused != nil {
		return nil, refused
	}
	out := describeGroupsOut{NextToken: next}
	for _, g := range found {
		out.SecurityGroups = append(out.SecurityGroups, c.described(g))
	}
	return out, nil
}

func (c *Cloud) described(g *securityGroup) describedGroup {
	return describedGroup{
		securityGroup: *g,
		IPPermissions: c.permissions(g.Rules, inbound), IPPermissionsEgress: c.permissions(g.Rules, outbound),
	}
}

// Names and descriptions of groups: the API reference on CreateSecurityGroup.
const maxGroupText = 255

type createGroupIn struct {
	GroupName         string
	Description       string             `in:"GroupDescription"`
	VPCID             string             `json:"VpcId"`
	TagSpecifications []tagSpecification `in:"TagSpecification"`
}

type createGroupOut struct {
	GroupID          string `json:"GroupId"`
	SecurityGroupArn string
	Tags             []tag `ec2:"tagSet"`
}

// groupText matches what names and descriptions may hold.
func groupText() *regexp.Regexp {
	return regexp.MustCompile(`^[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}$`)
}

func (c *Cloud) createGroup(in createGroupIn) (any, *refusal) {
	if refused := c.judgeGroup(in); refused != nil {
		return nil, refused
	}
	tags, refused := c.specified(in.TagSpecifications, "security-group")
	if refused != nil {
		return nil, refused
	}
	id := c.newID("sg")
	g := &securityGroup{
		Description: in.Description, GroupID: id, GroupName: in.GroupName, OwnerID: c.account,
		SecurityGroupArn: c.arn("ec2", "security-group/"+id), Tags: withTags(nil, tags), VPCID: in.VPCID,
		Rules: []rule{{ID: c.newID("sgr"), Egress: true, Protocol: anyProtocol, CidrIPv4: "0.0.0.0/0"}},
	}
	if v := c.vpcs.get(in.VPCID); len(v.Ipv6Blocks) > 0 {
		g.Rules = append(g.Rules, rule{ID: c.newID("sgr"), Egress: true, Protocol: anyProtocol, CidrIPv6: "::/0"})
	}
	c.groups.put(id, g, c.now())
	return createGroupOut{GroupID: id, SecurityGroupArn: g.SecurityGroupArn, Tags: g.Tags}, nil
}

func (c *Cloud) judgeGroup(in createGroupIn) *refusal {
	switch {
	case in.GroupName == "":
		return bad("MissingParameter", "The request must contain the parameter GroupName")
	case in.Description == "":
		return bad("MissingParameter", "The request must contain the parameter GroupDescription")
	case !groupText().MatchString(in.GroupName):
		return wrong("Value (%s) for parameter GroupName is invalid. At most %d characters of "+
			"a-z, A-Z, 0-9, spaces, and ._-:/()#,@[]+=&;{}!$* are allowed.", in.GroupName, maxGroupText)
	case !groupText().MatchString(in.Description):
		return wrong("Value (%s) for parameter GroupDescription is invalid. At most %d characters of "+
			"a-z, A-Z, 0-9, spaces, and ._-:/()#,@[]+=&;{}!$* are allowed.", in.Description, maxGroupText)
	case strings.HasPrefix(in.GroupName, "sg-"):
		return wrong("Value (%s) for parameter GroupName is invalid. Group names may not be in the format sg-*.", in.GroupName)
	case in.GroupName == "default":
		return bad("InvalidGroup.Reserved", "The security group '%s' is reserved", in.GroupName)
	case in.VPCID == "":
		return bad("VPCIdNotSpecified", "No default VPC for this user")
	case c.vpcs.get(in.VPCID) == nil:
		return bad("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", in.VPCID)
	}
	all := c.groups.all()
	if slices.ContainsFunc(all, func(g *securityGroup) bool {
		return g.VPCID == in.VPCID && g.GroupName == in.GroupName
	}) {
		return bad("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", in.GroupName, in.VPCID)
	}
	if len(all) >= c.limits.SecurityGroups {
		return bad("SecurityGroupLimitExceeded", "The maximum number of security groups has been reached.")
	}
	return nil
}

type deleteGroupIn struct {
	GroupID string `json:"GroupId"`
}

type deleteGroupOut struct {
	Return  bool
	GroupID string `json:"GroupId"`
}

func (c *Cloud) deleteGroup(in deleteGroupIn) (any, *refusal) {
	g, refused := c.group(in.GroupID)
	if refused != nil {
		return nil, refused
	}
	if g.GroupName == "default" {
		return nil, bad("CannotDelete", "the specified group: \"%s\" name: \"default\" cannot be deleted by a user", g.GroupID)
	}
	if c.groupInUse(g.GroupID) {
		return nil, bad("DependencyViolation", "resource %s has a dependent object", g.GroupID)
	}
	c.groups.remove(g.GroupID, c.now())
	return deleteGroupOut{Return: true, GroupID: g.GroupID}, nil
}

// group finds a group for a write.
func (c *Cloud) group(id string) (*securityGroup, *refusal) {
	switch g := c.groups.get(id); {
	case id == "":
		return nil, bad("MissingParameter", "The request must contain the parameter groupName or groupId")
	case !strings.HasPrefix(id, "sg-"):
		return nil, bad("InvalidGroupId.Malformed", "Invalid id: \"%s\" (expecting \"sg-...\")", id)
	case g == nil:
		return nil, bad("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
	default:
		return g, nil
	}
}

// groupInUse reports whether an interface has the group, or a rule of another
// group refers to it.
func (c *Cloud) groupInUse(id string) bool {
	holds := func(groups []groupName) bool {
		return slices.ContainsFunc(groups, func(g groupName) bool { return g.GroupID == id })
	}
	return slices.ContainsFunc(c.nics.all(), func(n *networkInterface) bool { return holds(n.Groups) }) ||
		slices.ContainsFunc(c.instances.all(), func(m *instance) bool {
			return m.State.Name != terminated && slices.ContainsFunc(m.NetworkInterfaces, func(n instanceNIC) bool {
				return holds(n.Groups)
			})
		}) ||
		slices.ContainsFunc(c.groups.all(), func(g *securityGroup) bool {
			return g.GroupID != id && slices.ContainsFunc(g.Rules, func(r rule) bool { return r.GroupID == id })
		})
}

// groupName is how an interface tells of a group.
type groupName struct {
	GroupID   string `json:"GroupId"`
	GroupName string
}

// named are the groups of the ids, for an interface.
func (c *Cloud) named(ids []string) []groupName {
	names := make([]groupName, len(ids))
	for i, id := range ids {
		names[i] = groupName{GroupID: id}
		if g := c.groups.get(id); g != nil {
			names[i].GroupName = g.GroupName
		}
	}
	return names
}
