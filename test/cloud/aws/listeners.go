// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"slices"
	"strings"
)

// listener is a listener of a network load balancer.
type listener struct {
	AlpnPolicy      []string
	Certificates    []certificate `json:",omitempty"`
	DefaultActions  []defaultAction
	ListenerArn     string
	LoadBalancerArn string
	Port            int
	Protocol        string
	SslPolicy       string        `json:",omitempty"`
	More            []certificate `json:"-"` // beside the default one
	Attributes      []attribute   `json:"-"`
	Tags            []tag         `json:"-"`
}

type certificate struct {
	CertificateArn string
	IsDefault      *bool `json:",omitempty"`
}

type defaultAction struct {
	ForwardConfig  *forwardConfig `json:",omitempty"`
	Order          *int           `json:",omitempty"`
	TargetGroupArn string         `json:",omitempty"`
	Type           string
}

type forwardConfig struct {
	TargetGroups []weighted
}

type weighted struct {
	TargetGroupArn string
	Weight         *int `json:",omitempty"`
}

// groupArns are the target groups that a listener forwards to.
func (l *listener) groupArns() []string {
	var arns []string
	for _, a := range l.DefaultActions {
		if a.TargetGroupArn != "" {
			arns = append(arns, a.TargetGroupArn)
		}
		if a.ForwardConfig != nil {
			for _, w := range a.ForwardConfig.TargetGroups {
				arns = append(arns, w.TargetGroupArn)
			}
		}
	}
	slices.Sort(arns)
	return slices.Compact(arns)
}

func listenerActions() map[string]action {
	return map[string]action{
		"elbv2.CreateListener":               bind((*Cloud).createListener),
		"elbv2.ModifyListener":               bind((*Cloud).modifyListener),
		"elbv2.DeleteListener":               bind((*Cloud).deleteListener),
		"elbv2.DescribeListeners":            bind((*Cloud).describeListeners),
		"elbv2.DescribeListenerAttributes":   bind((*Cloud).describeListenerAttributes),
		"elbv2.ModifyListenerAttributes":     bind((*Cloud).modifyListenerAttributes),
		"elbv2.AddListenerCertificates":      bind((*Cloud).addCertificates),
		"elbv2.RemoveListenerCertificates":   bind((*Cloud).removeCertificates),
		"elbv2.DescribeListenerCertificates": bind((*Cloud).describeCertificates),
	}
}

// listenersOf are the listeners of a load balancer, by ARN.
func (c *Cloud) listenersOf(balancer string) []*listener {
	return slices.DeleteFunc(c.listeners.all(), func(l *listener) bool { return l.LoadBalancerArn != balancer })
}

type createListenerIn struct {
	LoadBalancerArn string
	Port            *int
	Protocol        string
	SslPolicy       string
	Certificates    []certificate
	AlpnPolicy      []string
	DefaultActions  []defaultAction
	Tags            []tag
}

type listenersOut struct {
	Listeners  []listener
	NextMarker string `json:",omitempty"`
}

func (c *Cloud) createListener(in createListenerIn) (any, *refusal) {
	b, refused := c.balancer(in.LoadBalancerArn)
	if refused != nil {
		return nil, refused
	}
	if in.Port == nil {
		return nil, invalid("A listener port must be specified")
	}
	l := &listener{
		AlpnPolicy: in.AlpnPolicy, Certificates: in.Certificates, DefaultActions: in.DefaultActions,
		LoadBalancerArn: in.LoadBalancerArn, Port: *in.Port, Protocol: in.Protocol, SslPolicy: in.SslPolicy,
		Tags: withTags(nil, in.Tags),
	}
	if refused := c.judgeBalancerTags(nil, in.Tags); refused != nil {
		return nil, refused
	}
	if refused := c.judgeListener(b, l); refused != nil {
		return nil, refused
	}
	have := c.listenersOf(b.LoadBalancerArn)
	if i := slices.IndexFunc(have, func(o *listener) bool { return o.Port == l.Port }); i >= 0 {
		if !sameListener(have[i], l) {
			return nil, duplicateListener(b)
		}
		return listenersOut{Listeners: []listener{*have[i]}}, nil
	}
	if len(have) >= c.limits.NetworkListeners {
		return nil, bad("TooManyListeners", "The quota of %d listeners of a load balancer has been reached", c.limits.NetworkListeners)
	}
	_, path, _ := strings.Cut(b.LoadBalancerArn, ":loadbalancer/")
	l.ListenerArn = c.arn("elasticloadbalancing", "listener/"+path+"/"+c.digits("listener", 16))
	c.listeners.put(l.ListenerArn, l, c.now())
	c.relate()
	return listenersOut{Listeners: []listener{*l}}, nil
}

func duplicateListener(b *balancer) *refusal {
	return bad("DuplicateListener", "A listener already exists on this port for this load balancer '%s'", b.LoadBalancerArn)
}

// sameListener reports whether a create asks for what is there.
func sameListener(a, b *listener) bool {
	return a.Protocol == b.Protocol && a.SslPolicy == b.SslPolicy && slices.Equal(a.AlpnPolicy, b.AlpnPolicy) &&
		slices.EqualFunc(a.Certificates, b.Certificates, func(x, y certificate) bool { return x.CertificateArn == y.CertificateArn }) &&
		slices.Equal(a.groupArns(), b.groupArns()) && sameTags(a.Tags, b.Tags)
}

type modifyListenerIn struct {
	ListenerArn    string
	Port           *int
	Protocol       string
	SslPolicy      string
	Certificates   []certificate
	AlpnPolicy     []string
	DefaultActions []defaultAction
}

func (c *Cloud) modifyListener(in modifyListenerIn) (any, *refusal) {
	old, refused := c.listener(in.ListenerArn)
	if refused != nil {
		return nil, refused
	}
	l := clone(old)
	if in.Port != nil {
		l.Port = *in.Port
	}
	if in.Protocol != "" {
		l.Protocol = in.Protocol
	}
	if l.Protocol != "TLS" {
		l.SslPolicy, l.Certificates, l.AlpnPolicy, l.More = "", nil, nil, nil
	}
	if in.SslPolicy != "" {
		l.SslPolicy = in.SslPolicy
	}
	if len(in.Certificates) > 0 {
		l.Certificates = in.Certificates
	}
	if len(in.AlpnPolicy) > 0 {
		l.AlpnPolicy = in.AlpnPolicy
	}
	if len(in.DefaultActions) > 0 {
		l.DefaultActions = in.DefaultActions
	}
	b, refused := c.balancer(l.LoadBalancerArn)
	if refused != nil {
		return nil, refused
	}
	if slices.ContainsFunc(c.listenersOf(l.LoadBalancerArn), func(o *listener) bool {
		return o.ListenerArn != l.ListenerArn && o.Port == l.Port
	}) {
		return nil, duplicateListener(b)
	}
	if refused := c.judgeListener(b, l); refused != nil {
		return nil, refused
	}
	c.listeners.put(l.ListenerArn, l, c.now())
	c.relate()
	return listenersOut{Listeners: []listener{*l}}, nil
}

func (c *Cloud) listener(arn string) (*listener, *refusal) {
	if l := c.listeners.get(arn); l != nil {
		return l, nil
	}
	return nil, bad("ListenerNotFound", "Listener '%s' not found", arn)
}

type listenerIn struct {
	ListenerArn string
}

func (c *Cloud) deleteListener(in listenerIn) (any, *refusal) {
	if _, refused := c.listener(in.ListenerArn); refused != nil {
		return nil, refused
	}
	c.listeners.remove(in.ListenerArn, c.now())
	c.relate()
	return nil, nil
}

type describeListenersIn struct {
	LoadBalancerArn string
	ListenerArns    []string
	Marker          string
	PageSize        *int
}

func (c *Cloud) describeListeners(in describeListenersIn) (any, *refusal) {
	when := c.seen(ELBV2)
	all := c.listeners.past(when)
	arn := func(l *listener) string { return l.ListenerArn }
	switch {
	case (in.LoadBalancerArn == "") == (len(in.ListenerArns) == 0):
		return nil, invalid("You must specify either listener ARNs or a load balancer ARN")
	case in.LoadBalancerArn != "":
		if c.balancers.at(in.LoadBalancerArn, when) == nil {
			return nil, noBalancer()
		}
		all = slices.DeleteFunc(all, func(l *listener) bool { return l.LoadBalancerArn != in.LoadBalancerArn })
	default:
		var refused *refusal
		if all, refused = pickNamed(all, in.ListenerArns, arn, noResource(":listener/")); refused != nil {
			return nil, refused
		}
	}
	found, next, refused := balancerPage(c, all, arn, in.PageSize, in.Marker)
	return listenersOut{Listeners: values(found), NextMarker: next}, refused
}

func (c *Cloud) describeListenerAttributes(in listenerIn) (any, *refusal) {
	l := c.listeners.at(in.ListenerArn, c.seen(ELBV2))
	if l == nil {
		return nil, noResource(":listener/")
	}
	if l.Protocol != "TCP" {
		return attributesOut{}, nil
	}
	return attributesOut{Attributes: withAttributes(usualAttributes(listenerAttributeRules()), l.Attributes)}, nil
}

type modifyListenerAttributesIn struct {
	ListenerArn string
	Attributes  []attribute
}

func (c *Cloud) modifyListenerAttributes(in modifyListenerAttributesIn) (any, *refusal) {
	l, refused := c.listener(in.ListenerArn)
	if refused != nil {
		return nil, refused
	}
	rules := listenerAttributeRules()
	if l.Protocol != "TCP" {
		rules = nil
	}
	if refused := judgeAttributes("Listener", in.Attributes, rules); refused != nil {
		return nil, refused
	}
	after := withAttributes(l.Attributes, in.Attributes)
	c.listeners.edit(in.ListenerArn, c.now(), func(l *listener) { l.Attributes = after })
	return attributesOut{Attributes: after}, nil
}
