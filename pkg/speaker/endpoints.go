// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"net/netip"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
)

// ServiceOf is the Service that an EndpointSlice belongs to.
func ServiceOf(s *discoveryv1.EndpointSlice) types.NamespacedName {
	return types.NamespacedName{Namespace: s.Namespace, Name: s.Labels[discoveryv1.LabelServiceName]}
}

// Usable reports whether kube-proxy sends traffic to an endpoint: it is ready
// (unset means ready), or it is terminating and still serves. So a rolling
// update keeps the route while its last endpoint finishes.
func Usable(e discoveryv1.Endpoint) bool {
	c := e.Conditions
	return c.Ready == nil || *c.Ready || (c.Serving != nil && *c.Serving)
}

// endpointCount is how many usable endpoints a family has.
type endpointCount struct{ all, here int }

// count counts the usable endpoints of the family of addr. kube-proxy serves
// each family of a dual-stack Service from the endpoints of that family alone.
func count(eps []*discoveryv1.EndpointSlice, addr netip.Addr, node string) endpointCount {
	want := discoveryv1.AddressTypeIPv6
	if addr.Is4() {
		want = discoveryv1.AddressTypeIPv4
	}
	var n endpointCount
	for _, s := range eps {
		if s.AddressType != want {
			continue
		}
		for _, e := range s.Endpoints {
			if !Usable(e) {
				continue
			}
			n.all++
			if e.NodeName != nil && *e.NodeName == node {
				n.here++
			}
		}
	}
	return n
}
