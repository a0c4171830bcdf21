// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"net/netip"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider"
)

// letSendersIn adds the rules for those whose packets reach the nodes with their
// own addresses.
func (t *turn) letSendersIn(a *ask, d described, r rule, text string) {
	if inside := t.vpcRanges(a); len(inside) > 0 {
		d.let(inside, r, text)
		return
	}
	a.letClients(d, r, text)
}

// vpcRanges are the VPC's ranges where the nodes let in these alone: for an
// internal load balancer without security groups when nothing says who may
// connect, as with the AWS Load Balancer Controller.
func (t *turn) vpcRanges(a *ask) []netip.Prefix {
	vpc := t.observed.VPC
	if vpc == nil || !a.external || a.scheme != elbv2types.LoadBalancerSchemeEnumInternal || len(a.groups) > 0 || !namesNoClient(a.item) {
		return nil
	}
	var out []netip.Prefix
	add := func(text *string) {
		if p, err := netip.ParsePrefix(awssdk.ToString(text)); err == nil {
			out = append(out, p.Masked())
		}
	}
	for _, x := range vpc.CidrBlockAssociationSet {
		if x.CidrBlockState != nil && x.CidrBlockState.State == ec2types.VpcCidrBlockStateCodeAssociated {
			add(x.CidrBlock)
		}
	}
	if a.addressType() != elbv2types.IpAddressTypeDualstack {
		return out
	}
	for _, x := range vpc.Ipv6CidrBlockAssociationSet {
		if x.Ipv6CidrBlockState != nil && x.Ipv6CidrBlockState.State == ec2types.VpcCidrBlockStateCodeAssociated {
			add(x.Ipv6CidrBlock)
		}
	}
	return out
}

// mayLetVPCIn reports whether vpcRanges may be asked for. The load balancer may
// be nil.
func mayLetVPCIn(it *provider.Item, lb *Network) bool {
	groupless, _ := it.Intent.Options.Bool(intent.KeyAWSNoSecurityGroup)
	groupless = groupless || (lb != nil && len(lb.SecurityGroups) == 0)
	return groupless && namesNoClient(it) && intent.AWSInternal(it.Intent) != intent.AWSInternalNo
}

func namesNoClient(it *provider.Item) bool {
	lists, _ := it.Intent.Options.Texts(intent.KeyAWSPrefixLists)
	return len(it.Intent.SourceRanges)+len(lists) == 0
}
