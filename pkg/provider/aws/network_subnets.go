// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
)

// putSubnets moves a load balancer to the subnets that a user's edit names.
// Without the annotation it stays where it is: discovery may find others every
// day.
func (t *turn) putSubnets(a *ask, b *balancer) error {
	if !a.strict() || !a.has(intent.KeyAWSSubnets) {
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
	have, want := subnetsOf(b.have), mappingTexts(mappings)
	slices.Sort(want)
	if sameSubnets(have, want) {
		return nil
	}
	t.add(a, plan.Step{
		Action: plan.Update, Target: plan.ID{Kind: kindSubnets, Name: b.name},
		Why: []plan.Diff{{Field: "subnets", Have: strings.Join(have, ", "), Want: strings.Join(want, ", ")}},
	}, &elbv2.SetSubnetsInput{LoadBalancerArn: awssdk.String(b.ref.Text()), SubnetMappings: mappings})
	return nil
}

// mappingTexts are subnets, each with the address that it asks for.
func mappingTexts(list []elbv2types.SubnetMapping) []string {
	out := make([]string, len(list))
	for i := range list {
		m := &list[i]
		out[i] = withAddresses(m.SubnetId, m.AllocationId, m.PrivateIPv4Address, m.IPv6Address)
	}
	return out
}

func withAddresses(texts ...*string) string {
	var out []string
	for _, s := range texts {
		if awssdk.ToString(s) != "" {
			out = append(out, *s)
		}
	}
	return strings.Join(out, " ")
}

// subnetsOf are the load balancer's subnets, each with its elastic IP or fixed
// private address if it has one, sorted.
func subnetsOf(lb *Network) []string {
	var out []string
	for i := range lb.AvailabilityZones {
		z := &lb.AvailabilityZones[i]
		texts := []*string{z.SubnetId}
		for _, addr := range z.LoadBalancerAddresses {
			texts = append(texts, addr.AllocationId, addr.PrivateIPv4Address, addr.IPv6Address)
		}
		out = append(out, withAddresses(texts...))
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
