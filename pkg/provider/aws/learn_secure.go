// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"maps"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func (o *Observed) learnSecurityGroup(in *ec2.CreateSecurityGroupInput, out any) string {
	answer, ok := out.(*ec2.CreateSecurityGroupOutput)
	if !ok {
		return ""
	}
	g := &ec2types.SecurityGroup{
		GroupId: answer.GroupId, GroupName: in.GroupName, Description: in.Description, VpcId: in.VpcId, Tags: answer.Tags,
	}
	if len(g.Tags) == 0 {
		for i := range in.TagSpecifications {
			g.Tags = append(g.Tags, in.TagSpecifications[i].Tags...)
		}
	}
	if had, ok := o.Groups[awssdk.ToString(g.GroupId)]; ok {
		g.IpPermissions = had.IpPermissions
	}
	o.Groups[awssdk.ToString(g.GroupId)] = g
	return awssdk.ToString(g.GroupId)
}

func (o *Observed) learnSecurity(in Call) {
	switch in := in.(type) {
	case *ec2.AuthorizeSecurityGroupIngressInput:
		o.changeRules(in.GroupId, func(d described) { maps.Copy(d, rulesOf(in.IpPermissions)) })
	case *ec2.RevokeSecurityGroupIngressInput:
		o.changeRules(in.GroupId, func(d described) {
			for r := range rulesOf(in.IpPermissions) {
				delete(d, r)
			}
		})
	case *ec2.UpdateSecurityGroupRuleDescriptionsIngressInput:
		o.changeRules(in.GroupId, func(d described) { maps.Copy(d, rulesOf(in.IpPermissions)) })
	case *ec2.DeleteSecurityGroupInput:
		delete(o.Groups, awssdk.ToString(in.GroupId))
	case *ec2.CreateTagsInput:
		for _, id := range in.Resources {
			if had, ok := o.Groups[id]; ok {
				g := *had
				tags := ec2Tags(g.Tags)
				maps.Copy(tags, ec2Tags(in.Tags))
				g.Tags = sortedEC2Tags(tags)
				o.Groups[id] = &g
			}
		}
	}
}

// changeRules replaces the rules that are known of a group.
func (o *Observed) changeRules(id *string, change func(described)) {
	had, ok := o.Groups[awssdk.ToString(id)]
	if !ok {
		return
	}
	g := *had
	rules := rulesOf(g.IpPermissions)
	change(rules)
	g.IpPermissions = rules.permissions()
	o.Groups[awssdk.ToString(id)] = &g
}
