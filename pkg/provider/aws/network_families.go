// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider"
)

// reachesTargets refuses a new load balancer of a form of the peer for a Service of
// IPv6 alone: the targets have IPv4 addresses, where nothing answers for it. The
// peer makes one; that stays, with the sentence as a Warning.
func (t *turn) reachesTargets(a *ask) error {
	if a.external || len(a.item.Intent.Families) == 0 || slices.Contains(a.item.Intent.Families, intent.V4) {
		return nil
	}
	err := refuse(ReasonConflictingAnnotations, "spec.ipFamilies is IPv6 alone, but the load balancer reaches its targets by IPv4, where they do not answer for this Service; add IPv4 to spec.ipFamilies, or make a new Service of type external with annotation %s dualstack", intent.KeyAWSIPAddressType)
	if t.observed.Hostname(Place{Kind: a.kind, Name: a.name}) == "" {
		return err
	}
	a.warn(ReasonUnsupported, err.Error())
	return nil
}

// carriesUDP refuses ports of UDP where AWS does not take them: on a load
// balancer of both families they need prefixes for source NAT. One that has these
// already, from the AWS Load Balancer Controller, takes them. lb may be nil.
func (t *turn) carriesUDP(a *ask, lb *Network) error {
	if !a.external || lb.hasSourceNAT() {
		return nil
	}
	i := slices.IndexFunc(a.mappings, func(m *mapping) bool { return isUDP(m.listener) })
	if family, where := t.familyOf(a, lb); i >= 0 && family == elbv2types.IpAddressTypeDualstack {
		return noUDP(where, fmt.Sprintf("port %d", a.mappings[i].port))
	}
	return nil
}

func isUDP(p elbv2types.ProtocolEnum) bool { return slices.Contains(transports(p), "udp") }

// hasSourceNAT reports whether the load balancer has prefixes for source NAT; it
// may be nil.
func (lb *Network) hasSourceNAT() bool {
	return lb != nil && lb.EnablePrefixForIpv6SourceNat == elbv2types.EnablePrefixForIpv6SourceNatEnumOn
}

func noUDP(where, port string) error {
	return refuse(ReasonConflictingAnnotations, "%s, but %s is UDP, which AWS takes there with source NAT prefixes alone, and these are not supported yet; write ipv4, or take the port away", where, port)
}

// othersUDP refuses to give addresses of IPv6 to a load balancer that has ports of
// UDP of Services but the head.
func (t *turn) othersUDP(a *ask, lb *Network) error {
	if lb.hasSourceNAT() {
		return nil
	}
	for i := range lb.Listeners {
		l := &lb.Listeners[i]
		if other, ok := t.listenerOf(l); ok && other != a.key && isUDP(l.Protocol) {
			return noUDP(intent.AWSSays(a.item.Service, intent.KeyAWSIPAddressType), fmt.Sprintf("port %d of Service %s", awssdk.ToInt32(l.Port), other))
		}
	}
	return nil
}

// familyOf is the families of the addresses that the Service's load balancer is
// to have, and what says so in a sentence.
func (t *turn) familyOf(a *ask, lb *Network) (family elbv2types.IpAddressType, where string) {
	const says = "annotation %s of Service %s is %q"
	switch {
	case a.follows() && lb == nil:
		if head := t.inBatch[provider.KeyOf(a.share.head)]; head != nil {
			return head.addressType(), fmt.Sprintf(says, intent.KeyAWSIPAddressType, head.key, head.addressType())
		}
	case a.follows():
		return lb.IpAddressType, fmt.Sprintf("load balancer %s is %s by annotation %s of Service %s", a.name, lb.IpAddressType, intent.KeyAWSIPAddressType, provider.KeyOf(a.share.head))
	case lb != nil && !a.has(intent.KeyAWSIPAddressType):
		return lb.IpAddressType, fmt.Sprintf("load balancer %s is %s as annotation %s says nothing else", a.name, lb.IpAddressType, intent.KeyAWSIPAddressType)
	}
	return a.addressType(), intent.AWSSays(a.item.Service, intent.KeyAWSIPAddressType)
}
