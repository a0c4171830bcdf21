// SPDX-License-Identifier: Apache-2.0

package intent

import v1 "k8s.io/api/core/v1"

// Metal is the provider of bare metal, as in --cloud-provider.
const Metal = "metal"

// The annotations that the intent itself reads, each by its first key.
const (
	KeyAddresses    = ownPrefix + "load-balancer-ips"
	KeyPool         = ownPrefix + "address-pool"
	KeySharing      = ownPrefix + "allow-shared-ip"
	KeySourceRanges = v1.AnnotationLoadBalancerSourceRangesKey
	KeyRepair       = ownPrefix + "repair"
)

const (
	ownPrefix = "fairlead.dev/"
	// metalLBPrefix and oldMetalLBPrefix are MetalLB's prefixes; the new one
	// wins over the old one there too.
	metalLBPrefix    = "metallb.io/"
	oldMetalLBPrefix = "metallb.universe.tf/"
)

// Limits that keep the values of annotations reasonable.
const (
	// maxName is the longest name of a Kubernetes object; MetalLB's old
	// ConfigMap allows any text as the name of a pool.
	maxName = 253
	// maxSharingKey is ours: MetalLB has no limit, and a key is often made of
	// a namespace and a name.
	maxSharingKey = 1024
	// maxRepair holds a date, or the number of a ticket.
	maxRepair = 64
	// maxRanges is the most that one Service may list in an annotation.
	maxRanges = 500
)

// prefixes are those under which every key is known; of several the first
// counts. MetalLB passes over a misspelt key, so one that is there already is a
// warning.
func prefixes() []Prefix {
	return []Prefix{
		{Name: ownPrefix, Unknown: Refuse},
		{Name: metalLBPrefix, Unknown: Warn, Providers: []string{Metal}},
		{Name: oldMetalLBPrefix, Unknown: Warn, Providers: []string{Metal}},
		{Name: awsPrefix, Unknown: Warn, Admit: true, Providers: awsForms()},
		{Name: awsOtherPrefix, Unknown: Warn, Admit: true, Providers: []string{awsExternal}},
		{Name: awsStart, Unknown: Warn, Admit: true, Providers: awsForms()},
		{Name: awsOtherStart, Unknown: Warn, Admit: true, Providers: awsForms()},
		{Name: azurePrefix + "azure-", Unknown: Warn, Admit: true, Providers: []string{Azure}},
	}
}

// neutralAnnotations are those that have nothing to do with a provider.
func neutralAnnotations() Table {
	return Table{Title: "All providers", Annotations: []Annotation{{
		Key:  KeyRepair,
		Kind: Text{Max: maxRepair, Example: "2026-01-31"},
		Doc:  "Any text. A new one asks for a full look at the Service, which sets right what a peer made otherwise than the Service says.",
	}, {
		Key:  KeySourceRanges,
		Kind: List{Item: CIDR{}, Items: "IP ranges", Sep: Comma, Max: maxRanges},
		Elsewhere: map[string]string{
			Metal: "kube-proxy admits clients by spec.loadBalancerSourceRanges alone; set that field instead",
		},
		TolerantFor: []string{Azure},
		Empty:       BlankUnset, // as in the upstream helper
		Doc:         "The clients that may connect, when spec.loadBalancerSourceRanges is empty.",
	}}}
}

// metalAnnotations are ours and MetalLB's for bare metal.
func metalAnnotations() Table {
	metal := []string{Metal}
	return Table{Title: "Bare metal", Annotations: []Annotation{
		{
			Key:       KeyAddresses,
			Aliases:   metalLBNames("loadBalancerIPs"),
			Kind:      OnePerFamily{},
			Providers: metal,
			Doc:       "The addresses that the Service is to have.",
		},
		{
			Key:       KeyPool,
			Aliases:   metalLBNames("address-pool"),
			Kind:      Text{Max: maxName, Example: "public"},
			Providers: metal,
			Doc:       "The pool that the addresses are to come from.",
		},
		{
			Key:       KeySharing,
			Aliases:   metalLBNames("allow-shared-ip"),
			Kind:      Text{Max: maxSharingKey, Example: "web"},
			Providers: metal,
			Doc:       "Services with the same text may have one address, where their ports differ.",
		},
		{
			Key:       metalLBPrefix + "ip-allocated-from-pool",
			Aliases:   []Alias{{Key: oldMetalLBPrefix + "ip-allocated-from-pool"}},
			Kind:      Written{},
			Providers: metal,
			Doc:       "MetalLB writes here where the address came from; it is not read.",
		},
	}}
}

// metalLBNames are MetalLB's two names of an annotation.
func metalLBNames(name string) []Alias {
	return []Alias{
		{Key: metalLBPrefix + name},
		{Key: oldMetalLBPrefix + name, Instead: metalLBPrefix + name},
	}
}
