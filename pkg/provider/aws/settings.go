// SPDX-License-Identifier: Apache-2.0

// Package aws serves Services with AWS's network and classic load balancers.
// Its core is pure: Compute turns what list calls answered and a batch of
// Services into the calls to make, the plan that explains them, and what is
// refused. Names, tags and fields are cloud-provider-aws's ("the peer" in
// comments), and so are the tests of whether something has to change: what it
// made needs no write.
package aws

import (
	"cmp"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// ProbeMode is how nodes are probed for Services with externalTrafficPolicy
// Cluster. The zero value is none.
type ProbeMode uint8

// The probe modes.
const (
	OwnProbes   ProbeMode = iota + 1 // each port's node port
	SharedProbe                      // kube-proxy's health port for all
)

// GroupMode is which security groups a new network load balancer gets. The
// zero value is none.
type GroupMode uint8

// The group modes.
const (
	NoGroups GroupMode = iota + 1 // none: its clients are let in at the nodes
	// ManagedGroups: those that the annotation names, or else one of its own for
	// its clients, and one that all share for the nodes to let in.
	ManagedGroups
)

// Claims says whose Services are served. The zero value is none.
type Claims uint8

// The claims.
const (
	PeerOnly                   Claims = iota + 1 // those of cloud-provider-aws
	AlsoLoadBalancerController                   // those of the AWS Load Balancer Controller too
)

// Settings is what the cloud config says that load balancers depend on.
type Settings struct {
	Cluster string // --cluster-name; in the names of network load balancers' groups
	Tags    names.Cluster
	Region  string
	VPC     string
	// MoreTags are for all that is made.
	MoreTags map[string]string
	Subnet   string // that counts when discovery finds no other; may be empty

	// NodeRules false leaves the nodes' security groups alone.
	NodeRules bool
	// ClassicGroup is the group of all classic load balancers, which is not
	// ours to write; empty: each has its own.
	ClassicGroup    string
	NetworkGroups   GroupMode
	Claims          Claims
	External        External // counts when Claims says so
	Probes          ProbeMode
	SharedProbePort uint16
	SharedProbePath string

	// RuleLimit is how many rules a security group may have.
	RuleLimit int

	// Registry are the annotations of Services outside the batch.
	Registry *intent.Registry
}

// backendCluster is the cluster in the name of the group that network load
// balancers share.
func (s *Settings) backendCluster() string { return cmp.Or(s.Tags.ID, s.Cluster) }

// NewSettings are those of a configuration. What it leaves open is filled in by
// self, what the controller's own instance says.
func NewSettings(c *cloudconfig.AWS, cluster, region string, self Self) *Settings {
	s := &Settings{
		Cluster: cluster, Region: region, VPC: cmp.Or(c.VPC, self.VPC), Subnet: cmp.Or(c.SubnetID, self.Subnet),
		Tags:     names.Cluster{ID: cmp.Or(c.ClusterID, self.ClusterID), Legacy: c.LegacyClusterTag || self.LegacyTag},
		MoreTags: c.Tags, NodeRules: !c.UnmanagedNodeRules, ClassicGroup: c.ELBSecurityGroup,
		NetworkGroups: NoGroups, Claims: PeerOnly, Probes: OwnProbes,
		SharedProbePort: c.SharedProbePort, SharedProbePath: c.SharedProbePath, RuleLimit: c.SecurityGroupRuleLimit,
	}
	if c.ManagedNLBSecurityGroups {
		s.NetworkGroups = ManagedGroups
	}
	if c.SharedProbe {
		s.Probes = SharedProbe
	}
	if c.Controller.Claim {
		s.Claims = AlsoLoadBalancerController
		s.External = newExternal(&c.Controller, s.Tags.ID, cluster)
	}
	return s
}

// task is what settings are asked for. The zero value is none.
type task uint8

const (
	toServe   task = iota + 1 // Services
	toCollect                 // what is left of Services that are gone
	toAnswer                  // for nodes
)

// needsID refuses a task that cannot tell the cluster's own from another one's
// without an id.
func (s *Settings) needsID(to task) error {
	const sentence = "the cluster has no id, and nothing else tells %s; set kubernetesClusterID in the cloud-config%s"
	shares := s.NetworkGroups == ManagedGroups || s.Claims == AlsoLoadBalancerController
	switch {
	case s.Tags.ID != "":
	case to == toCollect:
		return refuse(ReasonNoClusterID, sentence, "what is left over from what is another cluster's", "")
	case to == toServe && shares:
		return refuse(ReasonNoClusterID, sentence, "whose the security group is that load balancers share", ", or leave out nlbSecurityGroupMode Managed and loadBalancerController.claim")
	}
	return nil
}

// Self is what the controller's own instance says of the cluster.
type Self struct {
	VPC, Subnet string
	ClusterID   string
	LegacyTag   bool // the cluster's tag is KubernetesCluster
}
