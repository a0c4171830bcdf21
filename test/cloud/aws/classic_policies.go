// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"slices"
	"strings"
)

// policy is a policy of a classic load balancer.
type policy struct {
	Attributes     []policyAttribute `json:"PolicyAttributeDescriptions" in:"PolicyAttributes"`
	PolicyName     string
	PolicyTypeName string
}

type policyAttribute struct {
	AttributeName  string
	AttributeValue string
}

// referencePolicy is one that refers to a predefined TLS policy.
func referencePolicy(name, predefined string) policy {
	return policy{
		PolicyName: name, PolicyTypeName: negotiation,
		Attributes: []policyAttribute{{AttributeName: "Reference-Security-Policy", AttributeValue: predefined}},
	}
}

// Types of policies.
const (
	negotiation   = "SSLNegotiationPolicyType"
	proxyProtocol = "ProxyProtocolPolicyType"
)

func classicPartActions() map[string]action {
	return map[string]action{
		"elb.CreateLoadBalancerPolicy":                bind((*Cloud).createPolicy),
		"elb.DeleteLoadBalancerPolicy":                bind((*Cloud).deletePolicy),
		"elb.DescribeLoadBalancerPolicies":            bind((*Cloud).describePolicies),
		"elb.SetLoadBalancerPoliciesOfListener":       bind((*Cloud).setListenerPolicies),
		"elb.SetLoadBalancerPoliciesForBackendServer": bind((*Cloud).setBackendPolicies),
		"elb.DescribeLoadBalancerAttributes":          bind((*Cloud).describeClassicAttributes),
		"elb.ModifyLoadBalancerAttributes":            bind((*Cloud).modifyClassicAttributes),
		"elb.AddTags":                                 bind((*Cloud).addClassicTags),
		"elb.RemoveTags":                              bind((*Cloud).removeClassicTags),
		"elb.DescribeTags":                            bind((*Cloud).describeClassicTags),
	}
}

type createPolicyIn struct {
	LoadBalancerName string
	PolicyName       string
	PolicyTypeName   string
	PolicyAttributes []policyAttribute
}

func (c *Cloud) createPolicy(in createPolicyIn) (any, *refusal) {
	b, refused := c.classic(in.LoadBalancerName)
	if refused != nil {
		return nil, refused
	}
	p := policy{PolicyName: in.PolicyName, PolicyTypeName: in.PolicyTypeName, Attributes: in.PolicyAttributes}
	switch {
	case in.PolicyName == "":
		return nil, invalid("A policy name must be specified")
	case in.PolicyTypeName != negotiation && in.PolicyTypeName != proxyProtocol:
		return nil, bad("PolicyTypeNotFound", "There is no policy type named %s", in.PolicyTypeName)
	case slices.ContainsFunc(b.Defined, func(o policy) bool { return o.PolicyName == in.PolicyName }):
		return nil, bad("DuplicatePolicyName", "A policy with the name %s already exists", in.PolicyName)
	}
	if refused := judgePolicyAttributes(p); refused != nil {
		return nil, refused
	}
	c.classics.edit(in.LoadBalancerName, c.now(), func(b *classic) {
		b.Defined = append(b.Defined, p)
		b.Policies.Others = append(b.Policies.Others, p.PolicyName)
	})
	return nil, nil
}

func judgePolicyAttributes(p policy) *refusal {
	for _, a := range p.Attributes {
		switch {
		case p.PolicyTypeName == proxyProtocol && a.AttributeName == "ProxyProtocol" && slices.Contains(strings.Fields(truths), a.AttributeValue):
		case p.PolicyTypeName == negotiation && a.AttributeName == "Reference-Security-Policy" &&
			strings.HasPrefix(a.AttributeValue, "ELBSecurityPolicy-"):
		default:
			return unfit("The attribute %s of policy type %s cannot be '%s'", a.AttributeName, p.PolicyTypeName, a.AttributeValue)
		}
	}
	if len(p.Attributes) == 0 {
		return unfit("The policy type %s needs an attribute", p.PolicyTypeName)
	}
	return nil
}

type policyIn struct {
	LoadBalancerName string
	PolicyName       string
}

func (c *Cloud) deletePolicy(in policyIn) (any, *refusal) {
	b, refused := c.classic(in.LoadBalancerName)
	if refused != nil {
		return nil, refused
	}
	used := slices.ContainsFunc(b.Listeners, func(l classicListenerPolicies) bool {
		return slices.Contains(l.PolicyNames, in.PolicyName)
	}) || slices.ContainsFunc(b.Backends, func(s backend) bool { return slices.Contains(s.PolicyNames, in.PolicyName) })
	if used {
		return nil, unfit("The policy %s is in use", in.PolicyName)
	}
	c.classics.edit(in.LoadBalancerName, c.now(), func(b *classic) {
		b.Defined = slices.DeleteFunc(b.Defined, func(p policy) bool { return p.PolicyName == in.PolicyName })
		b.Policies.Others = slices.DeleteFunc(b.Policies.Others, func(name string) bool { return name == in.PolicyName })
	})
	return nil, nil
}

type describePoliciesIn struct {
	LoadBalancerName string
	PolicyNames      []string
}

type describePoliciesOut struct {
	PolicyDescriptions []policy
}

func (c *Cloud) describePolicies(in describePoliciesIn) (any, *refusal) {
	b := c.classics.at(in.LoadBalancerName, c.seen(ELB))
	if b == nil {
		return nil, noClassic(in.LoadBalancerName)
	}
	out := describePoliciesOut{PolicyDescriptions: b.Defined}
	if len(in.PolicyNames) == 0 {
		return out, nil
	}
	out.PolicyDescriptions = nil
	for _, name := range in.PolicyNames {
		i := slices.IndexFunc(b.Defined, func(p policy) bool { return p.PolicyName == name })
		if i < 0 {
			return nil, noPolicy(name)
		}
		out.PolicyDescriptions = append(out.PolicyDescriptions, b.Defined[i])
	}
	return out, nil
}

func noPolicy(name string) *refusal {
	return bad("PolicyNotFound", "There is no policy with name %s for load balancer", name)
}

// judgePolicies judges that policies are there, and of the type.
func judgePolicies(b *classic, names []string, typeName string) *refusal {
	for _, name := range names {
		i := slices.IndexFunc(b.Defined, func(p policy) bool { return p.PolicyName == name })
		if i < 0 {
			return noPolicy(name)
		}
		if b.Defined[i].PolicyTypeName != typeName {
			return unfit("The policy %s of type %s cannot be used here", name, b.Defined[i].PolicyTypeName)
		}
	}
	return nil
}

type setListenerPoliciesIn struct {
	LoadBalancerName string
	LoadBalancerPort int
	PolicyNames      []string
}

func (c *Cloud) setListenerPolicies(in setListenerPoliciesIn) (any, *refusal) {
	b, refused := c.classic(in.LoadBalancerName)
	if refused != nil {
		return nil, refused
	}
	at := listenerAt(b, in.LoadBalancerPort)
	if at < 0 {
		return nil, noClassicListener(in.LoadBalancerPort)
	}
	if refused := judgePolicies(b, in.PolicyNames, negotiation); refused != nil {
		return nil, refused
	}
	if len(in.PolicyNames) > 0 && !secure(b.Listeners[at].Listener.Protocol) {
		return nil, unfit("SSL policies can be used with SSL and HTTPS listeners only")
	}
	if len(in.PolicyNames) > 1 {
		return nil, bad("TooManyPolicies", "A listener can have one SSL negotiation policy")
	}
	c.classics.edit(in.LoadBalancerName, c.now(), func(b *classic) { b.Listeners[at].PolicyNames = in.PolicyNames })
	return nil, nil
}

type setBackendPoliciesIn struct {
	LoadBalancerName string
	InstancePort     int
	PolicyNames      []string
}

func (c *Cloud) setBackendPolicies(in setBackendPoliciesIn) (any, *refusal) {
	b, refused := c.classic(in.LoadBalancerName)
	if refused != nil {
		return nil, refused
	}
	if !slices.ContainsFunc(b.Listeners, func(l classicListenerPolicies) bool { return l.Listener.InstancePort == in.InstancePort }) {
		return nil, unfit("There is no listener with instance port %d", in.InstancePort)
	}
	if refused := judgePolicies(b, in.PolicyNames, proxyProtocol); refused != nil {
		return nil, refused
	}
	c.classics.edit(in.LoadBalancerName, c.now(), func(b *classic) {
		b.Backends = slices.DeleteFunc(b.Backends, func(s backend) bool { return s.InstancePort == in.InstancePort })
		if len(in.PolicyNames) > 0 {
			b.Backends = append(b.Backends, backend{InstancePort: in.InstancePort, PolicyNames: in.PolicyNames})
		}
	})
	return nil, nil
}
