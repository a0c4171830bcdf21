// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"maps"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
)

// newClassic is a load balancer as AWS makes it, but for its address.
func newClassic(in *elb.CreateLoadBalancerInput, vpc string) *Classic {
	c := &Classic{Attributes: classicDefaults(), Tags: map[string]string{}}
	c.LoadBalancerName, c.Subnets, c.SecurityGroups, c.VPCId = in.LoadBalancerName, in.Subnets, in.SecurityGroups, awssdk.String(vpc)
	c.Scheme = in.Scheme
	if c.Scheme == nil {
		c.Scheme = awssdk.String("internet-facing")
	}
	for _, tag := range in.Tags {
		c.Tags[awssdk.ToString(tag.Key)] = awssdk.ToString(tag.Value)
	}
	c.addListeners(in.Listeners)
	return c
}

// addListeners notes new listeners. Those with TLS get AWS's usual policy.
func (c *Classic) addListeners(list []elbtypes.Listener) {
	c.ListenerDescriptions = slices.Clone(c.ListenerDescriptions)
	for i := range list {
		d := elbtypes.ListenerDescription{Listener: &list[i]}
		if list[i].SSLCertificateId != nil {
			d.PolicyNames = []string{usualTLSPolicy}
			c.addPolicy(usualTLSPolicy)
		}
		c.ListenerDescriptions = append(c.ListenerDescriptions, d)
	}
}

func (c *Classic) addPolicy(name string) {
	var p elbtypes.Policies
	if c.Policies != nil {
		p = *c.Policies
	}
	if !slices.Contains(p.OtherPolicies, name) {
		p.OtherPolicies = append(slices.Clone(p.OtherPolicies), name)
	}
	c.Policies = &p
}

// changeClassic replaces what is known of a classic load balancer.
func (o *Observed) changeClassic(name *string, change func(*Classic)) {
	if had, ok := o.Classics[awssdk.ToString(name)]; ok {
		c := *had
		change(&c)
		o.Classics[awssdk.ToString(name)] = &c
	}
}

// learnClassic notes what a call changed of classic load balancers.
func (o *Observed) learnClassic(in Call, out any) {
	switch in := in.(type) {
	case *elb.CreateLoadBalancerInput:
		o.learnNewClassic(in, out)
	case *elb.DeleteLoadBalancerInput:
		delete(o.Classics, awssdk.ToString(in.LoadBalancerName))
	case *elb.RegisterInstancesWithLoadBalancerInput:
		o.changeClassic(in.LoadBalancerName, func(c *Classic) { c.Instances = registered(c.Instances, in.Instances) })
	case *elb.DeregisterInstancesFromLoadBalancerInput:
		o.changeClassic(in.LoadBalancerName, func(c *Classic) { c.Instances = deregistered(c.Instances, in.Instances) })
	case *elb.ConfigureHealthCheckInput:
		o.changeClassic(in.LoadBalancerName, func(c *Classic) { c.HealthCheck = in.HealthCheck })
	case *elb.ModifyLoadBalancerAttributesInput:
		o.changeClassic(in.LoadBalancerName, func(c *Classic) { c.Attributes = mergedAttributes(c.Attributes, in.LoadBalancerAttributes) })
	case *elb.ApplySecurityGroupsToLoadBalancerInput:
		o.changeClassic(in.LoadBalancerName, func(c *Classic) { c.SecurityGroups = in.SecurityGroups })
	case *elb.AttachLoadBalancerToSubnetsInput:
		o.changeClassic(in.LoadBalancerName, func(c *Classic) { c.Subnets = append(notIn(c.Subnets, in.Subnets), in.Subnets...) })
	case *elb.DetachLoadBalancerFromSubnetsInput:
		o.changeClassic(in.LoadBalancerName, func(c *Classic) { c.Subnets = notIn(c.Subnets, in.Subnets) })
	case *elb.AddTagsInput:
		for _, name := range in.LoadBalancerNames {
			o.changeClassic(&name, func(c *Classic) {
				if c.Tags == nil {
					return // not read: what was added is not all
				}
				c.Tags = maps.Clone(c.Tags)
				for _, tag := range in.Tags {
					c.Tags[awssdk.ToString(tag.Key)] = awssdk.ToString(tag.Value)
				}
			})
		}
	case *elb.RemoveTagsInput:
		for _, name := range in.LoadBalancerNames {
			o.changeClassic(&name, func(c *Classic) {
				c.Tags = maps.Clone(c.Tags)
				for _, tag := range in.Tags {
					delete(c.Tags, awssdk.ToString(tag.Key))
				}
			})
		}
	default:
		o.learnClassicListeners(in)
	}
}

func (o *Observed) learnNewClassic(in *elb.CreateLoadBalancerInput, out any) {
	answer, ok := out.(*elb.CreateLoadBalancerOutput)
	if !ok {
		return
	}
	vpc := ""
	for i := range o.Subnets {
		if slices.Contains(in.Subnets, awssdk.ToString(o.Subnets[i].SubnetId)) {
			vpc = awssdk.ToString(o.Subnets[i].VpcId)
		}
	}
	c := newClassic(in, vpc)
	if had, ok := o.Classics[awssdk.ToString(in.LoadBalancerName)]; ok { // it was there: the call was made twice
		again := *had
		c = &again
	}
	c.DNSName = answer.DNSName
	o.Classics[awssdk.ToString(in.LoadBalancerName)] = c
}

func (o *Observed) learnClassicListeners(in Call) {
	switch in := in.(type) {
	case *elb.CreateLoadBalancerListenersInput:
		o.changeClassic(in.LoadBalancerName, func(c *Classic) { c.addListeners(in.Listeners) })
	case *elb.DeleteLoadBalancerListenersInput:
		o.changeClassic(in.LoadBalancerName, func(c *Classic) {
			c.ListenerDescriptions = slices.DeleteFunc(slices.Clone(c.ListenerDescriptions), func(d elbtypes.ListenerDescription) bool {
				return d.Listener != nil && slices.Contains(in.LoadBalancerPorts, d.Listener.LoadBalancerPort)
			})
		})
	case *elb.SetLoadBalancerListenerSSLCertificateInput:
		o.changeListener(in.LoadBalancerName, in.LoadBalancerPort, func(d *elbtypes.ListenerDescription) {
			l := *d.Listener
			l.SSLCertificateId = in.SSLCertificateId
			d.Listener = &l
		})
	case *elb.SetLoadBalancerPoliciesOfListenerInput:
		o.changeListener(in.LoadBalancerName, in.LoadBalancerPort, func(d *elbtypes.ListenerDescription) { d.PolicyNames = in.PolicyNames })
	case *elb.CreateLoadBalancerPolicyInput:
		o.changeClassic(in.LoadBalancerName, func(c *Classic) { c.addPolicy(awssdk.ToString(in.PolicyName)) })
	case *elb.SetLoadBalancerPoliciesForBackendServerInput:
		o.changeClassic(in.LoadBalancerName, func(c *Classic) {
			c.BackendServerDescriptions = slices.DeleteFunc(slices.Clone(c.BackendServerDescriptions), func(d elbtypes.BackendServerDescription) bool {
				return awssdk.ToInt32(d.InstancePort) == awssdk.ToInt32(in.InstancePort)
			})
			if len(in.PolicyNames) > 0 {
				c.BackendServerDescriptions = append(c.BackendServerDescriptions, elbtypes.BackendServerDescription{InstancePort: in.InstancePort, PolicyNames: in.PolicyNames})
			}
		})
	}
}

func (o *Observed) changeListener(name *string, port int32, change func(*elbtypes.ListenerDescription)) {
	o.changeClassic(name, func(c *Classic) {
		c.ListenerDescriptions = slices.Clone(c.ListenerDescriptions)
		for i := range c.ListenerDescriptions {
			if d := &c.ListenerDescriptions[i]; d.Listener != nil && d.Listener.LoadBalancerPort == port {
				change(d)
			}
		}
	})
}

func registered(have, more []elbtypes.Instance) []elbtypes.Instance {
	return append(deregistered(have, more), more...)
}

func deregistered(have, gone []elbtypes.Instance) []elbtypes.Instance {
	ids := map[string]bool{}
	for _, i := range gone {
		ids[awssdk.ToString(i.InstanceId)] = true
	}
	return slices.DeleteFunc(slices.Clone(have), func(i elbtypes.Instance) bool { return ids[awssdk.ToString(i.InstanceId)] })
}

// mergedAttributes are the attributes after a call that sets some.
func mergedAttributes(have, set *elbtypes.LoadBalancerAttributes) *elbtypes.LoadBalancerAttributes {
	out := classicDefaults()
	if have != nil {
		*out = *have
	}
	if set.AccessLog != nil {
		out.AccessLog = set.AccessLog
	}
	if set.ConnectionDraining != nil {
		out.ConnectionDraining = set.ConnectionDraining
	}
	if set.ConnectionSettings != nil {
		out.ConnectionSettings = set.ConnectionSettings
	}
	if set.CrossZoneLoadBalancing != nil {
		out.CrossZoneLoadBalancing = set.CrossZoneLoadBalancing
	}
	return out
}
