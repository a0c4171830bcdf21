// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"slices"
	"strings"
)

// usualPolicy is the TLS policy of listeners that name none.
const usualPolicy = "ELBSecurityPolicy-2016-08"

// judgeListener judges a listener as it is to be, and fills in what is left out.
func (c *Cloud) judgeListener(b *balancer, l *listener) *refusal {
	if l.Port < 1 || l.Port > 65535 {
		return invalid("The port '%d' must be from 1 to 65535", l.Port)
	}
	if !slices.Contains([]string{"TCP", "UDP", "TCP_UDP", "TLS"}, l.Protocol) {
		return invalid("Listener protocol '%s' must be one of 'TCP, UDP, TCP_UDP, TLS'", l.Protocol)
	}
	if strings.HasSuffix(l.Protocol, "UDP") && b.IPAddressType == dualstack && b.EnablePrefix != "on" {
		return unfit("UDP listeners of a dualstack load balancer need EnablePrefixForIpv6SourceNat")
	}
	if refused := c.judgeTLS(l); refused != nil {
		return refused
	}
	return c.judgeForward(b, l)
}

func (c *Cloud) judgeTLS(l *listener) *refusal {
	if l.Protocol != "TLS" {
		if len(l.Certificates) > 0 || l.SslPolicy != "" {
			return unfit("Certificates and security policies can be specified for TLS listeners only")
		}
		if len(l.AlpnPolicy) > 0 {
			return unfit("ALPN policies can be specified for TLS listeners only")
		}
		return nil
	}
	if len(l.Certificates) != 1 {
		return bad("CertificateNotFound", "Exactly one certificate must be specified for a TLS listener")
	}
	for i := range l.Certificates {
		if refused := c.judgeCertificate(l.Certificates[i].CertificateArn); refused != nil {
			return refused
		}
		l.Certificates[i].IsDefault = nil
	}
	if l.SslPolicy == "" {
		l.SslPolicy = usualPolicy
	}
	if !strings.HasPrefix(l.SslPolicy, "ELBSecurityPolicy-") {
		return bad("SSLPolicyNotFound", "The security policy '%s' does not exist", l.SslPolicy)
	}
	known := []string{"HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred", "None"}
	if len(l.AlpnPolicy) > 1 || len(l.AlpnPolicy) == 1 && !slices.Contains(known, l.AlpnPolicy[0]) {
		return bad("ALPNPolicyNotSupported", "The ALPN policy '%s' is not supported", strings.Join(l.AlpnPolicy, ", "))
	}
	return nil
}

// judgeCertificate reports whether there is such a certificate, of ACM or IAM.
func (c *Cloud) judgeCertificate(arn string) *refusal {
	formed := strings.HasPrefix(arn, "arn:") &&
		(strings.Contains(arn, ":certificate/") || strings.Contains(arn, ":server-certificate/"))
	if formed && (len(c.certs) == 0 || c.certs[arn]) {
		return nil
	}
	return bad("CertificateNotFound", "Certificate '%s' not found", arn)
}

// judgeForward judges where a listener forwards to.
func (c *Cloud) judgeForward(b *balancer, l *listener) *refusal {
	if len(l.DefaultActions) != 1 || l.DefaultActions[0].Type != "forward" {
		return bad("InvalidLoadBalancerAction", "A listener must have exactly one default action, of type forward")
	}
	arns := l.groupArns()
	if len(arns) == 0 || len(arns) > c.limits.TargetGroupsPerAction {
		return invalid("A forward action must specify from 1 to %d target groups", c.limits.TargetGroupsPerAction)
	}
	fitting := map[string][]string{
		"TCP": {"TCP", "TCP_UDP"}, "UDP": {"UDP", "TCP_UDP"}, "TCP_UDP": {"TCP_UDP"}, "TLS": {"TLS", "TCP"},
	}
	for _, arn := range arns {
		g := c.targets.get(arn)
		switch {
		case g == nil:
			return bad("TargetGroupNotFound", "Target group '%s' not found", arn)
		case !slices.Contains(fitting[l.Protocol], g.Protocol):
			return bad("IncompatibleProtocols", "The protocol '%s' of the target group '%s' cannot be used with a listener of protocol '%s'",
				g.Protocol, arn, l.Protocol)
		case g.VPCID != b.VPCID:
			return unfit("The target group '%s' and the load balancer must be in the same VPC", arn)
		case g.IPAddressType == ipv6 && b.IPAddressType != dualstack:
			return unfit("The target group '%s' of IP address type ipv6 needs a dualstack load balancer", arn)
		}
		for _, o := range c.listeners.all() {
			if o.LoadBalancerArn != b.LoadBalancerArn && slices.Contains(o.groupArns(), arn) {
				return bad("TargetGroupAssociationLimit",
					"The following target groups cannot be associated with more than one load balancer: %s", arn)
			}
		}
	}
	if a := &l.DefaultActions[0]; a.TargetGroupArn == "" && len(arns) == 1 {
		a.TargetGroupArn = arns[0]
	}
	return nil
}

// relate writes into each target group the load balancers that use it.
func (c *Cloud) relate() {
	users := map[string][]string{}
	for _, l := range c.listeners.all() {
		for _, arn := range l.groupArns() {
			if !slices.Contains(users[arn], l.LoadBalancerArn) {
				users[arn] = append(users[arn], l.LoadBalancerArn)
			}
		}
	}
	for _, g := range c.targets.all() {
		if !slices.Equal(g.LoadBalancerArns, users[g.TargetGroupArn]) {
			c.targets.edit(g.TargetGroupArn, c.now(), func(g *targetGroup) { g.LoadBalancerArns = users[g.TargetGroupArn] })
		}
	}
}

type certificatesIn struct {
	ListenerArn  string
	Certificates []certificate
}

type certificatesOut struct {
	Certificates []certificate
	NextMarker   string `json:",omitempty"`
}

func (c *Cloud) addCertificates(in certificatesIn) (any, *refusal) {
	l, refused := c.listener(in.ListenerArn)
	if refused != nil {
		return nil, refused
	}
	if l.Protocol != "TLS" {
		return nil, unfit("Certificates can be added to TLS listeners only")
	}
	more := slices.Clone(l.More)
	for _, cert := range in.Certificates {
		if refused := c.judgeCertificate(cert.CertificateArn); refused != nil {
			return nil, refused
		}
		if !hasCertificate(more, cert.CertificateArn) {
			more = append(more, certificate{CertificateArn: cert.CertificateArn})
		}
	}
	if len(more) > c.limits.Certificates {
		return nil, bad("TooManyCertificates", "The quota of %d certificates has been reached", c.limits.Certificates)
	}
	c.listeners.edit(in.ListenerArn, c.now(), func(l *listener) { l.More = more })
	return certificatesOut{Certificates: more}, nil
}

func hasCertificate(list []certificate, arn string) bool {
	return slices.ContainsFunc(list, func(c certificate) bool { return c.CertificateArn == arn })
}

func (c *Cloud) removeCertificates(in certificatesIn) (any, *refusal) {
	l, refused := c.listener(in.ListenerArn)
	if refused != nil {
		return nil, refused
	}
	for _, cert := range in.Certificates {
		if hasCertificate(l.Certificates, cert.CertificateArn) {
			return nil, bad("OperationNotPermitted", "The default certificate '%s' cannot be removed", cert.CertificateArn)
		}
	}
	c.listeners.edit(in.ListenerArn, c.now(), func(l *listener) {
		l.More = slices.DeleteFunc(l.More, func(have certificate) bool {
			return hasCertificate(in.Certificates, have.CertificateArn)
		})
	})
	return nil, nil
}

type describeCertificatesIn struct {
	ListenerArn string
	Marker      string
	PageSize    *int
}

func (c *Cloud) describeCertificates(in describeCertificatesIn) (any, *refusal) {
	l := c.listeners.at(in.ListenerArn, c.seen(ELBV2))
	if l == nil {
		return nil, noResource(":listener/")
	}
	var all []*certificate
	for i, list := range [][]certificate{l.Certificates, l.More} {
		for _, cert := range list {
			isDefault := i == 0
			all = append(all, &certificate{CertificateArn: cert.CertificateArn, IsDefault: &isDefault})
		}
	}
	slices.SortFunc(all, func(a, b *certificate) int { return strings.Compare(a.CertificateArn, b.CertificateArn) })
	found, next, refused := balancerPage(c, all, func(v *certificate) string { return v.CertificateArn }, in.PageSize, in.Marker)
	return certificatesOut{Certificates: values(found), NextMarker: next}, refused
}
