// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

const sequenceNode = yaml.SequenceNode

// readAWS reads the section of AWS. It is left out as a whole when it has a
// fault: with a default in place of what was meant, load balancers would move.
func readAWS(v value, c *Config) {
	before := v.r.errors
	d := awsDraft{AWS: *NewAWS()}
	f := fields{}
	for _, k := range awsKeys() {
		f[k.name] = func(v value) { k.read(v, &d) }
	}
	v.mapping(f)
	v.finishAWS(&d)
	if v.r.errors == before {
		c.AWS = &d.AWS
	}
}

// finishAWS judges fields against each other.
func (v value) finishAWS(d *awsDraft) {
	a := &d.AWS
	if a.Zone != "" {
		region := awsZone.FindString(a.Zone)
		at := v.child(v.foldedNames("zone")[0])
		switch {
		case region == "":
			at.fault("is not the name of a zone", "write such as eu-west-1a")
		case !awsRegionForm.MatchString(region):
			at.fault("is not in a region", "write such as eu-west-1a")
		case a.Region != "" && a.Region != region:
			v.child(v.foldedNames("region")[0]).warn(fmt.Sprintf("is not the region of the zone, %s, which counts", region), "remove one of them")
			a.Region = region
		default:
			a.Region = region
			at.doubtRegion(region)
		}
	}
	if d.legacyID != "" {
		if a.ClusterID != "" && a.ClusterID != d.legacyID {
			v.child(v.foldedNames("kubernetesClusterID")[0]).fault(fmt.Sprintf("is not %q, which kubernetesClusterTag says", shorten(d.legacyID)), "make them agree, or remove one of them")
		}
		a.ClusterID, a.LegacyClusterTag = d.legacyID, true
	}
	if a.Role.ARN == "" && a.Role.SourceARN != "" {
		v.child(v.foldedNames("sourceARN")[0]).warn("has no effect without roleARN", "add roleARN, or remove it")
	}
	if a.Role.ARN == "" && a.Role.ExternalID != "" {
		v.child("externalID").warn("has no effect without roleARN", "add roleARN, or remove it")
	}
}

// foldedNames are the keys as the document writes them, where its format does
// not mind the case of letters.
func (v value) foldedNames(names ...string) []string {
	if v.r.dialect != awsINI {
		return names
	}
	known := fields{}
	for _, p := range v.pairs() {
		known[p.key.Value] = value.ignore
	}
	out := slices.Clone(names)
	for i, name := range names {
		if there := known.folded(name); there != "" {
			out[i] = there
		}
	}
	return out
}

// foldedFields knows the fields by the keys that the document writes. There an
// empty value means that the key is absent, and an unknown key is told and
// passed over, as cloud-provider-aws does.
func (v value) foldedFields(f fields) fields {
	if v.r.dialect != awsINI {
		return f
	}
	out := fields{}
	for _, p := range v.pairs() {
		key := p.key.Value
		same := f.folded(key)
		switch {
		case p.val.Kind == yaml.ScalarNode && p.val.Value == "":
			out[key] = value.ignore
		case same != "":
			out[key] = f[same]
		default:
			known := f.keys()
			out[key] = func(v value) { v.unknownToPeer(key, known) }
		}
	}
	return out
}

// parseAWS reads cloud-provider-aws' cloud.conf as it stands.
func parseAWS(r *reader, data []byte) (*Config, error) {
	r.dialect = awsINI
	file, err := readINI(r, data)
	if err != nil {
		return nil, err
	}
	d := awsDraft{AWS: *NewAWS()}
	f := fields{}
	for _, k := range awsKeys() {
		f[k.name] = func(v value) { k.read(v, &d) }
		if k.own {
			f[k.name] = value.notInINI
		}
	}
	global := value{r: r, node: file.global, path: "Global"}
	global.mapping(global.foldedFields(f))
	global.emptyClusterID()
	for _, s := range file.overrides {
		s.awsOverride(&d.AWS)
	}
	global.finishAWS(&d)
	if r.errors > 0 {
		return nil, r.fatal()
	}
	c := newConfig()
	c.AWS, c.Faults = &d.AWS, r.sorted()
	return c, nil
}

// notInINI tells of a key of our own, which cloud-provider-aws passes over.
func (v value) notInINI() {
	v.warn("has no effect in a cloud.conf", "write section aws of kind "+Kind+" instead, which has all keys; kubectl fairlead convert does it")
}

type awsEndpointsYAML struct {
	EC2   string `yaml:"ec2,omitempty"`
	ELB   string `yaml:"elasticLoadBalancing,omitempty"`
	ELBv2 string `yaml:"elasticLoadBalancingV2,omitempty"`
	STS   string `yaml:"sts,omitempty"`
	IMDS  string `yaml:"imds,omitempty"`
}

func newAWSEndpointsYAML(e *AWSEndpoints) any { return orNil(awsEndpointsYAML(*e)) }

type awsOverrideYAML struct {
	Service       string `yaml:"service"`
	Region        string `yaml:"region"`
	URL           string `yaml:"url"`
	SigningRegion string `yaml:"signingRegion"`
	SigningName   string `yaml:"signingName,omitempty"`
}

func newAWSOverridesYAML(overrides []AWSServiceOverride) any {
	var out []awsOverrideYAML
	for _, o := range overrides {
		out = append(out, awsOverrideYAML(o))
	}
	if out == nil {
		return nil
	}
	return out
}

type awsControllerYAML struct {
	Claim       bool   `yaml:"claim,omitempty"`
	ClusterName string `yaml:"clusterName,omitempty"`
	TargetType  string `yaml:"defaultTargetType,omitempty"`
	Scheme      string `yaml:"defaultScheme,omitempty"`
	TLSPolicy   string `yaml:"defaultSSLPolicy,omitempty"`
}

func newAWSControllerYAML(c *AWSController) any {
	out := awsControllerYAML{Claim: c.Claim, ClusterName: c.ClusterName}
	if c.TargetType != AWSInstances {
		out.TargetType = c.TargetType.String()
	}
	if c.InternetFacing {
		out.Scheme = textOf(awsSchemes(), true)
	}
	if c.TLSPolicy != DefaultTLSPolicy {
		out.TLSPolicy = c.TLSPolicy
	}
	return orNil(out)
}

// newAWSYAML writes the keys that have an effect, in the order of their table.
func newAWSYAML(a *AWS) (*yaml.Node, error) {
	out := &yaml.Node{Kind: yaml.MappingNode}
	for _, k := range awsKeys() {
		if err := addKey(out, k.name, k.write(a)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// addKey adds a key to a mapping, unless it holds nothing.
func addKey(to *yaml.Node, name string, held any) error {
	if held == nil {
		return nil
	}
	var key, val yaml.Node
	key.SetString(name)
	if err := val.Encode(held); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	to.Content = append(to.Content, &key, &val)
	return nil
}
