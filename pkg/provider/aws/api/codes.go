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

const raiseQuota = "ask AWS for a higher quota, or free some"

// codes are the codes of refusals that their endings do not tell. Each is from
// the error lists of EC2's and Elastic Load Balancing's API references.
func codes() map[string]verdict {
	out := map[string]verdict{}
	add := func(v verdict, names ...string) {
		for _, name := range names {
			out[name] = v
		}
	}
	add(verdict{kind: plan.Throttled, reason: reasonThrottled, word: "throttled"},
		"RequestLimitExceeded", "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled",
		"RequestThrottledException", "TooManyRequestsException", "EC2ThrottledException", "BandwidthLimitExceeded",
		"SlowDown", "PriorRequestNotComplete", "Client.RequestLimitExceeded")
	add(verdict{kind: plan.Denied, reason: reasonDenied, word: "denied"},
		"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "Blocked", "DryRunOperation")
	add(verdict{kind: plan.Denied, reason: reasonCredentials, word: "the credentials are refused", cure: "correct the credentials, or the region"},
		"AuthFailure", "InvalidClientTokenId", "SignatureDoesNotMatch", "IncompleteSignature", "MissingAuthenticationToken",
		"UnrecognizedClientException", "InvalidSignatureException", "ExpiredToken", "ExpiredTokenException", "InvalidToken")
	add(verdict{kind: plan.Denied, reason: reasonCredentials, word: "the time of the request is refused", cure: "set the clock of the machine"},
		"RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture")
	add(verdict{kind: plan.Denied, reason: reasonDenied, word: "denied", cure: "activate the account, or opt in to the region"},
		"OptInRequired", "PendingVerification", "AccountDisabled")
	add(verdict{kind: plan.Transient, reason: reasonUnavailable, word: "not available"},
		"InternalError", "InternalFailure", "ServiceUnavailable", "Unavailable", "RequestTimeout", "RequestTimeoutException",
		"HealthUnavailable", "ServerInternal")
	add(verdict{kind: plan.Transient, reason: reasonConflict, word: "still in use"},
		"DependencyViolation", "ResourceInUse", "DependencyThrottle")
	add(verdict{kind: plan.Conflict, reason: reasonConflict, word: "conflict"},
		"DuplicateListener", "DuplicateLoadBalancerName", "InvalidTarget", "InvalidInstance", "IncorrectState", "IncorrectInstanceState", "RouteAlreadyExists",
		"InvalidPermission.Duplicate", "InvalidPermission.NotFound", "InvalidGroup.Duplicate", "InvalidGroup.InUse", "DuplicatePolicyName",
		"DuplicateTargetGroupName", "DuplicateTagKeys", "ConcurrentModification", "ConcurrentTagAccess")
	add(verdict{kind: plan.Exhausted, reason: reasonExhausted, word: "the subnet has no free addresses", cure: "free addresses in the subnet, or use another"},
		"InsufficientFreeAddressesInSubnet")
	add(verdict{kind: plan.Exhausted, reason: reasonExhausted, word: "AWS has no capacity", cure: "wait, or use another zone"},
		"InsufficientCapacity", "InsufficientAddressCapacity")
	add(verdict{kind: plan.Invalid, reason: reasonRefused, word: "refused", cure: "correct the id, ARN or name"},
		"CertificateNotFound", "SubnetNotFound", "AllocationIdNotFound", "InvalidSubnetID.NotFound", "InvalidVpcID.NotFound",
		"InvalidAllocationID.NotFound", "InvalidPrefixListID.NotFound", "SSLPolicyNotFound", "PolicyTypeNotFound")
	return out
}

// verdictOf is what a code means, and false for one that only its status tells
// of.
func verdictOf(code string) (verdict, bool) {
	if v, ok := codes()[code]; ok {
		return v, true
	}
	switch {
	case strings.HasSuffix(code, "NotFound"), code == "InvalidGroupId.Malformed":
		return verdict{kind: plan.Conflict, reason: reasonNotFound, word: "not found"}, true
	case strings.HasPrefix(code, "TooMany"), strings.HasSuffix(code, "LimitExceeded"), strings.HasSuffix(code, "QuotaExceeded"):
		return verdict{kind: plan.Exhausted, reason: reasonExhausted, word: "a quota is used up", cure: raiseQuota}, true
	}
	return verdict{}, false
}

// NotFound reports whether err is the service's answer that what was asked for
// is not there.
func NotFound(err error) bool { return strings.HasSuffix(Code(err), "NotFound") }

// verdictOfError is what the answer of a call means.
func verdictOfError(action string, err error) verdict {
	code, status := Code(err), statusOf(err)
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
	if v, known := verdictOf(code); known {
		return v
	}
	switch {
	case status >= http.StatusInternalServerError:
		return verdict{kind: plan.Transient, reason: reasonUnavailable, word: "not available"}
	case status == http.StatusForbidden:
		return verdict{kind: plan.Denied, reason: reasonDenied, word: "denied"}
	}
	return verdict{kind: plan.Invalid, reason: reasonRefused, word: "refused"}
}
