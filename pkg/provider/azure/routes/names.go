// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"net/netip"
	"strings"
)

// separator parts the node's name from the prefix in the name of a route.
const separator = "____"

// routeName is the name of the route to a node's prefix.
func routeName(node, cidr string) string {
	return node + separator + strings.NewReplacer(":", "", ".", "", "/", "").Replace(cidr)
}

// nodeOf is the node that a route is to; false for a route that is not ours.
// Old routes have the name of their node alone, which a stranger's may have
// too: they count only for nodes that are known. known are the nodes by their
// name in lower case.
func nodeOf(r route, known map[string]string) (string, bool) {
	if !strings.EqualFold(r.hopType, nextHopAppliance) {
		return "", false
	}
	node, _, named := strings.Cut(r.name, separator)
	if named && (node == "" || !strings.EqualFold(r.name, routeName(node, r.cidr))) {
		return "", false
	}
	if exact, ok := known[strings.ToLower(node)]; ok {
		return exact, true
	}
	if !named {
		return "", false
	}
	return node, true
}

// samePrefix compares prefixes by value, and by text where one is none, such
// as a service tag.
func samePrefix(a, b string) bool {
	p, err := netip.ParsePrefix(a)
	q, err2 := netip.ParsePrefix(b)
	if err != nil || err2 != nil {
		return strings.EqualFold(a, b)
	}
	return p.Masked() == q.Masked()
}
