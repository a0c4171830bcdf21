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
	ReasonPublicIPNotFound     = "PublicIPNotFound"
	ReasonPublicIPInUse        = "PublicIPInUse"
	ReasonPublicIPUnsuitable   = "PublicIPUnsuitable"
	ReasonAddressNotAllowed    = "AddressNotAllowed"
	ReasonSubnetNotFound       = "SubnetNotFound"
	ReasonAddressNotInSubnet   = "AddressNotInSubnet"
	ReasonPortConflict         = "PortConflict"
	ReasonFrontendShared       = "FrontendShared"
	ReasonLimitReached         = "LimitReached"
	ReasonUnsupported          = "Unsupported"
	ReasonConflictingSources   = "ConflictingSources"
	ReasonInvalidProbe         = "InvalidProbe"
	ReasonSecurityGroupMissing = "SecurityGroupNotFound"
	ReasonDNSLabelTaken        = "DNSLabelTaken"
	ReasonIPTagsFixed          = "IPTagsFixed"
	ReasonBadDocument          = "UnreadableResource"
	ReasonAdoptedAsIs          = "AdoptedAsIs"
	ReasonInvalidRange         = "InvalidRange"
	ReasonNotEligible          = "NoLoadBalancerEligible"
	ReasonMovesCross           = "MovesCross"
	ReasonPublicIPRenewed      = "PublicIPRenewed"
	ReasonChangedMeanwhile     = "ChangedMeanwhile"
	ReasonPublicIPKept         = "PublicIPKept"
	ReasonUnread               = "NotReadable"
	ReasonGroupMissing         = "ResourceGroupMissing"
	ReasonRuleKept             = "SecurityRuleKept"
)

// errMovesCross is for Services that exchange load balancers in one pass.
var errMovesCross = errors.New("another Service moves the opposite way between load balancers; this one moves in the next pass")

// refuse is the refusal of a Service, with the sentence that says why.
func refuse(reason, format string, args ...any) error {
	return &plan.Error{Kind: plan.Invalid, Reason: reason, Err: fmt.Errorf(format, args...)}
}
