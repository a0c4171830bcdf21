// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"net/netip"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/fairlead/fairlead/pkg/intent"
)

// subnetMappings join subnets with the addresses that the annotations ask for.
func (t *turn) subnetMappings(a *ask, subnets []string) ([]elbv2types.SubnetMapping, error) {
	eips := a.list(intent.KeyAWSElasticIPs)
	private, v6 := t.bySubnet(a.addresses(intent.KeyAWSPrivateIPv4s), subnets), t.bySubnet(a.addresses(intent.KeyAWSIPv6s), subnets)
	if len(v6) > 0 && a.addressType() != elbv2types.IpAddressTypeDualstack {
		return nil, refuse(ReasonConflictingAnnotations, "%s, but only a load balancer with annotation %s dualstack has IPv6 addresses; set it, or remove this one", intent.AWSSays(a.item.Service, intent.KeyAWSIPv6s), intent.KeyAWSIPAddressType)
	}
	out := make([]elbv2types.SubnetMapping, len(subnets))
	for _, asked := range []struct {
		key  string
		list []string
	}{{intent.KeyAWSElasticIPs, eips}, {intent.KeyAWSPrivateIPv4s, private}, {intent.KeyAWSIPv6s, v6}} {
		if n := len(asked.list); n > 0 && n != len(subnets) {
			return nil, refuse(ReasonAddressesMismatch, "the number of items in annotation %s is %d, and that of subnets %d (%s); give one item for each subnet", asked.key, n, len(subnets), strings.Join(subnets, ", "))
		}
	}
	if err := t.inSubnets(intent.KeyAWSPrivateIPv4s, private, subnets); err != nil {
		return nil, err
	}
	if err := t.inSubnets(intent.KeyAWSIPv6s, v6, subnets); err != nil {
		return nil, err
	}
	for i, id := range subnets {
		out[i].SubnetId = awssdk.String(id)
		if len(eips) > 0 {
			out[i].AllocationId = awssdk.String(eips[i])
		}
		if len(private) > 0 {
			out[i].PrivateIPv4Address = awssdk.String(private[i])
		}
		if len(v6) > 0 {
			out[i].IPv6Address = awssdk.String(v6[i])
		}
	}
	return out, nil
}

// bySubnet are the addresses in the order of the subnets that have them, or as
// they were where a subnet has none of them.
func (t *turn) bySubnet(addresses, subnets []string) []string {
	var out []string
	for _, id := range subnets {
		for _, text := range addresses {
			if ip, err := netip.ParseAddr(text); err == nil && t.holds(id, ip) {
				out = append(out, text)
			}
		}
	}
	if len(out) != len(addresses) || len(out) != len(subnets) {
		return addresses
	}
	return out
}

// holds reports whether the address is the subnet's.
func (t *turn) holds(id string, ip netip.Addr) bool {
	return slices.ContainsFunc(t.subnetPrefixes([]string{id}, familyOfGroup(ip)), func(r rule) bool {
		p, err := netip.ParsePrefix(r.source)
		return err == nil && p.Contains(ip)
	})
}

// inSubnets refuses an address that is not of the subnet for which it is asked.
// What is not known of a subnet is left to AWS.
func (t *turn) inSubnets(key string, addresses, subnets []string) error {
	for i, text := range addresses {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			continue
		}
		var ranges []string
		inside := false
		for _, r := range t.subnetPrefixes(subnets[i:i+1], familyOfGroup(ip)) {
			p, err := netip.ParsePrefix(r.source)
			inside = inside || err != nil || p.Contains(ip)
			ranges = append(ranges, r.source)
		}
		if inside && len(ranges) == 1 && isReserved(ip, ranges[0]) {
			return refuse(ReasonAddressUnavailable, "annotation %s asks for %s in subnet %s, which AWS keeps for itself, as the first four addresses and the last of each subnet; write another one of %s", key, text, subnets[i], ranges[0])
		}
		if len(ranges) > 0 && !inside {
			return refuse(ReasonAddressesMismatch, "annotation %s asks for %s in subnet %s, whose range is %s; write one address of each subnet's range", key, text, subnets[i], strings.Join(ranges, ", "))
		}
	}
	return nil
}

// reservedFirst is how many of the first addresses of a subnet AWS keeps, beside
// the last one: Amazon VPC, subnet sizing.
const reservedFirst = 4

// isReserved reports whether nobody gets the address of the subnet's range.
func isReserved(ip netip.Addr, text string) bool {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return false
	}
	first := p.Masked().Addr()
	for range reservedFirst {
		if ip == first {
			return true
		}
		first = first.Next()
	}
	return !p.Contains(ip.Next())
}

func familyOfGroup(ip netip.Addr) elbv2types.TargetGroupIpAddressTypeEnum {
	if ip.Is4() {
		return elbv2types.TargetGroupIpAddressTypeEnumIpv4
	}
	return elbv2types.TargetGroupIpAddressTypeEnumIpv6
}

// subnetPrefixes are rules, without ports, from the prefixes of subnets: those
// from which a load balancer reaches targets of the family.
func (t *turn) subnetPrefixes(ids []string, family elbv2types.TargetGroupIpAddressTypeEnum) []rule {
	var out []rule
	for i := range t.observed.Subnets {
		if s := &t.observed.Subnets[i]; slices.Contains(ids, awssdk.ToString(s.SubnetId)) {
			out = append(out, prefixesOf(s, family)...)
		}
	}
	return out
}

func prefixesOf(s *ec2types.Subnet, family elbv2types.TargetGroupIpAddressTypeEnum) []rule {
	if family != elbv2types.TargetGroupIpAddressTypeEnumIpv6 {
		if s.CidrBlock == nil {
			return nil
		}
		return []rule{{kind: fromIPv4, source: *canonical(s.CidrBlock)}}
	}
	var out []rule
	for _, x := range s.Ipv6CidrBlockAssociationSet {
		if x.Ipv6CidrBlock != nil && x.Ipv6CidrBlockState != nil && x.Ipv6CidrBlockState.State == ec2types.SubnetCidrBlockStateCodeAssociated {
			out = append(out, rule{kind: fromIPv6, source: *canonical(x.Ipv6CidrBlock)})
		}
	}
	return out
}
