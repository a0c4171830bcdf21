// SPDX-License-Identifier: Apache-2.0

// Package intent knows what a user asks for: it turns a Service into a
// validated, provider-neutral Intent, or says in one sentence each what is
// wrong with it. It is pure.
package intent

import (
	"net/netip"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead/fairlead/pkg/plan"
)

// Family is an IP family. The zero value is none.
type Family uint8

// The families.
const (
	V4 Family = iota + 1
	V6
)

// FamilyOf is the family of a valid, unmapped address.
func FamilyOf(a netip.Addr) Family {
	if a.Is4() {
		return V4
	}
	return V6
}

// String is the name in the Kubernetes API.
func (f Family) String() string {
	switch f {
	case V4:
		return "IPv4"
	case V6:
		return "IPv6"
	}
	return "no family"
}

// FamilyPolicy is spec.ipFamilyPolicy. The zero value is none.
type FamilyPolicy uint8

// The family policies.
const (
	SingleStack FamilyPolicy = iota + 1
	PreferDualStack
	RequireDualStack
)

// Proto is a transport protocol. The zero value is none.
type Proto uint8

// The protocols.
const (
	TCP Proto = iota + 1
	UDP
	SCTP
)

// TrafficPolicy is spec.externalTrafficPolicy. The zero value is none.
type TrafficPolicy uint8

// The traffic policies.
const (
	Cluster TrafficPolicy = iota + 1
	Local
)

// Port is one port of a Service.
type Port struct {
	Name        string
	Proto       Proto
	Port        uint16
	NodePort    uint16 // 0: none was allocated
	AppProtocol string // empty: not set
}

// Intent is what one Service asks for.
type Intent struct {
	Key    plan.Key
	UID    types.UID
	Labels labels.Set
	// Selector is empty for a Service whose endpoints are made by hand.
	Selector labels.Set
	// Families are spec.ipFamilies in their order: the first is the primary.
	Families     []Family
	FamilyPolicy FamilyPolicy
	Ports        []Port // in the order of the spec
	Traffic      TrafficPolicy
	// HealthCheckNodePort is set for Local only.
	HealthCheckNodePort uint16
	// AffinityTimeout is how long a client stays with an endpoint; 0: no
	// affinity.
	AffinityTimeout time.Duration
	// SourceRanges are the clients allowed; empty: all.
	SourceRanges []netip.Prefix
	// Addresses are those asked for, at most one a family: by annotation, or
	// by spec.loadBalancerIP.
	Addresses []netip.Addr
	// AddressSource is what asked for Addresses, as error sentences name it:
	// "spec.loadBalancerIP" or "annotation KEY"; empty when nothing did.
	AddressSource string
	// Pool is the pool asked for; empty: any.
	Pool string
	// SharingKey lets Services with the same key have one address; empty: no
	// sharing.
	SharingKey string
	// AWS is the form of load balancer asked of AWS; zero for other providers.
	AWS AWSForm
	// AWSLeftOut are the annotations of addresses that cannot be, and that count
	// only when a load balancer is made; the one that is there goes on where and
	// as it is.
	AWSLeftOut []string
	// Options are the values of all annotations that the provider honours.
	Options Options
}
