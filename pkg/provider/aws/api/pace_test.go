// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"k8s.io/utils/clock"
)

// cloud is a bucket of the service, which counts what it refuses.
type cloud struct {
	limit Bucket

	mu      sync.Mutex
	left    float64
	at      time.Time
	refused int
}

func newCloud(b Bucket) *cloud {
	return &cloud{limit: b, left: float64(b.Size), at: time.Now()}
}

func (c *cloud) admit() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.left = min(float64(c.limit.Size), c.left+now.Sub(c.at).Seconds()*c.limit.Refill)
	c.at = now
	if c.left < 1 {
		c.refused++
		return false
	}
	c.left--
	return true
}

// burst sends n calls at once, each until it is admitted, and returns how long
// that took.
func burst(t *testing.T, p *pace, c *cloud, k bucketKey, n int) time.Duration {
	t.Helper()
	begun := time.Now()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for {
				if err := p.take(t.Context(), k); err != nil {
					t.Error(err)
					return
				}
				sent := time.Now()
				time.Sleep(50 * time.Millisecond) //nolint:forbidigo // the way there, on the bubble's clock
				if c.admit() {
					return
				}
				p.refused(k, sent)
			}
		})
	}
	wg.Wait()
	return time.Since(begun)
}

func TestPaceKeepsToThePublishedLimitsWithoutRefusals(t *testing.T) {
	for _, k := range []bucketKey{
		{service: "Elastic Load Balancing v2", class: write},
		{service: "Elastic Load Balancing v2", class: register},
		{service: serviceEC2, action: "AuthorizeSecurityGroupIngress", class: write},
		{service: serviceEC2, action: "DescribeSubnets", class: unfiltered},
	} {
		t.Run(k.service+" "+k.class.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limits := PublishedLimits()
				p, c := newPace(clock.RealClock{}, limits), newCloud(limits.of(k))
				const n = 200
				took := burst(t, p, c, k, n)
				limit := limits.of(k)
				best := time.Duration(float64(n-limit.Size) / limit.Refill * float64(time.Second))
				if c.refused > 0 || took > best+best/20+time.Second {
					t.Errorf("%d refused; took %s, at best %s", c.refused, took, best)
				}
			})
		})
	}
}

func TestPaceSlowsDownWhereOthersTakeCallsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := bucketKey{service: "Elastic Load Balancing v2", class: write}
		limits := PublishedLimits()
		p, c := newPace(clock.RealClock{}, limits), newCloud(Bucket{Size: 1, Refill: 1.5})
		const n = 60
		took := burst(t, p, c, k, n)
		// The 19 that a full bucket would hold are on their way when the first
		// refusal comes. From then on few are in vain.
		if c.refused > limits.BalancerWrite.Size+n/5 || took > 2*n*time.Second/3*3/2 {
			t.Errorf("%d refused in %s", c.refused, took)
		}
		p.mu.Lock()
		b := p.buckets[k]
		p.mu.Unlock()
		if b.factor >= 1 {
			t.Errorf("the rate is %g of the published one", b.factor)
		}
	})
}

func TestPaceRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := bucketKey{service: serviceEC2, action: "CreateTags", class: write}
		limits := PublishedLimits()
		p := newPace(clock.RealClock{}, limits)
		for range 10 {
			p.refused(k, time.Now())
			time.Sleep(time.Millisecond) //nolint:forbidigo // the bubble's clock
		}
		time.Sleep(time.Minute) //nolint:forbidigo // the bubble's clock
		c := newCloud(limits.of(k))
		if took := burst(t, p, c, k, limits.Write.Size-spare); took > 100*time.Millisecond || c.refused > 0 {
			t.Errorf("a minute later a burst takes %s, %d refused", took, c.refused)
		}
	})
}

func TestPaceCountsOneRefusalOfABurstOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := bucketKey{service: serviceEC2, action: "CreateTags", class: write}
		p := newPace(clock.RealClock{}, PublishedLimits())
		sent := time.Now()
		time.Sleep(time.Millisecond) //nolint:forbidigo // the bubble's clock
		for range 20 {
			p.refused(k, sent)
		}
		if f := p.bucket(k).factor; f != slower {
			t.Errorf("20 calls sent at once slow down to %g, want %g", f, slower)
		}
	})
}

func TestPaceEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := bucketKey{service: serviceEC2, action: "CreateTags", class: write}
		p := newPace(clock.RealClock{}, Limits{Write: Bucket{Size: 1, Refill: 0.001}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var errs []error
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				err := p.take(ctx, k)
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			})
		}
		wg.Wait()
		ended := 0
		for _, err := range errs {
			if errors.Is(err, context.DeadlineExceeded) {
				ended++
			}
		}
		if ended != 2 {
			t.Errorf("got %v, want one call and two that waited in vain", errs)
		}
	})
}

func TestBucketsAreThoseOfTheServices(t *testing.T) {
	tests := map[string]struct {
		service, action string
		in              any
		want            bucketKey
	}{
		"a read of EC2":          {"EC2", "DescribeSubnets", &ec2.DescribeSubnetsInput{Filters: []types.Filter{{}}}, bucketKey{"EC2", "DescribeSubnets", read}},
		"all of EC2":             {"EC2", "DescribeSubnets", &ec2.DescribeSubnetsInput{}, bucketKey{"EC2", "DescribeSubnets", unfiltered}},
		"a write of EC2":         {"EC2", "CreateTags", nil, bucketKey{"EC2", "CreateTags", write}},
		"a read of balancers":    {"Elastic Load Balancing v2", "DescribeTags", nil, bucketKey{"Elastic Load Balancing v2", "", read}},
		"a write of balancers":   {"Elastic Load Balancing", "CreateLoadBalancer", nil, bucketKey{"Elastic Load Balancing", "", write}},
		"a registration":         {"Elastic Load Balancing v2", "RegisterTargets", nil, bucketKey{"Elastic Load Balancing v2", "", register}},
		"the end of one":         {"Elastic Load Balancing v2", "DeregisterTargets", nil, bucketKey{"Elastic Load Balancing v2", "", register}},
		"a registration, of old": {"Elastic Load Balancing", "RegisterInstancesWithLoadBalancer", nil, bucketKey{"Elastic Load Balancing", "", register}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := bucketOf(tt.service, tt.action, tt.in); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}
