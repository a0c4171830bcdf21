// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/fairlead/fairlead/pkg/intent"
)

// warnClients tells of ranges of clients that have no effect, and of those that
// let nobody in.
func (a *ask) warnClients() {
	ranges := a.item.Intent.SourceRanges
	if len(ranges) == 0 {
		return
	}
	field := "spec.loadBalancerSourceRanges"
	if len(a.item.Service.Spec.LoadBalancerSourceRanges) == 0 {
		field, _, _ = strings.Cut(intent.AWSSays(a.item.Service, intent.KeySourceRanges), " is ")
	}
	are4 := func(p netip.Prefix) bool { return p.Addr().Is4() }
	switch {
	case a.judges != "":
		a.warn(ReasonUnsupported, fmt.Sprintf("%s has no effect: %s names the security groups of load balancer %s, whose rules are left alone; let the clients in there, and remove it", field, a.judges, a.name))
	case a.families4() && len(a.prefixLists()) == 0 && !slices.ContainsFunc(ranges, are4):
		cure := "add IPv4 ranges"
		if a.external {
			cure += ", or set annotation " + intent.KeyAWSIPAddressType + " to dualstack"
		}
		a.warn(ReasonUnsupported, fmt.Sprintf("%s has IPv6 ranges alone, and load balancer %s has IPv4 addresses alone, so that nobody can connect; %s", field, a.name, cure))
	}
}

// families4 reports whether the Service's load balancer has IPv4 addresses alone.
func (a *ask) families4() bool {
	kind := a.addressType()
	switch {
	case a.network != nil && (a.follows() || !a.has(intent.KeyAWSIPAddressType)):
		kind = a.network.IpAddressType
	case a.follows():
		kind = elbv2types.IpAddressType(written(a.share.head, intent.KeyAWSIPAddressType))
	}
	return kind != elbv2types.IpAddressTypeDualstack
}
