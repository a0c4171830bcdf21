// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// usualZone is the type of zones that load balancers can be in.
const usualZone = "availability-zone"

// freeAddresses is how many a subnet must have for a new load balancer: Elastic
// Load Balancing, subnets for your load balancer.
const freeAddresses = 8

// subnetsFor are the ids of the subnets of a new load balancer: those of the
// annotation in its order, else one in each zone by the zones' names.
func (t *turn) subnetsFor(a *ask) ([]string, error) {
	if a.has(intent.KeyAWSSubnets) {
		list, err := t.namedSubnets(a)
		if err == nil {
			err = a.familiesFit(list)
		}
		return idsOf(list), err
	}
	list, rejected := t.discover(a, a.subnets)
	if a.external { // whose elastic IPs go by the subnets' ids
		slices.SortFunc(list, bySubnetID)
	}
	if len(list) == 0 {
		return nil, refuse(ReasonNoSubnets, "no subnet of %s can hold the %s load balancer%s; %s",
			t.settings.VPC, a.scheme, reasons(rejected), a.cureOf(rejected))
	}
	return idsOf(list), nil
}

// withoutIPv6 is why a subnet cannot hold a load balancer of both families.
const withoutIPv6 = "it has no IPv6 addresses"

// cureOf is what helps where all subnets were rejected: a tag gives none of them
// addresses.
func (a *ask) cureOf(rejected []rejection) string {
	if slices.ContainsFunc(rejected, func(r rejection) bool { return r.why == withoutIPv6 }) {
		return fmt.Sprintf("annotation %s is dualstack: %s", intent.KeyAWSIPAddressType, a.cureIPv6())
	}
	return fmt.Sprintf("tag subnets with %s or name them in annotation %s", roleTag(a.scheme), intent.KeyAWSSubnets)
}

// cureIPv6 is what helps a load balancer of both families in subnets of one: a
// new one with family IPv6 is nothing without.
func (a *ask) cureIPv6() string {
	if slices.Contains(a.item.Intent.Families, intent.V6) {
		return "give subnets of the VPC IPv6 ranges; or take IPv6 out of spec.ipFamilies, and write ipv4 there"
	}
	return "write ipv4 there, or give subnets of the VPC IPv6 ranges"
}

// lacksIPv6 reports whether the load balancer is of both families and the subnet
// of one.
func (a *ask) lacksIPv6(s *ec2types.Subnet) bool {
	return a.addressType() == elbv2types.IpAddressTypeDualstack && len(s.Ipv6CidrBlockAssociationSet) == 0
}

// familiesFit refuses subnets without IPv6 for a load balancer of both families.
func (a *ask) familiesFit(list []*ec2types.Subnet) error {
	for _, s := range list {
		if a.lacksIPv6(s) {
			return refuse(ReasonConflictingAnnotations, "%s, but subnet %s has no IPv6 addresses; %s", intent.AWSSays(a.item.Service, intent.KeyAWSIPAddressType), awssdk.ToString(s.SubnetId), a.cureIPv6())
		}
	}
	return nil
}

// asController are, of the subnets of a Service of the AWS Load Balancer
// Controller, those that it would take: the ones with the role's tag where there
// are some, or else private ones where clients are not in the internet.
func (t *turn) asController(a *ask, list []*ec2types.Subnet) (taken []*ec2types.Subnet, rejected []rejection) {
	role := roleTag(a.scheme)
	hasRole := func(s *ec2types.Subnet) bool {
		value, has := ec2Tags(s.Tags)[role]
		return has && (value == "" || value == "1")
	}
	public, tagged := t.publicSubnets(), slices.ContainsFunc(list, hasRole)
	for _, s := range list {
		switch {
		case tagged && !hasRole(s):
			rejected = append(rejected, rejection{s, fmt.Sprintf("it lacks the tag %s, which others have", role)})
		case !tagged && a.scheme == elbv2types.LoadBalancerSchemeEnumInternal && public(awssdk.ToString(s.SubnetId)):
			rejected = append(rejected, rejection{s, fmt.Sprintf("its route table has a route to an internet gateway, and it lacks the tag %s", role)})
		default:
			taken = append(taken, s)
		}
	}
	return taken, rejected
}

func bySubnetID(x, y *ec2types.Subnet) int {
	return cmp.Compare(awssdk.ToString(x.SubnetId), awssdk.ToString(y.SubnetId))
}

func idsOf(list []*ec2types.Subnet) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = awssdk.ToString(s.SubnetId)
	}
	return out
}

// rejection is why a subnet holds no load balancer.
type rejection struct {
	subnet *ec2types.Subnet
	why    string
}

// reasons are the rejections in a sentence, by the subnets' ids.
func reasons(list []rejection) string {
	const most = 12
	slices.SortStableFunc(list, func(x, y rejection) int {
		return cmp.Compare(awssdk.ToString(x.subnet.SubnetId), awssdk.ToString(y.subnet.SubnetId))
	})
	if len(list) == 0 {
		return " (it has none)"
	}
	parts := make([]string, len(list))
	for i, r := range list {
		parts[i] = awssdk.ToString(r.subnet.SubnetId) + ": " + r.why
	}
	return " (" + strings.Join(provider.Few(parts, most), "; ") + ")"
}

func roleTag(s elbv2types.LoadBalancerSchemeEnum) string {
	if s == elbv2types.LoadBalancerSchemeEnumInternal {
		return names.TagRoleInternal
	}
	return names.TagRolePublic
}

// discover finds one subnet in each zone, by the zones' names: those of the
// cluster or of no cluster at all, with a way to the internet where clients are
// there, and with room, unless the load balancer has them already. In a zone the
// one with the role's tag counts first, then one with the cluster's, then the
// lowest id.
func (t *turn) discover(a *ask, have []string) ([]*ec2types.Subnet, []rejection) {
	candidates, rejected := t.clusterSubnets()
	if a.external {
		var others []rejection
		candidates, others = t.asController(a, candidates)
		rejected = append(rejected, others...)
	}
	public := t.publicSubnets()
	best := map[string]*ec2types.Subnet{}
	for _, sub := range candidates {
		zone := awssdk.ToString(sub.AvailabilityZone)
		why := t.unfit(a, sub, public)
		if why == "" && !slices.Contains(have, awssdk.ToString(sub.SubnetId)) {
			why = full(sub)
		}
		if why != "" {
			rejected = append(rejected, rejection{sub, why})
			continue
		}
		if first := best[zone]; first == nil || t.ranks(sub, a.scheme) < t.ranks(first, a.scheme) {
			best[zone] = sub
		}
	}
	var out []*ec2types.Subnet
	for _, zone := range slices.Sorted(maps.Keys(best)) {
		out = append(out, best[zone])
	}
	return out, rejected
}

// unfit is why the subnet cannot hold the Service's load balancer; empty when it
// can.
func (t *turn) unfit(a *ask, s *ec2types.Subnet, public func(id string) bool) string {
	zone := awssdk.ToString(s.AvailabilityZone)
	kind, known := t.observed.ZoneTypes[zone]
	switch {
	case known && kind != usualZone:
		return fmt.Sprintf("zone %s is a %s", zone, kind)
	case a.scheme == elbv2types.LoadBalancerSchemeEnumInternetFacing && !public(awssdk.ToString(s.SubnetId)):
		return "its route table has no route to an internet gateway"
	case a.lacksIPv6(s):
		return withoutIPv6
	}
	return ""
}

// full is why the subnet has no room for a load balancer; empty when it has.
func full(s *ec2types.Subnet) string {
	if free := awssdk.ToInt32(s.AvailableIpAddressCount); s.AvailableIpAddressCount != nil && free < freeAddresses {
		return fmt.Sprintf("%d addresses are free, and %d are needed", free, freeAddresses)
	}
	return ""
}

// ranks is lower for subnets that count before others: by the role's tag, and
// then by the cluster's. Candidates come by id.
func (t *turn) ranks(sub *ec2types.Subnet, s elbv2types.LoadBalancerSchemeEnum) int {
	tags, rank := ec2Tags(sub.Tags), 0
	if _, ok := tags[roleTag(s)]; !ok {
		rank += 2
	}
	if !t.settings.Tags.Has(tags) {
		rank++
	}
	return rank
}

// clusterSubnets are the subnets of the cluster and those of no cluster, by id;
// the configured one where there are none.
func (t *turn) clusterSubnets() ([]*ec2types.Subnet, []rejection) {
	var out []*ec2types.Subnet
	var rejected []rejection
	for _, sub := range t.sortedSubnets() {
		if tags := ec2Tags(sub.Tags); t.settings.Tags.Has(tags) || !names.ClusterTagged(tags) {
			out = append(out, sub)
			continue
		}
		rejected = append(rejected, rejection{sub, "it has the tag of another cluster"})
	}
	if len(out) == 0 {
		for _, sub := range t.sortedSubnets() {
			if awssdk.ToString(sub.SubnetId) == t.settings.Subnet {
				out = append(out, sub)
			}
		}
	}
	return out, rejected
}

func (t *turn) sortedSubnets() []*ec2types.Subnet {
	out := make([]*ec2types.Subnet, len(t.observed.Subnets))
	for i := range t.observed.Subnets {
		out[i] = &t.observed.Subnets[i]
	}
	slices.SortFunc(out, bySubnetID)
	return out
}

// publicSubnets tells subnets with a route to an internet gateway: by their own
// route table, or else the main one.
func (t *turn) publicSubnets() func(id string) bool {
	own := map[string]bool{}
	var mainOne bool
	for i := range t.observed.RouteTables {
		table := &t.observed.RouteTables[i]
		public := slices.ContainsFunc(table.Routes, func(r ec2types.Route) bool {
			return strings.HasPrefix(awssdk.ToString(r.GatewayId), "igw")
		})
		for j := range table.Associations {
			as := &table.Associations[j]
			if as.SubnetId != nil {
				own[*as.SubnetId] = public
			}
			mainOne = mainOne || (awssdk.ToBool(as.Main) && public)
		}
	}
	return func(id string) bool {
		if public, explicit := own[id]; explicit {
			return public
		}
		return mainOne
	}
}

// namedSubnets are those of the annotation, in its order.
func (t *turn) namedSubnets(a *ask) ([]*ec2types.Subnet, error) {
	list := a.list(intent.KeyAWSSubnets)
	if len(list) == 0 {
		return nil, refuse(ReasonSubnetNotFound, "annotation %s is empty; name subnets by id or Name tag, or remove it", intent.KeyAWSSubnets)
	}
	var out []*ec2types.Subnet
	zones := map[string]string{}
	for _, item := range list {
		sub, err := t.namedSubnet(item)
		if err != nil {
			return nil, err
		}
		zone := awssdk.ToString(sub.AvailabilityZone)
		if other, taken := zones[zone]; taken {
			return nil, refuse(ReasonSubnetNotFound, "annotation %s names %s and %s, which are both in zone %s; a load balancer has one subnet in a zone: take one of them away", intent.KeyAWSSubnets, other, item, zone)
		}
		zones[zone] = item
		out = append(out, sub)
	}
	return out, nil
}

// subnetPrefix begins the id of a subnet: EC2, resource ids.
const subnetPrefix = "subnet-"

func (t *turn) namedSubnet(item string) (*ec2types.Subnet, error) {
	var found []*ec2types.Subnet
	for _, sub := range t.sortedSubnets() {
		if awssdk.ToString(sub.SubnetId) == item || (!strings.HasPrefix(item, subnetPrefix) && ec2Tags(sub.Tags)["Name"] == item) {
			found = append(found, sub)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, refuse(ReasonSubnetNotFound, "annotation %s names %s, which is no id and no Name tag of a subnet of %s; correct it", intent.KeyAWSSubnets, item, t.settings.VPC)
	}
	return nil, refuse(ReasonSubnetNotFound, "annotation %s names %s, which is the Name tag of %d subnets of %s; give their ids", intent.KeyAWSSubnets, item, len(found), t.settings.VPC)
}

// ec2Tags are tags of EC2 as a map.
func ec2Tags(list []ec2types.Tag) map[string]string {
	out := make(map[string]string, len(list))
	for _, t := range list {
		out[awssdk.ToString(t.Key)] = awssdk.ToString(t.Value)
	}
	return out
}
