// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	v1 "k8s.io/api/core/v1"
)

// Forms of values that AWS would refuse after half of the load balancer is
// made: the API references of Elastic Load Balancing, EC2, IAM and S3.
var (
	// awsCertificate is the ARN of a certificate of ACM, or of a server
	// certificate of IAM, in any partition; AWS compares it in any case.
	awsCertificate = regexp.MustCompile(`(?i)^arn:[a-z0-9-]+:(acm:[a-z0-9-]+:[0-9]+:certificate/\S+|iam::[0-9]+:server-certificate/\S+)$`)
	awsAllocation  = regexp.MustCompile(`^eipalloc-[0-9a-f]+$`)
	awsPrefixList  = regexp.MustCompile(`^pl-[0-9a-f]+$`)
	awsPolicyName  = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)
	// awsBucket allows what the oldest buckets have.
	awsBucket  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{2,254}$`)
	awsTagText = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
)

// values judges the form of values, where they count: what a peer passes over
// goes on to be passed over.
func (c *awsCheck) values() {
	c.tags()
	c.elasticIPs()
	c.logs()
	c.prefixLists()
	if slices.ContainsFunc(c.in.Ports, func(p Port) bool { return p.Proto == TCP && c.terminates(p) }) {
		c.certificates()
	}
	if c.is(AWSExternal) {
		c.externalAttributes()
	}
	c.pairs()
}

// isMade reports whether there is a load balancer, as the status says.
func (c *awsCheck) isMade() bool { return len(c.svc.Status.LoadBalancer.Ingress) > 0 }

// atFirst is for what cloud-provider-aws reads when it makes a load balancer,
// and never after: later a value that is not allowed is left out.
func (c *awsCheck) atFirst(key, problem, cure string) Severity {
	if c.is(AWSNetwork) && c.isMade() {
		c.wrong(Warn, key, problem+"; it is left out: "+cure)
		return Warn
	}
	c.wrong(Refuse, key, problem+"; "+cure)
	return Refuse
}

// addressesAtFirst judges addresses by [awsCheck.atFirst].
func (c *awsCheck) addressesAtFirst(key, problem, cure string) {
	if _, counts := c.in.Options.values[key]; counts && c.atFirst(key, problem, cure) == Warn {
		delete(c.in.Options.values, key)
		c.in.AWSLeftOut = append(c.in.AWSLeftOut, key)
	}
}

func (c *awsCheck) tags() {
	pairs, _ := c.in.Options.Pairs(KeyAWSTags)
	told := false
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		problem := tagProblem(key, pairs[key])
		if problem == "" {
			continue
		}
		if !told && c.atFirst(KeyAWSTags, "but "+problem, "name another, or take it away") == Refuse {
			return
		}
		told = true
		delete(pairs, key)
	}
	if told {
		o := c.in.Options.values[KeyAWSTags]
		o.value = pairsValue(pairs)
		c.in.Options.values[KeyAWSTags] = o
	}
}

// tagProblem is what AWS does not take of a tag; empty when it takes it.
func tagProblem(key, value string) string {
	const allowed = "only letters, digits, spaces and _ . : / = + - @ are allowed"
	switch {
	case strings.HasPrefix(strings.ToLower(key), awsReservedTags):
		return fmt.Sprintf("tag %s begins with %s, which AWS keeps for its own", quote(key), awsReservedTags)
	case utf8.RuneCountInString(key) > awsTagKeyMax:
		return fmt.Sprintf("the key of tag %s has %d characters, and at most %d are allowed", quote(key), utf8.RuneCountInString(key), awsTagKeyMax)
	case utf8.RuneCountInString(value) > awsTagValueMax:
		return fmt.Sprintf("the value of tag %s has %d characters, and at most %d are allowed", quote(key), utf8.RuneCountInString(value), awsTagValueMax)
	case !awsTagText.MatchString(key):
		return fmt.Sprintf("of the key of tag %s %s", quote(key), allowed)
	case !awsTagText.MatchString(value):
		return fmt.Sprintf("of the value of tag %s %s", quote(key), allowed)
	}
	return ""
}

// unlike is the first item that is not of the form.
func unlike(items []string, form *regexp.Regexp) (string, bool) {
	i := slices.IndexFunc(items, func(s string) bool { return !form.MatchString(s) })
	if i < 0 {
		return "", false
	}
	return items[i], true
}

func (c *awsCheck) elasticIPs() {
	ids, _ := c.in.Options.Texts(KeyAWSElasticIPs)
	item, bad := unlike(ids, awsAllocation)
	if !bad {
		return
	}
	c.addressesAtFirst(KeyAWSElasticIPs, fmt.Sprintf("but %s is no allocation id of an elastic IP", quote(item)), `write ids such as "eipalloc-0a1b2c3d"`)
}

// prefixLists count where the load balancer gets a security group of its own.
func (c *awsCheck) prefixLists() {
	o := c.in.Options
	given, _ := o.Texts(KeyAWSSecurityGroups)
	none, _ := o.Bool(KeyAWSNoSecurityGroup)
	lists, _ := o.Texts(KeyAWSPrefixLists)
	if item, bad := unlike(lists, awsPrefixList); bad && len(given) == 0 && !none {
		c.wrong(Refuse, KeyAWSPrefixLists, fmt.Sprintf(`but %s is no id of a prefix list; write ids such as "pl-0a1b2c3d"`, quote(item)))
	}
}

// certificates judges what counts for listeners with TLS.
func (c *awsCheck) certificates() {
	arns, _ := c.in.Options.Texts(KeyAWSCertificates)
	if item, bad := unlike(arns, awsCertificate); bad && !c.isTold(KeyAWSCertificates) {
		c.wrong(Refuse, KeyAWSCertificates, fmt.Sprintf(
			`but %s is no ARN of a certificate of ACM or IAM; write it like "arn:aws:acm:eu-west-1:111122223333:certificate/ID" or "arn:aws:iam::111122223333:server-certificate/NAME"`, quote(item)))
	}
	if policy, ok := c.in.Options.Text(KeyAWSTLSPolicy); ok && !awsPolicyName.MatchString(policy) {
		c.wrong(Refuse, KeyAWSTLSPolicy, `but must be the name of one policy of AWS, without spaces; write it like "ELBSecurityPolicy-TLS13-1-2-2021-06", or remove the annotation`)
	}
}

// logs judges the bucket, which may be set by hand where the Load Balancer
// Controller serves: it sends none that is not annotated.
func (c *awsCheck) logs() {
	o := c.in.Options
	attributes, _ := o.Pairs(KeyAWSAttributes)
	bucket, _ := o.Text(KeyAWSAccessLogBucket)
	on, _ := o.Bool(KeyAWSAccessLog)
	switch byAttribute := attributes[awsLogsBucket]; {
	case on && bucket == "" && byAttribute == "" && (!c.is(AWSExternal) || !c.isMade()):
		c.wrong(Refuse, KeyAWSAccessLog, fmt.Sprintf("but no bucket is named; name it in annotation %s, or write false here", KeyAWSAccessLogBucket))
	case on && bucket != "" && !awsBucket.MatchString(bucket):
		c.wrong(Refuse, KeyAWSAccessLogBucket, fmt.Sprintf("but must be the name of a bucket alone: 3 to 63 lower case letters, digits, dots and dashes, without s3://, ARN or path; correct it, and write a path in annotation %s", KeyAWSAccessLogPrefix))
	case !on && strings.EqualFold(attributes[awsLogsOn], "true") && byAttribute == "" && !c.isMade():
		c.wrong(Refuse, KeyAWSAttributes, fmt.Sprintf("but %s needs a bucket; add %s=NAME", awsLogsOn, awsLogsBucket))
	}
}

// awsAttribute is what AWS takes for an attribute. One that is not known here
// passes: AWS makes new ones, and refuses itself what it does not know.
type awsAttribute struct {
	Kind
	also string // another value that is allowed; empty: none
}

// refuses is what is allowed instead of the value, and false when it is taken.
func (k awsAttribute) refuses(value string) (allowed string, refused bool) {
	if _, ok := k.parse(value); ok || k.also != "" && value == k.also {
		return "", false
	}
	if k.also != "" {
		return k.allowed() + ", or " + k.also, true
	}
	return k.allowed(), true
}

// Attributes that have annotations of their own.
const (
	awsLogsOn     = "access_logs.s3.enabled"
	awsLogsBucket = "access_logs.s3.bucket"
	awsCrossZone  = "load_balancing.cross_zone.enabled"
)

// AWSProtection is the attribute with which AWS does not delete a load balancer.
const AWSProtection = "deletion_protection.enabled"

// AWSUnprotects reports whether an annotation switches that off. It counts for a
// Service that wants no load balancer any more, too, which has no intent.
func AWSUnprotects(svc *v1.Service) bool {
	if AWSFormOf(svc) != AWSExternal {
		return false
	}
	text, _ := AWSWritten(svc, KeyAWSAttributes)
	pairs, _ := awsTheirPairs().parts(text).(pairsValue)
	return strings.EqualFold(pairs[AWSProtection], "false")
}

// awsBalancerAttributes are those of network load balancers: Elastic Load
// Balancing, LoadBalancerAttribute.
func awsBalancerAttributes() map[string]awsAttribute {
	return map[string]awsAttribute{
		awsLogsOn:                    {Kind: Bool{}},
		AWSProtection:                {Kind: Bool{}},
		awsCrossZone:                 {Kind: Bool{}},
		"ipv6.deny_all_igw_traffic":  {Kind: Bool{}},
		"zonal_shift.config.enabled": {Kind: Bool{}},
		"dns_record.client_routing_policy": {Kind: Enum{Values: []string{
			"availability_zone_affinity", "partial_availability_zone_affinity", "any_availability_zone",
		}}},
	}
}

// awsGroupAttributes are those of target groups of network load balancers:
// Elastic Load Balancing, TargetGroupAttribute.
func awsGroupAttributes() map[string]awsAttribute {
	percentage := awsAttribute{Kind: Int{Min: 1, Max: 100}, also: "off"}
	return map[string]awsAttribute{
		awsPreserveClientIP:                                   {Kind: Bool{}},
		awsProxyProtocolV2:                                    {Kind: Bool{}},
		"stickiness.enabled":                                  {Kind: Bool{}},
		"deregistration_delay.timeout_seconds":                {Kind: Int{Min: 0, Max: 3600, Unit: "seconds"}},
		"deregistration_delay.connection_termination.enabled": {Kind: Bool{}},
		awsCrossZone:                                          {Kind: Bool{}, also: "use_load_balancer_configuration"},
		"target_health_state.unhealthy.connection_termination.enabled": {Kind: Bool{}},
		"target_health_state.unhealthy.draining_interval_seconds":      {Kind: Int{Min: 0, Max: 360000, Unit: "seconds"}},

		"target_group_health.dns_failover.minimum_healthy_targets.percentage":            percentage,
		"target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": percentage,
	}
}

// awsListenerAttributes are those of listeners of network load balancers:
// Elastic Load Balancing, ListenerAttribute.
func awsListenerAttributes() map[string]awsAttribute {
	return map[string]awsAttribute{"tcp.idle_timeout.seconds": {Kind: Int{Min: 60, Max: 6000, Unit: "seconds"}}}
}

// externalAttributes judges attributes in the words of AWS, those of ports and
// listeners where the Service has them.
func (c *awsCheck) externalAttributes() {
	c.attributesOf(KeyAWSAttributes, awsBalancerAttributes())
	c.attributesOf(KeyAWSTargetGroupAttributes, awsGroupAttributes())
	seen := map[string]bool{}
	once := func(key string, known map[string]awsAttribute) {
		if !seen[key] {
			c.attributesOf(key, known)
		}
		seen[key] = true
	}
	for _, p := range c.in.Ports {
		once(AWSTargetGroupAttributesKey(p.Port), awsGroupAttributes())
		once(AWSListenerAttributesKey(c.listener(p), p.Port), awsListenerAttributes())
	}
}

// listener is the protocol of the listener of a port.
func (c *awsCheck) listener(p Port) string {
	both := slices.ContainsFunc(c.in.Ports, func(q Port) bool { return q.Port == p.Port && q.Proto != p.Proto })
	switch {
	case both:
		return "TCP_UDP"
	case isUDP(p):
		return "UDP"
	case c.terminates(p):
		return "TLS"
	}
	return "TCP"
}

// correctPair is what to do about a pair with a value that is not allowed: pairs
// are parted by commas, and who takes semicolons gets one long value.
func correctPair(value string) string {
	if _, after, semicolon := strings.Cut(value, ";"); semicolon && strings.Contains(after, "=") {
		return "write commas between pairs, not semicolons"
	}
	return "correct it, or remove it"
}

// attributesOf tells of the first value that AWS does not take.
func (c *awsCheck) attributesOf(key string, known map[string]awsAttribute) {
	pairs, _ := c.in.Options.Pairs(key)
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		k, ok := known[name]
		if !ok {
			continue
		}
		if allowed, refused := k.refuses(pairs[name]); refused {
			c.wrong(Refuse, key, fmt.Sprintf("but %s must be %s, and is %s; %s", name, allowed, quote(pairs[name]), correctPair(pairs[name])))
			return
		}
	}
}
