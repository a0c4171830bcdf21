// SPDX-License-Identifier: Apache-2.0

package arm

import (
	"net/http"
	"slices"
	"strings"

	"github.com/fairlead/fairlead/pkg/plan"
)

// verdict is what a refusal means for the pass.
type verdict struct {
	kind   plan.Kind
	reason string
	word   string // in the sentence
	cure   string
}

// verdict judges by the codes, the innermost known one first, and else by the
// status. An operation that failed is answered with status 200.
func (a answer) verdict() verdict {
	if v, ok := a.codeVerdict(); ok {
		return v
	}
	return statusVerdict(a.status)
}

// codeVerdict judges by the codes alone; false when none is known.
func (a answer) codeVerdict() (verdict, bool) {
	for _, code := range slices.Backward(a.codes) {
		if v, ok := codeVerdict(code); ok {
			return v, true
		}
	}
	return verdict{}, false
}

// codeVerdict are the codes that say more than their status, most of them from
// recorded answers of the service.
func codeVerdict(code string) (verdict, bool) {
	v := verdict{reason: code}
	switch code {
	case "CanceledAndSupersededDueToAnotherOperation", "AnotherOperationInProgress", "ReferencedResourceNotProvisioned",
		"PublicIPAddressCannotBeDeleted", "LoadBalancerInUseByVirtualMachineScaleSet",
		"PreconditionFailed", "PreconditionFailedEtagMismatch":
		v.kind, v.word = plan.Conflict, "conflict"
	case "RetryableError", "InternalServerError", "OperationTimedOut", "ServerTimeout", "GatewayTimeout":
		v.kind, v.word, v.reason = plan.Transient, "not done", reasonUnavailable
	case "TooManyRequests", "SubscriptionRequestsThrottled", "ResourceRequestsThrottled", "OperationThrottled":
		v.kind, v.word, v.reason = plan.Throttled, "throttled", reasonThrottled
	case "ResourceGroupBeingDeleted":
		v.kind, v.word, v.cure = plan.Denied, "denied", "name another resource group, or make it anew when it is gone"
	case "ScopeLocked":
		v.kind, v.word, v.cure = plan.Denied, "denied", "remove the lock"
	case "MissingSubscriptionRegistration", "SubscriptionNotRegistered":
		v.kind, v.word, v.cure = plan.Denied, "denied", "register the resource provider in the subscription: az provider register"
	case "SubscriptionNotFound", "InvalidSubscriptionId", "TenantNotFound", "InvalidTenantId":
		v.kind, v.word, v.cure = plan.Denied, "denied", "correct subscriptionId and tenantId of the cloud-config, or let the identity into the subscription"
	case "DnsRecordInUse":
		v.kind, v.word, v.cure = plan.Invalid, "refused", "choose another DNS label"
	case "PublicIPAddressInUse", "PublicIPReferencedByMultipleIPConfigs", "PrivateIPAddressIsAllocated", "PrivateIPAddressInUse":
		v.kind, v.word, v.cure = plan.Exhausted, "in use", "free the address, or choose another one"
	case "SubnetIsFull", "SubnetFull":
		v.kind, v.word, v.cure = plan.Exhausted, "exhausted", "free addresses of the subnet, or choose another one"
	case "AllocationFailed", "ZonalAllocationFailed", "SkuNotAvailable":
		v.kind, v.word, v.cure = plan.Exhausted, "exhausted", "wait until Azure has room in the region or zone, or ask for another one"
	default:
		if !isLimit(code) {
			return verdict{}, false
		}
		v.kind, v.word, v.reason = plan.Exhausted, "exhausted", reasonExhausted
		v.cure = "remove what is not needed, or ask Azure for a higher limit"
	}
	return v, true
}

// isLimit reports whether a code names a limit, as in PublicIPCountLimitReached
// and QuotaExceeded.
func isLimit(code string) bool {
	for _, end := range []string{"LimitReached", "LimitExceeded", "QuotaExceeded", "CountExceeded", "OutOfAddresses"} {
		if strings.HasSuffix(code, end) {
			return true
		}
	}
	return false
}

func statusVerdict(status int) verdict {
	switch {
	case status == http.StatusTooManyRequests:
		return verdict{plan.Throttled, reasonThrottled, "throttled", ""}
	case status == http.StatusPreconditionFailed, status == http.StatusConflict:
		return verdict{plan.Conflict, reasonConflict, "conflict", ""}
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return verdict{plan.Denied, reasonDenied, "denied", "see whether the identity is of the subscription's tenant"}
	case status == http.StatusNotFound:
		return verdict{plan.Invalid, reasonNotFound, "not found", "create it, or correct what names it in the Service or the cloud-config"}
	case isUnavailable(status):
		return verdict{plan.Transient, reasonUnavailable, "not done", ""}
	case status >= http.StatusBadRequest && status < http.StatusInternalServerError:
		return verdict{plan.Invalid, reasonRefused, "refused", "correct the Service or the cloud-config"}
	}
	return verdict{plan.Transient, reasonUnavailable, "not done", ""}
}
