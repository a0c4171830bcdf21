// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// target is a target of a group.
type target struct {
	AvailabilityZone string `json:",omitempty"`
	ID               string `json:"Id"`
	Port             int
	Since            time.Time `json:"-"` // when it was registered
	DrainedAt        time.Time `json:"-"` // when it is gone; zero is not
}

// targetKey is how requests name a target.
type targetKey struct {
	ID               string `json:"Id"`
	Port             *int
	AvailabilityZone string
}

type targetsIn struct {
	TargetGroupArn string
	Targets        []targetKey
}

// port is the target's own or the group's.
func (k targetKey) port(g *targetGroup) int {
	if k.Port != nil {
		return *k.Port
	}
	return g.Port
}

// here are the targets that are not gone.
func (g *targetGroup) here(now time.Time) []target {
	return slices.DeleteFunc(slices.Clone(g.Targets), func(t target) bool {
		return !t.DrainedAt.IsZero() && !t.DrainedAt.After(now)
	})
}

// registerTargets registers all the targets or none.
func (c *Cloud) registerTargets(in targetsIn) (any, *refusal) {
	g, refused := c.targetGroup(in.TargetGroupArn)
	if refused != nil {
		return nil, refused
	}
	if len(in.Targets) == 0 {
		return nil, invalid("At least one target must be specified")
	}
	if refused := c.judgeCallTargets(in); refused != nil {
		return nil, refused
	}
	if refused := c.judgeTargets(g, in.Targets); refused != nil {
		return nil, refused
	}
	now := c.now()
	list := g.here(now)
	for _, k := range in.Targets {
		t := target{ID: k.ID, Port: k.port(g), AvailabilityZone: k.AvailabilityZone, Since: now}
		i := slices.IndexFunc(list, func(o target) bool { return o.ID == t.ID && o.Port == t.Port })
		switch {
		case i < 0:
			list = append(list, t)
		case !list[i].DrainedAt.IsZero():
			list[i] = t
		}
	}
	if refused := c.judgeTargetCount(g, list); refused != nil {
		return nil, refused
	}
	c.targets.edit(g.TargetGroupArn, now, func(g *targetGroup) { g.Targets = list })
	return nil, nil
}

func (c *Cloud) judgeCallTargets(in targetsIn) *refusal {
	if most := c.limits.TargetsPerCall; most > 0 && len(in.Targets) > most {
		return refuse(http.StatusServiceUnavailable, "ServiceUnavailable", "The service cannot take %d targets now", len(in.Targets))
	}
	return nil
}

func (c *Cloud) judgeTargetCount(g *targetGroup, list []target) *refusal {
	if len(list) > c.limits.TargetsPerGroup {
		return bad("TooManyTargets", "The quota of %d targets of a target group has been reached", c.limits.TargetsPerGroup)
	}
	for _, arn := range g.LoadBalancerArns {
		all := slices.Clone(list)
		for _, o := range c.targets.all() {
			if o.TargetGroupArn != g.TargetGroupArn && slices.Contains(o.LoadBalancerArns, arn) {
				all = append(all, o.here(c.now())...)
			}
		}
		if refused := c.judgeBalancerTargets(arn, all); refused != nil {
			return refused
		}
	}
	return nil
}

// judgeBalancerTargets judges how many targets a load balancer has: in all, and
// in one zone, or in all zones when traffic crosses them.
func (c *Cloud) judgeBalancerTargets(arn string, list []target) *refusal {
	quota := func(n int, what string) *refusal {
		return bad("TooManyTargets", "The quota of %d targets of a load balancer%s has been reached", n, what)
	}
	if len(list) > c.limits.TargetsPerBalancer {
		return quota(c.limits.TargetsPerBalancer, "")
	}
	b := c.balancers.get(arn)
	if b == nil {
		return nil
	}
	crosses := valueOf(b.Attributes, "load_balancing.cross_zone.enabled") == "true"
	zones := map[string]int{}
	for _, t := range list {
		zone := ""
		if m := c.instances.get(t.ID); m != nil && !crosses {
			zone = m.Placement.AvailabilityZone
		}
		if zones[zone]++; zones[zone] > c.limits.TargetsPerZone {
			return quota(c.limits.TargetsPerZone, " in a zone")
		}
	}
	return nil
}

// judgeTargets judges what is to be registered.
func (c *Cloud) judgeTargets(g *targetGroup, keys []targetKey) *refusal {
	var absent, idle, elsewhere []string
	for _, k := range keys {
		if port := k.port(g); port < 1 || port > 65535 {
			return invalid("The target port '%d' must be from 1 to 65535", port)
		}
		if g.TargetType == "ip" {
			if refused := c.judgeIPTarget(g, k); refused != nil {
				return refused
			}
			continue
		}
		quoted := "'" + k.ID + "'"
		switch m := c.instances.get(k.ID); {
		case m == nil:
			absent = append(absent, quoted)
		case m.State.Name != running:
			idle = append(idle, quoted)
		case m.VPCID != g.VPCID:
			elsewhere = append(elsewhere, quoted)
		}
	}
	switch {
	case len(absent) > 0:
		return bad("InvalidTarget", "The following targets are not valid instances: %s", strings.Join(absent, ", "))
	case len(idle) > 0:
		return bad("InvalidTarget", "The following targets are not in a running state and cannot be registered: %s",
			strings.Join(idle, ", "))
	case len(elsewhere) > 0:
		return bad("InvalidTarget", "The following targets are not in the target group VPC '%s': %s",
			g.VPCID, strings.Join(elsewhere, ", "))
	default:
		return nil
	}
}

// judgeIPTarget judges an address: of the group's family, in the VPC, or private
// and outside it, which must be said.
func (c *Cloud) judgeIPTarget(g *targetGroup, k targetKey) *refusal {
	a, err := netip.ParseAddr(k.ID)
	if err != nil || a.Is4() != (g.IPAddressType == ipv4) {
		return bad("InvalidTarget", "The IP address '%s' is not a valid %s address", k.ID, g.IPAddressType)
	}
	v := c.vpcs.get(g.VPCID)
	inside := v != nil && (parseRange(v.CidrBlock).Contains(a) ||
		slices.ContainsFunc(v.CidrBlocks, func(b vpcBlock) bool { return parseRange(b.CidrBlock).Contains(a) }) ||
		slices.ContainsFunc(v.Ipv6Blocks, func(b ipv6Block) bool { return parseRange(b.Ipv6CidrBlock).Contains(a) }))
	switch {
	case inside:
		return nil
	case a.Is6() || !a.IsPrivate() && !netip.MustParsePrefix("100.64.0.0/10").Contains(a):
		return bad("InvalidTarget", "The IP address '%s' is not within the VPC and is not private", k.ID)
	case k.AvailabilityZone != "all":
		return bad("InvalidTarget", "The IP address '%s' is outside the VPC: the Availability Zone must be 'all'", k.ID)
	default:
		return nil
	}
}

// deregisterTargets lets targets drain; what is not registered is no error.
func (c *Cloud) deregisterTargets(in targetsIn) (any, *refusal) {
	g, refused := c.targetGroup(in.TargetGroupArn)
	if refused != nil {
		return nil, refused
	}
	if len(in.Targets) == 0 {
		return nil, invalid("At least one target must be specified")
	}
	if refused := c.judgeCallTargets(in); refused != nil {
		return nil, refused
	}
	now := c.now()
	drain := c.timing.Drain
	if drain < 0 {
		seconds, _ := strconv.Atoi(valueOf(g.Attributes, "deregistration_delay.timeout_seconds"))
		drain = time.Duration(seconds) * time.Second
	}
	if len(g.LoadBalancerArns) == 0 {
		drain = 0
	}
	c.targets.edit(g.TargetGroupArn, now, func(g *targetGroup) {
		for i, t := range g.Targets {
			if t.DrainedAt.IsZero() && slices.ContainsFunc(in.Targets, func(k targetKey) bool {
				return k.ID == t.ID && k.port(g) == t.Port
			}) {
				g.Targets[i].DrainedAt = now.Add(drain)
			}
		}
		g.Targets = g.here(now)
	})
	return nil, nil
}

type describeTargetHealthIn struct {
	TargetGroupArn string
	Targets        []targetKey
	Include        []string
}

type targetHealth struct {
	Description string `json:",omitempty"`
	Reason      string `json:",omitempty"`
	State       string
}

type healthDescription struct {
	HealthCheckPort string
	Target          target
	TargetHealth    targetHealth
}

type targetHealthOut struct {
	TargetHealthDescriptions []healthDescription
}

func (c *Cloud) describeTargetHealth(in describeTargetHealthIn) (any, *refusal) {
	g := c.targets.at(in.TargetGroupArn, c.seen(ELBV2))
	if g == nil {
		return nil, noTargetGroup(in.TargetGroupArn)
	}
	all := c.healthOf(g)
	if len(in.Targets) == 0 {
		return targetHealthOut{TargetHealthDescriptions: all}, nil
	}
	out := targetHealthOut{}
	for _, k := range in.Targets {
		i := slices.IndexFunc(all, func(d healthDescription) bool { return d.Target.ID == k.ID && d.Target.Port == k.port(g) })
		if i >= 0 {
			out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, all[i])
			continue
		}
		out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, healthDescription{
			Target: target{ID: k.ID, Port: k.port(g)},
			TargetHealth: targetHealth{
				State: "unused", Reason: "Target.NotRegistered", Description: "Target is not registered to the target group",
			},
		})
	}
	return out, nil
}
