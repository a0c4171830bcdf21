// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// valueOf is the value of an attribute; "" when it is not there.
func valueOf(attributes []attribute, key string) string {
	for _, a := range attributes {
		if a.Key == key {
			return a.Value
		}
	}
	return ""
}

// attributeRule says what an attribute may be: its usual value, and either a
// list of values, a range, or any text when there is neither.
type attributeRule struct {
	usual  string
	values string // separated by blanks
	least  int
	most   int
}

func (r attributeRule) allows(value string) bool {
	if slices.Contains(strings.Fields(r.values), value) {
		return true
	}
	if r.most > 0 {
		n, err := strconv.Atoi(value)
		return err == nil && n >= r.least && n <= r.most
	}
	return r.values == ""
}

const truths = "true false"

// balancerAttributeRules are the attributes of network load balancers: the API
// reference on LoadBalancerAttribute.
func balancerAttributeRules() map[string]attributeRule {
	return map[string]attributeRule{
		"access_logs.s3.bucket":                  {},
		"access_logs.s3.enabled":                 {usual: "false", values: truths},
		"access_logs.s3.prefix":                  {},
		"deletion_protection.enabled":            {usual: "false", values: truths},
		"dns_record.client_routing_policy":       {usual: "any_availability_zone", values: "any_availability_zone availability_zone_affinity partial_availability_zone_affinity"},
		"ipv6.deny_all_igw_traffic":              {usual: "false", values: truths},
		"load_balancing.cross_zone.enabled":      {usual: "false", values: truths},
		"secondary_ips.auto_assigned.per_subnet": {usual: "0", values: "0", most: 7},
		"zonal_shift.config.enabled":             {usual: "false", values: truths},
	}
}

// groupAttributeRules are the attributes of target groups of network load
// balancers: the API reference on TargetGroupAttribute.
func groupAttributeRules() map[string]attributeRule {
	return map[string]attributeRule{
		"deregistration_delay.connection_termination.enabled":                            {usual: "false", values: truths},
		"deregistration_delay.timeout_seconds":                                           {usual: "300", values: "0", most: 3600},
		"load_balancing.cross_zone.enabled":                                              {usual: "use_load_balancer_configuration", values: truths + " use_load_balancer_configuration"},
		"preserve_client_ip.enabled":                                                     {usual: "true", values: truths},
		"proxy_protocol_v2.enabled":                                                      {usual: "false", values: truths},
		"stickiness.enabled":                                                             {usual: "false", values: truths},
		"stickiness.type":                                                                {usual: "source_ip", values: "source_ip"},
		"target_failover.on_deregistration":                                              {usual: "no_rebalance", values: "no_rebalance rebalance"},
		"target_failover.on_unhealthy":                                                   {usual: "no_rebalance", values: "no_rebalance rebalance"},
		"target_group_health.dns_failover.minimum_healthy_targets.count":                 {usual: "1", values: "off", least: 1, most: 1000},
		"target_group_health.dns_failover.minimum_healthy_targets.percentage":            {usual: "off", values: "off", least: 1, most: 100},
		"target_group_health.unhealthy_state_routing.minimum_healthy_targets.count":      {usual: "1", least: 1, most: 1000},
		"target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": {usual: "off", values: "off", least: 1, most: 100},
		"target_health_state.unhealthy.connection_termination.enabled":                   {usual: "true", values: truths},
		"target_health_state.unhealthy.draining_interval_seconds":                        {usual: "0", values: "0", most: 360000},
	}
}

// listenerAttributeRules are the attributes of TCP listeners.
func listenerAttributeRules() map[string]attributeRule {
	return map[string]attributeRule{
		"tcp.idle_timeout.seconds": {usual: "350", least: 60, most: 6000},
	}
}

// usualAttributes are those of a new object, by key.
func usualAttributes(rules map[string]attributeRule) []attribute {
	var list []attribute
	for _, key := range slices.Sorted(maps.Keys(rules)) {
		list = append(list, attribute{Key: key, Value: rules[key].usual})
	}
	return list
}

func newBalancerAttributes() []attribute { return usualAttributes(balancerAttributeRules()) }

// judgeAttributes judges attributes that a request sets.
func judgeAttributes(noun string, set []attribute, rules map[string]attributeRule) *refusal {
	if len(set) == 0 {
		return invalid("At least one attribute must be specified")
	}
	seen := map[string]bool{}
	for _, a := range set {
		r, known := rules[a.Key]
		switch {
		case !known:
			return invalid("%s attribute key '%s' is not recognized", noun, a.Key)
		case !r.allows(a.Value):
			return invalid("%s attribute value '%s' is not valid for the key '%s'", noun, a.Value, a.Key)
		case seen[a.Key]:
			return invalid("%s attribute key '%s' was specified more than once", noun, a.Key)
		}
		seen[a.Key] = true
	}
	return nil
}

// withAttributes sets attributes among others, by key.
func withAttributes(have, set []attribute) []attribute {
	all := map[string]string{}
	for _, a := range slices.Concat(have, set) {
		all[a.Key] = a.Value
	}
	var list []attribute
	for _, key := range slices.Sorted(maps.Keys(all)) {
		list = append(list, attribute{Key: key, Value: all[key]})
	}
	return list
}

type attributesOut struct {
	Attributes []attribute
}

func (c *Cloud) describeBalancerAttributes(in balancerIn) (any, *refusal) {
	b := c.balancers.at(in.LoadBalancerArn, c.seen(ELBV2))
	if b == nil {
		return nil, bad("LoadBalancerNotFound", "Load balancer '%s' not found", in.LoadBalancerArn)
	}
	return attributesOut{Attributes: b.Attributes}, nil
}

type modifyBalancerAttributesIn struct {
	LoadBalancerArn string
	Attributes      []attribute
}

func (c *Cloud) modifyBalancerAttributes(in modifyBalancerAttributesIn) (any, *refusal) {
	b, refused := c.balancer(in.LoadBalancerArn)
	if refused != nil {
		return nil, refused
	}
	if refused := judgeAttributes("Load balancer", in.Attributes, balancerAttributeRules()); refused != nil {
		return nil, refused
	}
	after := withAttributes(b.Attributes, in.Attributes)
	if valueOf(after, "access_logs.s3.enabled") == "true" && valueOf(after, "access_logs.s3.bucket") == "" {
		return nil, invalid("The attribute access_logs.s3.bucket must be set when access logs are enabled")
	}
	c.balancers.edit(in.LoadBalancerArn, c.now(), func(b *balancer) { b.Attributes = after })
	return attributesOut{Attributes: after}, nil
}

type addTagsIn struct {
	ResourceArns []string
	Tags         []tag
}

// resource finds what an ARN of load balancing names: its tags and how to set
// them.
func (c *Cloud) resource(arn string) (set func([]tag), tags []tag, refused *refusal) {
	switch {
	case strings.Contains(arn, ":loadbalancer/"):
		return taggable(c, c.balancers, arn, "LoadBalancerNotFound", func(b *balancer) *[]tag { return &b.Tags })
	case strings.Contains(arn, ":targetgroup/"):
		return taggable(c, c.targets, arn, "TargetGroupNotFound", func(g *targetGroup) *[]tag { return &g.Tags })
	case strings.Contains(arn, ":listener/"):
		return taggable(c, c.listeners, arn, "ListenerNotFound", func(l *listener) *[]tag { return &l.Tags })
	default:
		return nil, nil, invalid("'%s' is not a valid ARN", arn)
	}
}

func (c *Cloud) addTags(in addTagsIn) (any, *refusal) {
	if len(in.ResourceArns) == 0 || len(in.ResourceArns) > maxNames || len(in.Tags) == 0 {
		return nil, invalid("Resource ARNs, up to %d, and tags must be specified", maxNames)
	}
	for _, arn := range in.ResourceArns {
		_, tags, refused := c.resource(arn)
		if refused == nil {
			refused = c.judgeBalancerTags(tags, in.Tags)
		}
		if refused != nil {
			return nil, refused
		}
	}
	for _, arn := range in.ResourceArns {
		set, tags, _ := c.resource(arn)
		set(withTags(tags, in.Tags))
	}
	return nil, nil
}

type removeTagsIn struct {
	ResourceArns []string
	TagKeys      []string
}

func (c *Cloud) removeTags(in removeTagsIn) (any, *refusal) {
	if len(in.ResourceArns) == 0 || len(in.ResourceArns) > maxNames || len(in.TagKeys) == 0 {
		return nil, invalid("Resource ARNs, up to %d, and tag keys must be specified", maxNames)
	}
	for _, arn := range in.ResourceArns {
		if _, _, refused := c.resource(arn); refused != nil {
			return nil, refused
		}
	}
	for _, arn := range in.ResourceArns {
		set, tags, _ := c.resource(arn)
		set(withoutKeys(tags, in.TagKeys))
	}
	return nil, nil
}

type describeTagsIn struct {
	ResourceArns []string
}

type tagDescription struct {
	ResourceArn string
	Tags        []tag
}

type describeTagsOut struct {
	TagDescriptions []tagDescription
}

func (c *Cloud) describeTags(in describeTagsIn) (any, *refusal) {
	if len(in.ResourceArns) == 0 || len(in.ResourceArns) > maxNames {
		return nil, invalid("Up to '%d' resource ARNs can be specified", maxNames)
	}
	when := c.seen(ELBV2)
	out := describeTagsOut{}
	for _, arn := range in.ResourceArns {
		d := tagDescription{ResourceArn: arn}
		b, g, l := c.balancers.at(arn, when), c.targets.at(arn, when), c.listeners.at(arn, when)
		switch {
		case b != nil:
			d.Tags = b.Tags
		case g != nil:
			d.Tags = g.Tags
		case l != nil:
			d.Tags = l.Tags
		default:
			return nil, noResource(arn)
		}
		out.TagDescriptions = append(out.TagDescriptions, d)
	}
	return out, nil
}

func noResource(arn string) *refusal {
	switch {
	case strings.Contains(arn, ":loadbalancer/"):
		return bad("LoadBalancerNotFound", "Load balancer '%s' not found", arn)
	case strings.Contains(arn, ":targetgroup/"):
		return bad("TargetGroupNotFound", "Target groups '%s' not found", arn)
	case strings.Contains(arn, ":listener/"):
		return bad("ListenerNotFound", "One or more listeners not found")
	default:
		return invalid("'%s' is not a valid ARN", arn)
	}
}
