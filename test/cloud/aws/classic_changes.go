// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

type classicSubnetsIn struct {
	LoadBalancerName string
	Subnets          []string
}

type classicSubnetsOut struct {
	Subnets []string
}

func (c *Cloud) attachSubnets(in classicSubnetsIn) (any, *refusal) {
	old, refused := c.classic(in.LoadBalancerName)
	if refused != nil {
		return nil, refused
	}
	b := clone(old)
	for _, id := range in.Subnets {
		if !slices.Contains(b.Subnets, id) {
			b.Subnets = append(b.Subnets, id)
		}
	}
	if refused := c.judgeClassicSubnets(b); refused != nil {
		return nil, refused
	}
	c.classics.put(b.LoadBalancerName, b, c.now())
	for _, id := range b.Subnets {
		if c.nicOf("classic/"+b.LoadBalancerName, id) == nil {
			c.attachClassic(b, id)
		}
	}
	return classicSubnetsOut{Subnets: b.Subnets}, nil
}

func (c *Cloud) detachSubnets(in classicSubnetsIn) (any, *refusal) {
	old, refused := c.classic(in.LoadBalancerName)
	if refused != nil {
		return nil, refused
	}
	b := clone(old)
	b.Subnets = slices.DeleteFunc(b.Subnets, func(id string) bool { return slices.Contains(in.Subnets, id) })
	if len(b.Subnets) == 0 {
		return nil, unfit("A load balancer must have at least one subnet")
	}
	if refused := c.judgeClassicSubnets(b); refused != nil {
		return nil, refused
	}
	c.classics.put(b.LoadBalancerName, b, c.now())
	for _, id := range in.Subnets {
		c.detach("classic/"+b.LoadBalancerName, id)
	}
	return classicSubnetsOut{Subnets: b.Subnets}, nil
}

type applyGroupsIn struct {
	LoadBalancerName string
	SecurityGroups   []string
}

type applyGroupsOut struct {
	SecurityGroups []string
}

func (c *Cloud) applyGroups(in applyGroupsIn) (any, *refusal) {
	old, refused := c.classic(in.LoadBalancerName)
	if refused != nil {
		return nil, refused
	}
	if len(in.SecurityGroups) == 0 {
		return nil, invalid("At least one security group must be specified")
	}
	b := clone(old)
	b.SecurityGroups = in.SecurityGroups
	if refused := c.defaultGroups(b); refused != nil {
		return nil, refused
	}
	c.classics.put(b.LoadBalancerName, b, c.now())
	c.regroup("classic/"+b.LoadBalancerName, b.SecurityGroups)
	return applyGroupsOut{SecurityGroups: b.SecurityGroups}, nil
}

// maxHealthTarget is how long the target of a health check may be: the API
// reference on HealthCheck.
const maxHealthTarget = 1024

type configureHealthCheckIn struct {
	LoadBalancerName string
	HealthCheck      classicHealthCheck
}

type configureHealthCheckOut struct {
	HealthCheck classicHealthCheck
}

func (c *Cloud) configureHealthCheck(in configureHealthCheckIn) (any, *refusal) {
	if _, refused := c.classic(in.LoadBalancerName); refused != nil {
		return nil, refused
	}
	h := in.HealthCheck
	protocol, rest, _ := strings.Cut(h.Target, ":")
	h.Target = strings.ToUpper(protocol) + ":" + rest
	form := regexp.MustCompile(`^((TCP|SSL):[0-9]{1,5}|(HTTP|HTTPS):[0-9]{1,5}/.*)$`)
	port, _, _ := strings.Cut(rest, "/")
	number, _ := strconv.Atoi(port)
	switch {
	case !form.MatchString(h.Target) || len(h.Target) > maxHealthTarget || number < 1 || number > 65535:
		return nil, invalid("HealthCheck HTTP Target must specify a port followed by a path that begins with a slash, "+
			"and TCP a port: '%s'", in.HealthCheck.Target)
	case h.Interval < 5 || h.Interval > 300:
		return nil, invalid("HealthCheck Interval '%d' must be from 5 to 300", h.Interval)
	case h.Timeout < 2 || h.Timeout > 60:
		return nil, invalid("HealthCheck Timeout '%d' must be from 2 to 60", h.Timeout)
	case h.Timeout >= h.Interval:
		return nil, invalid("HealthCheck timeout must be less than interval: '%d', '%d'", h.Timeout, h.Interval)
	case h.HealthyThreshold < 2 || h.HealthyThreshold > 10 || h.UnhealthyThreshold < 2 || h.UnhealthyThreshold > 10:
		return nil, invalid("HealthCheck thresholds '%d' and '%d' must be from 2 to 10", h.HealthyThreshold, h.UnhealthyThreshold)
	}
	c.classics.edit(in.LoadBalancerName, c.now(), func(b *classic) { b.HealthCheck = h })
	return configureHealthCheckOut{HealthCheck: h}, nil
}

// classicProber is a classic load balancer as one that checks.
func (c *Cloud) classicProber(b *classic) prober {
	return prober{
		name: b.LoadBalancerName, zones: b.AvailabilityZones, groups: b.SecurityGroups,
		from: c.sources("classic/" + b.LoadBalancerName),
	}
}
