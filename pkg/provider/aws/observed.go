// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"maps"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/fairlead/fairlead/pkg/plan"
)

// Observed is what is known of AWS: what reads answered, and what calls since
// then changed. What its maps point to is never changed but replaced, so a
// clone is cheap.
type Observed struct {
	Networks     map[string]*Network                // network load balancers, by ARN
	TargetGroups map[string]*TargetGroup            // by ARN
	Classics     map[string]*Classic                // by name
	Groups       map[string]*ec2types.SecurityGroup // of the VPC and of nodes, by id
	Instances    map[string]*Instance               // of the cluster's nodes, by id
	// Lost are the ids of nodes' instances, and of these instances' groups, that
	// AWS has not listed for so long that nobody waits for them.
	Lost map[string]bool
	// NodesUnread is why instances of nodes, or security groups of theirs, could
	// not be read; nil: they were. What was known of them before counts, and what
	// is not known may be there.
	NodesUnread error

	// VPC is that of the settings; nil: not read.
	VPC *ec2types.Vpc
	// Subnets and RouteTables are those of the VPC; nil: not read.
	Subnets     []ec2types.Subnet
	RouteTables []ec2types.RouteTable
	// ZoneTypes are the types of availability zones by name, such as
	// availability-zone and local-zone; nil: not read.
	ZoneTypes map[string]string

	// Addresses are those that load balancers of the batch would get, as far as
	// they were looked up.
	Addresses map[string]Address

	// Slices are the endpoints of Services, for addresses of pods as targets; nil:
	// not known.
	Slices map[plan.Key][]*discoveryv1.EndpointSlice

	// Unread are the errors of reads about one object alone, by its ARN, or the
	// name of a classic load balancer. The Services that need it are refused.
	Unread map[string]error

	// Unlisted are the names in DNS, in lower case, of load balancers that were made
	// a moment ago, and that lists do not show yet.
	Unlisted map[string]bool

	// Services are all of the cluster that want a load balancer or have one.
	Services []*v1.Service

	// Fresh is what the pass itself has read, beside all lists; nil: nothing.
	Fresh *Reads
}

// Network is a network load balancer.
type Network struct {
	elbv2types.LoadBalancer
	Tags       map[string]string     // nil: not read
	Attributes map[string]string     // nil: not read
	Listeners  []elbv2types.Listener // nil: not read; empty: there are none
	// Certificates are those beside the default ones, by the listeners' ARNs; nil:
	// not read.
	Certificates map[string][]string
	// ListenerAttributes are those of listeners, by ARN; nil: not read.
	ListenerAttributes map[string]map[string]string
}

// subnets are the ids of those that it is in.
func (lb *Network) subnets() []string {
	var out []string
	for i := range lb.AvailabilityZones {
		out = append(out, awssdk.ToString(lb.AvailabilityZones[i].SubnetId))
	}
	return out
}

// TargetGroup is a target group.
type TargetGroup struct {
	elbv2types.TargetGroup
	Tags       map[string]string // nil: not read
	Attributes map[string]string // nil: not read
	Targets    map[Target]elbv2types.TargetHealthStateEnum
	// TargetsRead tells no targets from targets that were not read.
	TargetsRead bool
}

// Target is where a target group sends traffic.
type Target struct {
	ID   string // of the instance, or the IP address
	Port int32
}

// Classic is a classic load balancer.
type Classic struct {
	elbtypes.LoadBalancerDescription
	Tags       map[string]string                // nil: not read
	Attributes *elbtypes.LoadBalancerAttributes // nil: not read
}

// Instance is the EC2 instance of a node.
type Instance struct {
	ID     string
	Groups []string // ids of the security groups of its primary interface, in AWS's order
	VPC    string
	Zone   string
	State  ec2types.InstanceStateName
}

// NewObserved knows nothing.
func NewObserved() *Observed {
	return &Observed{
		Networks: map[string]*Network{}, TargetGroups: map[string]*TargetGroup{}, Classics: map[string]*Classic{},
		Groups: map[string]*ec2types.SecurityGroup{}, Instances: map[string]*Instance{}, Unread: map[string]error{},
	}
}

// Clone can be changed without a change of o.
func (o *Observed) Clone() *Observed {
	c := *o
	c.Networks, c.TargetGroups, c.Classics = maps.Clone(o.Networks), maps.Clone(o.TargetGroups), maps.Clone(o.Classics)
	c.Groups, c.Instances = maps.Clone(o.Groups), maps.Clone(o.Instances)
	return &c
}

// networksByName are the network load balancers by their names.
func (o *Observed) networksByName() map[string]*Network {
	out := make(map[string]*Network, len(o.Networks))
	for _, lb := range o.Networks {
		out[awssdk.ToString(lb.LoadBalancerName)] = lb
	}
	return out
}

// fork is a clone in which what the networks, target groups and classic load
// balancers are can be changed, too.
func (o *Observed) fork() *Observed {
	c := o.Clone()
	for arn, lb := range c.Networks {
		c.Networks[arn] = new(*lb)
	}
	for arn, g := range c.TargetGroups {
		c.TargetGroups[arn] = new(*g)
	}
	for name, lb := range c.Classics {
		c.Classics[name] = new(*lb)
	}
	c.Unread = maps.Clone(o.Unread)
	return c
}
