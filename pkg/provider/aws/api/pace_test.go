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

// cloud is a bucket of the service, which counts what it refuses. The zero limit
// refuses nothing.
type cloud struct {
	limit Bucket
	work  time.Duration // of a call that is let in

	mu      sync.Mutex
	left    float64
	at      time.Time
	refused int
}

func newCloud(b Bucket, work time.Duration) *cloud {
	return &cloud{limit: b, left: float64(b.Size), at: time.Now(), work: work}
}

func (c *cloud) admit() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.left = min(float64(c.limit.Size), c.left+now.Sub(c.at).Seconds()*c.limit.Refill)
	c.at = now
	switch {
	case c.limit.Size == 0:
		return true
	case c.left < 1:
		c.refused++
		return false
	}
	c.left--
	return true
}

// call sends a call until it is let in.
func (c *cloud) call(ctx context.Context, p *pace, k bucketKey) error {
	for {
		g, err := p.take(ctx, k)
		if err != nil {
			return err
		}
		wait(10 * time.Millisecond) // the way there and back
		if c.admit() {
			wait(c.work)
			p.done(g, admitted)
			return nil
		}
		p.done(g, refused)
	}
}

// wait passes time on the bubble's clock.
func wait(d time.Duration) { <-time.After(d) }

// burst sends n calls at once, and returns how long that took.
func burst(t *testing.T, p *pace, c *cloud, k bucketKey, n int) time.Duration {
	t.Helper()
	begun := time.Now()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if err := c.call(t.Context(), p, k); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return time.Since(begun)
}

func balancerWrites() bucketKey { return bucketKey{service: "Elastic Load Balancing v2", class: write} }

func TestPaceKeepsToThePublishedLimits(t *testing.T) {
	for _, k := range []bucketKey{
		balancerWrites(),
		{service: "Elastic Load Balancing v2", class: register},
		{service: serviceEC2, action: "AuthorizeSecurityGroupIngress", class: write},
		{service: serviceEC2, action: "DescribeSubnets", class: unfiltered},
	} {
		t.Run(k.service+" "+k.class.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limits := PublishedLimits()
				limit := limits.of(k)
				p, c := newPace(clock.RealClock{}, limits), newCloud(limit, 200*time.Millisecond)
				const n = 200
				took := burst(t, p, c, k, n)
				best := time.Duration(float64(n-limit.Size) / limit.Refill * float64(time.Second))
				if c.refused > 1 || took > best+best/20+time.Second {
					t.Errorf("%d refused; took %s, at best %s", c.refused, took, best)
				}
			})
		})
	}
}

func TestPaceTakesWhatAnAccountHasBeyondThePublishedLimits(t *testing.T) {
	for name, tt := range map[string]struct {
		limit         Bucket
		most, refused int
	}{
		"without limits":    {Bucket{}, 5, 0},
		"ten times as much": {Bucket{Size: 200, Refill: 30}, 5, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, c := newPace(clock.RealClock{}, PublishedLimits()), newCloud(tt.limit, 2*time.Second)
				if took := burst(t, p, c, balancerWrites(), 180); took > time.Duration(tt.most)*time.Second || c.refused > tt.refused {
					t.Errorf("%d refused; took %s", c.refused, took)
				}
			})
		})
	}
}

func TestPaceFallsBackToThePublishedLimitsWhereTheAccountHasABitMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := PublishedLimits()
		p, c := newPace(clock.RealClock{}, limits), newCloud(Bucket{Size: 40, Refill: 6}, 200*time.Millisecond)
		const n = 200
		took := burst(t, p, c, balancerWrites(), n)
		if published := time.Duration(n-limits.BalancerWrite.Size) * time.Second / 3; c.refused > most || took > published {
			t.Errorf("%d refused; took %s, as published %s", c.refused, took, published)
		}
	})
}

func TestPaceSlowsDownWhereOthersTakeCallsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := PublishedLimits()
		p, c := newPace(clock.RealClock{}, limits), newCloud(Bucket{Size: 1, Refill: 1.5}, 200*time.Millisecond)
		const n = 60
		took := burst(t, p, c, balancerWrites(), n)
		// The 19 that a full bucket would hold are on their way when the first
		// refusal comes. From then on few are in vain.
		if c.refused > limits.BalancerWrite.Size+n/5 || took > n*time.Second {
			t.Errorf("%d refused in %s", c.refused, took)
		}
	})
}

func TestPaceRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := bucketKey{service: serviceEC2, action: "CreateTags", class: write}
		limits := PublishedLimits()
		p := newPace(clock.RealClock{}, limits)
		for range 10 {
			p.done(grant{key: k, sent: time.Now()}, refused)
			wait(time.Millisecond)
		}
		wait(time.Minute)
		c := newCloud(limits.of(k), 0)
		if took := burst(t, p, c, k, limits.Write.Size-spare); took > 100*time.Millisecond || c.refused > 0 {
			t.Errorf("a minute later a burst takes %s, %d refused", took, c.refused)
		}
	})
}

func TestPaceCountsTheRefusalsOfABurstOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := bucketKey{service: serviceEC2, action: "CreateTags", class: write}
		p := newPace(clock.RealClock{}, PublishedLimits())
		sent := time.Now()
		wait(time.Millisecond)
		for range 20 {
			p.done(grant{key: k, sent: sent}, refused)
		}
		if f := p.bucket(k).factor; f != slower {
			t.Errorf("20 calls sent at once slow down to %g, want %g", f, slower)
		}
	})
}

func TestPaceTriesSeldomWhereTrialsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := PublishedLimits()
		p, c := newPace(clock.RealClock{}, limits), newCloud(limits.BalancerWrite, 0)
		const n = 2000 // 11 minutes of work
		if burst(t, p, c, balancerWrites(), n); c.refused > 5 {
			t.Errorf("%d refused", c.refused)
		}
	})
}

func TestPaceEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := bucketKey{service: serviceEC2, action: "CreateTags", class: write}
		p := newPace(clock.RealClock{}, Limits{Write: Bucket{Size: 1, Refill: 0.001}})
		p.done(grant{key: k, sent: time.Now(), trial: true}, refused) // no other trial for now
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var errs []error
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				_, err := p.take(ctx, k)
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
