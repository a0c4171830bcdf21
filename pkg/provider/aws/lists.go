// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/fairlead/fairlead/pkg/provider/aws/api"
)

// How many objects a page holds at most.
const (
	pageSizeELB = 400  // DescribeLoadBalancers of both APIs
	pageSizeEC2 = 1000 // DescribeSecurityGroups, DescribeSubnets, DescribeInstances
)

// tagsPerCall is how many resources DescribeTags of both APIs takes.
const tagsPerCall = 20

func inVPC(vpc string) []ec2types.Filter {
	return []ec2types.Filter{{Name: awssdk.String("vpc-id"), Values: []string{vpc}}}
}

func listNetworks(ctx context.Context, c *api.Client) (map[string]*Network, error) {
	out := map[string]*Network{}
	in := &elbv2.DescribeLoadBalancersInput{PageSize: awssdk.Int32(pageSizeELB)}
	err := api.Pages(ctx, c.ELBv2.DescribeLoadBalancers, in, &in.Marker, func(page *elbv2.DescribeLoadBalancersOutput) *string {
		for i := range page.LoadBalancers {
			if lb := page.LoadBalancers[i]; lb.Type == elbv2types.LoadBalancerTypeEnumNetwork {
				out[awssdk.ToString(lb.LoadBalancerArn)] = &Network{LoadBalancer: lb}
			}
		}
		return page.NextMarker
	})
	return out, err
}

func listTargetGroups(ctx context.Context, c *api.Client) (map[string]*TargetGroup, error) {
	out := map[string]*TargetGroup{}
	in := &elbv2.DescribeTargetGroupsInput{PageSize: awssdk.Int32(pageSizeELB)}
	err := api.Pages(ctx, c.ELBv2.DescribeTargetGroups, in, &in.Marker, func(page *elbv2.DescribeTargetGroupsOutput) *string {
		for i := range page.TargetGroups {
			out[awssdk.ToString(page.TargetGroups[i].TargetGroupArn)] = &TargetGroup{TargetGroup: page.TargetGroups[i]}
		}
		return page.NextMarker
	})
	return out, err
}

func listClassics(ctx context.Context, c *api.Client) (map[string]*Classic, error) {
	out := map[string]*Classic{}
	in := &elb.DescribeLoadBalancersInput{PageSize: awssdk.Int32(pageSizeELB)}
	err := api.Pages(ctx, c.ELB.DescribeLoadBalancers, in, &in.Marker, func(page *elb.DescribeLoadBalancersOutput) *string {
		for i := range page.LoadBalancerDescriptions {
			out[awssdk.ToString(page.LoadBalancerDescriptions[i].LoadBalancerName)] = &Classic{LoadBalancerDescription: page.LoadBalancerDescriptions[i]}
		}
		return page.NextMarker
	})
	return out, err
}

func listGroups(ctx context.Context, c *api.Client, filters []ec2types.Filter) (map[string]*ec2types.SecurityGroup, error) {
	out := map[string]*ec2types.SecurityGroup{}
	in := &ec2.DescribeSecurityGroupsInput{Filters: filters, MaxResults: awssdk.Int32(pageSizeEC2)}
	err := api.Pages(ctx, c.EC2.DescribeSecurityGroups, in, &in.NextToken, func(page *ec2.DescribeSecurityGroupsOutput) *string {
		for i := range page.SecurityGroups {
			out[awssdk.ToString(page.SecurityGroups[i].GroupId)] = &page.SecurityGroups[i]
		}
		return page.NextToken
	})
	return out, err
}

// readVPC reads the VPC.
func readVPC(ctx context.Context, c *api.Client, id string) (*ec2types.Vpc, error) {
	page, err := api.Call(ctx, c.EC2.DescribeVpcs, &ec2.DescribeVpcsInput{VpcIds: []string{id}})
	if err != nil {
		return nil, err
	}
	if len(page.Vpcs) == 0 {
		return nil, refuse(ReasonNoSubnets, "VPC %s is not there; correct VPC and region in the cloud-config", id)
	}
	return &page.Vpcs[0], nil
}

func listSubnets(ctx context.Context, c *api.Client, vpc string) ([]ec2types.Subnet, error) {
	var out []ec2types.Subnet
	in := &ec2.DescribeSubnetsInput{Filters: inVPC(vpc), MaxResults: awssdk.Int32(pageSizeEC2)}
	err := api.Pages(ctx, c.EC2.DescribeSubnets, in, &in.NextToken, func(page *ec2.DescribeSubnetsOutput) *string {
		out = append(out, page.Subnets...)
		return page.NextToken
	})
	return out, err
}

// listListeners are the load balancer's listeners, never nil.
func listListeners(ctx context.Context, c *api.Client, lb string) ([]elbv2types.Listener, error) {
	out := []elbv2types.Listener{}
	in := &elbv2.DescribeListenersInput{LoadBalancerArn: awssdk.String(lb), PageSize: awssdk.Int32(pageSizeELB)}
	err := api.Pages(ctx, c.ELBv2.DescribeListeners, in, &in.Marker, func(page *elbv2.DescribeListenersOutput) *string {
		out = append(out, page.Listeners...)
		return page.NextMarker
	})
	return out, err
}

func readAttributes(ctx context.Context, c *api.Client, lb string) (map[string]string, error) {
	page, err := api.Call(ctx, c.ELBv2.DescribeLoadBalancerAttributes, &elbv2.DescribeLoadBalancerAttributesInput{LoadBalancerArn: awssdk.String(lb)})
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, x := range page.Attributes {
		out[awssdk.ToString(x.Key)] = awssdk.ToString(x.Value)
	}
	return out, nil
}

func readGroupAttributes(ctx context.Context, c *api.Client, group string) (map[string]string, error) {
	page, err := api.Call(ctx, c.ELBv2.DescribeTargetGroupAttributes, &elbv2.DescribeTargetGroupAttributesInput{TargetGroupArn: awssdk.String(group)})
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, x := range page.Attributes {
		out[awssdk.ToString(x.Key)] = awssdk.ToString(x.Value)
	}
	return out, nil
}

func readTargets(ctx context.Context, c *api.Client, group string) (map[Target]elbv2types.TargetHealthStateEnum, error) {
	page, err := api.Call(ctx, c.ELBv2.DescribeTargetHealth, &elbv2.DescribeTargetHealthInput{TargetGroupArn: awssdk.String(group)})
	if err != nil {
		return nil, err
	}
	out := map[Target]elbv2types.TargetHealthStateEnum{}
	for i := range page.TargetHealthDescriptions {
		d := &page.TargetHealthDescriptions[i]
		if d.Target == nil {
			continue
		}
		state := elbv2types.TargetHealthStateEnumInitial
		if d.TargetHealth != nil {
			state = d.TargetHealth.State
		}
		out[targetOf(*d.Target)] = state
	}
	return out, nil
}

// readTags are the tags of load balancers and target groups, by ARN.
func readTags(ctx context.Context, c *api.Client, arns []string) (map[string]map[string]string, error) {
	page, err := api.Call(ctx, c.ELBv2.DescribeTags, &elbv2.DescribeTagsInput{ResourceArns: arns})
	if err != nil {
		return nil, err
	}
	out := map[string]map[string]string{}
	for _, d := range page.TagDescriptions {
		out[awssdk.ToString(d.ResourceArn)] = tagMap(d.Tags)
	}
	return out, nil
}

// readCertificates are the certificates beside the default ones of listeners
// with TLS, by ARN, never nil.
func readCertificates(ctx context.Context, c *api.Client, listeners []elbv2types.Listener) (map[string][]string, error) {
	out := map[string][]string{}
	for i := range listeners {
		l := &listeners[i]
		if l.Protocol != elbv2types.ProtocolEnumTls {
			continue
		}
		in := &elbv2.DescribeListenerCertificatesInput{ListenerArn: l.ListenerArn, PageSize: awssdk.Int32(pageSizeELB)}
		err := api.Pages(ctx, c.ELBv2.DescribeListenerCertificates, in, &in.Marker, func(page *elbv2.DescribeListenerCertificatesOutput) *string {
			for _, x := range page.Certificates {
				if !awssdk.ToBool(x.IsDefault) {
					out[awssdk.ToString(l.ListenerArn)] = append(out[awssdk.ToString(l.ListenerArn)], awssdk.ToString(x.CertificateArn))
				}
			}
			return page.NextMarker
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// readListenerAttributes are the attributes of listeners, by ARN, never nil.
func readListenerAttributes(ctx context.Context, c *api.Client, listeners []elbv2types.Listener) (map[string]map[string]string, error) {
	out := map[string]map[string]string{}
	for i := range listeners {
		arn := awssdk.ToString(listeners[i].ListenerArn)
		page, err := api.Call(ctx, c.ELBv2.DescribeListenerAttributes, &elbv2.DescribeListenerAttributesInput{ListenerArn: listeners[i].ListenerArn})
		if err != nil {
			return nil, err
		}
		out[arn] = map[string]string{}
		for _, x := range page.Attributes {
			out[arn][awssdk.ToString(x.Key)] = awssdk.ToString(x.Value)
		}
	}
	return out, nil
}
