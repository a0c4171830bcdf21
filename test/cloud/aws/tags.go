// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

type tag struct{ Key, Value string }

// Lengths of tags, in characters: the EC2 user guide on tags.
const (
	maxTagKey   = 128
	maxTagValue = 256
)

// tagSpecification are tags for something that is being made.
type tagSpecification struct {
	ResourceType string
	Tags         []tag `in:"Tag"`
}

// specified are the tags for an object of the type.
func (c *Cloud) specified(specs []tagSpecification, typeName string) ([]tag, *refusal) {
	var tags []tag
	for _, s := range specs {
		if s.ResourceType != typeName {
			return nil, wrong("'%s' is not a valid taggable resource type for this operation.", s.ResourceType)
		}
		tags = append(tags, s.Tags...)
	}
	return tags, c.judgeTags(nil, tags)
}

// judgeTags judges tags that are to be added to others, for EC2.
func (c *Cloud) judgeTags(have, add []tag) *refusal {
	keys := map[string]bool{}
	for _, t := range add {
		switch {
		case t.Key == "" || utf8.RuneCountInString(t.Key) > maxTagKey:
			return wrong("Tag key '%s' is invalid: it must have 1 to %d characters.", t.Key, maxTagKey)
		case utf8.RuneCountInString(t.Value) > maxTagValue:
			return wrong("Tag value exceeds the maximum length of %d characters", maxTagValue)
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return wrong("Tag keys starting with 'aws:' are reserved for internal use")
		case keys[t.Key]:
			return wrong("Duplicate tag key '%s' specified.", t.Key)
		}
		keys[t.Key] = true
	}
	if len(withTags(have, add)) > c.limits.Tags {
		return bad("TagLimitExceeded", "Tag limit exceeded: at most %d tags", c.limits.Tags)
	}
	return nil
}

// judgeBalancerTags judges tags that are to be added to others, for load
// balancing.
func (c *Cloud) judgeBalancerTags(have, add []tag) *refusal {
	keys := map[string]bool{}
	for _, t := range add {
		switch {
		case t.Key == "" || utf8.RuneCountInString(t.Key) > maxTagKey:
			return invalid("Tag key '%s' must have 1 to %d characters", t.Key, maxTagKey)
		case utf8.RuneCountInString(t.Value) > maxTagValue:
			return invalid("Tag value must have at most %d characters", maxTagValue)
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return invalid("Tag keys starting with 'aws:' are reserved for internal use")
		case keys[t.Key]:
			return bad("DuplicateTagKeys", "A tag key was specified more than once: '%s'", t.Key)
		}
		keys[t.Key] = true
	}
	if len(withTags(have, add)) > c.limits.Tags {
		return bad("TooManyTags", "The number of tags exceeds the limit of %d", c.limits.Tags)
	}
	return nil
}

// withTags sets tags among others, sorted by key.
func withTags(have, set []tag) []tag {
	all := map[string]string{}
	for _, t := range slices.Concat(have, set) {
		all[t.Key] = t.Value
	}
	tags := make([]tag, 0, len(all))
	for _, k := range slices.Sorted(maps.Keys(all)) {
		tags = append(tags, tag{Key: k, Value: all[k]})
	}
	return tags
}

// withoutKeys drops tags by their keys.
func withoutKeys(have []tag, keys []string) []tag {
	return slices.DeleteFunc(slices.Clone(have), func(t tag) bool { return slices.Contains(keys, t.Key) })
}

func sameTags(a, b []tag) bool { return slices.Equal(withTags(nil, a), withTags(nil, b)) }

func tagActions() map[string]action {
	return map[string]action{
		"ec2.CreateTags": bind((*Cloud).createTags),
		"ec2.DeleteTags": bind((*Cloud).deleteTags),
	}
}

// maxTagged is how many objects a call may tag: the API reference on CreateTags.
const maxTagged = 1000

type createTagsIn struct {
	Resources []string `in:"ResourceId"`
	Tags      []tag    `in:"Tag"`
}

func (c *Cloud) createTags(in createTagsIn) (any, *refusal) {
	if len(in.Resources) == 0 || len(in.Resources) > maxTagged {
		return nil, wrong("The number of resources must be from 1 to %d.", maxTagged)
	}
	if len(in.Tags) == 0 {
		return nil, bad("MissingParameter", "The request must contain the parameter tagSet")
	}
	for _, id := range in.Resources {
		edit, tags, refused := c.tagged(id)
		if refused != nil {
			return nil, refused
		}
		_ = edit
		if refused := c.judgeTags(tags, in.Tags); refused != nil {
			return nil, refused
		}
	}
	for _, id := range in.Resources {
		edit, tags, _ := c.tagged(id)
		edit(withTags(tags, in.Tags))
	}
	return nil, nil
}

// unwanted is a tag to delete: with a value only when it has that one.
type unwanted struct {
	Key   string
	Value *string
}

type deleteTagsIn struct {
	Resources []string   `in:"ResourceId"`
	Tags      []unwanted `in:"Tag"`
}

func (c *Cloud) deleteTags(in deleteTagsIn) (any, *refusal) {
	if len(in.Resources) == 0 || len(in.Resources) > maxTagged {
		return nil, wrong("The number of resources must be from 1 to %d.", maxTagged)
	}
	for _, id := range in.Resources {
		if _, _, refused := c.tagged(id); refused != nil {
			return nil, refused
		}
	}
	for _, id := range in.Resources {
		edit, tags, _ := c.tagged(id)
		edit(slices.DeleteFunc(slices.Clone(tags), func(t tag) bool {
			return len(in.Tags) == 0 || slices.ContainsFunc(in.Tags, func(u unwanted) bool {
				return u.Key == t.Key && (u.Value == nil || *u.Value == t.Value)
			})
		}))
	}
	return nil, nil
}

// tagged finds what an id of EC2 names: its tags and how to set them.
func (c *Cloud) tagged(id string) (set func([]tag), tags []tag, refused *refusal) {
	prefix, _, _ := strings.Cut(id, "-")
	switch prefix {
	case "vpc":
		return taggable(c, c.vpcs, id, "InvalidVpcID.NotFound", func(v *vpc) *[]tag { return &v.Tags })
	case "subnet":
		return taggable(c, c.subnets, id, "InvalidSubnetID.NotFound", func(v *subnet) *[]tag { return &v.Tags })
	case "rtb":
		return taggable(c, c.tables, id, "InvalidRouteTableID.NotFound", func(v *routeTable) *[]tag { return &v.Tags })
	case "igw":
		return taggable(c, c.gateways, id, "InvalidInternetGatewayID.NotFound", func(v *gateway) *[]tag { return &v.Tags })
	case "sg":
		return taggable(c, c.groups, id, "InvalidGroup.NotFound", func(v *securityGroup) *[]tag { return &v.Tags })
	case "sgr":
		return c.taggedRule(id)
	case "i":
		return taggable(c, c.instances, id, "InvalidInstanceID.NotFound", func(v *instance) *[]tag { return &v.Tags })
	case "eni":
		return taggable(c, c.nics, id, "InvalidNetworkInterfaceID.NotFound", func(v *networkInterface) *[]tag { return &v.Tags })
	case "eipalloc":
		return taggable(c, c.addresses, id, "InvalidAllocationID.NotFound", func(v *address) *[]tag { return &v.Tags })
	default:
		return nil, nil, bad("InvalidID", "The ID '%s' is not valid", id)
	}
}

func taggable[T any](c *Cloud, s *store[T], id, missing string, field func(*T) *[]tag) (func([]tag), []tag, *refusal) {
	v := s.get(id)
	if v == nil {
		return nil, nil, bad(missing, "The ID '%s' does not exist", id)
	}
	return func(tags []tag) {
		s.edit(id, c.now(), func(v *T) { *field(v) = tags })
	}, *field(v), nil
}

func (c *Cloud) taggedRule(id string) (set func([]tag), tags []tag, refused *refusal) {
	for _, g := range c.groups.all() {
		for i, r := range g.Rules {
			if r.ID == id {
				return func(tags []tag) {
					c.groups.edit(g.GroupID, c.now(), func(g *securityGroup) { g.Rules[i].Tags = tags })
				}, r.Tags, nil
			}
		}
	}
	return nil, nil, bad("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist", id)
}
