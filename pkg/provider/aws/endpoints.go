// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"reflect"
	"slices"
	"time"

	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider"
)

// endpointWindow is how long the changes of endpoints after the first one are
// gathered: pods of a rollout become ready one after the other, and a call
// registers many.
const endpointWindow = time.Second

// EndpointHandler takes what happens to EndpointSlices. It is to be added to
// their informer when Options has their lister, and Run must run: targets that
// are pods follow them, and the Warning that nothing can serve. Those that are
// there at the start change nothing.
func (p *Provider) EndpointHandler() cache.ResourceEventHandler {
	return provider.Endpoints{Services: p.services, Follows: p.followsEndpoints, Same: p.sameEndpoints, Moved: p.moved}.Handler()
}

// hasPodTargets reports whether the Service may have addresses of pods as
// targets: by its annotations, or where those do not say by the cloud config.
func (p *Provider) hasPodTargets(svc *v1.Service) bool {
	if intent.AWSFormOf(svc) != intent.AWSExternal {
		return false
	}
	kind, ok := intent.AWSWritten(svc, intent.KeyAWSTargetType)
	if form, _ := intent.AWSWritten(svc, intent.KeyAWSType); form == typePods || !ok {
		return form == typePods || p.config.Load().Controller.TargetType == cloudconfig.AWSAddresses
	}
	return kind != string(elbv2types.TargetTypeEnumInstance)
}

// followsEndpoints reports whether a pass has something to do or to tell when
// the endpoints of the Service change.
func (p *Provider) followsEndpoints(svc *v1.Service) bool {
	local := svc.Spec.ExternalTrafficPolicy == v1.ServiceExternalTrafficPolicyLocal
	return svc.Spec.Type == v1.ServiceTypeLoadBalancer && (local || p.hasPodTargets(svc))
}

// sameEndpoints reports whether the pods of both are ready at the same places.
// Where nodes are targets, it is enough that both have a ready one, or none: the
// pass has nothing to write then, and reads nothing.
func (p *Provider) sameEndpoints(svc *v1.Service, old, cur *discoveryv1.EndpointSlice) bool {
	if !p.hasPodTargets(svc) {
		return hasReady(old) == hasReady(cur)
	}
	return old != nil && cur != nil && slices.Equal(readyIn(old), readyIn(cur)) && reflect.DeepEqual(old.Ports, cur.Ports)
}

func hasReady(s *discoveryv1.EndpointSlice) bool { return s != nil && len(readyIn(s)) > 0 }
