// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// seen is all that is there of load balancers and security groups as lines of
// text, sorted, with names where AWS has ids.
func (s *site) seen() []string {
	out := slices.Concat(s.seenClassics(), s.seenNetworks(), s.seenTargetGroups(), s.seenGroups())
	slices.Sort(out)
	return out
}

func (s *site) groupName(id string) string {
	if g := s.observed.Groups[id]; g != nil {
		return awssdk.ToString(g.GroupName)
	}
	return "?" + id
}

func (s *site) groupNames(ids []string) []string {
	var out []string
	for _, id := range ids {
		out = append(out, s.groupName(id))
	}
	slices.Sort(out)
	return out
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

func (s *site) seenClassics() []string {
	var out []string
	for name, c := range s.observed.Classics {
		add := func(format string, args ...any) { out = append(out, name+" "+fmt.Sprintf(format, args...)) }
		add("scheme %s, vpc %s, subnets %v, groups %v", awssdk.ToString(c.Scheme), awssdk.ToString(c.VPCId), sorted(c.Subnets), s.groupNames(c.SecurityGroups))
		add("tags %v", c.Tags)
		for _, d := range c.ListenerDescriptions {
			l := d.Listener
			add("listener %d %s to %d %s, certificate %q, policies %v", l.LoadBalancerPort, strings.ToUpper(*l.Protocol), *l.InstancePort, strings.ToUpper(*l.InstanceProtocol), awssdk.ToString(l.SSLCertificateId), d.PolicyNames)
		}
		for _, b := range c.BackendServerDescriptions {
			if len(b.PolicyNames) > 0 {
				add("node port %d policies %v", *b.InstancePort, b.PolicyNames)
			}
		}
		if c.Policies != nil && len(c.Policies.OtherPolicies) > 0 {
			add("policies %v", sorted(c.Policies.OtherPolicies))
		}
		if h := c.HealthCheck; h != nil {
			add("check %s every %d for %d, %d up, %d down", *h.Target, *h.Interval, *h.Timeout, *h.HealthyThreshold, *h.UnhealthyThreshold)
		}
		if a := c.Attributes; a != nil {
			add("attributes: log %t %q %q %d, drains %t %d, idle %d, cross-zone %t", a.AccessLog.Enabled, awssdk.ToString(a.AccessLog.S3BucketName), awssdk.ToString(a.AccessLog.S3BucketPrefix),
				awssdk.ToInt32(a.AccessLog.EmitInterval), a.ConnectionDraining.Enabled, awssdk.ToInt32(a.ConnectionDraining.Timeout), *a.ConnectionSettings.IdleTimeout, a.CrossZoneLoadBalancing.Enabled)
		}
		var machines []string
		for _, i := range c.Instances {
			machines = append(machines, *i.InstanceId)
		}
		add("instances %v", sorted(machines))
	}
	return out
}

func (s *site) seenNetworks() []string {
	var out []string
	for _, lb := range s.observed.Networks {
		add := func(format string, args ...any) {
			out = append(out, *lb.LoadBalancerName+" "+fmt.Sprintf(format, args...))
		}
		add("scheme %s, type %s %s, vpc %s, groups %v", lb.Scheme, lb.Type, lb.IpAddressType, awssdk.ToString(lb.VpcId), s.groupNames(lb.SecurityGroups))
		add("tags %v", lb.Tags)
		for _, z := range lb.AvailabilityZones {
			var address string
			for _, a := range z.LoadBalancerAddresses {
				address = awssdk.ToString(a.AllocationId) + awssdk.ToString(a.PrivateIPv4Address)
			}
			add("subnet %s %s", *z.SubnetId, address)
		}
		for _, key := range []string{"load_balancing.cross_zone.enabled", "access_logs.s3.enabled", "access_logs.s3.bucket", "access_logs.s3.prefix"} {
			add("%s=%s", key, lb.Attributes[key])
		}
		for _, l := range lb.Listeners {
			var certificates []string
			for _, c := range l.Certificates {
				certificates = append(certificates, *c.CertificateArn)
			}
			to := "?"
			if g := s.observed.TargetGroups[*l.DefaultActions[0].TargetGroupArn]; g != nil {
				to = *g.TargetGroupName
			}
			add("listener %d %s to %s, certificates %v, policy %q", *l.Port, l.Protocol, to, certificates, awssdk.ToString(l.SslPolicy))
		}
	}
	return out
}

func (s *site) seenTargetGroups() []string {
	var out []string
	for _, g := range s.observed.TargetGroups {
		add := func(format string, args ...any) {
			out = append(out, *g.TargetGroupName+" "+fmt.Sprintf(format, args...))
		}
		var on []string
		for _, arn := range g.LoadBalancerArns {
			on = append(on, *s.observed.Networks[arn].LoadBalancerName)
		}
		add("port %d %s %s, vpc %s, on %v", *g.Port, g.Protocol, g.TargetType, awssdk.ToString(g.VpcId), on)
		add("check %s %s %q every %d for %d, %d up, %d down", g.HealthCheckProtocol, *g.HealthCheckPort, awssdk.ToString(g.HealthCheckPath),
			*g.HealthCheckIntervalSeconds, awssdk.ToInt32(g.HealthCheckTimeoutSeconds), *g.HealthyThresholdCount, *g.UnhealthyThresholdCount)
		add("tags %v", g.Tags)
		for _, key := range []string{"preserve_client_ip.enabled", "proxy_protocol_v2.enabled"} {
			add("%s=%s", key, g.Attributes[key])
		}
		var targets []string
		for t := range maps.Keys(g.Targets) {
			targets = append(targets, fmt.Sprintf("%s:%d", t.ID, t.Port))
		}
		add("targets %v", sorted(targets))
	}
	return out
}

func (s *site) seenGroups() []string {
	var out []string
	for _, g := range s.observed.Groups {
		name := awssdk.ToString(g.GroupName)
		out = append(out, fmt.Sprintf("%s %q tags %v", name, awssdk.ToString(g.Description), ec2Pairs(g.Tags)))
		for _, r := range grantsOf(g) {
			from := r.cidr
			if r.group != "" {
				from = s.groupName(r.group)
			}
			out = append(out, fmt.Sprintf("%s lets in %s %d-%d from %s %q", name, r.protocol, r.from, r.to, from, r.about))
		}
	}
	return out
}

func ec2Pairs(list []ec2types.Tag) map[string]string {
	out := map[string]string{}
	for _, t := range list {
		out[*t.Key] = *t.Value
	}
	return out
}

// copied is the site as it is, which changes of the other do not reach.
func (s *site) copied() *site {
	c := *s
	c.observed = s.observed.Clone()
	return &c
}
