// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/fairlead/fairlead/pkg/plan"
)

// putSubnets moves a load balancer to the subnets that a user's edit names.
// Without the annotation it stays where it is: discovery may find others every
// day.
func (t *turn) putSubnets(a *ask, b *balancer) error {
	if !a.edited() || !a.has(keySubnets) {
		return nil
	}
	list, err := t.namedSubnets(a)
	if err != nil {
		return err
	}
	mappings, err := a.subnetMappings(idsOf(list))
	if err != nil {
		return err
	}
	have, want := subnetsOf(b.have), make([]string, 0, len(mappings))
	for i := range mappings {
		m := &mappings[i]
		want = append(want, strings.Join([]string{awssdk.ToString(m.SubnetId), awssdk.ToString(m.AllocationId), awssdk.ToString(m.PrivateIPv4Address)}, " "))
	}
	slices.Sort(want)
	for i := range want {
		want[i] = strings.TrimSpace(want[i])
	}
	if sameSubnets(have, want) {
		return nil
	}
	t.add(a, plan.Step{
		Action: plan.Update, Target: plan.ID{Kind: kindSubnets, Name: b.name},
		Why: []plan.Diff{{Field: "subnets", Have: strings.Join(have, ", "), Want: strings.Join(want, ", ")}},
	}, &elbv2.SetSubnetsInput{LoadBalancerArn: awssdk.String(b.ref.Text()), SubnetMappings: mappings})
	return nil
}

// subnetsOf are the load balancer's subnets, each with its elastic IP or fixed
// private address if it has one, sorted.
func subnetsOf(lb *Network) []string {
	var out []string
	for i := range lb.AvailabilityZones {
		z := &lb.AvailabilityZones[i]
		text := []string{awssdk.ToString(z.SubnetId)}
		for _, addr := range z.LoadBalancerAddresses {
			for _, s := range []*string{addr.AllocationId, addr.PrivateIPv4Address} {
				if awssdk.ToString(s) != "" {
					text = append(text, *s)
				}
			}
		}
		out = append(out, strings.Join(text, " "))
	}
	slices.Sort(out)
	return out
}

// sameSubnets compares subnets, and addresses where they are asked for.
func sameSubnets(have, want []string) bool {
	return slices.EqualFunc(have, want, func(h, w string) bool {
		if !strings.Contains(w, " ") {
			h, _, _ = strings.Cut(h, " ")
		}
		return h == w
	})
}
