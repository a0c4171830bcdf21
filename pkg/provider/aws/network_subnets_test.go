// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// zonesNow are the subnets of the load balancer, each with its elastic IP.
func (l *live) zonesNow(t *testing.T) string {
	t.Helper()
	client, err := api.New(t.Context(), l.config, api.Setup{Limits: &api.Limits{}})
	if err != nil {
		t.Fatal(err)
	}
	page, err := client.ELBv2.DescribeLoadBalancers(t.Context(), &elbv2.DescribeLoadBalancersInput{})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, z := range page.LoadBalancers[0].AvailabilityZones {
		text := awssdk.ToString(z.SubnetId)
		for _, a := range z.LoadBalancerAddresses {
			text += " " + awssdk.ToString(a.AllocationId)
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// elasticIPs are the ids of n new elastic IPs, of a network border group if one
// is named.
func (l *live) elasticIPs(t *testing.T, n int, group ...string) []string {
	t.Helper()
	client, err := api.New(t.Context(), l.config, api.Setup{Limits: &api.Limits{}})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for range n {
		in := &ec2.AllocateAddressInput{}
		for i := range group {
			in.NetworkBorderGroup = &group[i]
		}
		a, err := client.EC2.AllocateAddress(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, awssdk.ToString(a.AllocationId))
	}
	return out
}

// What a zone has cannot be changed in place: it is left, and joined again when
// AWS let it go. The load balancer is never without a zone.
func TestZonesAndTheirAddressesFollowTheAnnotations(t *testing.T) {
	type mapped struct{ subnets, eips []string }
	for name, tt := range map[string]struct {
		// before and after choose of the site's subnets, the public ones first,
		// and of elastic IPs.
		before, after [2][]int
		writes        int
		refused       bool
	}{
		"the same":                 {[2][]int{{0, 1}, {0, 1}}, [2][]int{{0, 1}, {0, 1}}, 0, false},
		"one more zone":            {[2][]int{{0, 1}, {0, 1}}, [2][]int{{0, 1, 2}, {0, 1, 2}}, 1, false},
		"one zone less":            {[2][]int{{0, 1}, {}}, [2][]int{{1}, {}}, 1, false},
		"another zone":             {[2][]int{{0}, {}}, [2][]int{{1}, {}}, 1, false},
		"another subnet in a zone": {[2][]int{{0, 1}, {}}, [2][]int{{3, 1}, {}}, 2, false},
		"another elastic IP":       {[2][]int{{0, 1}, {0, 1}}, [2][]int{{0, 1}, {2, 1}}, 2, false},
		"other elastic IPs":        {[2][]int{{0, 1}, {0, 1}}, [2][]int{{0, 1}, {2, 3}}, 4, false},
		"elastic IPs, where no subnets are named":             {[2][]int{{}, {0, 1, 2}}, [2][]int{{}, {3, 1, 2}}, 2, false},
		"another subnet in one zone, and the other zone goes": {[2][]int{{0, 1}, {}}, [2][]int{{3}, {}}, 3, false},
		"another subnet in the only zone":                     {[2][]int{{0}, {}}, [2][]int{{3}, {}}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			l := startLive(t, awssim.Options{Timing: awssim.Timing{Linger: 3 * time.Minute}})
			ips, subnets := l.elasticIPs(t, 4), slices.Concat(l.site.Public, l.site.Private)
			pick := func(choice [2][]int) (m mapped) {
				for _, i := range choice[0] {
					m.subnets = append(m.subnets, subnets[i])
				}
				for _, i := range choice[1] {
					m.eips = append(m.eips, ips[i])
				}
				return m
			}
			s := newSite(t)
			svc := s.service("web")
			annotate := func(m mapped) {
				for key, list := range map[string][]string{"subnets": m.subnets, "eip-allocations": m.eips} {
					if len(list) > 0 {
						with(key, strings.Join(list, ","))(svc)
					}
				}
			}
			annotate(pick(tt.before))
			l.add(t, svc)
			l.must(t, -1, provider.Serve, provider.Edit, svc)
			was := l.zonesNow(t)
			l.cloud.ResetCalls()

			after := pick(tt.after)
			annotate(after)
			for range 5 {
				d, _, err := l.pass(t, provider.Serve, provider.Edit, svc)
				if (len(d.Refused) > 0) != tt.refused {
					t.Fatalf("refused: %v", d.Refused)
				}
				if err == nil {
					break
				}
				if plan.KindOf(err) != plan.Transient || !strings.Contains(err.Error(), "still being left") {
					t.Fatal(err)
				}
				if l.zonesNow(t) == "" {
					t.Error("no zone is left meanwhile")
				}
				l.cloud.Advance(3 * time.Minute)
			}
			if tt.refused {
				if is := l.zonesNow(t); is != was {
					t.Errorf("it is in %s, and was in %s", is, was)
				}
				return
			}
			if len(after.subnets) == 0 {
				after.subnets = l.site.Public
			}
			var want []string
			for i, id := range after.subnets {
				if len(after.eips) > 0 {
					id += " " + after.eips[i]
				}
				want = append(want, id)
			}
			slices.Sort(want)
			if is := l.zonesNow(t); is != strings.Join(want, ", ") {
				t.Errorf("it is in %s, want %s", is, strings.Join(want, ", "))
			}
			l.must(t, 0, provider.Serve, provider.Edit, svc)
		})
	}
}
