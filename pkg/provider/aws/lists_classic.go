// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"
	"maps"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"

	"github.com/fairlead/fairlead/pkg/provider/aws/api"
)

// readClassicAttributes are the load balancer's attributes. Of one that is gone
// since the list they are empty: then a write finds out, for its Service alone.
func readClassicAttributes(ctx context.Context, c *api.Client, name string) (*elbtypes.LoadBalancerAttributes, error) {
	page, err := api.Call(ctx, c.ELB.DescribeLoadBalancerAttributes, &elb.DescribeLoadBalancerAttributesInput{LoadBalancerName: awssdk.String(name)})
	if api.NotFound(err) {
		return &elbtypes.LoadBalancerAttributes{}, nil
	}
	if err != nil {
		return nil, err
	}
	return page.LoadBalancerAttributes, nil
}

// readClassicTags are the tags of classic load balancers, by name. AWS answers
// for none when one is gone, so halves are tried until the others are read.
func readClassicTags(ctx context.Context, c *api.Client, list []string) (map[string]map[string]string, error) {
	page, err := api.Call(ctx, c.ELB.DescribeTags, &elb.DescribeTagsInput{LoadBalancerNames: list})
	out := map[string]map[string]string{}
	if api.NotFound(err) {
		if len(list) < 2 {
			return out, nil
		}
		for _, half := range [][]string{list[:len(list)/2], list[len(list)/2:]} { //nolint:mnd // halves
			tags, err := readClassicTags(ctx, c, half)
			if err != nil {
				return nil, err
			}
			maps.Copy(out, tags)
		}
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	for i := range page.TagDescriptions {
		tags := map[string]string{}
		for _, t := range page.TagDescriptions[i].Tags {
			tags[awssdk.ToString(t.Key)] = awssdk.ToString(t.Value)
		}
		out[awssdk.ToString(page.TagDescriptions[i].LoadBalancerName)] = tags
	}
	return out, nil
}
