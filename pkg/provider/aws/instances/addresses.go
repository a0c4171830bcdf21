// SPDX-License-Identifier: Apache-2.0

package instances

import (
	"net/netip"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
)

// addresses are those of a node in the order of the families, as the peer has
// them: of IPv4 all private ones, then the public one and the names; of IPv6
// the first one of each interface.
func (x *Instance) addresses(families []cloudconfig.IPFamily) []v1.NodeAddress {
	var out []v1.NodeAddress
	add := func(t v1.NodeAddressType, text string) {
		if text != "" {
			out = append(out, v1.NodeAddress{Type: t, Address: text})
		}
	}
	inside := func(text string) {
		if ip, err := netip.ParseAddr(text); err == nil {
			add(v1.NodeInternalIP, ip.String())
		}
	}
	for _, f := range families {
		switch f {
		case cloudconfig.IPv4:
			for _, n := range x.Interfaces {
				for _, ip := range n.IPv4 {
					inside(ip)
				}
			}
			add(v1.NodeExternalIP, x.PublicIP)
			add(v1.NodeInternalDNS, x.PrivateDNS)
			add(v1.NodeHostName, x.PrivateDNS)
			add(v1.NodeExternalDNS, x.PublicDNS)
		case cloudconfig.IPv6:
			for _, n := range x.Interfaces {
				if len(n.IPv6) > 0 {
					inside(n.IPv6[0])
				}
			}
		}
	}
	return out
}

// hasAddress reports whether there is an address that others can reach.
func hasAddress(list []v1.NodeAddress) bool {
	for _, a := range list {
		if a.Type == v1.NodeInternalIP {
			return true
		}
	}
	return false
}
