// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"

	"github.com/fairlead/fairlead/pkg/provider/aws/api"
)

func readClassicAttributes(ctx context.Context, c *api.Client, name string) (*elbtypes.LoadBalancerAttributes, error) {
	page, err := api.Call(ctx, c.ELB.DescribeLoadBalancerAttributes, &elb.DescribeLoadBalancerAttributesInput{LoadBalancerName: awssdk.String(name)})
	if err != nil {
		return nil, err
	}
	return page.LoadBalancerAttributes, nil
}

// readClassicTags are the tags of classic load balancers, by name.
func readClassicTags(ctx context.Context, c *api.Client, list []string) (map[string]map[string]string, error) {
	page, err := api.Call(ctx, c.ELB.DescribeTags, &elb.DescribeTagsInput{LoadBalancerNames: list})
	if err != nil {
		return nil, err
	}
	out := map[string]map[string]string{}
	for i := range page.TagDescriptions {
		tags := map[string]string{}
		for _, t := range page.TagDescriptions[i].Tags {
			tags[awssdk.ToString(t.Key)] = awssdk.ToString(t.Value)
		}
		out[awssdk.ToString(page.TagDescriptions[i].LoadBalancerName)] = tags
	}
	return out, nil
}
