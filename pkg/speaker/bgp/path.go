// SPDX-License-Identifier: Apache-2.0

package bgp

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/fairlead/fairlead/pkg/speaker"
)

// originIGP is the ORIGIN of every route (RFC 4271 section 5.1.1).
const originIGP = 0

// path is a route in GoBGP's words. A route without a next hop has the
// unspecified one, for which GoBGP puts the session's local address whenever it
// sends the route.
func path(c speaker.SessionConfig, r speaker.Route) (*apiutil.Path, error) {
	nlri, err := bgp.NewIPAddrPrefix(r.Prefix)
	if err != nil {
		return nil, fmt.Errorf("route %s: %w", r.Prefix, err)
	}
	family, hop := bgp.RF_IPv6_UC, netip.IPv6Unspecified()
	if r.Prefix.Addr().Is4() {
		family, hop = bgp.RF_IPv4_UC, netip.IPv4Unspecified()
	}
	if r.NextHop.IsValid() {
		hop = r.NextHop
	}
	attrs := []bgp.PathAttributeInterface{bgp.NewPathAttributeOrigin(originIGP)}
	if r.Prefix.Addr().Is4() {
		nh, err := bgp.NewPathAttributeNextHop(hop)
		if err != nil {
			return nil, fmt.Errorf("route %s: next hop %s: %w", r.Prefix, hop, err)
		}
		attrs = append(attrs, nh)
	} else {
		nh, err := bgp.NewPathAttributeMpReachNLRI(family, []bgp.PathNLRI{{NLRI: nlri}}, hop)
		if err != nil {
			return nil, fmt.Errorf("route %s: next hop %s: %w", r.Prefix, hop, err)
		}
		attrs = append(attrs, nh)
	}
	if r.LocalPref != nil && c.IBGP() {
		attrs = append(attrs, bgp.NewPathAttributeLocalPref(*r.LocalPref))
	}
	if r.Prepend > 0 && !c.IBGP() {
		asns := slices.Repeat([]uint32{c.LocalASN}, int(r.Prepend))
		attrs = append(attrs, bgp.NewPathAttributeAsPath([]bgp.AsPathParamInterface{
			bgp.NewAs4PathParam(bgp.BGP_ASPATH_ATTR_TYPE_SEQ, asns),
		}))
	}
	if len(r.Communities) > 0 {
		values := make([]uint32, len(r.Communities))
		for i, x := range r.Communities {
			values[i] = uint32(x)
		}
		attrs = append(attrs, bgp.NewPathAttributeCommunities(values))
	}
	return &apiutil.Path{Family: family, Nlri: nlri, Attrs: attrs}, nil
}
