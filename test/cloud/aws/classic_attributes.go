// SPDX-License-Identifier: Apache-2.0

package awssim

import "slices"

// classicAttributes are the settings of a classic load balancer.
type classicAttributes struct {
	AccessLog struct {
		EmitInterval   int `json:",omitempty"`
		Enabled        bool
		S3BucketName   string `json:",omitempty"`
		S3BucketPrefix string `json:",omitempty"`
	}
	AdditionalAttributes []attribute
	ConnectionDraining   struct {
		Enabled bool
		Timeout int `json:",omitempty"`
	}
	ConnectionSettings struct {
		IdleTimeout int
	}
	CrossZoneLoadBalancing struct {
		Enabled bool
	}
}

// newClassicAttributes are those of a new load balancer.
func newClassicAttributes() classicAttributes {
	var a classicAttributes
	a.AdditionalAttributes = []attribute{{Key: "elb.http.desyncmitigationmode", Value: "defensive"}}
	a.ConnectionDraining.Timeout, a.ConnectionSettings.IdleTimeout = 300, 60
	return a
}

type classicAttributesOut struct {
	LoadBalancerAttributes classicAttributes
}

func (c *Cloud) describeClassicAttributes(in classicIn) (any, *refusal) {
	b := c.classics.at(in.LoadBalancerName, c.seen(ELB))
	if b == nil {
		return nil, noClassic(in.LoadBalancerName)
	}
	return classicAttributesOut{LoadBalancerAttributes: b.Attributes}, nil
}

// attributeChange are the settings that a request has.
type attributeChange struct {
	AccessLog *struct {
		EmitInterval   *int
		Enabled        bool
		S3BucketName   string
		S3BucketPrefix string
	}
	AdditionalAttributes []attribute
	ConnectionDraining   *struct {
		Enabled bool
		Timeout *int
	}
	ConnectionSettings *struct {
		IdleTimeout int
	}
	CrossZoneLoadBalancing *struct {
		Enabled bool
	}
}

type modifyClassicAttributesIn struct {
	LoadBalancerName       string
	LoadBalancerAttributes attributeChange
}

type modifyClassicAttributesOut struct {
	LoadBalancerAttributes classicAttributes
	LoadBalancerName       string
}

func (c *Cloud) modifyClassicAttributes(in modifyClassicAttributesIn) (any, *refusal) {
	b, refused := c.classic(in.LoadBalancerName)
	if refused != nil {
		return nil, refused
	}
	after := clone(b).Attributes
	if refused := in.LoadBalancerAttributes.apply(&after); refused != nil {
		return nil, refused
	}
	c.classics.edit(in.LoadBalancerName, c.now(), func(b *classic) { b.Attributes = after })
	return modifyClassicAttributesOut{LoadBalancerName: in.LoadBalancerName, LoadBalancerAttributes: after}, nil
}

// apply judges the settings and writes them.
func (in attributeChange) apply(a *classicAttributes) *refusal {
	if in.AccessLog != nil {
		if refused := in.applyLog(a); refused != nil {
			return refused
		}
	}
	if d := in.ConnectionDraining; d != nil {
		a.ConnectionDraining.Enabled = d.Enabled
		if d.Timeout != nil {
			a.ConnectionDraining.Timeout = *d.Timeout
		}
		if t := a.ConnectionDraining.Timeout; t < 1 || t > 3600 {
			return unfit("ConnectionDraining Timeout '%d' must be from 1 to 3600", t)
		}
	}
	if s := in.ConnectionSettings; s != nil {
		if s.IdleTimeout < 1 || s.IdleTimeout > 4000 {
			return unfit("IdleTimeout '%d' must be from 1 to 4000", s.IdleTimeout)
		}
		a.ConnectionSettings.IdleTimeout = s.IdleTimeout
	}
	if z := in.CrossZoneLoadBalancing; z != nil {
		a.CrossZoneLoadBalancing.Enabled = z.Enabled
	}
	for _, set := range in.AdditionalAttributes {
		if set.Key != "elb.http.desyncmitigationmode" || !slices.Contains([]string{"monitor", "defensive", "strictest"}, set.Value) {
			return bad("LoadBalancerAttributeNotFound", "The attribute %s cannot be '%s'", set.Key, set.Value)
		}
		a.AdditionalAttributes = withAttributes(a.AdditionalAttributes, []attribute{set})
	}
	return nil
}

func (in attributeChange) applyLog(a *classicAttributes) *refusal {
	l := in.AccessLog
	switch {
	case l.Enabled && l.S3BucketName == "":
		return unfit("AccessLog needs an S3 bucket name when it is enabled")
	case l.EmitInterval != nil && *l.EmitInterval != 5 && *l.EmitInterval != 60:
		return unfit("AccessLog EmitInterval '%d' must be 5 or 60", *l.EmitInterval)
	}
	a.AccessLog.Enabled, a.AccessLog.S3BucketName, a.AccessLog.S3BucketPrefix = l.Enabled, l.S3BucketName, l.S3BucketPrefix
	a.AccessLog.EmitInterval = 0
	if l.Enabled {
		a.AccessLog.EmitInterval = 60
	}
	if l.EmitInterval != nil {
		a.AccessLog.EmitInterval = *l.EmitInterval
	}
	return nil
}

type classicTagsIn struct {
	LoadBalancerNames []string
	Tags              []tag
}

func (c *Cloud) addClassicTags(in classicTagsIn) (any, *refusal) {
	if len(in.LoadBalancerNames) != 1 || len(in.Tags) == 0 {
		return nil, invalid("One load balancer name and tags must be specified")
	}
	b, refused := c.classic(in.LoadBalancerNames[0])
	if refused != nil {
		return nil, refused
	}
	if refused := c.judgeBalancerTags(b.Tags, in.Tags); refused != nil {
		return nil, refused
	}
	c.classics.edit(b.LoadBalancerName, c.now(), func(b *classic) { b.Tags = withTags(b.Tags, in.Tags) })
	return nil, nil
}

type removeClassicTagsIn struct {
	LoadBalancerNames []string
	Tags              []struct{ Key string }
}

func (c *Cloud) removeClassicTags(in removeClassicTagsIn) (any, *refusal) {
	if len(in.LoadBalancerNames) != 1 || len(in.Tags) == 0 {
		return nil, invalid("One load balancer name and tag keys must be specified")
	}
	b, refused := c.classic(in.LoadBalancerNames[0])
	if refused != nil {
		return nil, refused
	}
	var keys []string
	for _, t := range in.Tags {
		keys = append(keys, t.Key)
	}
	c.classics.edit(b.LoadBalancerName, c.now(), func(b *classic) { b.Tags = withoutKeys(b.Tags, keys) })
	return nil, nil
}

type describeClassicTagsIn struct {
	LoadBalancerNames []string
}

type classicTags struct {
	LoadBalancerName string
	Tags             []tag
}

type describeClassicTagsOut struct {
	TagDescriptions []classicTags
}

func (c *Cloud) describeClassicTags(in describeClassicTagsIn) (any, *refusal) {
	if len(in.LoadBalancerNames) == 0 || len(in.LoadBalancerNames) > maxNames {
		return nil, invalid("Up to '%d' load balancer names can be specified", maxNames)
	}
	out := describeClassicTagsOut{}
	for _, name := range in.LoadBalancerNames {
		b := c.classics.at(name, c.seen(ELB))
		if b == nil {
			return nil, noClassic(name)
		}
		out.TagDescriptions = append(out.TagDescriptions, classicTags{LoadBalancerName: name, Tags: b.Tags})
	}
	return out, nil
}
