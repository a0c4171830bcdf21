// SPDX-License-Identifier: Apache-2.0

package awssim

import "time"

// Lag says how old the answers of reads are: what was made, changed or deleted
// is seen that much later. Writes are judged by what is.
type Lag struct {
	EC2 time.Duration
	// ELB is of both APIs of load balancing.
	ELB time.Duration
}

func (l Lag) longest() time.Duration { return max(l.EC2, l.ELB) }

func (l Lag) of(service Service) time.Duration {
	if service == EC2 {
		return l.EC2
	}
	return l.ELB
}

// Timing says how long the cloud goes on after a write is answered. The zero
// value is not at all.
type Timing struct {
	// Provisioning is how long a new network load balancer is not active.
	Provisioning time.Duration
	// Linger is how long the interfaces of a load balancer stay, and so their
	// security groups are in use, when it is gone.
	Linger time.Duration
	// Release is how long target groups stay in use when their load balancer is
	// gone.
	Release time.Duration
	// InitialHealth is how long a new target is initial.
	InitialHealth time.Duration
	// Drain is how long a deregistered target is draining; below zero it is as
	// the target group's attribute says.
	Drain time.Duration
}

// RealisticTiming is about what users of the real service see.
func RealisticTiming() Timing {
	return Timing{
		Provisioning: 2 * time.Minute, Linger: 15 * time.Second, Release: 2 * time.Second,
		InitialHealth: 90 * time.Second, Drain: -1,
	}
}

// Limits are the quotas of the account; 0 is the default of AWS.
type Limits struct {
	RulesPerGroup         int // of each direction
	GroupsPerInterface    int
	SecurityGroups        int // in the region
	Addresses             int // elastic, in the region
	Routes                int // in a table, of each family
	NetworkLoadBalancers  int // in the region
	ClassicLoadBalancers  int // in the region
	NetworkListeners      int // of a load balancer
	ClassicListeners      int // of a load balancer
	Certificates          int // of a network load balancer, beside the defaults
	TargetGroups          int // in the region
	TargetsPerGroup       int
	TargetsPerBalancer    int // of a network load balancer
	TargetsPerZone        int // of a network load balancer; in all zones when traffic crosses them
	TargetsPerCall        int // any number if 0: AWS names no limit, though at times it refuses many
	InstancesPerClassic   int
	TargetGroupsPerAction int
	Tags                  int // of an object
}

// orDefault fills in what AWS gives to a new account: the quota tables of
// Amazon VPC, Network Load Balancers and Classic Load Balancers.
func (l Limits) orDefault() Limits {
	for _, limit := range []struct {
		value *int
		usual int
	}{
		{&l.RulesPerGroup, 60},
		{&l.GroupsPerInterface, 5},
		{&l.SecurityGroups, 2500},
		{&l.Addresses, 5},
		{&l.Routes, 50},
		{&l.NetworkLoadBalancers, 50},
		{&l.ClassicLoadBalancers, 20},
		{&l.NetworkListeners, 50},
		{&l.ClassicListeners, 100},
		{&l.Certificates, 25},
		{&l.TargetGroups, 3000},
		{&l.TargetsPerGroup, 1000},
		{&l.TargetsPerBalancer, 3000},
		{&l.TargetsPerZone, 500},
		{&l.InstancesPerClassic, 1000},
		{&l.TargetGroupsPerAction, 5},
		{&l.Tags, 50},
	} {
		if *limit.value == 0 {
			*limit.value = limit.usual
		}
	}
	return l
}

// SetLimits changes the quotas from now on.
func (c *Cloud) SetLimits(l Limits) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limits = l.orDefault()
}

// Latencies says how long calls take. The zero value is no latency at all.
type Latencies struct {
	// Read is of each call that only asks, and of each page.
	Read time.Duration
	// Write is of every other call.
	Write time.Duration
	// Action is of calls by their API names, such as
	// "elbv2.CreateLoadBalancer", in place of Read or Write.
	Action map[string]time.Duration
}

// BenchmarkLatencies are those that the tables of docs/benchmarks.md are made
// with.
func BenchmarkLatencies() Latencies {
	const create, register = 2 * time.Second, 300 * time.Millisecond
	return Latencies{
		Read:  50 * time.Millisecond,
		Write: 200 * time.Millisecond,
		Action: map[string]time.Duration{
			"elb.CreateLoadBalancer":                  create,
			"elbv2.CreateLoadBalancer":                create,
			"elb.RegisterInstancesWithLoadBalancer":   register,
			"elb.DeregisterInstancesFromLoadBalancer": register,
			"elbv2.RegisterTargets":                   register,
			"elbv2.DeregisterTargets":                 register,
		},
	}
}

// of is how long the call takes.
func (l Latencies) of(call *Call) time.Duration {
	if d, ok := l.Action[call.API()]; ok {
		return d
	}
	switch call.Kind {
	case Read, NextPage:
		return l.Read
	case Write:
		return l.Write
	case Other:
		return 0
	default:
		return 0
	}
}
