// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"strings"

	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider"
)

// replaced reports whether the load balancer must be made anew: its scheme
// cannot be changed. The peer never does, so it counts when the user edits the
// Service.
func (t *turn) replaced(a *ask, have elbv2types.LoadBalancerSchemeEnum) bool {
	want := a.scheme
	if have == want {
		return false
	}
	differs := fmt.Sprintf("load balancer %s is %s, and annotation %s asks for %s", a.name, have, a.schemeKey(), want)
	left := a.item.Intent.AWSLeftOut
	switch {
	case !a.strict():
		a.warn(ReasonAdoptedAsIs, fmt.Sprintf("%s; it stays until the Service is edited, which gives it a new address; set annotation %s for that", differs, intent.KeyRepair))
	case len(left) > 0:
		a.warn(ReasonAdoptedAsIs, fmt.Sprintf("%s; it stays so while annotation %s is there, which cannot be then", differs, left[0]))
	default:
		t.warnNewHostname(a, differs+", which AWS cannot change: it is made anew")
		return true
	}
	return false
}

// schemeKey is the annotation that says the scheme, or would.
func (a *ask) schemeKey() string {
	if a.external && a.written(intent.KeyAWSScheme) != "" {
		return intent.AWSKey(a.item.Service, intent.KeyAWSScheme)
	}
	return intent.AWSKey(a.item.Service, intent.KeyAWSInternal)
}

// warnNewHostname tells clients of the hostname that the status shows to follow
// to another one. A pass that looks for drift gives none.
func (t *turn) warnNewHostname(a *ask, why string) {
	var hosts []string
	for _, i := range a.item.Service.Status.LoadBalancer.Ingress {
		if t.observed.Unlisted[strings.ToLower(i.Hostname)] {
			return // it is made with the name that it has
		}
		if i.Hostname != "" {
			hosts = append(hosts, i.Hostname)
		}
	}
	if len(hosts) > 0 && a.item.Cause != provider.Drift {
		a.warn(ReasonAddressChanged, fmt.Sprintf("%s, with another hostname; clients of %s must follow to the one that the status shows then", why, strings.Join(hosts, ", ")))
	}
}
