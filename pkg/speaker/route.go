// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
)

// Route is one prefix as one peer shall hear of it.
type Route struct {
	Prefix netip.Prefix
	// NextHop is given when it cannot be the session's own local address: for
	// a prefix of another family than the session's. Otherwise it is invalid.
	NextHop netip.Addr
	// LocalPref is sent to iBGP peers only; nil is the default of 100.
	LocalPref *uint32
	// Communities are sorted and each stands once.
	Communities []cloudconfig.Community
	// Prepend is how many times more than once the own ASN stands in the AS
	// path. It is set for eBGP peers only.
	Prepend uint8
}

// Equal reports whether two routes are the same on the wire.
func (r Route) Equal(o Route) bool {
	return r.Prefix == o.Prefix && r.NextHop == o.NextHop && r.Prepend == o.Prepend &&
		samePref(r.LocalPref, o.LocalPref) && slices.Equal(r.Communities, o.Communities)
}

// Marked reports whether the route asks routers to prefer any other path.
func (r Route) Marked() bool {
	_, ok := slices.BinarySearch(r.Communities, GracefulShutdown)
	return ok
}

// String is the route in one line.
func (r Route) String() string {
	var b strings.Builder
	b.WriteString(r.Prefix.String())
	if r.NextHop.IsValid() {
		fmt.Fprintf(&b, " via %s", r.NextHop)
	}
	if r.LocalPref != nil {
		fmt.Fprintf(&b, " localpref %d", *r.LocalPref)
	}
	if r.Prepend > 0 {
		fmt.Fprintf(&b, " prepend %d", r.Prepend)
	}
	if len(r.Communities) > 0 {
		b.WriteString(" communities")
		for _, c := range r.Communities {
			fmt.Fprintf(&b, " %d:%d", c>>16, c&0xFFFF)
		}
	}
	return b.String()
}

// Delta is what changes in the routes of one peer.
type Delta struct {
	Announce []Route // new or changed, by prefix
	Withdraw []netip.Prefix
}

// Empty reports whether nothing changes.
func (d Delta) Empty() bool { return len(d.Announce) == 0 && len(d.Withdraw) == 0 }

func samePref(a, b *uint32) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

func comparePrefix(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

// unite returns the sorted union of two sorted sets of communities. It changes
// neither.
func unite(a, b []cloudconfig.Community) []cloudconfig.Community {
	if len(b) == 0 {
		return a
	}
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}
