// SPDX-License-Identifier: Apache-2.0

package awssim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"golang.org/x/sync/errgroup"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// TestAClusterOfFiveHundredIsServedInTime guards against answers that cost more
// than the latencies that benchmarks set.
func TestAClusterOfFiveHundredIsServedInTime(t *testing.T) {
	const nodes, services = 500, 50
	r := newRig(t, awssim.Options{Limits: awssim.Limits{NetworkLoadBalancers: services}}, awssim.SiteOptions{})
	r.nodes = append(r.nodes, r.site.Launch(nodes-len(r.nodes))...)
	var group errgroup.Group
	group.SetLimit(20)
	start := time.Now()
	for i := range services {
		group.Go(func() error {
			name := fmt.Sprintf("web-%d", i)
			lb, tg := r.balancer(name), r.targets(name, int32(30000+i))
			r.listener(lb, tg, 80)
			return r.register(tg, r.nodes...)
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	made := time.Since(start)
	pages := elb.NewDescribeTargetGroupsPaginator(r.elbv2, &elb.DescribeTargetGroupsInput{})
	found := must(pages.NextPage(t.Context()))(t).TargetGroups
	for _, g := range found {
		if n := r.health(*g.TargetGroupArn); n["unhealthy"] != nodes {
			t.Fatalf("the targets are %v", n)
		}
	}
	must(r.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{}))(t)
	t.Logf("%d load balancers made in %s, read in %s", services, made, time.Since(start)-made)
	if took := time.Since(start); took > 60*time.Second {
		t.Errorf("%d load balancers of %d machines took %s", services, nodes, took)
	}
}
