// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"
	"sync"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"golang.org/x/sync/errgroup"

	"github.com/fairlead/fairlead/pkg/provider/aws/api"
)

// Health is how targets are, with AWS's reasons, which a pass does not need.
type Health struct {
	// Groups are by the ARN of the target group, Classics by the name of the load
	// balancer and the instance.
	Groups   map[string]map[Target]elbv2types.TargetHealth
	Classics map[string]map[string]elbtypes.InstanceState
	// Unread are the errors of reads, by ARN or name.
	Unread map[string]error
}

// readHealth reads how targets are: one call for each target group and classic
// load balancer.
func readHealth(ctx context.Context, c *api.Client, groups, classics []string) Health {
	h := Health{
		Groups: map[string]map[Target]elbv2types.TargetHealth{}, Classics: map[string]map[string]elbtypes.InstanceState{}, Unread: map[string]error{},
	}
	var reads errgroup.Group
	reads.SetLimit(readsAtOnce)
	var mu sync.Mutex
	for _, arn := range groups {
		reads.Go(func() error {
			page, err := api.Call(ctx, c.ELBv2.DescribeTargetHealth, &elbv2.DescribeTargetHealthInput{TargetGroupArn: awssdk.String(arn)})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				h.Unread[arn] = err
				return nil // the tree is told without it
			}
			h.Groups[arn] = targetHealth(page.TargetHealthDescriptions)
			return nil
		})
	}
	for _, name := range classics {
		reads.Go(func() error {
			page, err := api.Call(ctx, c.ELB.DescribeInstanceHealth, &elb.DescribeInstanceHealthInput{LoadBalancerName: awssdk.String(name)})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				h.Unread[name] = err
				return nil // the tree is told without it
			}
			h.Classics[name] = map[string]elbtypes.InstanceState{}
			for _, s := range page.InstanceStates {
				h.Classics[name][awssdk.ToString(s.InstanceId)] = s
			}
			return nil
		})
	}
	_ = reads.Wait() // no read returns an error
	return h
}

func targetHealth(list []elbv2types.TargetHealthDescription) map[Target]elbv2types.TargetHealth {
	out := map[Target]elbv2types.TargetHealth{}
	for i := range list {
		if d := &list[i]; d.Target != nil && d.TargetHealth != nil {
			out[targetOf(*d.Target)] = *d.TargetHealth
		}
	}
	return out
}
