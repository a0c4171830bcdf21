// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"
)

// Azure is the configuration of Azure, with the keys and the meanings of
// cloud-provider-azure's file. All defaults are filled in.
type Azure struct {
	// Cloud is which cloud it is, CloudName the name as written; empty for the
	// public one.
	Cloud     AzureCloud
	CloudName string
	// ResourceManagerEndpoint is the URL that is asked for all others of the
	// cloud; empty: those of Cloud.
	ResourceManagerEndpoint string
	UserAgent               string // empty: ours

	TenantID       string
	SubscriptionID string
	// NetworkResourceTenantID is the tenant of the network's subscription; empty:
	// the same.
	NetworkResourceTenantID string
	// NetworkResourceSubscriptionID holds load balancers, public IPs, security
	// groups, virtual networks and route tables: SubscriptionID unless set.
	NetworkResourceSubscriptionID string
	Auth                          AzureAuth
	ConfigType                    AzureConfigType

	ResourceGroup        string // in lower case
	Location             string // as written
	ExtendedLocationName string // of an edge zone
	ExtendedLocationType string

	VnetName                   string
	VnetResourceGroup          string // ResourceGroup unless set, as the groups below
	SubnetName                 string
	SecurityGroupName          string // empty: no Service can be served
	SecurityGroupResourceGroup string
	RouteTableName             string
	RouteTableResourceGroup    string

	VMType AzureVMType
	// Tags are those of load balancers, public IPs, security groups, route
	// tables and private link services.
	Tags map[string]string
	// SystemTags are the beginnings of keys of tags that others own. Empty: a
	// tag that is no longer in Tags stays.
	SystemTags []string

	LoadBalancer AzureLoadBalancer
	// LoadBalancers are several load balancers that Services are spread over;
	// empty: one.
	LoadBalancers []AzureLoadBalancerConfig

	PrivateLinkServiceResourceGroup string
	// NodeGracePeriod is how long a new node that Azure does not show yet counts
	// as existing.
	NodeGracePeriod time.Duration
}

// AzureAuth is what an identity is proved with, the first one that is set, in
// the order of the fields, unless the environment says another.
type AzureAuth struct {
	WorkloadIdentity       bool
	FederatedTokenFile     string
	ManagedIdentity        bool
	UserAssignedIdentityID string // a client ID or the ID of a resource
	ClientID               string
	ClientSecret           Secret
	ClientCertPath         string
	ClientCertPassword     Secret
	ADFS                   bool // the identities are of Active Directory Federation Services
}

// AzureLoadBalancer is how load balancers are made.
type AzureLoadBalancer struct {
	Name          string // empty: the cluster's name
	ResourceGroup string
	// PreConfiguredPools are the load balancers whose pools others fill.
	PreConfiguredPools AzurePools
	PoolType           AzurePoolType
	// ExcludeControlPlane keeps control plane nodes out of pools. True unless
	// switched off.
	ExcludeControlPlane bool
	DisableOutboundSNAT bool
	// MutateIPTags changes the IP tags of a public IP in place; false: it is
	// made anew.
	MutateIPTags bool
	// SharedProbe gives all Services with the external traffic policy Cluster
	// one probe, of SharedProbePort and SharedProbePath of each node.
	SharedProbe     bool
	SharedProbePort uint16 // 10256 unless set
	SharedProbePath string // /healthz unless set
}

// AzureLoadBalancerConfig is one of several load balancers.
type AzureLoadBalancerConfig struct {
	Name string // that of the internal one is followed by -internal
	// AllowServicePlacement lets new Services come. True unless switched off.
	AllowServicePlacement bool
	PrimaryVMSet          string // the scale set or availability set of its nodes
	// ServiceLabelSelector and ServiceNamespaceSelector say which Services may
	// come; nil: all.
	ServiceLabelSelector     labels.Selector
	ServiceNamespaceSelector labels.Selector
	// NodeSelector says which nodes rather come here; nil: none.
	NodeSelector labels.Selector
}

// AzureCloud is one of Azure's clouds. The zero value is none.
type AzureCloud uint8

// The clouds.
const (
	AzurePublic AzureCloud = iota + 1
	AzureChina
	AzureUSGovernment
	AzureStack // with the api-versions of the public one
	AzureOther // of a name that only its own endpoint knows
)

// AzureConfigType says where the configuration comes from. The zero value is
// none.
type AzureConfigType uint8

// The types.
const (
	AzureConfigMerge  AzureConfigType = iota + 1 // the Secret's keys over the file's
	AzureConfigFile                              // the file alone
	AzureConfigSecret                            // the Secret alone
)

// AzureVMType is the kind of machines that nodes are. The zero value is none.
type AzureVMType uint8

// The kinds. Machines of the others are found too.
const (
	AzureVMSS AzureVMType = iota + 1
	AzureStandardVM
	AzureVMSSFlex
)

// AzurePools are load balancers by who reaches them. The zero value is none of
// them.
type AzurePools uint8

// The sets, as bits.
const (
	AzureInternalPools AzurePools = 1 << iota
	AzureExternalPools

	AzureAllPools = AzureInternalPools | AzureExternalPools
)

// Has reports whether all of q are among p.
func (p AzurePools) Has(q AzurePools) bool { return p&q == q }

// AzurePoolType is what backend pools hold. The zero value is none.
type AzurePoolType uint8

// The types.
const (
	AzureNodeIPConfiguration AzurePoolType = iota + 1 // the nodes' network interfaces
	AzureNodeIP                                       // the nodes' addresses
)

// word is a value of an enum and how the file writes it.
type word[T comparable] struct {
	value T
	text  string
}

func azureConfigTypes() []word[AzureConfigType] {
	return []word[AzureConfigType]{{AzureConfigMerge, "merge"}, {AzureConfigFile, "file"}, {AzureConfigSecret, "secret"}}
}

func azureVMTypes() []word[AzureVMType] {
	return []word[AzureVMType]{{AzureVMSS, "vmss"}, {AzureStandardVM, "standard"}, {AzureVMSSFlex, "vmssflex"}}
}

func azurePools() []word[AzurePools] {
	return []word[AzurePools]{{AzureInternalPools, "internal"}, {AzureExternalPools, "external"}, {AzureAllPools, "all"}}
}

func azurePoolTypes() []word[AzurePoolType] {
	return []word[AzurePoolType]{{AzureNodeIPConfiguration, "nodeIPConfiguration"}, {AzureNodeIP, "nodeIP"}}
}

func azureProbeModes() []word[bool] {
	return []word[bool]{{false, "servicenodeport"}, {true, "shared"}}
}

// textOf is how the file writes a value; empty for none.
func textOf[T comparable](words []word[T], v T) string {
	for _, w := range words {
		if w.value == v {
			return w.text
		}
	}
	return ""
}

// String is the type as the file writes it.
func (t AzureConfigType) String() string { return textOf(azureConfigTypes(), t) }

// String is the kind as the file writes it.
func (t AzureVMType) String() string { return textOf(azureVMTypes(), t) }

// String is the set as the file writes it.
func (p AzurePools) String() string { return textOf(azurePools(), p) }

// String is the type as the file writes it.
func (t AzurePoolType) String() string { return textOf(azurePoolTypes(), t) }

// String is the cloud's usual name.
func (c AzureCloud) String() string {
	switch c {
	case AzurePublic:
		return "AzurePublicCloud"
	case AzureChina:
		return "AzureChinaCloud"
	case AzureUSGovernment:
		return "AzureUSGovernmentCloud"
	case AzureStack:
		return azureStackName
	case AzureOther:
		return "other"
	}
	return fmt.Sprintf("AzureCloud(%d)", uint8(c))
}

const azureStackName = "AzureStackCloud"

// azureCloudOf is the cloud of a name, as the peer knows them.
func azureCloudOf(name string) AzureCloud {
	switch strings.ToUpper(name) {
	case "", "AZUREPUBLICCLOUD", "AZURECLOUD":
		return AzurePublic
	case "AZURECHINACLOUD":
		return AzureChina
	case "AZUREUSGOVERNMENT", "AZUREUSGOVERNMENTCLOUD":
		return AzureUSGovernment
	case "AZURESTACKCLOUD":
		return AzureStack
	}
	return AzureOther
}

// OtherNetworkTenant reports whether the network is of another tenant than the
// machines.
func (a *Azure) OtherNetworkTenant() bool {
	return a.NetworkResourceTenantID != "" && !strings.EqualFold(a.NetworkResourceTenantID, a.TenantID)
}
