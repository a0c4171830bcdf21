// SPDX-License-Identifier: Apache-2.0

package awssim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// create makes a network load balancer.
func (r *rig) create(name string, change func(*elb.CreateLoadBalancerInput)) (types.LoadBalancer, error) {
	in := &elb.CreateLoadBalancerInput{Name: &name, Type: types.LoadBalancerTypeEnumNetwork, Subnets: r.site.Public}
	change(in)
	out, err := r.elbv2.CreateLoadBalancer(r.t.Context(), in)
	if err != nil {
		return types.LoadBalancer{}, err
	}
	return out.LoadBalancers[0], nil
}

func asIs(*elb.CreateLoadBalancerInput) {}

func TestCreateOfTheSameLoadBalancerGivesIt(t *testing.T) {
	r := newRig(t, awssim.Options{Limits: awssim.Limits{NetworkLoadBalancers: 1}}, awssim.SiteOptions{})
	g := r.group("web")
	tags := []types.Tag{{Key: aws.String("k"), Value: aws.String("")}}
	full := func(in *elb.CreateLoadBalancerInput) { in.SecurityGroups, in.Tags = []string{g}, tags }
	first := must(r.create("web", full))(t)
	again := must(r.create("web", full))(t)
	if *first.LoadBalancerArn != *again.LoadBalancerArn {
		t.Error("another load balancer was made")
	}
	arn, dns := *first.LoadBalancerArn, *first.DNSName
	id := arn[strings.LastIndex(arn, "/")+1:]
	if !strings.HasPrefix(arn, "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/web/") ||
		dns != "web-"+id+".elb.us-east-1.amazonaws.com" {
		t.Errorf("ARN %s, DNS name %s", arn, dns)
	}
	for name, change := range map[string]func(*elb.CreateLoadBalancerInput){
		"without its group": func(in *elb.CreateLoadBalancerInput) { in.Tags = tags },
		"with other tags":   func(in *elb.CreateLoadBalancerInput) { in.SecurityGroups = []string{g} },
		"of another scheme": func(in *elb.CreateLoadBalancerInput) { full(in); in.Scheme = types.LoadBalancerSchemeEnumInternal },
		"in fewer subnets":  func(in *elb.CreateLoadBalancerInput) { full(in); in.Subnets = in.Subnets[1:] },
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.create("web", change)
			refused(t, err, "DuplicateLoadBalancerName")
		})
	}
	_, err := r.create("other", full)
	refused(t, err, "TooManyLoadBalancers")
}

func TestRefusesLoadBalancersThatCannotBe(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{})
	far := r.cloud.NewSite(awssim.SiteOptions{Cluster: "far"})
	eip := r.cloud.Address()
	taken := func(in *elb.CreateLoadBalancerInput) {
		in.Subnets, in.SubnetMappings = nil, []types.SubnetMapping{{SubnetId: &r.site.Public[0], AllocationId: &eip}}
	}
	must(r.create("taken", taken))(t)
	if err := r.cloud.SetFree(r.site.Public[2], 7); err != nil {
		t.Fatal(err)
	}
	mapped := func(m types.SubnetMapping) func(*elb.CreateLoadBalancerInput) {
		return func(in *elb.CreateLoadBalancerInput) {
			m.SubnetId = &r.site.Public[0]
			in.Subnets, in.SubnetMappings = nil, []types.SubnetMapping{m}
		}
	}
	subnets := func(ids ...string) func(*elb.CreateLoadBalancerInput) {
		return func(in *elb.CreateLoadBalancerInput) { in.Subnets = ids }
	}
	tags := make([]types.Tag, 51)
	for i := range tags {
		tags[i] = types.Tag{Key: aws.String(strings.Repeat("k", i+1)), Value: aws.String("v")}
	}
	for name, c := range map[string]struct {
		name   string
		change func(*elb.CreateLoadBalancerInput)
		code   string
	}{
		"a name too long":            {strings.Repeat("x", 33), subnets(r.site.Public[0]), "ValidationError"},
		"a name with other letters":  {"a_b", subnets(r.site.Public[0]), "ValidationError"},
		"a name that ends in hyphen": {"a-", subnets(r.site.Public[0]), "ValidationError"},
		"a reserved name":            {"internal-a", subnets(r.site.Public[0]), "ValidationError"},
		"no subnet":                  {"a", subnets(), "ValidationError"},
		"a subnet that is not there": {"a", subnets("subnet-0123"), "SubnetNotFound"},
		"two subnets of a zone":      {"a", subnets(r.site.Public[0], r.site.Private[0]), "InvalidConfigurationRequest"},
		"subnets of two VPCs":        {"a", subnets(r.site.Public[0], far.Public[1]), "InvalidConfigurationRequest"},
		"a full subnet":              {"a", subnets(r.site.Public[2]), "InvalidSubnet"},
		"a group of another VPC": {"a", func(in *elb.CreateLoadBalancerInput) {
			in.Subnets, in.SecurityGroups = r.site.Public[:1], []string{far.NodeGroup}
		}, "InvalidSecurityGroup"},
		"an elastic IP that is not there": {"a", mapped(types.SubnetMapping{AllocationId: aws.String("eipalloc-0")}), "AllocationIdNotFound"},
		"an elastic IP in use":            {"a", mapped(types.SubnetMapping{AllocationId: &eip}), "ResourceInUse"},
		"a private address in public":     {"a", mapped(types.SubnetMapping{PrivateIPv4Address: aws.String("10.0.0.99")}), "InvalidConfigurationRequest"},
		"a family that is not there": {"a", func(in *elb.CreateLoadBalancerInput) {
			in.Subnets, in.IpAddressType = r.site.Public[:1], types.IpAddressTypeDualstack
		}, "InvalidConfigurationRequest"},
		"too many tags": {"a", func(in *elb.CreateLoadBalancerInput) { in.Subnets, in.Tags = r.site.Public[:1], tags }, "TooManyTags"},
		"a tag twice": {"a", func(in *elb.CreateLoadBalancerInput) {
			in.Subnets, in.Tags = r.site.Public[:1], []types.Tag{tags[0], tags[0]}
		}, "DuplicateTagKeys"},
		"another type": {"a", func(in *elb.CreateLoadBalancerInput) {
			in.Subnets, in.Type = r.site.Public[:1], types.LoadBalancerTypeEnumApplication
		}, "ValidationError"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.create(c.name, c.change)
			refused(t, err, c.code)
		})
	}
}

func TestElasticAndPrivateAddresses(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{})
	out := must(r.ec2.AllocateAddress(t.Context(), &ec2.AllocateAddressInput{Domain: "vpc"}))(t)
	lb := must(r.create("public", func(in *elb.CreateLoadBalancerInput) {
		in.Subnets, in.SubnetMappings = nil, []types.SubnetMapping{{SubnetId: &r.site.Public[0], AllocationId: out.AllocationId}}
	}))(t)
	if a := lb.AvailabilityZones[0].LoadBalancerAddresses[0]; *a.IpAddress != *out.PublicIp || *a.AllocationId != *out.AllocationId {
		t.Errorf("the address is %+v", a)
	}
	_, err := r.ec2.ReleaseAddress(t.Context(), &ec2.ReleaseAddressInput{AllocationId: out.AllocationId})
	refused(t, err, "InvalidIPAddress.InUse")
	must(r.elbv2.DeleteLoadBalancer(t.Context(), &elb.DeleteLoadBalancerInput{LoadBalancerArn: lb.LoadBalancerArn}))(t)
	must(r.ec2.ReleaseAddress(t.Context(), &ec2.ReleaseAddressInput{AllocationId: out.AllocationId}))(t)

	private := func(address string) func(in *elb.CreateLoadBalancerInput) {
		return func(in *elb.CreateLoadBalancerInput) {
			in.Subnets, in.Scheme = nil, types.LoadBalancerSchemeEnumInternal
			in.SubnetMappings = []types.SubnetMapping{{SubnetId: &r.site.Private[0], PrivateIPv4Address: &address}}
		}
	}
	must(r.create("internal", private("10.0.96.99")))(t)
	_, err = r.create("second", private("10.0.96.99"))
	refused(t, err, "InvalidConfigurationRequest")
	_, err = r.create("outside", private("10.0.112.99"))
	refused(t, err, "InvalidConfigurationRequest")
	nics := must(r.ec2.DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{
		Filters: filters("description", "ELB net/internal/*"),
	}))(t).NetworkInterfaces
	if len(nics) != 1 || *nics[0].PrivateIpAddress != "10.0.96.99" || !*nics[0].RequesterManaged {
		t.Errorf("the interfaces are %+v", nics)
	}
}

func TestChangesOfALoadBalancer(t *testing.T) {
	r := newRig(t, awssim.Options{Timing: awssim.Timing{Provisioning: time.Minute}}, awssim.SiteOptions{Families: "dualstack"})
	a, b := r.group("a"), r.group("b")
	lb := must(r.create("web", func(in *elb.CreateLoadBalancerInput) {
		in.Subnets, in.SecurityGroups = r.site.Public[:2], []string{a}
	}))(t)
	arn := lb.LoadBalancerArn
	if lb.State.Code != types.LoadBalancerStateEnumProvisioning {
		t.Errorf("a new load balancer is %s", lb.State.Code)
	}
	r.cloud.Advance(time.Minute)
	must(r.elbv2.SetSecurityGroups(t.Context(), &elb.SetSecurityGroupsInput{LoadBalancerArn: arn, SecurityGroups: []string{b}}))(t)
	if err := r.deleteGroup(a); err != nil {
		t.Errorf("the group that was replaced is still in use: %v", err)
	}
	must(r.elbv2.SetSubnets(t.Context(), &elb.SetSubnetsInput{LoadBalancerArn: arn, Subnets: r.site.Public[1:]}))(t)
	must(r.elbv2.SetIpAddressType(t.Context(), &elb.SetIpAddressTypeInput{LoadBalancerArn: arn, IpAddressType: types.IpAddressTypeDualstack}))(t)
	_, err := r.elbv2.SetSubnets(t.Context(), &elb.SetSubnetsInput{
		LoadBalancerArn: arn, Subnets: []string{r.site.Private[1], r.site.Public[2]},
	})
	refused(t, err, "InvalidConfigurationRequest")
	got := must(r.elbv2.DescribeLoadBalancers(t.Context(), &elb.DescribeLoadBalancersInput{LoadBalancerArns: []string{*arn}}))(t).LoadBalancers[0]
	if got.State.Code != types.LoadBalancerStateEnumActive || len(got.AvailabilityZones) != 2 ||
		*got.AvailabilityZones[0].ZoneName != "us-east-1b" || got.SecurityGroups[0] != b || got.IpAddressType != types.IpAddressTypeDualstack {
		t.Errorf("it is %+v", got)
	}
	bare := must(r.create("bare", asIs))(t)
	_, err = r.elbv2.SetSecurityGroups(t.Context(), &elb.SetSecurityGroupsInput{LoadBalancerArn: bare.LoadBalancerArn, SecurityGroups: []string{b}})
	refused(t, err, "InvalidConfigurationRequest")
	_, err = r.elbv2.SetSecurityGroups(t.Context(), &elb.SetSecurityGroupsInput{LoadBalancerArn: arn, SecurityGroups: []string{}})
	refused(t, err, "ValidationError")
}

func TestAttributesAndTags(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{})
	lb := r.balancer("web")
	set := func(key, value string) error {
		_, err := r.elbv2.ModifyLoadBalancerAttributes(t.Context(), &elb.ModifyLoadBalancerAttributesInput{
			LoadBalancerArn: &lb, Attributes: []types.LoadBalancerAttribute{{Key: &key, Value: &value}},
		})
		return err
	}
	if err := set("deletion_protection.enabled", "true"); err != nil {
		t.Fatal(err)
	}
	_, err := r.elbv2.DeleteLoadBalancer(t.Context(), &elb.DeleteLoadBalancerInput{LoadBalancerArn: &lb})
	refused(t, err, "OperationNotPermitted")
	refused(t, set("idle_timeout.timeout_seconds", "60"), "ValidationError")
	refused(t, set("load_balancing.cross_zone.enabled", "yes"), "ValidationError")
	refused(t, set("access_logs.s3.enabled", "true"), "ValidationError")
	attributes := must(r.elbv2.DescribeLoadBalancerAttributes(t.Context(), &elb.DescribeLoadBalancerAttributesInput{LoadBalancerArn: &lb}))(t).Attributes
	values := map[string]string{}
	for _, a := range attributes {
		values[*a.Key] = *a.Value
	}
	if values["deletion_protection.enabled"] != "true" || values["load_balancing.cross_zone.enabled"] != "false" {
		t.Errorf("the attributes are %v", values)
	}
	must(r.elbv2.AddTags(t.Context(), &elb.AddTagsInput{
		ResourceArns: []string{lb}, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}, {Key: aws.String("b")}},
	}))(t)
	must(r.elbv2.RemoveTags(t.Context(), &elb.RemoveTagsInput{ResourceArns: []string{lb}, TagKeys: []string{"b", "c"}}))(t)
	tags := must(r.elbv2.DescribeTags(t.Context(), &elb.DescribeTagsInput{ResourceArns: []string{lb}}))(t).TagDescriptions
	if len(tags) != 1 || len(tags[0].Tags) != 1 || *tags[0].Tags[0].Value != "1" {
		t.Errorf("the tags are %+v", tags)
	}
	many := make([]string, 21)
	for i := range many {
		many[i] = lb
	}
	_, err = r.elbv2.DescribeTags(t.Context(), &elb.DescribeTagsInput{ResourceArns: many})
	refused(t, err, "ValidationError")
}
