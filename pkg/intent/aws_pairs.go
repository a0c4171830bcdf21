// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// pairs judges lists of key=value beyond what they are for.
func (c *awsCheck) pairs() {
	c.nodeLabels()
	for _, key := range []string{KeyAWSTags, KeyAWSNodeLabels, KeyAWSAttributes, KeyAWSTargetGroupAttributes} {
		c.pairsOf(key)
	}
	for _, key := range AWSKeysLike(c.svc, KeyAWSTargetGroupAttributes+".") {
		c.pairsOf(key)
		c.ofPort(key)
	}
	for _, key := range AWSKeysLike(c.svc, keyAWSListener) {
		c.pairsOf(key)
		c.ofListener(key)
	}
	c.proxyPorts()
}

// pairsOf refuses what the Load Balancer Controller refuses, and tells which of
// two pairs with one key counts, as it does with both peers.
func (c *awsCheck) pairsOf(key string) {
	if _, counts := c.in.Options.values[awsFirst(key)]; !counts || c.isTold(key) {
		return
	}
	last := map[string]string{}
	for item := range strings.SplitSeq(c.written(key), ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		name, value, ok := Pairs{Bare: !c.is(AWSExternal)}.cut(item)
		before, twice := last[name]
		switch {
		case !ok && c.is(AWSExternal):
			c.wrong(Refuse, key, fmt.Sprintf("but %s is no key=value; correct it, or take it away", quote(item)))
			return
		case ok && twice && before != value:
			c.wrong(Warn, key, fmt.Sprintf("but has %s twice, of which the last counts, %s; take the other away", quote(name), quote(c.lastOf(key, name))))
			return
		}
		last[name] = value
	}
}

// lastOf is the value of the last pair with the key.
func (c *awsCheck) lastOf(key, name string) string {
	pairs, _ := c.in.Options.Pairs(awsFirst(key))
	return pairs[name]
}

// awsFirst is the first key of an annotation that may be written under another.
func awsFirst(key string) string { return strings.Replace(key, awsOtherPrefix, awsPrefix, 1) }

// isTold reports whether something is said of the annotation already.
func (c *awsCheck) isTold(key string) bool {
	return slices.ContainsFunc(c.problems, func(p Problem) bool { return p.Field == annotationField(key) })
}

// ofPort warns of attributes for the target group of a port that is not there.
func (c *awsCheck) ofPort(key string) {
	have := make([]string, len(c.in.Ports))
	for i, p := range c.in.Ports {
		have[i] = strconv.Itoa(int(p.Port))
	}
	c.endsWith(key, KeyAWSTargetGroupAttributes+".", "port", have)
}

// ofListener warns of attributes for a listener that is not there.
func (c *awsCheck) ofListener(key string) {
	have := make([]string, len(c.in.Ports))
	for i, p := range c.in.Ports {
		have[i] = c.listener(p) + "-" + strconv.Itoa(int(p.Port))
	}
	c.endsWith(key, keyAWSListener, "listener", have)
}

// endsWith warns of a key that does not end with one of what the Service has.
func (c *awsCheck) endsWith(key, prefix, what string, have []string) {
	rest := strings.TrimPrefix(awsFirst(key), prefix)
	if !c.is(AWSExternal) || slices.Contains(have, rest) || c.isTold(key) {
		return
	}
	slices.Sort(have)
	c.wrong(Warn, key, fmt.Sprintf("but has no effect: the Service has no %s %s; let the key end in %s, or remove it", what, rest, strings.Join(slices.Compact(have), " or ")))
}

// proxyPorts warns of ports that the Service has not.
func (c *awsCheck) proxyPorts() {
	key := KeyAWSProxyProtocolPorts
	if !c.is(AWSExternal) || c.in.Options.Source(key) == "" {
		return
	}
	for item := range strings.SplitSeq(c.written(key), ",") {
		item = strings.TrimSpace(item)
		if !slices.ContainsFunc(c.in.Ports, func(p Port) bool { return strconv.Itoa(int(p.Port)) == item }) {
			c.wrong(Warn, key, fmt.Sprintf("but %s is no port of the Service; write numbers of its ports, or remove it", quote(item)))
			return
		}
	}
}

// nodeLabels refuses what no label can be, such as an expression of a selector:
// no node would ever serve. Of a value with = in it cloud-provider-aws takes what
// is before.
func (c *awsCheck) nodeLabels() {
	key := KeyAWSNodeLabels
	pairs, _ := c.in.Options.Pairs(key)
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		value, _, cut := strings.Cut(pairs[name], "=")
		if c.is(AWSExternal) {
			value, cut = pairs[name], false
		}
		if len(validation.IsQualifiedName(name))+len(validation.IsValidLabelValue(value)) > 0 {
			text := strings.TrimSuffix(name+"="+pairs[name], "=")
			c.wrong(Refuse, key, fmt.Sprintf("but %s can be no label of a node; write labels like \"pool=web\", separated by commas, of which a node must have all: there are no other expressions", quote(text)))
			return
		}
		if !cut {
			continue
		}
		if !c.isTold(key) {
			c.wrong(Warn, key, fmt.Sprintf("but %s=%s has another = in it, and counts as %s; write it so", name, pairs[name], quote(strings.TrimSuffix(name+"="+value, "="))))
		}
		pairs[name] = value
	}
	if o, ok := c.in.Options.values[key]; ok {
		o.value = pairsValue(pairs)
		c.in.Options.values[key] = o
	}
}
