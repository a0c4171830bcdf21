// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// The reasons of refusals and notices. They are those of events and
// conditions, and never change.
const (
	ReasonAddressChanged          = "AddressChanged"
	ReasonAddressUnavailable      = "AddressUnavailable"
	ReasonAddressesMismatch       = "AddressesMismatch"
	ReasonAdoptedAsIs             = "AdoptedAsIs"
	ReasonChangedMeanwhile        = "ChangedMeanwhile"
	ReasonConflictingAnnotations  = "ConflictingAnnotations"
	ReasonHairpinTraffic          = "HairpinTraffic"
	ReasonLimitReached            = "LimitReached"
	ReasonLoadBalancerTypeChanged = "LoadBalancerTypeChanged"
	ReasonNoClusterID             = "NoClusterID"
	ReasonNoNodePort              = "NoNodePort"
	ReasonNoSubnets               = "NoSubnets"
	ReasonNodeSecurityGroups      = "NodeSecurityGroups"
	ReasonNotOurs                 = "NotOurs"
	ReasonPortConflict            = "PortConflict"
	ReasonProtocolMix             = "ProtocolMix"
	ReasonSecurityGroupNotFound   = "SecurityGroupNotFound"
	ReasonSharedLoadBalancer      = "SharedLoadBalancer"
	ReasonSubnetNotFound          = "SubnetNotFound"
	ReasonTargetsRefused          = "TargetsRefused"
	ReasonUnsupported             = "Unsupported"
	ReasonWaitsForLoadBalancer    = "WaitsForLoadBalancer"
)

// refuse is the refusal of a Service, with the sentence that says why.
func refuse(reason, format string, args ...any) error {
	return &plan.Error{Kind: plan.Invalid, Reason: reason, Err: fmt.Errorf(format, args...)}
}

// notOurs refuses a Service whose object has the tags of another cluster.
func (t *turn) notOurs(object string, tags map[string]string) error {
	other, _ := names.ClusterOf(tags)
	return refuse(ReasonNotOurs, "%s has the tags of cluster %q, and this one is %q; it is left alone: correct kubernetesClusterID in the cloud-config, or make a new Service", object, other, t.settings.Tags.ID)
}
