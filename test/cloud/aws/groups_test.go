// SPDX-License-Identifier: Apache-2.0

package awssim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// tcp is a permission for one port and the peers that are set in it.
func tcp(port int32, cidrs ...string) types.IpPermission {
	p := types.IpPermission{IpProtocol: aws.String("tcp"), FromPort: &port, ToPort: &port}
	for _, c := range cidrs {
		p.IpRanges = append(p.IpRanges, types.IpRange{CidrIp: &c, Description: aws.String("why=" + c)})
	}
	return p
}

func (r *rig) authorize(group string, permissions ...types.IpPermission) error {
	_, err := r.ec2.AuthorizeSecurityGroupIngress(r.t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{
		GroupId: &group, IpPermissions: permissions,
	})
	return err
}

func (r *rig) revoke(group string, permissions ...types.IpPermission) error {
	_, err := r.ec2.RevokeSecurityGroupIngress(r.t.Context(), &ec2.RevokeSecurityGroupIngressInput{
		GroupId: &group, IpPermissions: permissions,
	})
	return err
}

func (r *rig) deleteGroup(id string) error {
	_, err := r.ec2.DeleteSecurityGroup(r.t.Context(), &ec2.DeleteSecurityGroupInput{GroupId: &id})
	return err
}

// permissions are a group's inbound ones.
func (r *rig) permissions(group string) []types.IpPermission {
	r.t.Helper()
	out := must(r.ec2.DescribeSecurityGroups(r.t.Context(), &ec2.DescribeSecurityGroupsInput{GroupIds: []string{group}}))(r.t)
	return out.SecurityGroups[0].IpPermissions
}

func TestRulesAreKeptAsTheyAreMeant(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{Families: "dualstack"})
	g, peer := r.group("web"), r.group("peer")
	both := tcp(80, "10.1.2.3/16", "0.0.0.0/0")
	both.Ipv6Ranges = []types.Ipv6Range{{CidrIpv6: aws.String("2001:db8::1/32")}}
	both.UserIdGroupPairs = []types.UserIdGroupPair{{GroupId: &peer}}
	both.PrefixListIds = []types.PrefixListId{{PrefixListId: aws.String("pl-1")}}
	all := types.IpPermission{
		IpProtocol: aws.String("-1"), FromPort: aws.Int32(1), ToPort: aws.Int32(2),
		UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: &peer, Description: aws.String("all")}},
	}
	if err := r.authorize(g, both, all); err != nil {
		t.Fatal(err)
	}
	got := r.permissions(g)
	if len(got) != 2 || got[0].FromPort != nil || *got[0].UserIdGroupPairs[0].Description != "all" {
		t.Fatalf("the permissions are %+v", got)
	}
	web := got[1]
	if len(web.IpRanges) != 2 || *web.IpRanges[1].CidrIp != "10.1.0.0/16" || *web.IpRanges[1].Description != "why=10.1.2.3/16" ||
		*web.Ipv6Ranges[0].CidrIpv6 != "2001:db8::/32" || *web.UserIdGroupPairs[0].GroupId != peer ||
		*web.UserIdGroupPairs[0].UserId != awssim.DefaultAccount || *web.PrefixListIds[0].PrefixListId != "pl-1" {
		t.Errorf("the permission is %+v", web)
	}
	rules := must(r.ec2.DescribeSecurityGroupRules(t.Context(), &ec2.DescribeSecurityGroupRulesInput{
		Filters: []types.Filter{{Name: aws.String("group-id"), Values: []string{g}}},
	}))(t).SecurityGroupRules
	rules = slices.DeleteFunc(rules, func(r types.SecurityGroupRule) bool { return *r.IsEgress })
	if len(rules) != 6 {
		t.Errorf("%d rules, want 6", len(rules))
	}
	if err := r.revoke(g, tcp(80, "0.0.0.0/0")); err != nil {
		t.Errorf("revoke by what a rule says: %v", err)
	}
	must(r.ec2.UpdateSecurityGroupRuleDescriptionsIngress(t.Context(), &ec2.UpdateSecurityGroupRuleDescriptionsIngressInput{
		GroupId: &g, IpPermissions: []types.IpPermission{{
			IpProtocol: aws.String("tcp"), FromPort: aws.Int32(80), ToPort: aws.Int32(80),
			IpRanges: []types.IpRange{{CidrIp: aws.String("10.1.0.0/16"), Description: aws.String("new")}},
		}},
	}))(t)
	if got := r.permissions(g); len(got[1].IpRanges) != 1 || *got[1].IpRanges[0].Description != "new" {
		t.Errorf("after a revocation and a new description: %+v", got[1].IpRanges)
	}
	sgr := *rules[slices.IndexFunc(rules, func(r types.SecurityGroupRule) bool { return r.CidrIpv6 != nil })].SecurityGroupRuleId
	must(r.ec2.ModifySecurityGroupRules(t.Context(), &ec2.ModifySecurityGroupRulesInput{
		GroupId: &g, SecurityGroupRules: []types.SecurityGroupRuleUpdate{{
			SecurityGroupRuleId: &sgr, SecurityGroupRule: &types.SecurityGroupRuleRequest{
				IpProtocol: aws.String("udp"), FromPort: aws.Int32(1), ToPort: aws.Int32(2), CidrIpv4: aws.String("10.9.0.0/16"),
			},
		}},
	}))(t)
	must(r.ec2.RevokeSecurityGroupIngress(t.Context(), &ec2.RevokeSecurityGroupIngressInput{
		GroupId: &g, SecurityGroupRuleIds: []string{sgr},
	}))(t)
}

func TestRefusesWhatASecurityGroupCannotHave(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{})
	g := r.group("web")
	if err := r.authorize(g, tcp(80, "10.0.0.0/8")); err != nil {
		t.Fatal(err)
	}
	bare := tcp(81, "10.0.0.0/8")
	bare.IpRanges[0].Description = aws.String("<no>")
	tls := tcp(443, "10.0.0.0/8")
	tls.IpProtocol = aws.String("tls")
	foreign := tcp(82)
	foreign.UserIdGroupPairs = []types.UserIdGroupPair{{GroupId: aws.String("sg-0123")}}
	var many []string
	for i := range 60 {
		many = append(many, fmt.Sprintf("10.%d.0.0/16", i))
	}
	for name, c := range map[string]struct {
		permissions []types.IpPermission
		code        string
	}{
		"one that is there":               {[]types.IpPermission{tcp(80, "10.5.5.5/8")}, "InvalidPermission.Duplicate"},
		"one twice":                       {[]types.IpPermission{tcp(90, "10.0.0.0/8"), tcp(90, "10.1.0.0/8")}, "InvalidParameterValue"},
		"a new one beside one that is":    {[]types.IpPermission{tcp(90, "10.0.0.0/8"), tcp(80, "10.0.0.0/8")}, "InvalidPermission.Duplicate"},
		"the other family":                {[]types.IpPermission{tcp(80, "::/0")}, "InvalidParameterValue"},
		"no range":                        {[]types.IpPermission{tcp(80, "10.0.0.0")}, "InvalidParameterValue"},
		"no peer":                         {[]types.IpPermission{tcp(80)}, "MissingParameter"},
		"no permission":                   {nil, "MissingParameter"},
		"a protocol of another layer":     {[]types.IpPermission{tls}, "InvalidParameterValue"},
		"letters that a text cannot have": {[]types.IpPermission{bare}, "InvalidParameterValue"},
		"a group that is not there":       {[]types.IpPermission{foreign}, "InvalidGroup.NotFound"},
		"a port too high":                 {[]types.IpPermission{tcp(65536, "10.0.0.0/8")}, "InvalidParameterValue"},
		"too many":                        {[]types.IpPermission{tcp(100, many...)}, "RulesPerSecurityGroupLimitExceeded"},
	} {
		t.Run(name, func(t *testing.T) { refused(t, r.authorize(g, c.permissions...), c.code) })
	}
	if n := len(r.permissions(g)); n != 1 {
		t.Errorf("a refused call left %d permissions, want 1", n)
	}
	refused(t, r.revoke(g, tcp(99, "10.0.0.0/8")), "InvalidPermission.NotFound")
	refused(t, r.revoke("sg-0123", tcp(80, "10.0.0.0/8")), "InvalidGroup.NotFound")
	r.cloud.SetLimits(awssim.Limits{RulesPerGroup: 61})
	if err := r.authorize(g, tcp(100, many...)); err != nil {
		t.Errorf("with a higher quota: %v", err)
	}
}

func TestRefusesGroupsThatCannotBe(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{})
	r.group("web")
	for name, c := range map[string]struct{ name, description, code string }{
		"a name that is taken":    {"web", "d", "InvalidGroup.Duplicate"},
		"the name of the default": {"default", "d", "InvalidGroup.Reserved"},
		"a name like an id":       {"sg-web", "d", "InvalidParameterValue"},
		"a name too long":         {strings.Repeat("x", 256), "d", "InvalidParameterValue"},
		"other letters":           {"web", "don't", "InvalidParameterValue"},
		"no description":          {"new", "", "MissingParameter"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.ec2.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{
				GroupName: &c.name, Description: &c.description, VpcId: &r.site.VPC,
			})
			refused(t, err, c.code)
		})
	}
	refused(t, r.deleteGroup("sg-0123"), "InvalidGroup.NotFound")
	refused(t, r.deleteGroup(r.site.NodeGroup), "DependencyViolation")
}

func TestAGroupInUseStays(t *testing.T) {
	r := newRig(t, awssim.Options{Timing: awssim.Timing{Linger: 15 * time.Second}}, awssim.SiteOptions{})
	own, other := r.group("own"), r.group("other")
	lb := r.balancer("web", own)
	refused(t, r.deleteGroup(own), "DependencyViolation")
	must(r.elbv2.DeleteLoadBalancer(t.Context(), &elasticloadbalancingv2.DeleteLoadBalancerInput{LoadBalancerArn: &lb}))(t)
	r.cloud.Advance(14 * time.Second)
	refused(t, r.deleteGroup(own), "DependencyViolation")
	r.cloud.Advance(time.Second)
	reference := tcp(80)
	reference.UserIdGroupPairs = []types.UserIdGroupPair{{GroupId: &own}}
	if err := r.authorize(other, reference); err != nil {
		t.Fatal(err)
	}
	refused(t, r.deleteGroup(own), "DependencyViolation")
	if err := r.revoke(other, reference); err != nil {
		t.Fatal(err)
	}
	if err := r.deleteGroup(own); err != nil {
		t.Errorf("when nothing uses it: %v", err)
	}
}

func TestListsAreFilteredAndPaged(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{})
	for i := range 12 {
		r.group(fmt.Sprintf("k8s-elb-%d", i))
	}
	byName := []types.Filter{{Name: aws.String("group-name"), Values: []string{"k8s-elb-?", "nothing"}}}
	pages := ec2.NewDescribeSecurityGroupsPaginator(r.ec2, &ec2.DescribeSecurityGroupsInput{
		Filters: byName, MaxResults: aws.Int32(5),
	})
	var sizes []int
	for pages.HasMorePages() {
		sizes = append(sizes, len(must(pages.NextPage(t.Context()))(t).SecurityGroups))
	}
	if !slices.Equal(sizes, []int{5, 5}) {
		t.Errorf("the pages hold %v, want 5 and 5", sizes)
	}
	n := r.cloud.Counts()
	if n.Reads["ec2.DescribeSecurityGroups"] != 1 || n.Pages != 1 {
		t.Errorf("the counts are %+v", n)
	}
	for name, c := range map[string]struct {
		in   ec2.DescribeSecurityGroupsInput
		code string
	}{
		"a page too small":     {ec2.DescribeSecurityGroupsInput{MaxResults: aws.Int32(4)}, "InvalidParameterValue"},
		"a page too large":     {ec2.DescribeSecurityGroupsInput{MaxResults: aws.Int32(1001)}, "InvalidParameterValue"},
		"an unknown filter":    {ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{{Name: aws.String("x"), Values: []string{"y"}}}}, "InvalidParameterValue"},
		"too many values":      {ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{{Name: aws.String("group-id"), Values: make([]string, 201)}}}, "FilterLimitExceeded"},
		"an id that is not":    {ec2.DescribeSecurityGroupsInput{GroupIds: []string{r.site.NodeGroup, "sg-0123"}}, "InvalidGroup.NotFound"},
		"an id of other form":  {ec2.DescribeSecurityGroupsInput{GroupIds: []string{"web"}}, "InvalidGroupId.Malformed"},
		"a token of one's own": {ec2.DescribeSecurityGroupsInput{NextToken: aws.String("?")}, "InvalidParameterValue"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.ec2.DescribeSecurityGroups(t.Context(), &c.in)
			refused(t, err, c.code)
		})
	}
}
