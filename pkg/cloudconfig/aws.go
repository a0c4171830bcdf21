// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import (
	"regexp"
	"strings"
)

// AWS is the configuration of AWS: the keys and meanings of
// cloud-provider-aws' file, and some of our own. All defaults are filled in.
type AWS struct {
	// Region is that of the cluster; empty: the environment, the profile, or
	// the instance that the controller runs on says it.
	Region string
	Zone   string // of the controller's own instance; empty unless written
	// VPC is the network of the nodes; empty: that of the controller's instance.
	VPC          string
	SubnetID     string // serves where no subnet is tagged for the cluster
	RouteTableID string // of the nodes' routes; empty: the one with the cluster's tag

	// Profile is one of the user's AWS configuration; empty: the standard chain.
	Profile   string
	Role      AWSRole
	Endpoints AWSEndpoints
	// Overrides are other endpoints of services by their names in the SDK.
	Overrides []AWSServiceOverride

	// ClusterID stands in the tags; empty: the tags of the controller's instance
	// say it.
	ClusterID string
	// LegacyClusterTag: the tag KubernetesCluster is written as well.
	LegacyClusterTag bool
	// AllowUntagged lets the controller work without a ClusterID: nothing of what
	// it makes then tells which cluster it is of.
	AllowUntagged bool
	// Tags are those of all that is made, beside the tags of ownership.
	Tags map[string]string
	// NodeTags are those that nodes' instances get; none when it is empty.
	NodeTags map[string]string

	// UnmanagedNodeRules keeps the nodes' security groups as they are.
	UnmanagedNodeRules bool
	// ELBSecurityGroup is that of all classic load balancers, whose rules are
	// left alone; empty: each has one of its own.
	ELBSecurityGroup string
	// ManagedNLBSecurityGroups gives network load balancers security groups.
	ManagedNLBSecurityGroups bool
	// SecurityGroupRuleLimit is how many rules of one direction a security group
	// may have: the quota of the account, 60 unless set.
	SecurityGroupRuleLimit int

	// SharedProbe checks the health of nodes by kube-proxy at SharedProbePort
	// and SharedProbePath, for Services with the external traffic policy Cluster.
	SharedProbe     bool
	SharedProbePort uint16 // 10256 unless set
	SharedProbePath string // /healthz unless set

	// NodeIPFamilies are the families of nodes' addresses in their order; IPv4
	// unless set.
	NodeIPFamilies []IPFamily
	// TopologyInstanceTypes is a regular expression of the types of instances
	// whose place in the network must be known.
	TopologyInstanceTypes string

	Controller AWSController
}

// AWSRole is the role that the controller assumes; none when ARN is empty.
type AWSRole struct {
	ARN        string
	ExternalID string
	// SourceARN is sent as the source of the request, with its account, against
	// confused deputies.
	SourceARN string
}

// SourceAccount is the account of SourceARN; empty without one.
func (r AWSRole) SourceAccount() string {
	parts := strings.Split(r.SourceARN, ":")
	if len(parts) < awsARNParts {
		return ""
	}
	return parts[4]
}

// AWSEndpoints are the URLs of services, where not AWS' own.
type AWSEndpoints struct {
	EC2, ELB, ELBv2, STS, IMDS string
}

// AWSServiceOverride is where one service of one region is, in the words of
// cloud-provider-aws.
type AWSServiceOverride struct {
	Service       string // its ServiceID in AWS' SDK
	Region        string
	URL           string
	SigningRegion string
	SigningName   string // empty: the service's own
}

// AWSController says what becomes of the Services of the AWS Load Balancer
// Controller.
type AWSController struct {
	// Claim: the Services of its type and class are ours. It must not run then.
	Claim bool
	// ClusterName is its --cluster-name, which stands in its tags; empty:
	// ClusterID, or else our --cluster-name.
	ClusterName string
	// TargetType serves Services that do not say it, AWSInstances unless set.
	TargetType AWSTargetType
	// InternetFacing is the scheme of Services that do not say it.
	InternetFacing bool
	// TLSPolicy is that of listeners that do not say it.
	TLSPolicy string
}

// AWSTargetType is where a network load balancer sends traffic to. The zero
// value is none.
type AWSTargetType uint8

// The types.
const (
	AWSInstances AWSTargetType = iota + 1 // the node ports of instances
	AWSAddresses                          // the addresses of pods
)

// IPFamily is a family of addresses. The zero value is none.
type IPFamily uint8

// The families.
const (
	IPv4 IPFamily = iota + 1
	IPv6
)

func awsTargetTypes() []word[AWSTargetType] {
	return []word[AWSTargetType]{{AWSInstances, "instance"}, {AWSAddresses, "ip"}}
}

func awsSchemes() []word[bool] { return []word[bool]{{false, "internal"}, {true, "internet-facing"}} }

func awsGroupModes() []word[bool] { return []word[bool]{{true, "Managed"}} }

func awsProbeModes() []word[bool] { return []word[bool]{{false, "ServiceNodePort"}, {true, "Shared"}} }

func ipFamilies() []word[IPFamily] { return []word[IPFamily]{{IPv4, "ipv4"}, {IPv6, "ipv6"}} }

// String is the type as the file writes it.
func (t AWSTargetType) String() string { return textOf(awsTargetTypes(), t) }

// String is the family as the file writes it.
func (f IPFamily) String() string { return textOf(ipFamilies(), f) }

// The ServiceIDs of AWS' SDK that an override may name.
const (
	AWSServiceEC2   = "EC2"
	AWSServiceELB   = "Elastic Load Balancing"
	AWSServiceELBv2 = "Elastic Load Balancing v2"
	AWSServiceSTS   = "STS"
	AWSServiceIMDS  = "ec2imds"
	awsServiceKMS   = "KMS"
)

// Defaults of AWS.
const (
	// DefaultSecurityGroupRuleLimit is AWS' quota of rules of one direction.
	DefaultSecurityGroupRuleLimit = 60
	// DefaultTopologyInstanceTypes is cloud-provider-aws' own.
	DefaultTopologyInstanceTypes = `^(hpc|trn|p)[0-9]+[a-z]*(-[a-z0-9]+)?(\.[0-9a-z]*)$`
	// DefaultTLSPolicy is the AWS Load Balancer Controller's.
	DefaultTLSPolicy = "ELBSecurityPolicy-2016-08"

	awsARNParts = 6 // arn:partition:service:region:account:resource
)

// NewAWS is the section with all defaults.
func NewAWS() *AWS {
	return &AWS{
		SecurityGroupRuleLimit: DefaultSecurityGroupRuleLimit,
		SharedProbePort:        DefaultSharedProbePort, SharedProbePath: DefaultSharedProbePath,
		NodeIPFamilies:        []IPFamily{IPv4},
		TopologyInstanceTypes: DefaultTopologyInstanceTypes,
		Controller:            AWSController{TargetType: AWSInstances, TLSPolicy: DefaultTLSPolicy},
	}
}

// DefaultAWS is the configuration without a file, which AWS alone can do with.
func DefaultAWS() *Config {
	c := newConfig()
	c.AWS = NewAWS()
	return c
}

// awsZone is the region at the beginning of a zone's name, as
// cloud-provider-aws cuts it, which is right for local zones too.
var awsZone = regexp.MustCompile(`^([a-zA-Z]+-)+[0-9]+`)

// Override is what the file says about a service of the SDK in a region: the
// endpoint of Endpoints, or else of an override.
func (a *AWS) Override(service, region string) (AWSServiceOverride, bool) {
	url := map[string]string{
		AWSServiceEC2: a.Endpoints.EC2, AWSServiceELB: a.Endpoints.ELB, AWSServiceELBv2: a.Endpoints.ELBv2,
		AWSServiceSTS: a.Endpoints.STS, AWSServiceIMDS: a.Endpoints.IMDS,
	}[service]
	if url != "" {
		return AWSServiceOverride{Service: service, Region: region, URL: url}, true
	}
	for _, o := range a.Overrides {
		if o.Service == service && o.Region == region {
			return o, true
		}
	}
	return AWSServiceOverride{}, false
}
