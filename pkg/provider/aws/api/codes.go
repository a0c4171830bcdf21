// SPDX-License-Identifier: Apache-2.0

package api

import (
	"net/http"
	"strings"

	"github.com/fairlead/fairlead/pkg/plan"
)

// The reasons of errors.
const (
	reasonUnavailable = "AWSUnavailable"
	reasonThrottled   = "AWSThrottled"
	reasonConflict    = "AWSConflict"
	reasonDenied      = "AWSDenied"
	reasonRefused     = "AWSRefused"
	reasonExhausted   = "AWSQuotaExceeded"
	reasonNotFound    = "AWSNotFound"
	reasonCredentials = "AWSCredentials"
	// ReasonSecurityGroupInUse is that of a security group that cannot be deleted
	// yet.
	ReasonSecurityGroupInUse = "SecurityGroupInUse"
	// ReasonZoneInUse is that of a zone that a load balancer left, and cannot come
	// back to yet.
	ReasonZoneInUse = "ZoneInUse"
)

// verdict is what an answer means.
type verdict struct {
	kind   plan.Kind
	reason string
	word   string // in sentences, before what the service says
	cure   string
}

// codeVerdict are the codes that say more than their status. Each is from the
// error lists of EC2's and Elastic Load Balancing's API references.
func codeVerdict(code string) (verdict, bool) {
	switch code {
	case "RequestLimitExceeded", "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled",
		"RequestThrottledException", "TooManyRequestsException", "EC2ThrottledException", "BandwidthLimitExceeded",
		"SlowDown", "PriorRequestNotComplete", "Client.RequestLimitExceeded":
		return verdict{plan.Throttled, reasonThrottled, "throttled", ""}, true
	case "UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "Blocked", "DryRunOperation":
		return verdict{plan.Denied, reasonDenied, "denied", ""}, true
	case "AuthFailure", "InvalidClientTokenId", "SignatureDoesNotMatch", "IncompleteSignature", "MissingAuthenticationToken",
		"UnrecognizedClientException", "InvalidSignatureException", "ExpiredToken", "ExpiredTokenException", "InvalidToken":
		return verdict{plan.Denied, reasonCredentials, "the credentials are refused", "correct the credentials, or the region"}, true
	case "RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture":
		return verdict{plan.Denied, reasonCredentials, "the time of the request is refused", "set the clock of the machine"}, true
	case "OptInRequired", "PendingVerification", "AccountDisabled":
		return verdict{plan.Denied, reasonDenied, "denied", "activate the account, or opt in to the region"}, true
	case "InternalError", "InternalFailure", "ServiceUnavailable", "Unavailable", "RequestTimeout", "RequestTimeoutException",
		"HealthUnavailable", "ServerInternal":
		return verdict{plan.Transient, reasonUnavailable, "not available", ""}, true
	case "DependencyViolation", "ResourceInUse", "DependencyThrottle":
		return verdict{plan.Transient, reasonConflict, "still in use", ""}, true
	case "DuplicateListener", "DuplicateLoadBalancerName", "InvalidTarget", "InvalidInstance", "IncorrectState", "IncorrectInstanceState", "RouteAlreadyExists",
		"InvalidPermission.Duplicate", "InvalidPermission.NotFound", "InvalidGroup.Duplicate", "InvalidGroup.InUse", "DuplicatePolicyName",
		"DuplicateTargetGroupName", "DuplicateTagKeys", "ConcurrentModification", "ConcurrentTagAccess":
		return verdict{plan.Conflict, reasonConflict, "conflict", ""}, true
	case "InsufficientFreeAddressesInSubnet":
		return verdict{plan.Exhausted, reasonExhausted, "the subnet has no free addresses", "free addresses in the subnet, or use another"}, true
	case "InsufficientCapacity", "InsufficientAddressCapacity":
		return verdict{plan.Exhausted, reasonExhausted, "AWS has no capacity", "wait, or use another zone"}, true
	case "CertificateNotFound", "SubnetNotFound", "AllocationIdNotFound", "InvalidSubnetID.NotFound", "InvalidVpcID.NotFound",
		"InvalidAllocationID.NotFound", "InvalidPrefixListID.NotFound", "SSLPolicyNotFound", "PolicyTypeNotFound":
		return verdict{plan.Invalid, reasonRefused, "refused", "correct the id, ARN or name"}, true
	}
	switch {
	case strings.HasSuffix(code, "NotFound"), code == "InvalidGroupId.Malformed":
		return verdict{plan.Conflict, reasonNotFound, "not found", ""}, true
	case strings.HasPrefix(code, "TooMany"), strings.HasSuffix(code, "LimitExceeded"), strings.HasSuffix(code, "QuotaExceeded"):
		return verdict{plan.Exhausted, reasonExhausted, "a quota is used up", "ask AWS for a higher quota, or free some"}, true
	}
	return verdict{}, false
}

// NotFound reports whether err is the service's answer that what was asked for
// is not there.
func NotFound(err error) bool { return strings.HasSuffix(Code(err), "NotFound") }

// verdictOfError is what the answer of a call means.
func verdictOfError(action string, err error) verdict {
	code := Code(err)
	if code == "DependencyViolation" && action == "DeleteSecurityGroup" {
		return verdict{kind: plan.Transient, reason: ReasonSecurityGroupInUse, word: "still in use"}
	}
	// The code alone is that of many mistakes.
	if action == "SetSubnets" && strings.Contains(Message(err), "already associated with the load balancer") {
		return verdict{kind: plan.Transient, reason: ReasonZoneInUse, word: "the zone is still being left, which takes AWS some minutes"}
	}
	if noGroup := code == "InvalidGroup.NotFound" || code == "InvalidGroupId.Malformed"; noGroup && action == "AuthorizeSecurityGroupIngress" {
		return verdict{kind: plan.Invalid, reason: reasonRefused, word: "refused", cure: "correct the id of the security group"}
	}
	if v, known := codeVerdict(code); known {
		return v
	}
	return statusVerdict(statusOf(err))
}

func statusVerdict(status int) verdict {
	switch {
	case status >= http.StatusInternalServerError:
		return verdict{plan.Transient, reasonUnavailable, "not available", ""}
	case status == http.StatusForbidden:
		return verdict{plan.Denied, reasonDenied, "denied", ""}
	}
	return verdict{plan.Invalid, reasonRefused, "refused", ""}
}
