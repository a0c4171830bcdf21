// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider/aws"
)

const proxyPolicy, tlsPolicyPrefix, tlsDefault = "k8s-proxyprotocol-enabled", "k8s-SSLNegotiationPolicy-", "ELBSecurityPolicy-2016-08"

func (p *peer) ensureClassic(svc *v1.Service) {
	name := baseName(svc)
	groups, own := p.classicGroups(svc)
	c := p.observed.Classics[name]
	var before []string
	if c == nil {
		c = &aws.Classic{Tags: p.tagsFor(svc, false)}
		c.LoadBalancerName, c.VPCId = &name, &p.settings.VPC
		c.DNSName = awssdk.String(name + "-1302402615.us-east-1.elb.amazonaws.com")
		c.Scheme, c.Policies = awssdk.String("internet-facing"), &elbtypes.Policies{}
		if isInternal(svc) {
			c.Scheme, c.DNSName = awssdk.String("internal"), awssdk.String("internal-"+*c.DNSName)
		}
	} else {
		c, before = new(*c), c.SecurityGroups
		c.Tags = maps.Clone(c.Tags)
		if c.Policies == nil {
			c.Policies = &elbtypes.Policies{}
		}
		c.Policies = new(*c.Policies)
		maps.Copy(c.Tags, pairsOf(svc, "additional-resource-tags"))
	}
	p.observed.Classics[name] = c
	c.Subnets = nil
	for _, s := range p.subnetsOf(svc) {
		c.Subnets = append(c.Subnets, *s.SubnetId)
	}
	c.SecurityGroups = groups
	if own {
		var ports []int32
		for _, port := range portsServed(svc) {
			ports = append(ports, port.Port)
		}
		p.open(groups[0], "tcp", ports, clientsOf(svc))
	}
	for _, id := range before {
		if !slices.Contains(groups, id) && p.ownsClassicGroup(svc, id) {
			p.drop(id)
		}
	}
	p.classicListeners(svc, c)
	p.classicProxies(svc, c)
	c.Attributes = classicAttributesOf(svc)
	c.HealthCheck = p.classicHealth(svc)
	c.Instances = nil
	machines := p.machines(svc)
	for _, id := range machines {
		c.Instances = append(c.Instances, elbtypes.Instance{InstanceId: awssdk.String(id)})
	}
	p.letInGroup(groups[0], machines)
	svc.Status.LoadBalancer.Ingress = []v1.LoadBalancerIngress{{Hostname: *c.DNSName}}
}

// classicGroups are the security groups of a load balancer, that from which the
// nodes let in first, and whether that one is its own.
func (p *peer) classicGroups(svc *v1.Service) (groups []string, own bool) {
	groups = trimmed(svc, "security-groups")
	switch {
	case len(groups) > 0:
	case p.keys["ElbSecurityGroup"] != "":
		groups = []string{p.keys["ElbSecurityGroup"]}
	default:
		about := fmt.Sprintf("Security group for Kubernetes ELB %s (%s/%s)", baseName(svc), svc.Namespace, svc.Name)
		groups, own = []string{p.group(svc, "k8s-elb-"+baseName(svc), about)}, true
	}
	return append(groups, trimmed(svc, "extra-security-groups")...), own
}

// ownsClassicGroup reports whether a group that a load balancer has goes with
// it.
func (p *peer) ownsClassicGroup(svc *v1.Service, id string) bool {
	given := append(trimmed(svc, "security-groups"), trimmed(svc, "extra-security-groups")...)
	return p.hasClusterTag(id) && id != p.keys["ElbSecurityGroup"] && !slices.Contains(given, id)
}

// classicListeners makes what differs anew, by the port.
func (p *peer) classicListeners(svc *v1.Service, c *aws.Classic) {
	had := c.ListenerDescriptions
	c.ListenerDescriptions = nil
	for _, port := range portsServed(svc) {
		l := classicListenerOf(svc, port)
		d := elbtypes.ListenerDescription{Listener: &l}
		for _, h := range had {
			if same := *h.Listener; same.LoadBalancerPort == l.LoadBalancerPort && *same.InstancePort == *l.InstancePort && *same.Protocol == *l.Protocol &&
				*same.InstanceProtocol == *l.InstanceProtocol && strings.EqualFold(awssdk.ToString(same.SSLCertificateId), awssdk.ToString(l.SSLCertificateId)) {
				d.PolicyNames = h.PolicyNames
			}
		}
		if tls := *l.Protocol == "SSL" || *l.Protocol == "HTTPS"; tls {
			if policy := word(svc, "ssl-negotiation-policy"); policy != "" {
				d.PolicyNames = []string{tlsPolicyPrefix + policy}
			} else if d.PolicyNames == nil {
				d.PolicyNames = []string{tlsDefault}
			}
			addPolicies(c, d.PolicyNames)
		}
		c.ListenerDescriptions = append(c.ListenerDescriptions, d)
	}
}

func classicListenerOf(svc *v1.Service, port v1.ServicePort) elbtypes.Listener {
	backend := word(svc, "backend-protocol")
	front, back := "TCP", "TCP"
	l := elbtypes.Listener{LoadBalancerPort: port.Port, InstancePort: awssdk.Int32(port.NodePort)}
	switch {
	case tlsAt(svc, port.Port, strings.ToLower(port.Name)):
		l.SSLCertificateId = awssdk.String(word(svc, "ssl-cert"))
		front = "SSL"
		if backend == "http" || backend == "https" {
			front = "HTTPS"
		}
		if backend != "" {
			back = strings.ToUpper(backend)
		}
	case backend == "http":
		front, back = "HTTP", "HTTP"
	}
	l.Protocol, l.InstanceProtocol = &front, &back
	return l
}

// classicProxies puts the PROXY protocol at all node ports, or takes it away.
func (p *peer) classicProxies(svc *v1.Service, c *aws.Classic) {
	c.BackendServerDescriptions = nil
	if word(svc, "proxy-protocol") != "*" {
		return
	}
	addPolicies(c, []string{proxyPolicy})
	for _, l := range c.ListenerDescriptions {
		c.BackendServerDescriptions = append(c.BackendServerDescriptions, elbtypes.BackendServerDescription{
			InstancePort: l.Listener.InstancePort, PolicyNames: []string{proxyPolicy},
		})
	}
}

// addPolicies notes policies that are never deleted.
func addPolicies(c *aws.Classic, list []string) {
	for _, name := range list {
		if !slices.Contains(c.Policies.OtherPolicies, name) {
			c.Policies.OtherPolicies = append(slices.Clone(c.Policies.OtherPolicies), name)
		}
	}
}

// classicAttributesOf are sent whole each time; AWS adds what it has besides.
func classicAttributesOf(svc *v1.Service) *elbtypes.LoadBalancerAttributes {
	a := &elbtypes.LoadBalancerAttributes{
		AccessLog:              &elbtypes.AccessLog{Enabled: on(svc, "access-log-enabled")},
		ConnectionDraining:     &elbtypes.ConnectionDraining{Enabled: on(svc, "connection-draining-enabled"), Timeout: awssdk.Int32(number(svc, "connection-draining-timeout", 300))},
		ConnectionSettings:     &elbtypes.ConnectionSettings{IdleTimeout: awssdk.Int32(number(svc, "connection-idle-timeout", 60))},
		CrossZoneLoadBalancing: &elbtypes.CrossZoneLoadBalancing{Enabled: on(svc, "cross-zone-load-balancing-enabled")},
		AdditionalAttributes:   []elbtypes.AdditionalAttribute{{Key: awssdk.String("elb.http.desyncmitigationmode"), Value: awssdk.String("defensive")}},
	}
	if a.AccessLog.Enabled || word(svc, "access-log-emit-interval") != "" {
		a.AccessLog.EmitInterval = awssdk.Int32(number(svc, "access-log-emit-interval", 60))
	}
	if text := word(svc, "access-log-s3-bucket-name"); text != "" {
		a.AccessLog.S3BucketName = &text
	}
	if text := word(svc, "access-log-s3-bucket-prefix"); text != "" {
		a.AccessLog.S3BucketPrefix = &text
	}
	return a
}

func (p *peer) classicHealth(svc *v1.Service) *elbtypes.HealthCheck {
	protocol, port, path := "TCP", portsServed(svc)[0].NodePort, ""
	switch backend := strings.ToLower(word(svc, "backend-protocol")); {
	case svc.Spec.ExternalTrafficPolicy == v1.ServiceExternalTrafficPolicyLocal:
		protocol, path = "HTTP", "/healthz"
		if word(svc, "healthcheck-port") != "traffic-port" {
			port = svc.Spec.HealthCheckNodePort
		}
	case p.sharedProbe():
		protocol, path = "HTTP", p.probePath()
		port = p.probePort()
	case backend == "https" || backend == "ssl":
		protocol = "SSL"
	}
	if text := word(svc, "healthcheck-protocol"); text != "" {
		protocol = strings.ToUpper(text) // as AWS shows it
	}
	if text := word(svc, "healthcheck-port"); text != "traffic-port" {
		port = number(svc, "healthcheck-port", port)
	}
	if protocol != "HTTP" && protocol != "HTTPS" {
		path = ""
	} else if text := word(svc, "healthcheck-path"); text != "" {
		path = text
	} else if path == "" {
		path = "/"
	}
	return &elbtypes.HealthCheck{
		Target:             awssdk.String(fmt.Sprintf("%s:%d%s", protocol, port, path)),
		HealthyThreshold:   awssdk.Int32(number(svc, "healthcheck-healthy-threshold", 2)),
		UnhealthyThreshold: awssdk.Int32(number(svc, "healthcheck-unhealthy-threshold", 6)),
		Timeout:            awssdk.Int32(number(svc, "healthcheck-timeout", 5)),
		Interval:           awssdk.Int32(number(svc, "healthcheck-interval", 10)),
	}
}

func (p *peer) deleteClassic(svc *v1.Service) {
	c := p.observed.Classics[baseName(svc)]
	if c == nil {
		return
	}
	p.letInGroup(c.SecurityGroups[0], nil)
	delete(p.observed.Classics, baseName(svc))
	for _, id := range c.SecurityGroups {
		if p.ownsClassicGroup(svc, id) {
			p.drop(id)
		}
	}
}
