// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	v1 "k8s.io/api/core/v1"
)

// awsName is what AWS takes for the name of a load balancer (LoadBalancerName
// of Elastic Load Balancing).
var awsName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$`)

// awsCheck judges what one annotation alone does not tell: the form of the
// load balancer, the ports, and other annotations.
type awsCheck struct {
	svc      *v1.Service
	in       *Intent
	reg      *Registry
	problems []Problem
}

// awsProblems are what is wrong with a Service for AWS. They take what has no
// effect out of the intent.
func awsProblems(svc *v1.Service, in *Intent, reg *Registry) []Problem {
	c := &awsCheck{svc: svc, in: in, reg: reg}
	c.otherPrefix()
	c.spec()
	c.addresses()
	c.groups()
	c.tls()
	c.attributes()
	c.health()
	c.external()
	c.values()
	c.contradictions()
	return c.problems
}

// awsTold leaves out what the provider tells: whether security groups of a
// network load balancer count at all is in the cloud config, and a type that
// nobody knows is refused where a network load balancer serves.
func awsTold(problems []Problem, form AWSForm) []Problem {
	told := map[AWSForm]string{AWSNetwork: KeyAWSSecurityGroups, AWSClassic: KeyAWSType}
	return slices.DeleteFunc(problems, func(p Problem) bool {
		return p.Severity == Warn && p.Field == annotationField(told[form])
	})
}

// is reports whether the load balancer is of one of the forms.
func (c *awsCheck) is(forms ...AWSForm) bool { return slices.Contains(forms, c.in.AWS) }

// wrong adds a problem with an annotation; after follows key and value.
func (c *awsCheck) wrong(severity Severity, key, after string) {
	used := strings.TrimPrefix(c.in.Options.Source(key), annotationName(""))
	if used == "" {
		used = key
	}
	raw, _ := AWSWritten(c.svc, used)
	reason := ReasonInvalidAnnotation
	if severity == Warn {
		reason = ReasonIgnoredAnnotation
	}
	c.problems = append(c.problems, Problem{
		Severity: severity, Reason: reason, Field: annotationField(used), Value: raw,
		Sentence: annotationName(used) + isValue + quote(raw) + ", " + after,
	})
}

// spec judges fields that AWS has nothing for.
func (c *awsCheck) spec() {
	add := func(severity Severity, field, text, cure string) {
		c.problems = append(c.problems, Problem{
			Severity: severity, Reason: ReasonInvalidField, Field: field, Value: text,
			Sentence: fmt.Sprintf("%s is %s, %s", field, quote(text), cure),
		})
	}
	if text := c.svc.Spec.LoadBalancerIP; text != "" {
		switch c.in.AWS {
		case AWSClassic:
			add(Refuse, "spec.loadBalancerIP", text, "but a classic load balancer has only addresses that AWS chooses; remove it")
		case AWSNetwork:
			add(Refuse, "spec.loadBalancerIP", text, fmt.Sprintf("but must be empty; remove it, or use annotation %s or %s", KeyAWSElasticIPs, KeyAWSPrivateIPv4s))
		case AWSExternal:
			add(Warn, "spec.loadBalancerIP", text, fmt.Sprintf("but has no effect; remove it, or use annotation %s or %s", KeyAWSElasticIPs, KeyAWSPrivateIPv4s))
		}
	}
	if affinity := c.svc.Spec.SessionAffinity; affinity == v1.ServiceAffinityClientIP && c.is(AWSClassic, AWSNetwork) {
		add(Refuse, "spec.sessionAffinity", string(affinity), "but must be None: the load balancer spreads a client's connections over all nodes; set it to None")
	}
}

func (c *awsCheck) addresses() {
	o := c.in.Options
	subnets, ok := o.Texts(KeyAWSSubnets)
	if ok && len(subnets) == 0 {
		c.wrong(Refuse, KeyAWSSubnets, "but must name a subnet; write ids such as \"subnet-0a1b2c3d\", or remove the annotation")
	}
	internal := AWSInternal(*c.in)
	eips, _ := o.Texts(KeyAWSElasticIPs)
	private, _ := o.Addresses(KeyAWSPrivateIPv4s)
	if len(eips) > 0 && internal == AWSInternalYes {
		c.addressesAtFirst(KeyAWSElasticIPs, "but an internal load balancer has no elastic IPs", "remove it, or make the load balancer internet-facing")
	}
	if len(private) > 0 && internal == AWSInternalNo {
		c.addressesAtFirst(KeyAWSPrivateIPv4s, "but private addresses are for internal load balancers", "remove it, or use annotation "+KeyAWSElasticIPs)
	}
	count := func(key string, n int) {
		if n > 0 && len(subnets) > 0 && n != len(subnets) {
			c.addressesAtFirst(key, fmt.Sprintf("but its number of items, %d, is not that of annotation %s, %d", n, KeyAWSSubnets, len(subnets)), "write one for each subnet")
		}
	}
	count(KeyAWSElasticIPs, len(eips))
	count(KeyAWSPrivateIPv4s, len(private))
}

func (c *awsCheck) groups() {
	if _, there := c.svc.Annotations[KeyAWSExtraSecurityGroups]; there && c.is(AWSNetwork) {
		c.wrong(Refuse, KeyAWSExtraSecurityGroups, "but a load balancer of type nlb has none; remove the annotation")
		return
	}
	if !c.is(AWSClassic) {
		return // names are as good as ids, or nothing counts without NLBSecurityGroupMode
	}
	for _, key := range []string{KeyAWSSecurityGroups, KeyAWSExtraSecurityGroups} {
		ids, _ := c.in.Options.Texts(key)
		if i := slices.IndexFunc(ids, func(id string) bool { return !strings.HasPrefix(id, awsSecurityGroupID) }); i >= 0 {
			c.wrong(Refuse, key, fmt.Sprintf("but %s is no id of a security group; write ids such as \"sg-0a1b2c3d\"", quote(ids[i])))
		}
	}
}

func (c *awsCheck) tls() {
	o := c.in.Options
	certificates, _ := o.Texts(KeyAWSCertificates)
	if len(certificates) > 1 && c.is(AWSClassic) {
		c.wrong(Refuse, KeyAWSCertificates, "but a classic load balancer has one certificate; write one ARN, or make a Service of type nlb")
	}
	items := c.tlsPorts()
	if len(certificates) > 0 {
		c.strangePorts(items)
	} else {
		c.withoutTLS(KeyAWSTLSPorts, KeyAWSTLSPolicy, KeyAWSALPNPolicy)
	}
	key := KeyAWSBackendProtocol
	protocol, known := o.Text(key)
	written := c.written(key)
	switch {
	case written == "":
	case c.is(AWSClassic) && !known && slices.ContainsFunc(c.in.Ports, c.terminates):
		c.wrong(Refuse, key, "but must be one of http, https, ssl, tcp on a classic load balancer with a certificate; correct it, or remove the annotation")
	case known && len(certificates) == 0 && (c.is(AWSClassic) && protocol != "http" || protocol == awsBackendSSL):
		c.withoutTLS(key)
	case !c.is(AWSClassic) && known && protocol != awsBackendSSL && protocol != "tcp":
		c.wrong(Warn, key, fmt.Sprintf("but has no effect %s, which knows ssl and tcp; remove it", whereNoEffect(c.in.AWS.String())))
	}
}

// withoutTLS warns of what counts for TLS alone.
func (c *awsCheck) withoutTLS(keys ...string) {
	for _, key := range keys {
		if c.in.Options.Source(key) != "" {
			c.wrong(Warn, key, "but has no effect without a certificate; remove it, or add annotation "+KeyAWSCertificates)
		}
	}
}

// written is what the user wrote in an annotation.
func (c *awsCheck) written(key string) string {
	text, _ := AWSWritten(c.svc, key)
	return text
}

func (c *awsCheck) terminates(p Port) bool { return AWSTerminatesTLS(*c.in, p) }

// tlsPorts keeps the items as written, since cloud-provider-aws compares them
// so; none when all ports are meant.
func (c *awsCheck) tlsPorts() []string {
	key := KeyAWSTLSPorts
	items, ok := c.in.Options.Texts(key)
	if !ok || len(items) == 1 && items[0] == awsAllPorts {
		return nil
	}
	if raw := c.svc.Annotations[key]; c.is(AWSClassic, AWSNetwork) {
		items = strings.Split(raw, ",")
		list := listValue{sep: Comma}
		for _, item := range items {
			list.items = append(list.items, textValue(item))
		}
		c.in.Options.values[key] = option{value: list, key: key}
	}
	return items
}

// strangePorts warns of items for TLS that name no port.
func (c *awsCheck) strangePorts(items []string) {
	var strange []string
	for _, item := range items {
		if !slices.ContainsFunc(c.in.Ports, func(p Port) bool { return AWSNames([]string{item}, c.in.AWS, p) }) {
			strange = append(strange, quote(item))
		}
	}
	if len(strange) == 0 {
		return
	}
	are, those, then := "is no port", "that item", ""
	if len(strange) > 1 {
		are, those = "are no ports", "those items"
	}
	if !slices.ContainsFunc(c.in.Ports, c.terminates) {
		then = ", and no port at all is served with TLS"
	}
	c.wrong(Warn, KeyAWSTLSPorts, fmt.Sprintf("but %s %s of the Service%s; remove %s, or write the number or name of a port as it is, without spaces", listed(strange), are, then, those))
}

// listed are texts in a sentence.
func listed(texts []string) string {
	last := len(texts) - 1
	if last < 1 {
		return strings.Join(texts, "")
	}
	return strings.Join(texts[:last], ", ") + " and " + texts[last]
}

func (c *awsCheck) attributes() {
	key := KeyAWSTargetGroupAttributes
	raw, there := c.svc.Annotations[key]
	pairs, _ := c.in.Options.Pairs(key)
	switch {
	case c.is(AWSExternal):
		return
	case there && c.is(AWSClassic):
		c.wrong(Refuse, key, "but a classic load balancer has no target groups; remove the annotation")
		return
	case there && (strings.TrimSpace(raw) == "" || c.in.Options.Partial(key)):
		c.wrong(Refuse, key, "but must be key=value of "+awsTargetGroupAttributesText+", separated by commas; correct it, or remove the annotation")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		value := pairs[name]
		switch {
		case name != awsPreserveClientIP && name != awsProxyProtocolV2:
			c.wrong(Refuse, key, fmt.Sprintf("but %s is not allowed on a load balancer of type nlb, only %s; remove it", quote(name), awsTargetGroupAttributesText))
		case value != "true" && value != "false":
			c.wrong(Refuse, key, fmt.Sprintf("but %s must be true or false; %s", name, correctPair(value)))
		case name == awsPreserveClientIP && value == "false" && slices.ContainsFunc(c.in.Ports, isUDP):
			c.wrong(Refuse, key, fmt.Sprintf("but ports of UDP always preserve the addresses of clients; remove %s", name))
		default:
			continue
		}
		return
	}
}

func isUDP(p Port) bool { return p.Proto == UDP }

func (c *awsCheck) health() {
	o := c.in.Options
	if text, ok := o.Text(KeyAWSHealthPort); ok && !c.isHealthPort(strings.TrimSpace(text)) {
		after := "but must be traffic-port or a number from 1 to 65535"
		if c.is(AWSExternal) {
			after = "but must be traffic-port, a number from 1 to 65535 or the name of a port of the Service"
		}
		c.wrong(Refuse, KeyAWSHealthPort, after+"; correct it, or remove the annotation")
	}
	if !c.is(AWSClassic) {
		return
	}
	timeout, set := o.Int(KeyAWSHealthTimeout)
	if !set {
		timeout = awsClassicHealthTimeout
	}
	interval, ok := o.Int(KeyAWSHealthInterval)
	if !ok {
		interval = awsClassicHealthInterval
	}
	if timeout >= interval && (ok || set) {
		key := KeyAWSHealthInterval
		if !ok {
			key = KeyAWSHealthTimeout
		}
		c.wrong(Refuse, key, fmt.Sprintf("but the timeout of %d seconds must be below the interval of %d; lower the timeout, or raise the interval", timeout, interval))
	}
}

func (c *awsCheck) isHealthPort(text string) bool {
	if text == awsTrafficPort {
		return true
	}
	if n, err := strconv.Atoi(text); err == nil {
		return n >= 1 && n <= maxPort
	}
	return c.is(AWSExternal) && slices.ContainsFunc(c.in.Ports, func(p Port) bool { return p.Name == text })
}

// external judges what only the Load Balancer Controller's form has.
func (c *awsCheck) external() {
	if !c.is(AWSExternal) {
		return
	}
	o := c.in.Options
	if name, ok := o.Text(KeyAWSName); ok && (!awsName.MatchString(name) || strings.HasPrefix(name, awsReservedName)) {
		c.wrong(Refuse, KeyAWSName, "but must be letters, digits and dashes, with a letter or digit at both ends, and not begin with internal-; correct it, or remove the annotation")
	}
	if o.Source(KeyAWSQUICPorts) != "" {
		c.wrong(Refuse, KeyAWSQUICPorts, "but QUIC is not supported yet; remove it, or leave the Service to the AWS Load Balancer Controller")
	}
	for _, key := range (&Annotation{Key: keyAWSActions}).found(c.svc.Annotations) {
		c.wrong(Refuse, key, "but forwarding with weights is not supported yet; remove it, or leave the Service to the AWS Load Balancer Controller")
	}
}

// AWSScheme is whether a load balancer is asked to be internal. The zero value
// is none.
type AWSScheme uint8

// The answers.
const (
	AWSInternalYes   AWSScheme = iota + 1
	AWSInternalNo              // internet-facing
	AWSInternalUnset           // as the cloud config says, or as it is
)

// AWSInternal is whether the annotations ask for an internal load balancer:
// cloud-provider-aws takes silence for no, the Load Balancer Controller leaves
// it to its settings.
func AWSInternal(in Intent) AWSScheme {
	scheme, ok := in.Options.Text(KeyAWSScheme)
	internal, set := in.Options.Bool(KeyAWSInternal)
	switch {
	case ok && scheme == awsInternalScheme, !ok && internal:
		return AWSInternalYes
	case ok, set, in.AWS != AWSExternal:
		return AWSInternalNo
	}
	return AWSInternalUnset
}
