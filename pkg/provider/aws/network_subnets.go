// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
)

// putSubnets moves a load balancer to the subnets, and to the addresses in them,
// that a user's edit names. Where no subnets are named it stays in those that it
// has: discovery may find others every day.
func (t *turn) putSubnets(a *ask, b *balancer) error {
	asked := a.has(intent.KeyAWSSubnets) || asksForAddresses(a.item.Service)
	switch {
	case !asked || len(a.item.Intent.AWSLeftOut) > 0:
		return nil
	case !a.strict():
		a.tellSubnets(b.have)
		return nil
	}
	have := t.zonesOf(mappingsOf(b.have))
	subnets, err := t.subnetsInstead(a, have)
	if err != nil {
		return err
	}
	mappings, err := t.subnetMappings(a, subnets)
	if err != nil && !a.external {
		a.warn(ReasonAdoptedAsIs, fmt.Sprintf("%v; load balancer %s stays as it is until then", err, b.name))
		return nil // the peer reads addresses when it makes one
	}
	if err != nil {
		return err
	}
	want := t.zonesOf(mappings)
	if a.external && !a.mine && sameAddresses(have, want) {
		return nil // which is where was that controller's choice
	}
	writes := moves(have, want)
	if len(writes) == 0 {
		return nil
	}
	if writes[len(writes)-1] == nil {
		return refuse(ReasonAddressesMismatch, "load balancer %s is in one zone alone, whose subnet and addresses AWS cannot change while it is the only one; name a subnet in a second zone in annotation %s first", b.name, intent.KeyAWSSubnets)
	}
	switch err := t.takeAddresses(a, b.name, mappingsOf(b.have), mappings); {
	case err != nil && !a.external && !a.mine: // the peer reads addresses when it makes one
		a.warn(ReasonAdoptedAsIs, fmt.Sprintf("%v; load balancer %s stays as it is until then", err, b.name))
		return nil
	case err != nil:
		return err
	}
	var calls []Call
	for _, m := range writes {
		calls = append(calls, &elbv2.SetSubnetsInput{LoadBalancerArn: awssdk.String(b.ref.Text()), SubnetMappings: m.mappings()})
	}
	t.add(a, plan.Step{
		Action: plan.Update, Target: plan.ID{Kind: kindSubnets, Name: b.name},
		Why: []plan.Diff{{Field: "subnets", Have: have.text(), Want: want.text()}},
	}, calls...)
	return nil
}

// tellSubnets tells of subnets that are named by their ids, and are not those of
// what the peer made. Names and addresses would have to be looked up.
func (a *ask) tellSubnets(lb *Network) {
	have, want := lb.subnets(), a.list(intent.KeyAWSSubnets)
	named := slices.ContainsFunc(want, func(item string) bool { return !strings.HasPrefix(item, subnetPrefix) })
	if len(want) == 0 || named || len(notIn(want, have))+len(notIn(have, want)) == 0 {
		return
	}
	slices.Sort(have)
	a.warn(ReasonAdoptedAsIs, fmt.Sprintf("load balancer %s is in %s, and annotation %s names %s; it stays until the Service is edited; set annotation %s for that",
		a.name, strings.Join(have, ", "), intent.KeyAWSSubnets, strings.Join(want, ", "), intent.KeyRepair))
}

// subnetsInstead are the ids of the subnets that are named, or else those that
// would be found for a new load balancer, but for the zones where it is.
func (t *turn) subnetsInstead(a *ask, have zones) ([]string, error) {
	subnets, err := t.subnetsFor(a)
	if err != nil || a.has(intent.KeyAWSSubnets) {
		return subnets, err
	}
	for i, id := range subnets {
		if h, there := have[t.zoneOf(id)]; there {
			subnets[i] = awssdk.ToString(h.SubnetId)
		}
	}
	return subnets, nil
}

// asksForAddresses reports whether the user chose the load balancer's addresses.
func asksForAddresses(svc *v1.Service) bool {
	return slices.ContainsFunc([]string{intent.KeyAWSElasticIPs, intent.KeyAWSPrivateIPv4s, intent.KeyAWSIPv6s}, func(key string) bool {
		_, set := intent.AWSWritten(svc, key)
		return set
	})
}

// zones are the subnets of a load balancer with their addresses, by zone.
type zones map[string]elbv2types.SubnetMapping

// zonesOf are the mappings by their subnets' zones.
func (t *turn) zonesOf(list []elbv2types.SubnetMapping) zones {
	out := zones{}
	for i := range list {
		id := awssdk.ToString(list[i].SubnetId)
		out[cmp.Or(t.zoneOf(id), id)] = list[i]
	}
	return out
}

// sameAddresses reports whether the subnets are the same, and elastic IPs are,
// though in others of them.
func sameAddresses(have, want zones) bool {
	eips := func(z zones) []string {
		var out []string
		for _, m := range z {
			out = append(out, awssdk.ToString(m.AllocationId))
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(eips(have), eips(want)) && maps.EqualFunc(have, want, func(h, w elbv2types.SubnetMapping) bool {
		w.AllocationId = nil
		return keeps(h, w)
	})
}

func (z zones) mappings() []elbv2types.SubnetMapping {
	out := make([]elbv2types.SubnetMapping, 0, len(z))
	for _, zone := range slices.Sorted(maps.Keys(z)) {
		out = append(out, z[zone])
	}
	return out
}

func (z zones) text() string {
	texts := mappingTexts(z.mappings())
	slices.Sort(texts)
	return strings.Join(texts, ", ")
}

// moves are the writes that lead from one set of zones to another, the last of
// them nil where none does. What a zone has cannot be changed while the load
// balancer is in it: it leaves and comes back, which needs another zone
// meanwhile (Elastic Load Balancing, Availability Zones for your Network Load
// Balancer). A zone that is left takes AWS minutes; what it refuses until then
// is asked for again.
func moves(have, want zones) []zones {
	var out []zones
	for !same(have, want) {
		have = next(have, want)
		out = append(out, have)
		if have == nil {
			break
		}
	}
	return out
}

func same(have, want zones) bool {
	return maps.EqualFunc(have, want, keeps)
}

// keeps compares subnets, and addresses where they are asked for.
func keeps(have, want elbv2types.SubnetMapping) bool {
	asks := func(w, h *string) bool { return w == nil || awssdk.ToString(w) == awssdk.ToString(h) }
	return awssdk.ToString(have.SubnetId) == awssdk.ToString(want.SubnetId) && asks(want.AllocationId, have.AllocationId) &&
		asks(want.PrivateIPv4Address, have.PrivateIPv4Address) && asks(want.IPv6Address, have.IPv6Address)
}

// next is the set of zones after one write; nil where none leads further.
func next(have, want zones) zones {
	stay, left := zones{}, zones{}
	var changed []string
	for zone, w := range want {
		h, there := have[zone]
		switch {
		case !there:
			stay[zone] = w
		case keeps(h, w):
			stay[zone] = h // AWS wants what is there to be named
		default:
			changed = append(changed, zone)
		}
	}
	for zone, h := range have {
		if _, wanted := want[zone]; !wanted {
			left[zone] = h
		}
	}
	switch {
	case len(changed) == 0 || len(stay) > 0:
		return stay
	case len(left) > 0:
		return left
	case len(changed) > 1:
		first := slices.Min(changed)
		return zones{first: have[first]}
	}
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

// mappingsOf are the load balancer's subnets, each with its elastic IP or fixed
// addresses if it has some.
func mappingsOf(lb *Network) []elbv2types.SubnetMapping {
	out := make([]elbv2types.SubnetMapping, len(lb.AvailabilityZones))
	for i := range lb.AvailabilityZones {
		z := &lb.AvailabilityZones[i]
		out[i].SubnetId = z.SubnetId
		for _, addr := range z.LoadBalancerAddresses {
			out[i].AllocationId = cmp.Or(out[i].AllocationId, addr.AllocationId)
			out[i].PrivateIPv4Address = cmp.Or(out[i].PrivateIPv4Address, addr.PrivateIPv4Address)
			out[i].IPv6Address = cmp.Or(out[i].IPv6Address, addr.IPv6Address)
		}
	}
	return out
}
