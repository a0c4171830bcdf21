// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// tagInternet is the service tag of all clients outside of virtual networks.
const tagInternet = "Internet"

// clients are who may connect to a Service.
type clients struct {
	tags   []string       // service tags, in the user's order
	ranges []netip.Prefix // aggregated
	// deny: all others are denied, also those in the virtual network.
	deny bool
	// everyone: the ranges hold all addresses, for which the peer may have
	// made a rule for the Internet as well. One that is there may stay.
	everyone bool
}

// clientsOf reads who may connect. The peer takes a range that is none, or
// that has bits beside its network, for a reason to deny all others.
func (a *ask) clientsOf() (clients, error) {
	svc := a.item.Service
	spec, badSpec := parseRanges(svc.Spec.LoadBalancerSourceRanges)
	var allowed []netip.Prefix
	var bad []string
	for _, key := range []string{intent.KeyAzureAllowedRanges, intent.KeySourceRanges} {
		text, ok := svc.Annotations[key]
		if !ok {
			continue
		}
		good, wrong := parseRanges(strings.Split(strings.TrimSpace(text), ","))
		allowed, bad = append(allowed, good...), append(bad, wrong...)
	}
	if len(spec) > 0 && len(allowed) > 0 {
		return clients{}, refuse(ReasonConflictingSources, "spec.loadBalancerSourceRanges and annotation %s or %s are both set, and only one may be; remove the annotation",
			intent.KeyAzureAllowedRanges, intent.KeySourceRanges)
	}
	bad = append(badSpec, bad...)
	ranges := slices.Concat(spec, allowed)
	c := clients{ranges: aggregate(ranges)}
	tags, _ := a.options().Texts(intent.KeyAzureServiceTags)
	for _, tag := range tags {
		if tag = strings.TrimSpace(tag); !slices.Contains(c.tags, tag) {
			c.tags = append(c.tags, tag)
		}
	}
	c.everyone = slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return p.Bits() == 0 })
	c.deny = (a.on(intent.KeyAzureDenyOthers) && len(ranges) > 0) || len(bad) > 0
	if len(c.tags) == 0 && len(ranges) == 0 && len(bad) == 0 && a.meant == names.Public {
		c.tags = []string{tagInternet}
	}
	if len(bad) > 0 {
		a.warn(ReasonInvalidRange, fmt.Sprintf("%q is no IP range such as 192.0.2.0/24, so all clients are denied that the other ranges do not allow; correct or remove it", bad[0]))
	}
	return c, nil
}

func parseRanges(texts []string) (good []netip.Prefix, bad []string) {
	for _, text := range texts {
		text = strings.TrimSpace(text)
		p, err := netip.ParsePrefix(text)
		if err != nil || p.Masked() != p {
			bad = append(bad, text)
			continue
		}
		good = append(good, p)
	}
	return good, bad
}

// aggregate merges ranges that overlap or that two halves make.
func aggregate(ranges []netip.Prefix) []netip.Prefix {
	sorted := slices.SortedFunc(slices.Values(ranges), func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	var out []netip.Prefix
	for _, p := range sorted {
		if n := len(out); n > 0 && out[n-1].Overlaps(p) {
			continue // the wider one comes first
		}
		out = append(out, p)
		for n := len(out); n > 1; n = len(out) {
			parent, ok := joined(out[n-2], out[n-1])
			if !ok {
				break
			}
			out = append(out[:n-2], parent)
		}
	}
	return out
}

// joined is the range whose halves a and b are.
func joined(a, b netip.Prefix) (netip.Prefix, bool) {
	if a.Bits() != b.Bits() || a.Bits() == 0 || a.Addr().Is4() != b.Addr().Is4() {
		return netip.Prefix{}, false
	}
	parent := netip.PrefixFrom(a.Addr(), a.Bits()-1).Masked()
	return parent, parent.Addr() == a.Addr() && parent.Contains(b.Addr())
}

// rangesOf are those of the family, as text.
func rangesOf(ranges []netip.Prefix, f intent.Family) []string {
	var out []string
	for _, p := range ranges {
		if intent.FamilyOf(p.Addr()) == f {
			out = append(out, p.String())
		}
	}
	return out
}

// securityProtocol is the protocol of a security rule.
func securityProtocol(p v1.Protocol) string {
	switch p {
	case v1.ProtocolUDP:
		return "Udp"
	case v1.ProtocolSCTP:
		return anyProtocol
	case v1.ProtocolTCP:
	}
	return "Tcp"
}

// anyProtocol is that of security rules for all protocols.
const anyProtocol = "*"

// securityProtocols are those of our rules, in the order they are made.
func securityProtocols() []string { return []string{"Tcp", "Udp", anyProtocol} }

// securityPorts are the ports of the Service, by protocol: node ports where
// packets reach the nodes at their own addresses.
func securityPorts(svc *v1.Service) map[string][]uint16 {
	out := map[string][]uint16{}
	for _, p := range svc.Spec.Ports {
		n := p.Port
		if noFloating(svc) {
			n = p.NodePort
		}
		protocol := securityProtocol(p.Protocol)
		if 0 <= n && n <= 65535 {
			out[protocol] = append(out[protocol], uint16(n))
		}
	}
	return out
}

func noFloating(svc *v1.Service) bool {
	return strings.EqualFold(strings.TrimSpace(svc.Annotations[intent.KeyAzureNoFloatingIP]), "true")
}

// statusOf are the addresses that the Service's status shows.
func statusOf(svc *v1.Service) []netip.Addr {
	var out []netip.Addr
	for _, in := range svc.Status.LoadBalancer.Ingress {
		if ip := parseAddr(in.IP); ip.IsValid() {
			out = append(out, ip)
		}
	}
	return out
}

// additionalOf are the addresses that lead to the Service from elsewhere.
func additionalOf(svc *v1.Service) []netip.Addr {
	var out []netip.Addr
	text, ok := svc.Annotations[intent.KeyAzureAdditionalIPs]
	if !ok {
		return nil
	}
	for part := range strings.SplitSeq(text, ",") {
		if ip := parseAddr(strings.TrimSpace(part)); ip.IsValid() {
			out = append(out, ip)
		}
	}
	return out
}
