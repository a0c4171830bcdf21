// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"k8s.io/component-base/metrics"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// simulated is a client of a simulated account, without a network between them.
func simulated(t *testing.T, o awssim.Options) (*awssim.Cloud, *api.Client) {
	t.Helper()
	cloud := awssim.New(o)
	alone(t)
	conf := cloudconfig.NewAWS()
	conf.Region = cloud.Region()
	c, err := api.New(t.Context(), conf, api.Setup{HTTP: &http.Client{Transport: sim.Direct{Cloud: cloud}}})
	if err != nil {
		t.Fatal(err)
	}
	return cloud, c
}

// each makes n calls side by side, and returns how long that took.
func each(t *testing.T, n int, call func(context.Context) error) time.Duration {
	t.Helper()
	begun := time.Now()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if err := call(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return time.Since(begun)
}

func TestABurstKeepsToTheLimitsOfAnAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cloud, c := simulated(t, awssim.Options{Throttle: awssim.PublishedThrottle(), Latency: awssim.BenchmarkLatencies()})
		took := each(t, 60, func(ctx context.Context) error { // 50 at once and 10 a second
			_, err := api.Call(ctx, c.EC2.DescribeSubnets, &ec2.DescribeSubnetsInput{})
			return err
		})
		refused := cloud.Counts().Refused
		if len(refused) > 1 || refused["ec2.DescribeSubnets"] > 1 || took < time.Second || took > 1500*time.Millisecond {
			t.Errorf("refused %v; took %s", refused, took)
		}
	})
}

func TestABurstIsNotHeldBackWhereThereAreNoLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cloud, c := simulated(t, awssim.Options{Latency: awssim.BenchmarkLatencies()})
		took := each(t, 300, func(ctx context.Context) error {
			_, err := api.Call(ctx, c.EC2.DescribeSubnets, &ec2.DescribeSubnetsInput{})
			return err
		})
		if took > 5*time.Second { // at the published limits 25 s
			t.Errorf("took %s", took)
		}
		if n := cloud.Counts().Reads["ec2.DescribeSubnets"]; n != 300 {
			t.Errorf("%d calls", n)
		}
	})
}

func TestCallsAreCounted(t *testing.T) {
	registry := metrics.NewKubeRegistry()
	api.RegisterMetricsIn(registry)
	_, c := simulated(t, awssim.Options{})
	if err := each2(t, c); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "fairlead_aws_") {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			fmt.Fprintf(&got, "%s %s %d\n", f.GetName(), strings.Join(labels, ","), m.GetHistogram().GetSampleCount())
		}
	}
	for _, want := range []string{
		"fairlead_aws_call_seconds DescribeSubnets,ok,EC2 1\n",
		"fairlead_aws_call_seconds DeleteSecurityGroup,notfound,EC2 1\n",
		"fairlead_aws_pace_seconds write,EC2 1\n",
	} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("no %s in\n%s", want, got.String())
		}
	}
}

// each2 makes a call that succeeds and one that does not.
func each2(t *testing.T, c *api.Client) error {
	t.Helper()
	if _, err := api.Call(t.Context(), c.EC2.DescribeSubnets, &ec2.DescribeSubnetsInput{}); err != nil {
		return err
	}
	_, err := api.Call(t.Context(), c.EC2.DeleteSecurityGroup, &ec2.DeleteSecurityGroupInput{GroupId: aws.String("sg-0123456789abcdef0")})
	if !api.NotFound(err) {
		return fmt.Errorf("got %w, want that it is not found", err)
	}
	return nil
}
