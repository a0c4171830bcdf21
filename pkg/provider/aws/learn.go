// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"maps"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// Learn notes what a call changed: what was sent, and what was answered, which
// may be nil where it tells nothing. It returns the id of what the call made,
// if any. What a later pass knows of AWS may be all from here.
func (o *Observed) Learn(in Call, out any) (made string) {
	switch in := in.(type) {
	case *elbv2.CreateLoadBalancerInput:
		return o.learnNetwork(in, out)
	case *elbv2.CreateTargetGroupInput:
		return o.learnGroup(in, out)
	case *elbv2.CreateListenerInput:
		return o.learnListener(in, out)
	case *ec2.CreateSecurityGroupInput:
		return o.learnSecurityGroup(in, out)
	default:
		o.learnSecurity(in)
		o.learnNetworkChange(in, out)
		o.learnTags(in)
		o.learnGroupChange(in, out)
		o.learnCertificates(in)
		o.learnListenerAttributes(in)
		o.learnClassic(in, out)
	}
	return ""
}

func (o *Observed) learnNetwork(in *elbv2.CreateLoadBalancerInput, out any) string {
	answer, ok := out.(*elbv2.CreateLoadBalancerOutput)
	if !ok || len(answer.LoadBalancers) == 0 {
		return ""
	}
	lb := &Network{LoadBalancer: answer.LoadBalancers[0], Tags: tagMap(in.Tags), Attributes: networkDefaults(), Listeners: []elbv2types.Listener{}, Certificates: map[string][]string{}, ListenerAttributes: map[string]map[string]string{}}
	arn := awssdk.ToString(lb.LoadBalancerArn)
	if had, ok := o.Networks[arn]; ok { // it was there: the call was made twice
		lb.Attributes, lb.Listeners, lb.Certificates, lb.ListenerAttributes = had.Attributes, had.Listeners, had.Certificates, had.ListenerAttributes
	}
	o.Networks[arn] = lb
	return arn
}

func (o *Observed) learnGroup(in *elbv2.CreateTargetGroupInput, out any) string {
	answer, ok := out.(*elbv2.CreateTargetGroupOutput)
	if !ok || len(answer.TargetGroups) == 0 {
		return ""
	}
	g := &TargetGroup{
		TargetGroup: answer.TargetGroups[0], Tags: tagMap(in.Tags), Attributes: groupDefaults(in.TargetType, in.Protocol),
		Targets: map[Target]elbv2types.TargetHealthStateEnum{}, TargetsRead: true,
	}
	arn := awssdk.ToString(g.TargetGroupArn)
	if had, ok := o.TargetGroups[arn]; ok {
		g.Targets, g.TargetsRead, g.Attributes = had.Targets, had.TargetsRead, had.Attributes
		g.LoadBalancerArns = had.LoadBalancerArns
	}
	o.TargetGroups[arn] = g
	return arn
}

func (o *Observed) learnListener(in *elbv2.CreateListenerInput, out any) string {
	answer, ok := out.(*elbv2.CreateListenerOutput)
	if !ok || len(answer.Listeners) == 0 {
		return ""
	}
	lb := awssdk.ToString(in.LoadBalancerArn)
	o.changeNetwork(lb, func(n *Network) {
		if n.Listeners == nil {
			return // as long as they are not read, one of them says nothing
		}
		n.Listeners = append(without(n.Listeners, awssdk.ToString(answer.Listeners[0].ListenerArn)), answer.Listeners[0])
	})
	for _, a := range in.DefaultActions {
		o.attach(awssdk.ToString(a.TargetGroupArn), lb)
	}
	return awssdk.ToString(answer.Listeners[0].ListenerArn)
}

// without are the listeners but one, in a slice of their own.
func without(list []elbv2types.Listener, arn string) []elbv2types.Listener {
	return slices.DeleteFunc(slices.Clone(list), func(l elbv2types.Listener) bool { return awssdk.ToString(l.ListenerArn) == arn })
}

// changeNetwork replaces what is known of a load balancer.
func (o *Observed) changeNetwork(arn string, change func(*Network)) {
	if had, ok := o.Networks[arn]; ok {
		n := *had
		change(&n)
		o.Networks[arn] = &n
	}
}

// changeGroup replaces what is known of a target group.
func (o *Observed) changeGroup(arn string, change func(*TargetGroup)) {
	if had, ok := o.TargetGroups[arn]; ok {
		g := *had
		change(&g)
		o.TargetGroups[arn] = &g
	}
}

// attach notes that the load balancer forwards to the target group.
func (o *Observed) attach(group, lb string) {
	o.changeGroup(group, func(g *TargetGroup) {
		if !slices.Contains(g.LoadBalancerArns, lb) {
			g.LoadBalancerArns = append(slices.Clone(g.LoadBalancerArns), lb)
		}
	})
}

// detach notes what target groups the load balancer forwards to now.
func (o *Observed) detach(lb string) {
	used := map[string]bool{}
	if n, ok := o.Networks[lb]; ok {
		for i := range n.Listeners {
			used[forwardsTo(&n.Listeners[i])] = true
		}
	}
	for arn, g := range o.TargetGroups {
		if !used[arn] && slices.Contains(g.LoadBalancerArns, lb) {
			o.changeGroup(arn, func(g *TargetGroup) {
				g.LoadBalancerArns = slices.DeleteFunc(slices.Clone(g.LoadBalancerArns), func(x string) bool { return x == lb })
			})
		}
	}
}

// listenerOwner is the load balancer with the listener.
func (o *Observed) listenerOwner(listener string) string {
	for arn, n := range o.Networks {
		for i := range n.Listeners {
			if awssdk.ToString(n.Listeners[i].ListenerArn) == listener {
				return arn
			}
		}
	}
	return ""
}

func (o *Observed) learnNetworkChange(in Call, out any) {
	switch in := in.(type) {
	case *elbv2.DeleteLoadBalancerInput:
		arn := awssdk.ToString(in.LoadBalancerArn)
		delete(o.Networks, arn)
		o.detach(arn)
	case *elbv2.ModifyLoadBalancerAttributesInput:
		o.changeNetwork(awssdk.ToString(in.LoadBalancerArn), func(n *Network) {
			if n.Attributes == nil {
				return
			}
			n.Attributes = maps.Clone(n.Attributes)
			for _, x := range in.Attributes {
				n.Attributes[awssdk.ToString(x.Key)] = awssdk.ToString(x.Value)
			}
		})
	case *elbv2.SetSubnetsInput:
		if answer, ok := out.(*elbv2.SetSubnetsOutput); ok {
			o.changeNetwork(awssdk.ToString(in.LoadBalancerArn), func(n *Network) { n.AvailabilityZones = answer.AvailabilityZones })
		}
	case *elbv2.SetIpAddressTypeInput:
		o.changeNetwork(awssdk.ToString(in.LoadBalancerArn), func(n *Network) { n.IpAddressType = in.IpAddressType })
	case *elbv2.SetSecurityGroupsInput:
		o.changeNetwork(awssdk.ToString(in.LoadBalancerArn), func(n *Network) {
			n.SecurityGroups = in.SecurityGroups
			if on := in.EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic; on != "" {
				n.EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic = awssdk.String(string(on))
			}
		})
	case *elbv2.ModifyListenerInput:
		o.learnListenerChange(awssdk.ToString(in.ListenerArn), out)
	case *elbv2.DeleteListenerInput:
		o.learnListenerChange(awssdk.ToString(in.ListenerArn), nil)
	}
}

// learnTags notes tags of load balancers and target groups whose tags are known.
func (o *Observed) learnTags(in Call) {
	switch in := in.(type) {
	case *elbv2.AddTagsInput:
		o.changeTags(in.ResourceArns, func(tags map[string]string) { maps.Copy(tags, tagMap(in.Tags)) })
	case *elbv2.RemoveTagsInput:
		o.changeTags(in.ResourceArns, func(tags map[string]string) {
			for _, key := range in.TagKeys {
				delete(tags, key)
			}
		})
	}
}

func (o *Observed) changeTags(arns []string, change func(map[string]string)) {
	changed := func(tags map[string]string) map[string]string {
		if tags == nil {
			return nil
		}
		out := maps.Clone(tags)
		change(out)
		return out
	}
	for _, arn := range arns {
		o.changeNetwork(arn, func(n *Network) { n.Tags = changed(n.Tags) })
		o.changeGroup(arn, func(g *TargetGroup) { g.Tags = changed(g.Tags) })
	}
}

// learnListenerChange notes a listener as it was answered, or its end.
func (o *Observed) learnListenerChange(arn string, out any) {
	lb := o.listenerOwner(arn)
	o.changeNetwork(lb, func(n *Network) {
		n.Listeners = without(n.Listeners, arn)
		if answer, ok := out.(*elbv2.ModifyListenerOutput); ok && len(answer.Listeners) > 0 {
			n.Listeners = append(n.Listeners, answer.Listeners[0])
			o.attach(forwardsTo(&answer.Listeners[0]), lb)
		}
	})
	o.detach(lb)
}

func (o *Observed) learnGroupChange(in Call, out any) {
	switch in := in.(type) {
	case *elbv2.DeleteTargetGroupInput:
		delete(o.TargetGroups, awssdk.ToString(in.TargetGroupArn))
	case *elbv2.ModifyTargetGroupInput:
		if answer, ok := out.(*elbv2.ModifyTargetGroupOutput); ok && len(answer.TargetGroups) > 0 {
			o.changeGroup(awssdk.ToString(in.TargetGroupArn), func(g *TargetGroup) { g.TargetGroup = answer.TargetGroups[0] })
		}
	case *elbv2.ModifyTargetGroupAttributesInput:
		o.changeGroup(awssdk.ToString(in.TargetGroupArn), func(g *TargetGroup) {
			if g.Attributes == nil {
				return // as long as they are not read, a part of them says nothing
			}
			g.Attributes = maps.Clone(g.Attributes)
			for _, x := range in.Attributes {
				g.Attributes[awssdk.ToString(x.Key)] = awssdk.ToString(x.Value)
			}
		})
	case *elbv2.RegisterTargetsInput:
		o.changeGroup(awssdk.ToString(in.TargetGroupArn), func(g *TargetGroup) {
			if !g.TargetsRead {
				return
			}
			g.Targets = maps.Clone(g.Targets)
			for _, x := range in.Targets {
				g.Targets[targetOf(x)] = elbv2types.TargetHealthStateEnumInitial
			}
		})
	case *elbv2.DeregisterTargetsInput:
		o.changeGroup(awssdk.ToString(in.TargetGroupArn), func(g *TargetGroup) {
			if !g.TargetsRead {
				return
			}
			g.Targets = maps.Clone(g.Targets)
			for _, x := range in.Targets {
				g.Targets[targetOf(x)] = elbv2types.TargetHealthStateEnumDraining
			}
		})
	}
}

func targetOf(x elbv2types.TargetDescription) Target {
	return Target{ID: awssdk.ToString(x.Id), Port: awssdk.ToInt32(x.Port)}
}

// tagMap are tags of the SDK as a map, never nil.
func tagMap(list []elbv2types.Tag) map[string]string {
	out := make(map[string]string, len(list))
	for _, t := range list {
		out[awssdk.ToString(t.Key)] = awssdk.ToString(t.Value)
	}
	return out
}
