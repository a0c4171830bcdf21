// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// HealthCheck is a check of one target.
type HealthCheck struct {
	// Balancer and Group are names; Group is empty for classic load balancers.
	Balancer, Group string
	// Target is the id of a machine or an address.
	Target string
	// Protocol, Port and Path of the check.
	Protocol string
	Port     int
	Path     string
}

// healthOf tells of a group's targets, by id and port.
func (c *Cloud) healthOf(g *targetGroup) []healthDescription {
	var out []healthDescription
	from := prober{}
	if len(g.LoadBalancerArns) > 0 {
		from = c.proberOf(g.LoadBalancerArns[0])
	}
	for _, t := range g.here(c.now()) {
		port := g.HealthCheckPort
		if port == "traffic-port" {
			port = strconv.Itoa(t.Port)
		}
		out = append(out, healthDescription{HealthCheckPort: port, Target: t, TargetHealth: c.health(g, t, port, from)})
	}
	slices.SortFunc(out, func(a, b healthDescription) int {
		return cmp.Or(strings.Compare(a.Target.ID, b.Target.ID), cmp.Compare(a.Target.Port, b.Target.Port))
	})
	return out
}

// prober is a load balancer that checks targets.
type prober struct {
	name   string
	zones  []string
	groups []string
	from   []netip.Addr // its interfaces
}

func (c *Cloud) proberOf(arn string) prober {
	b := c.balancers.get(arn)
	if b == nil {
		return prober{}
	}
	p := prober{name: b.LoadBalancerName, groups: b.SecurityGroups, from: c.sources(arn)}
	for _, z := range b.AvailabilityZones {
		p.zones = append(p.zones, z.ZoneName)
	}
	return p
}

// sources are the addresses of a load balancer's interfaces.
func (c *Cloud) sources(balancer string) []netip.Addr {
	var from []netip.Addr
	for _, n := range c.nics.all() {
		if n.Balancer == balancer && n.GoneAt.IsZero() {
			from = append(from, parseAddr(n.PrivateIPAddress))
		}
	}
	return from
}

// health is the state of one target.
func (c *Cloud) health(g *targetGroup, t target, port string, from prober) targetHealth {
	m := c.instances.get(t.ID)
	if g.TargetType == "ip" {
		m = c.machineAt(t.ID)
	}
	switch {
	case !t.DrainedAt.IsZero():
		return targetHealth{
			State: "draining", Reason: "Target.DeregistrationInProgress", Description: "Target deregistration is in progress",
		}
	case len(g.LoadBalancerArns) == 0:
		return targetHealth{
			State: "unused", Reason: "Target.NotInUse",
			Description: "Target group is not configured to receive traffic from the load balancer",
		}
	case g.TargetType == "instance" && (m == nil || m.State.Name != running):
		return targetHealth{State: "unused", Reason: "Target.InvalidState", Description: "Target is in the stopped state"}
	case c.now().Before(t.Since.Add(c.timing.InitialHealth)):
		return targetHealth{
			State: "initial", Reason: "Elb.RegistrationInProgress", Description: "Target registration is in progress",
		}
	}
	if m != nil && !slices.Contains(from.zones, m.Placement.AvailabilityZone) && t.AvailabilityZone != "all" {
		return targetHealth{
			State: "unused", Reason: "Target.NotInUse",
			Description: "Target is in an Availability Zone that is not enabled for the load balancer",
		}
	}
	number, _ := strconv.Atoi(port)
	check := HealthCheck{
		Balancer: from.name, Group: g.TargetGroupName, Target: t.ID,
		Protocol: g.HealthCheckProtocol, Port: number, Path: g.HealthCheckPath,
	}
	if c.passes(check, from, m) {
		return targetHealth{State: "healthy"}
	}
	return targetHealth{State: "unhealthy", Reason: "Target.FailedHealthChecks", Description: "Health checks failed"}
}

// machineAt is the machine that has an address; nil when none has.
func (c *Cloud) machineAt(text string) *instance {
	for _, m := range c.instances.all() {
		for _, n := range m.NetworkInterfaces {
			if slices.ContainsFunc(n.PrivateIPAddresses, func(p privateAddress) bool { return p.PrivateIPAddress == text }) ||
				slices.ContainsFunc(n.Ipv6Addresses, func(p ipv6Address) bool { return p.Ipv6Address == text }) {
				return m
			}
		}
	}
	return nil
}

// passes reports whether a check gets through to the machine, and is answered.
// What is no machine here gets everything.
func (c *Cloud) passes(check HealthCheck, from prober, m *instance) bool {
	if m != nil && !c.reaches(check.Port, from, m) {
		return false
	}
	return c.answers == nil || c.answers(check)
}

// reaches reports whether the rules of the machine's groups let TCP in from
// each of the load balancer's interfaces.
func (c *Cloud) reaches(port int, from prober, m *instance) bool {
	var ranges []string
	for _, n := range m.NetworkInterfaces {
		for _, name := range n.Groups {
			g := c.groups.get(name.GroupID)
			if g == nil {
				continue
			}
			for i := range g.Rules {
				r := &g.Rules[i]
				switch {
				case r.Egress || !lets(r, port):
				case slices.Contains(from.groups, r.GroupID):
					return true
				case r.CidrIPv4 != "":
					ranges = append(ranges, r.CidrIPv4)
				}
			}
		}
	}
	for _, a := range from.from {
		if !slices.ContainsFunc(ranges, func(cidr string) bool { return parseRange(cidr).Contains(a) }) {
			return false
		}
	}
	return true
}

// lets reports whether a rule is about a TCP port.
func lets(r *rule, port int) bool {
	if r.Protocol == anyProtocol {
		return true
	}
	return r.Protocol == "tcp" && r.From != nil && r.To != nil && *r.From <= port && port <= *r.To
}
