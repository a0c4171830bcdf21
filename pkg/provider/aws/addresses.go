// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
)

// AddressState is what AWS says of an address. The zero value is none.
type AddressState uint8

// The states.
const (
	AddressFree   AddressState = iota + 1 // nothing has it
	AddressTaken                          // a network interface has it
	AddressAbsent                         // the account has no such elastic IP
	AddressUnseen                         // AWS did not let us look
)

// Address is an address that a load balancer is to get, as it was looked up.
type Address struct {
	State AddressState
	// Holder says in words which network interface has it; Balancer is the name
	// of the network load balancer whose interface that is, or empty.
	Holder, Balancer string
	// Err is why it could not be looked up this time; nil: it was, or AWS does not
	// let us.
	Err error
	// BorderGroup is the network border group of an elastic IP.
	BorderGroup string
}

// What to do about addresses that cannot be had.
const (
	cureElasticIP = "write the ids of elastic IPs of this account and region that nothing else uses"
	curePrivate   = "write addresses of the subnets that are free"
)

// chosen is a part of a mapping that the user chose.
type chosen struct {
	key, cure string
	of        func(*elbv2types.SubnetMapping) *string
}

func chosenAddresses() []chosen {
	return []chosen{
		{intent.KeyAWSElasticIPs, cureElasticIP, func(m *elbv2types.SubnetMapping) *string { return m.AllocationId }},
		{intent.KeyAWSPrivateIPv4s, curePrivate, func(m *elbv2types.SubnetMapping) *string { return m.PrivateIPv4Address }},
		{intent.KeyAWSIPv6s, curePrivate, func(m *elbv2types.SubnetMapping) *string { return m.IPv6Address }},
	}
}

// in reports whether one of the mappings has the address.
func (c *chosen) in(list []elbv2types.SubnetMapping, address string) bool {
	return slices.ContainsFunc(list, func(m elbv2types.SubnetMapping) bool { return awssdk.ToString(c.of(&m)) == address })
}

// takeAddresses refuses addresses that AWS would not give to the load balancer with the
// name, before anything is written: a zone has to be left to be joined with
// another address. It notes the others, which have to be looked up. What the
// load balancer has is its own.
func (t *turn) takeAddresses(a *ask, name string, have, want []elbv2types.SubnetMapping) error {
	taken := map[string]plan.Key{}
	for i := range want {
		for _, c := range chosenAddresses() {
			address := awssdk.ToString(c.of(&want[i]))
			if address == "" {
				continue
			}
			problem, cure := "", c.cure
			if c.in(want[:i], address) {
				problem = fmt.Sprintf("%s is there twice", address)
			}
			if !c.in(have, address) {
				if err := t.observed.Addresses[address].Err; err != nil {
					return err
				}
				if t.isComingBack(address, name) {
					cure = "wait some minutes when that load balancer was deleted just now, or " + cure
				}
				problem = cmp.Or(problem, t.takenBy(a, address), t.holderOf(&c, name, address), t.unfitAddress(name, address, awssdk.ToString(want[i].SubnetId)))
				taken[address] = a.key
			}
			if problem != "" {
				return refuse(ReasonAddressUnavailable, "%s, but %s; %s", intent.AWSSays(a.item.Service, c.key), problem, cure)
			}
		}
	}
	maps.Copy(t.newAddresses, taken)
	return nil
}

// takenBy is which other Service of the batch gets the address; empty when none
// does.
func (t *turn) takenBy(a *ask, address string) string {
	if other, taken := t.newAddresses[address]; taken && other != a.key {
		return fmt.Sprintf("Service %s gets %s", other, address)
	}
	return ""
}

// holderOf is which other load balancer has the address, as the lists tell;
// empty when none has it.
func (t *turn) holderOf(c *chosen, name, address string) string {
	for _, lb := range t.sortedNetworks() {
		other, here := awssdk.ToString(lb.LoadBalancerName), c.key == intent.KeyAWSElasticIPs || awssdk.ToString(lb.VpcId) == t.settings.VPC
		if here && other != name && c.in(mappingsOf(lb), address) {
			return fmt.Sprintf("load balancer %s has %s", other, address)
		}
	}
	return ""
}

// isComingBack reports whether the address may be that of a load balancer that is
// gone, as it is not among those of the account: its network interfaces go later.
func (t *turn) isComingBack(address, name string) bool {
	had := t.observed.Addresses[address].Balancer
	return had != "" && had != name && t.networksByName[had] == nil
}

// unfitAddress is why the load balancer cannot have the address in the subnet, by
// what was looked up; empty when nothing is known against it.
func (t *turn) unfitAddress(name, address, subnet string) string {
	found, zone := t.observed.Addresses[address], t.zoneOf(subnet)
	switch {
	case found.State == AddressAbsent:
		return fmt.Sprintf("there is no elastic IP %s in this account and region", address)
	case found.State == AddressTaken && found.Balancer != name:
		return fmt.Sprintf("%s has %s", found.Holder, address)
	// The border group of a usual zone is the region.
	case found.BorderGroup != "" && found.BorderGroup != t.settings.Region && t.observed.ZoneTypes[zone] == usualZone:
		return fmt.Sprintf("%s is of network border group %s, and zone %s is of %s", address, found.BorderGroup, zone, t.settings.Region)
	}
	return ""
}

// unknown are those of the addresses that were not looked up, sorted.
func (o *Observed) unknown(addresses map[string]plan.Key) []string {
	var out []string
	for address := range addresses {
		if _, known := o.Addresses[address]; !known {
			out = append(out, address)
		}
	}
	slices.Sort(out)
	return out
}
