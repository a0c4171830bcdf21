// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// otherPrefix warns of keys that only the Load Balancer Controller reads.
func (c *awsCheck) otherPrefix() {
	if c.is(AWSExternal) {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(c.svc.Annotations)) {
		if suffix, ok := strings.CutPrefix(key, awsOtherPrefix); ok {
			c.wrong(Warn, key, fmt.Sprintf("but has no effect %s; %s", whereNoEffect(c.in.AWS.String()), c.instead(awsPrefix+suffix)))
		}
	}
}

// instead is what to do about a key that is not read: only a key that is read
// helps.
func (c *awsCheck) instead(key string) string {
	if c.reads(key) {
		return "write it as " + key
	}
	known := slices.DeleteFunc(c.reg.under(Prefix{Name: awsPrefix}), func(k string) bool { return !c.reads(k) })
	if near, ok := nearest(key, known); ok {
		return "write it as " + near
	}
	return "remove it"
}

// reads reports whether the form reads the key.
func (c *awsCheck) reads(key string) bool {
	return slices.ContainsFunc(c.reg.annotations, func(a Annotation) bool {
		is := slices.Contains(a.keys(), key) || a.isPattern() && a.matches(key)
		return is && a.honouredBy(c.in.AWS.String())
	})
}

// contradictions tells of annotations that say two things, and which counts.
func (c *awsCheck) contradictions() {
	c.ranges()
	c.draining()
	if c.is(AWSExternal) {
		c.scheme()
		c.podsByType()
		c.switches()
		c.proxyProtocol()
	}
}

// ranges tells of clients in the annotation that are not those of the spec.
func (c *awsCheck) ranges() {
	spec := c.svc.Spec.LoadBalancerSourceRanges
	written, ok := c.in.Options.Prefixes(KeySourceRanges)
	if len(spec) == 0 || !ok {
		return
	}
	sorted := func(list []netip.Prefix) []netip.Prefix {
		out := make([]netip.Prefix, len(list))
		for i, p := range list {
			out[i] = p.Masked()
		}
		slices.SortFunc(out, netip.Prefix.Compare)
		return slices.Compact(out)
	}
	if !slices.Equal(sorted(written), sorted(c.in.SourceRanges)) {
		c.wrong(Warn, KeySourceRanges, fmt.Sprintf("but spec.loadBalancerSourceRanges is %s, which counts; remove one of them", quote(strings.Join(spec, ","))))
	}
}

// draining tells of a time without draining.
func (c *awsCheck) draining() {
	if on, _ := c.in.Options.Bool(KeyAWSDraining); !on && c.in.Options.Source(KeyAWSDrainingTimeout) != "" {
		c.wrong(Warn, KeyAWSDrainingTimeout, fmt.Sprintf(`but has no effect while nodes that leave do not finish their connections; set annotation %s to "true", or remove it`, KeyAWSDraining))
	}
}

// scheme tells of the older annotation, which is not read beside the new one.
func (c *awsCheck) scheme() {
	scheme, ok := c.in.Options.Text(KeyAWSScheme)
	for _, key := range awsInternalKeys() {
		raw := c.svc.Annotations[key]
		if v, _ := (LooseBool{}).parse(raw); ok && raw != "" && v != boolValue(scheme == awsInternalScheme) {
			c.loses(key, KeyAWSScheme)
		}
	}
}

// loses warns of an annotation that says something else than one that counts.
func (c *awsCheck) loses(key, counts string) {
	c.wrong(Warn, key, fmt.Sprintf("but %s, which counts; remove one of them", AWSSays(c.svc, counts)))
}

// podsByType tells that a type with the targets in it counts.
func (c *awsCheck) podsByType() {
	if kind, _ := c.in.Options.Text(KeyAWSTargetType); c.written(KeyAWSType) == awsTypeIP && kind == "instance" {
		c.loses(KeyAWSTargetType, KeyAWSType)
	}
}

// switches tells of attributes of the load balancer that have an annotation of
// their own, too. As with the Load Balancer Controller that one counts, but for
// access logs that are off.
func (c *awsCheck) switches() {
	attributes, _ := c.in.Options.Pairs(KeyAWSAttributes)
	differ := func(name, key string) bool {
		raw, there := attributes[name]
		v, ok := (Bool{}).parse(raw)
		on, _ := c.in.Options.Bool(key)
		return there && ok && c.in.Options.Source(key) != "" && v != boolValue(on)
	}
	if differ(awsCrossZone, KeyAWSCrossZone) {
		c.attributeLoses(KeyAWSAttributes, awsCrossZone, KeyAWSCrossZone)
	}
	on, _ := c.in.Options.Bool(KeyAWSAccessLog)
	switch {
	case !differ(awsLogsOn, KeyAWSAccessLog):
	case on:
		c.attributeLoses(KeyAWSAttributes, awsLogsOn, KeyAWSAccessLog)
	default:
		c.wrong(Warn, KeyAWSAccessLog, fmt.Sprintf("but %s of annotation %s is %s, which counts; remove one of them", awsLogsOn, KeyAWSAttributes, quote(attributes[awsLogsOn])))
	}
}

// attributeLoses warns of an attribute in a list that says something else than
// an annotation, which counts.
func (c *awsCheck) attributeLoses(key, name, counts string) {
	if !c.isTold(key) {
		c.wrong(Warn, key, fmt.Sprintf("but %s, which counts for %s; remove one of them", AWSSays(c.svc, counts), name))
	}
}

// proxyProtocol tells of target groups that are asked not to speak the PROXY
// protocol by their attributes, and to speak it by an annotation, or the other
// way round.
func (c *awsCheck) proxyProtocol() {
	o := c.in.Options
	all, _ := o.Text(KeyAWSProxyProtocol)
	perPort := strings.Split(strings.ReplaceAll(c.written(KeyAWSProxyProtocolPorts), " ", ""), ",")
	for _, p := range c.in.Ports {
		counts, on := KeyAWSProxyProtocol, true
		if all == "" {
			counts, on = KeyAWSProxyProtocolPorts, slices.Contains(perPort, strconv.Itoa(int(p.Port)))
		}
		if o.Source(counts) == "" {
			continue
		}
		keys := []string{KeyAWSTargetGroupAttributes}
		if own := AWSTargetGroupAttributesKey(p.Port); o.Source(own) != "" {
			keys = append(keys, own)
		}
		for _, key := range keys {
			pairs, _ := o.Pairs(key)
			raw, there := pairs[awsProxyProtocolV2]
			if v, ok := (Bool{}).parse(raw); there && ok && v != boolValue(on) {
				c.attributeLoses(key, awsProxyProtocolV2, counts)
			}
		}
	}
}
