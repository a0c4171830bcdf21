// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"
	"fmt"
	"sync"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
)

var _ provider.Explainer = (*pass)(nil)

// Explain tells what there is of a Service of the batch in what was observed,
// and how that differs from what the pass would make of it. It reads how the
// targets are.
func (p *pass) Explain(ctx context.Context, key plan.Key) ([]provider.Part, error) {
	e, err := newExplanation(p.in, p.result, key)
	if err != nil {
		return nil, err
	}
	look := Look{Nodes: p.in.Batch.Nodes}
	if p.provider.nodes != nil {
		if look.Nodes, err = p.provider.nodes.List(labels.Everything()); err != nil {
			return nil, fmt.Errorf("list nodes: %w", err)
		}
	}
	look.Health = readHealth(ctx, p.provider.client, e.targetGroups(), e.classics())
	return e.parts(look), nil
}

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
