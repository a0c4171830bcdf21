// SPDX-License-Identifier: Apache-2.0

package names

import "strings"

// ProxyProtocolPolicy is the policy of classic load balancers that gives nodes
// the PROXY protocol.
const ProxyProtocolPolicy = "k8s-proxyprotocol-enabled"

const tlsPolicy = "k8s-SSLNegotiationPolicy-"

// TLSPolicy is the policy of a classic load balancer that refers to one of
// AWS's.
func TLSPolicy(refersTo string) string { return tlsPolicy + refersTo }

// IsTLSPolicy reports whether the name is one of TLSPolicy.
func IsTLSPolicy(name string) bool { return strings.HasPrefix(name, tlsPolicy) }

// TLSPolicyRefersTo is the policy of AWS that one with the name refers to;
// empty when it is none of TLSPolicy.
func TLSPolicyRefersTo(name string) string {
	refersTo, ok := strings.CutPrefix(name, tlsPolicy)
	if !ok {
		return ""
	}
	return refersTo
}
