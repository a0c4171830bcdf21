// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/fairlead/fairlead/pkg/provider"
)

// endpointWindow is how long the changes of endpoints after the first one are
// gathered: each pass looks at all Services. The peer looks every 30 s.
const endpointWindow = 5 * time.Second

// EndpointHandler takes what happens to EndpointSlices. It is to be added to
// their informer when Spread has them: the pool of a Service with the policy
// Local follows its endpoints. Those that are there at the start change nothing.
func (p *Provider) EndpointHandler() cache.ResourceEventHandler {
	return provider.Endpoints{Services: p.services, Follows: isLocal, Same: sameHosts, Moved: p.moved}.Handler()
}

func isLocal(svc *v1.Service) bool {
	return svc.Spec.Type == v1.ServiceTypeLoadBalancer && svc.Spec.ExternalTrafficPolicy == v1.ServiceExternalTrafficPolicyLocal
}

// sameHosts reports whether the endpoints of both are on the same nodes.
func sameHosts(_ *v1.Service, old, cur *discoveryv1.EndpointSlice) bool {
	return slices.Equal(hostsOf(old), hostsOf(cur))
}

// hostsOf are the nodes of the endpoints, sorted.
func hostsOf(es *discoveryv1.EndpointSlice) []string {
	if es == nil {
		return nil
	}
	var out []string
	for i := range es.Endpoints {
		if name := es.Endpoints[i].NodeName; name != nil && *name != "" {
			out = append(out, *name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
