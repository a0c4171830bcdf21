// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
)

// awsKey is a key of the section, read and written.
type awsKey struct {
	name string
	own  bool // cloud-provider-aws does not know it
	read func(value, *awsDraft)
	// write returns what the file would say, nil when that is the default or
	// the key has no effect. It may be nil.
	write func(*AWS) any
}

// awsDraft is AWS before its fields were compared with each other.
type awsDraft struct {
	AWS

	legacyID string
}

// awsKeys are all keys, first those of cloud-provider-aws. A new one is one
// more line.
func awsKeys() []awsKey {
	return slices.Concat(awsClusterKeys(), awsBalancerKeys(), awsOwnKeys())
}

func awsClusterKeys() []awsKey {
	return []awsKey{
		awsText("zone", value.word, func(a *AWS) *string { return &a.Zone }),
		{
			name: "region", read: func(v value, d *awsDraft) { into(&d.Region, value.awsRegion)(v) },
			write: func(a *AWS) any {
				if a.Zone != "" {
					return nil // it follows from the zone
				}
				return orNil(a.Region)
			},
		},
		awsText("vpc", awsID("vpc-"), func(a *AWS) *string { return &a.VPC }),
		awsText("subnetID", awsID("subnet-"), func(a *AWS) *string { return &a.SubnetID }),
		awsText("routeTableID", awsID("rtb-"), func(a *AWS) *string { return &a.RouteTableID }),
		awsText("roleARN", value.arn, func(a *AWS) *string { return &a.Role.ARN }),
		awsText("sourceARN", value.arn, func(a *AWS) *string { return &a.Role.SourceARN }),
		{
			name: "kubernetesClusterTag", read: func(v value, d *awsDraft) { into(&d.legacyID, value.word)(v) },
			write: func(a *AWS) any {
				if !a.LegacyClusterTag {
					return nil
				}
				return a.ClusterID
			},
		},
		{
			name: "kubernetesClusterID", read: func(v value, d *awsDraft) { into(&d.ClusterID, value.word)(v) },
			write: func(a *AWS) any {
				if a.LegacyClusterTag {
					return nil
				}
				return orNil(a.ClusterID)
			},
		},
		{
			name: "nodeIPFamilies", read: func(v value, d *awsDraft) { v.awsFamilies(&d.AWS) },
			write: func(a *AWS) any {
				if slices.Equal(a.NodeIPFamilies, NewAWS().NodeIPFamilies) {
					return nil
				}
				return texts(a.NodeIPFamilies)
			},
		},
		{
			name: "supportedTopologyInstanceTypePattern", read: func(v value, d *awsDraft) {
				into(&d.TopologyInstanceTypes, value.expression)(v)
			},
			write: func(a *AWS) any {
				if a.TopologyInstanceTypes == DefaultTopologyInstanceTypes {
					return nil
				}
				return a.TopologyInstanceTypes
			},
		},
	}
}

func awsBalancerKeys() []awsKey {
	return []awsKey{
		awsFlag("disableSecurityGroupIngress", func(a *AWS) *bool { return &a.UnmanagedNodeRules }),
		awsText("elbSecurityGroup", awsID("sg-"), func(a *AWS) *string { return &a.ELBSecurityGroup }),
		awsWord("clusterServiceLoadBalancerHealthProbeMode", awsProbeModes(), false, func(a *AWS) *bool { return &a.SharedProbe }),
		{
			name:  "clusterServiceSharedLoadBalancerHealthProbePort",
			read:  func(v value, d *awsDraft) { into(&d.SharedProbePort, value.port)(v) },
			write: func(a *AWS) any { return int(a.SharedProbePort) },
		},
		awsText("clusterServiceSharedLoadBalancerHealthProbePath", value.word, func(a *AWS) *string { return &a.SharedProbePath }),
		awsWord("nlbSecurityGroupMode", awsGroupModes(), false, func(a *AWS) *bool { return &a.ManagedNLBSecurityGroups }),
	}
}

// awsOwnKeys are those that cloud-provider-aws does not have.
func awsOwnKeys() []awsKey {
	keys := []awsKey{
		awsText("externalID", value.word, func(a *AWS) *string { return &a.Role.ExternalID }),
		awsText("profile", value.word, func(a *AWS) *string { return &a.Profile }),
		{
			name: "endpoints", read: func(v value, d *awsDraft) { v.awsEndpoints(&d.Endpoints) },
			write: func(a *AWS) any { return newAWSEndpointsYAML(&a.Endpoints) },
		},
		{
			name: "serviceOverrides", read: func(v value, d *awsDraft) {
				for _, item := range v.items() {
					item.awsOverride(&d.AWS)
				}
			},
			write: func(a *AWS) any { return newAWSOverridesYAML(a.Overrides) },
		},
		awsTagsKey("tags", func(a *AWS) *map[string]string { return &a.Tags }),
		awsTagsKey("nodeTags", func(a *AWS) *map[string]string { return &a.NodeTags }),
		awsFlag("allowUntagged", func(a *AWS) *bool { return &a.AllowUntagged }),
		{
			name: "securityGroupRuleLimit", read: func(v value, d *awsDraft) {
				if n, ok := v.number(1, math.MaxInt32); ok {
					d.SecurityGroupRuleLimit = int(n) //nolint:gosec // G115: in range by number.
				}
			},
			write: func(a *AWS) any {
				if a.SecurityGroupRuleLimit == DefaultSecurityGroupRuleLimit {
					return nil
				}
				return a.SecurityGroupRuleLimit
			},
		},
		{
			name: "loadBalancerController", read: func(v value, d *awsDraft) { v.awsController(&d.Controller) },
			write: func(a *AWS) any { return newAWSControllerYAML(&a.Controller) },
		},
	}
	for i := range keys {
		keys[i].own = true
	}
	return keys
}

// awsText is a key with a text.
func awsText(name string, read func(value) (string, bool), field func(*AWS) *string) awsKey {
	return awsKey{
		name:  name,
		read:  func(v value, d *awsDraft) { into(field(&d.AWS), read)(v) },
		write: func(a *AWS) any { return orNil(*field(a)) },
	}
}

// awsFlag is a key that is true or false, false unless set.
func awsFlag(name string, field func(*AWS) *bool) awsKey {
	return awsKey{
		name:  name,
		read:  func(v value, d *awsDraft) { into(field(&d.AWS), value.flag)(v) },
		write: func(a *AWS) any { return orNil(*field(a)) },
	}
}

// awsTagsKey is a key with tags.
func awsTagsKey(name string, field func(*AWS) *map[string]string) awsKey {
	return awsKey{
		name: name, read: func(v value, d *awsDraft) { v.awsTags(field(&d.AWS)) },
		write: func(a *AWS) any {
			if len(*field(a)) == 0 {
				return nil
			}
			return *field(a)
		},
	}
}

// awsWord is a key with one of some words.
func awsWord[T comparable](name string, words []word[T], standard T, field func(*AWS) *T) awsKey {
	return awsKey{
		name: name, read: func(v value, d *awsDraft) { into(field(&d.AWS), oneOf(words))(v) },
		write: func(a *AWS) any {
			if *field(a) == standard {
				return nil
			}
			return textOf(words, *field(a))
		},
	}
}

func (v value) arn() (string, bool) {
	s, ok := v.word()
	if ok && (!strings.HasPrefix(s, "arn:") || strings.Count(s, ":") < awsARNParts-1) {
		v.fault("is not an ARN", "write such as arn:aws:iam::111122223333:role/fairlead")
		return "", false
	}
	return s, ok
}

func (v value) expression() (string, bool) {
	s, ok := v.word()
	if !ok {
		return "", false
	}
	if _, err := regexp.Compile(s); err != nil {
		v.fault("is not a regular expression: "+err.Error(), "write one of Go's syntax, such as ^p5")
		return "", false
	}
	return s, true
}

// awsFamilies reads one family or a list of them.
func (v value) awsFamilies(a *AWS) {
	items := []value{v}
	if v.node.Kind == sequenceNode {
		items = v.items()
	}
	var families []IPFamily
	for _, item := range items {
		f, ok := oneOf(ipFamilies())(item)
		switch {
		case !ok:
		case slices.Contains(families, f):
			item.warn("stands here a second time", "leave it out")
		default:
			families = append(families, f)
		}
	}
	if len(families) > 0 {
		a.NodeIPFamilies = families
	}
}

func (v value) awsEndpoints(e *AWSEndpoints) {
	v.mapping(fields{
		"ec2": into(&e.EC2, value.awsEndpoint), "elasticLoadBalancing": into(&e.ELB, value.awsEndpoint),
		"elasticLoadBalancingV2": into(&e.ELBv2, value.awsEndpoint), "sts": into(&e.STS, value.awsEndpoint),
		"imds": into(&e.IMDS, value.awsEndpoint),
	})
}

func (v value) awsEndpoint() (string, bool) {
	return v.url("https://vpce-0a1b2c3d.ec2.eu-west-1.vpce.amazonaws.com")
}

// awsOverride reads one override, as cloud-provider-aws checks it.
func (v value) awsOverride(a *AWS) {
	var o AWSServiceOverride
	before := v.r.errors
	v.mapping(v.foldedFields(fields{
		"service": into(&o.Service, value.word), "region": into(&o.Region, value.word),
		"url": into(&o.URL, value.awsEndpoint), "signingRegion": into(&o.SigningRegion, value.word),
		"signingName":   into(&o.SigningName, value.word),
		"signingMethod": func(v value) { v.warn("has no effect: AWS knows one way to sign, version 4", "remove it") },
	}))
	for _, key := range []struct{ name, got string }{
		{"service", o.Service}, {"region", o.Region}, {"url", o.URL}, {"signingRegion", o.SigningRegion},
	} {
		v.need(v.foldedNames(key.name)[0], key.got)
	}
	if v.r.errors > before {
		return
	}
	if slices.ContainsFunc(a.Overrides, func(p AWSServiceOverride) bool { return p.Service == o.Service && p.Region == o.Region }) {
		v.fault(fmt.Sprintf("%s of %s is overridden twice", o.Service, o.Region), "leave one of them")
		return
	}
	services := []string{AWSServiceEC2, AWSServiceELB, AWSServiceELBv2, AWSServiceSTS, AWSServiceIMDS}
	at := v.child(v.foldedNames("service")[0])
	switch {
	case slices.Contains(services, o.Service):
	case o.Service == awsServiceKMS:
		at.warn("has no effect: no key is ever asked for", "remove it")
	default:
		at.warn("has no effect: no service has this name in AWS' SDK", "write one of "+strings.Join(services, ", ")+", in this case of letters")
	}
	a.Overrides = append(a.Overrides, o)
}

// awsReserved begin the keys of tags that cannot be given.
func awsReserved() []string {
	return []string{"aws:", "kubernetes.io/cluster/", "kubernetes.io/service-name", "KubernetesCluster", "elbv2.k8s.aws/", "service.k8s.aws/", "fairlead.dev/"}
}

func (v value) awsTags(to *map[string]string) {
	if !v.isMapping() {
		return
	}
	tags := map[string]string{}
	for _, p := range v.pairs() {
		tag := v.under(p.key.Value, p.val)
		text, ok := tag.text()
		if !ok {
			continue
		}
		if i := slices.IndexFunc(awsReserved(), func(r string) bool { return strings.HasPrefix(p.key.Value, r) }); i >= 0 {
			tag.fault("is a tag of AWS or of ownership", "give another key than one that begins with "+awsReserved()[i])
			continue
		}
		tags[p.key.Value] = text
	}
	const most = 40 // of AWS' 50, for those of ownership and of Services
	if len(tags) > most {
		v.fault(fmt.Sprintf("has %d tags", len(tags)), fmt.Sprintf("write at most %d", most))
		return
	}
	if len(tags) > 0 {
		*to = tags
	}
}

func (v value) awsController(c *AWSController) {
	v.mapping(fields{
		"claim":             into(&c.Claim, value.flag),
		"clusterName":       into(&c.ClusterName, value.word),
		"defaultTargetType": into(&c.TargetType, oneOf(awsTargetTypes())),
		"defaultScheme":     into(&c.InternetFacing, oneOf(awsSchemes())),
		"defaultSSLPolicy":  into(&c.TLSPolicy, value.word),
	})
}
