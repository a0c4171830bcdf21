// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Defaults of the probe that Services share: kube-proxy's.
const (
	DefaultSharedProbePort = 10256
	DefaultSharedProbePath = "/healthz"
)

func newAzure() azureDraft {
	return azureDraft{Azure: Azure{
		Cloud: AzurePublic, ConfigType: AzureConfigMerge, VMType: AzureVMSS,
		LoadBalancer: AzureLoadBalancer{
			PoolType: AzureNodeIPConfiguration, ExcludeControlPlane: true,
			SharedProbePort: DefaultSharedProbePort, SharedProbePath: DefaultSharedProbePath,
		},
	}}
}

// looksLikeAzure reports whether the document has a key that only
// cloud-provider-azure's file has at its top.
func looksLikeAzure(root value) bool {
	known := azureFields(nil)
	return slices.ContainsFunc(root.pairs(), func(p pair) bool { return known.folded(p.key.Value) != "" })
}

// parseAzure reads cloud-provider-azure's file as it stands.
func parseAzure(root value) (*Config, error) {
	root.r.dialect = azure
	c := newConfig()
	readAzure(root, c)
	if c.Azure == nil {
		return nil, root.r.fatal()
	}
	c.Faults = root.r.sorted()
	return c, nil
}

// readAzure reads the section of Azure. It is left out as a whole when it has a
// fault: with a default in place of what was meant, load balancers would move.
func readAzure(v value, c *Config) {
	before := v.r.errors
	d := newAzure()
	v.azureSection(&d)
	v.finishAzure(&d)
	if v.r.errors == before {
		c.Azure = &d.Azure
	}
}

// ParseAzure reads cloud-provider-azure's configuration from a file and from a
// Secret, of which one may be nil, as the file's cloudConfigType says: the file
// alone, the Secret alone, or the Secret's keys over the file's. Without a file
// the Secret counts alone. Faults of the Secret have no lines.
func ParseAzure(file, secret []byte) (*Config, error) {
	if file == nil {
		return parseAzureSecret(secret)
	}
	c, err := Parse(file)
	switch {
	case err != nil && secret == nil:
		return nil, err
	case err == nil && (c.Azure == nil || c.Azure.ConfigType == AzureConfigFile):
		return c, nil
	case err == nil && secret == nil:
		return c, nil
	}
	return mergeAzure(file, secret)
}

// mergeAzure reads the keys of both before it judges any. Parse may have failed
// for the file alone, since the Secret may hold what it lacks.
func mergeAzure(file, secret []byte) (*Config, error) {
	root, err := document(file)
	if err != nil {
		return nil, err
	}
	v := value{r: &reader{dialect: azure}, node: root}
	if !looksLikeAzure(v) {
		return Parse(file)
	}
	d := newAzure()
	v.azureSection(&d)
	switch d.ConfigType {
	case AzureConfigFile:
		return Parse(file)
	case AzureConfigSecret:
		return parseAzureSecret(secret)
	case AzureConfigMerge:
	}
	over, err := secretDocument(secret)
	if err != nil {
		return nil, err
	}
	over.azureSection(&d)
	v.r.errors += over.r.errors
	v.finishAzure(&d)
	faults := append(v.r.sorted(), withoutLines(over.r.sorted())...)
	if v.r.errors > 0 {
		return nil, &FileError{faults}
	}
	c := newConfig()
	c.Azure, c.Faults = &d.Azure, faults
	return c, nil
}

func parseAzureSecret(secret []byte) (*Config, error) {
	v, err := secretDocument(secret)
	if err != nil {
		return nil, err
	}
	c := newConfig()
	readAzure(v, c)
	faults := withoutLines(v.r.sorted())
	if c.Azure == nil {
		return nil, &FileError{faults}
	}
	c.Faults = faults
	return c, nil
}

// secretDocument is the document of a Secret's key.
func secretDocument(secret []byte) (value, error) {
	v := value{r: &reader{dialect: azure}, object: "the Secret"}
	root, err := document(secret)
	if err != nil {
		return v, fmt.Errorf("the Secret of the cloud-config: %w", err)
	}
	v.node = root
	return v, nil
}

func withoutLines(faults Faults) Faults {
	for i := range faults {
		faults[i].Line = 0
	}
	return faults
}

// azureFields are the keys and how they are read.
func azureFields(d *azureDraft) fields {
	f := fields{}
	for _, k := range azureKeys() {
		f[k.name] = func(v value) { k.read(v, d) }
	}
	return f
}

// folded is the key that is the same without regard to case, which the peer's
// library ignores; empty when there is none.
func (f fields) folded(key string) string {
	if _, ok := f[key]; ok {
		return key
	}
	for k := range f {
		if strings.EqualFold(k, key) {
			return k
		}
	}
	return ""
}

// azureSection reads all keys. An empty value means that the key is absent, and
// what the peer's file has besides is told and passed over, as in the peer.
func (v value) azureSection(d *azureDraft) {
	f := azureFields(d)
	known := f.keys()
	for _, p := range v.pairs() {
		key := p.key.Value
		same := f.folded(key)
		switch {
		case p.val.Kind == yaml.ScalarNode && (p.val.Value == "" || p.val.Tag == "!!null"):
			f[key] = value.ignore
		case same != "":
			f[key] = f[same]
		case v.r.dialect == azure:
			f[key] = func(v value) { v.unknownToPeer(key, known) }
		}
	}
	v.mapping(f)
}

// unknownToPeer tells of a key that the peer passes over.
func (v value) unknownToPeer(key string, known []string) {
	v.secret = true
	cure := "it has no effect; remove it"
	if meant := suggest(key, known); meant != "" {
		cure = "it has no effect; did you mean " + meant + "?"
	}
	v.warn("no such key", cure)
}

// finishAzure fills in defaults and judges fields against each other.
func (v value) finishAzure(d *azureDraft) {
	a := &d.Azure
	a.Tags = d.mergeTags()
	v.need("subscriptionId", a.SubscriptionID)
	v.need("resourceGroup", a.ResourceGroup)
	v.need("location", a.Location)
	if a.SecurityGroupName == "" && !v.faulty("securityGroupName") {
		v.child("securityGroupName").warn("is missing, so that no Service can be served", "add the name of the nodes' network security group")
	}
	switch {
	case a.Cloud == AzureStack && !d.disableStack:
		v.child("cloud").fault("Azure Stack Hub is not supported, because it has only api-versions of 2018",
			"set disableAzureStackCloud: true if it has those of today")
	case a.Cloud == AzureOther && a.ResourceManagerEndpoint == "":
		v.child("cloud").fault("is not known",
			"allowed are AzurePublicCloud, AzureChinaCloud and AzureUSGovernmentCloud; for another one set resourceManagerEndpoint")
	}
	if (a.ExtendedLocationName == "") != (a.ExtendedLocationType == "") {
		v.child("extendedLocationName").fault("goes with extendedLocationType only", "set both or none")
	}
	v.finishAzureBalancer(a)
	for _, to := range []*string{
		&a.VnetResourceGroup, &a.SecurityGroupResourceGroup, &a.RouteTableResourceGroup,
		&a.PrivateLinkServiceResourceGroup, &a.LoadBalancer.ResourceGroup,
	} {
		if *to == "" {
			*to = a.ResourceGroup
		}
	}
	if a.NetworkResourceSubscriptionID == "" {
		a.NetworkResourceSubscriptionID = a.SubscriptionID
	}
}

// need reports a required key that is not there or empty.
func (v value) need(key, got string) {
	if got == "" && !v.faulty(key) {
		v.missing(key)
	}
}

// faulty reports whether the key has a fault already.
func (v value) faulty(key string) bool {
	path := v.under(key, v.node).path
	return slices.ContainsFunc(v.r.faults, func(f Fault) bool {
		return !f.Warning && strings.EqualFold(f.Field, path)
	})
}
