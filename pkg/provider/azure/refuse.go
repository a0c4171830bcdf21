// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"errors"
	"fmt"

	"github.com/fairlead/fairlead/pkg/plan"
)

// The reasons of refusals and notices. They are those of events and
// conditions, and never change.
const (
	ReasonAddressNotAllowed      = "AddressNotAllowed"
	ReasonAddressNotInSubnet     = "AddressNotInSubnet"
	ReasonAdoptedAsIs            = "AdoptedAsIs"
	ReasonChangedMeanwhile       = "ChangedMeanwhile"
	ReasonConflictingSources     = "ConflictingSources"
	ReasonDNSLabelTaken          = "DNSLabelTaken"
	ReasonFrontendShared         = "FrontendShared"
	ReasonIPTagsFixed            = "IPTagsFixed"
	ReasonInvalidProbe           = "InvalidProbe"
	ReasonInvalidRange           = "InvalidRange"
	ReasonLimitReached           = "LimitReached"
	ReasonMovesCross             = "MovesCross"
	ReasonNoLoadBalancerEligible = "NoLoadBalancerEligible"
	ReasonNotReadable            = "NotReadable"
	ReasonPortConflict           = "PortConflict"
	ReasonPublicIPChanged        = "PublicIPChanged"
	ReasonPublicIPInUse          = "PublicIPInUse"
	ReasonPublicIPKept           = "PublicIPKept"
	ReasonPublicIPNotFound       = "PublicIPNotFound"
	ReasonPublicIPRenewed        = "PublicIPRenewed"
	ReasonPublicIPUnsuitable     = "PublicIPUnsuitable"
	ReasonResourceGroupMissing   = "ResourceGroupMissing"
	ReasonSecurityGroupNotFound  = "SecurityGroupNotFound"
	ReasonSecurityRuleKept       = "SecurityRuleKept"
	ReasonSubnetNotFound         = "SubnetNotFound"
	ReasonUnreadableResource     = "UnreadableResource"
	ReasonUnsupported            = "Unsupported"
)

// errMovesCross is for Services that exchange load balancers in one pass.
var errMovesCross = errors.New("another Service moves the opposite way between load balancers; this one moves in the next pass")

// refuse is the refusal of a Service, with the sentence that says why.
func refuse(reason, format string, args ...any) error {
	return &plan.Error{Kind: plan.Invalid, Reason: reason, Err: fmt.Errorf(format, args...)}
}
