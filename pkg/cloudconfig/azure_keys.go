// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import (
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// azureKey is a key of the section, read and written.
type azureKey struct {
	name string
	read func(value, *azureDraft)
	// write returns what the file would say, nil when that is the default or
	// the key has no effect. It may be nil.
	write func(*Azure, func(Secret) string) any
}

// azureDraft is Azure before its fields were compared with each other.
type azureDraft struct {
	Azure

	disableStack bool
	tags         map[string]string
	tagsMap      map[string]string // counts where tags says otherwise
}

// azureKeys are all keys of cloud-provider-azure's file. A new one is one more
// line.
func azureKeys() []azureKey {
	return slices.Concat(azureAccountKeys(), azureClusterKeys(), azureBalancerKeys(), azureInertKeys())
}

func azureAccountKeys() []azureKey {
	return []azureKey{
		{
			"cloud", func(v value, d *azureDraft) {
				if s, ok := v.azureName(); ok {
					d.CloudName, d.Cloud = s, azureCloudOf(s)
				}
			},
			func(a *Azure, _ func(Secret) string) any { return orNil(a.CloudName) },
		},
		azureText("resourceManagerEndpoint", value.endpoint, func(a *Azure) *string { return &a.ResourceManagerEndpoint }),
		{
			"disableAzureStackCloud", func(v value, d *azureDraft) { into(&d.disableStack, value.flag)(v) },
			func(a *Azure, _ func(Secret) string) any { return orNil(a.Cloud == AzureStack) },
		},
		azureText("userAgent", value.word, func(a *Azure) *string { return &a.UserAgent }),
		azureText("tenantId", value.azureName, func(a *Azure) *string { return &a.TenantID }),
		azureText("subscriptionId", value.azureName, func(a *Azure) *string { return &a.SubscriptionID }),
		azureText("networkResourceTenantID", value.azureName, func(a *Azure) *string { return &a.NetworkResourceTenantID }),
		azureText("networkResourceSubscriptionID", value.azureName, func(a *Azure) *string { return &a.NetworkResourceSubscriptionID }),
		azureWord("identitySystem", []word[bool]{{false, "azure_ad"}, {true, "adfs"}}, false, func(a *Azure) *bool { return &a.Auth.ADFS }),
		azureFlag("useFederatedWorkloadIdentityExtension", func(a *Azure) *bool { return &a.Auth.WorkloadIdentity }),
		azureText("aadFederatedTokenFile", value.word, func(a *Azure) *string { return &a.Auth.FederatedTokenFile }),
		azureFlag("useManagedIdentityExtension", func(a *Azure) *bool { return &a.Auth.ManagedIdentity }),
		azureText("userAssignedIdentityID", value.word, func(a *Azure) *string { return &a.Auth.UserAssignedIdentityID }),
		azureText("aadClientId", value.word, func(a *Azure) *string { return &a.Auth.ClientID }),
		azureSecret("aadClientSecret", func(a *Azure) *Secret { return &a.Auth.ClientSecret }),
		azureText("aadClientCertPath", value.word, func(a *Azure) *string { return &a.Auth.ClientCertPath }),
		azureSecret("aadClientCertPassword", func(a *Azure) *Secret { return &a.Auth.ClientCertPassword }),
		azureWord("cloudConfigType", azureConfigTypes(), AzureConfigMerge, func(a *Azure) *AzureConfigType { return &a.ConfigType }),
	}
}

func azureClusterKeys() []azureKey {
	return []azureKey{
		azureText("resourceGroup", value.lowerName, func(a *Azure) *string { return &a.ResourceGroup }),
		azureText("location", value.word, func(a *Azure) *string { return &a.Location }),
		azureText("extendedLocationName", value.word, func(a *Azure) *string { return &a.ExtendedLocationName }),
		azureText("extendedLocationType", value.word, func(a *Azure) *string { return &a.ExtendedLocationType }),
		azureText("vnetName", value.azureName, func(a *Azure) *string { return &a.VnetName }),
		azureText("vnetResourceGroup", value.azureName, func(a *Azure) *string { return &a.VnetResourceGroup }),
		azureText("subnetName", value.azureName, func(a *Azure) *string { return &a.SubnetName }),
		azureText("securityGroupName", value.azureName, func(a *Azure) *string { return &a.SecurityGroupName }),
		azureText("securityGroupResourceGroup", value.azureName, func(a *Azure) *string { return &a.SecurityGroupResourceGroup }),
		azureText("routeTableName", value.azureName, func(a *Azure) *string { return &a.RouteTableName }),
		azureText("routeTableResourceGroup", value.azureName, func(a *Azure) *string { return &a.RouteTableResourceGroup }),
		azureWord("vmType", azureVMTypes(), AzureVMSS, func(a *Azure) *AzureVMType { return &a.VMType }),
		{"tags", func(v value, d *azureDraft) { v.azureTags(d) }, nil},
		{
			"tagsMap", func(v value, d *azureDraft) { v.azureTagsMap(d) },
			func(a *Azure, _ func(Secret) string) any {
				if len(a.Tags) == 0 {
					return nil
				}
				return a.Tags
			},
		},
		{
			"systemTags", func(v value, d *azureDraft) {
				if s, ok := v.text(); ok {
					d.SystemTags = splitList(s)
				}
			},
			func(a *Azure, _ func(Secret) string) any { return orNil(strings.Join(a.SystemTags, ",")) },
		},
		azureText("privateLinkServiceResourceGroup", value.azureName, func(a *Azure) *string { return &a.PrivateLinkServiceResourceGroup }),
		{
			"nodeInstanceNotFoundGracePeriodInSeconds", func(v value, d *azureDraft) {
				if n, ok := v.number(0, math.MaxInt32); ok {
					d.NodeGracePeriod = time.Duration(n) * time.Second //nolint:gosec // G115: in range by number.
				}
			},
			func(a *Azure, _ func(Secret) string) any { return orNil(int(a.NodeGracePeriod / time.Second)) },
		},
	}
}

func azureBalancerKeys() []azureKey {
	return []azureKey{
		{"loadBalancerSku", func(v value, _ *azureDraft) { v.azureSKU() }, nil},
		azureText("loadBalancerName", value.azureName, func(a *Azure) *string { return &a.LoadBalancer.Name }),
		azureText("loadBalancerResourceGroup", value.azureName, func(a *Azure) *string { return &a.LoadBalancer.ResourceGroup }),
		azureWord("preConfiguredBackendPoolLoadBalancerTypes", azurePools(), 0, func(a *Azure) *AzurePools { return &a.LoadBalancer.PreConfiguredPools }),
		{
			"loadBalancerBackendPoolConfigurationType", func(v value, d *azureDraft) { v.azurePoolType(&d.Azure) },
			func(a *Azure, _ func(Secret) string) any { return orNil(a.LoadBalancer.PoolType.String()) },
		},
		azureFlagOn("excludeMasterFromStandardLB", func(a *Azure) *bool { return &a.LoadBalancer.ExcludeControlPlane }),
		azureFlag("disableOutboundSNAT", func(a *Azure) *bool { return &a.LoadBalancer.DisableOutboundSNAT }),
		azureFlag("enableIPTagMutationForExistingPublicIP", func(a *Azure) *bool { return &a.LoadBalancer.MutateIPTags }),
		azureWord("clusterServiceLoadBalancerHealthProbeMode", azureProbeModes(), false, func(a *Azure) *bool { return &a.LoadBalancer.SharedProbe }),
		{
			"clusterServiceSharedLoadBalancerHealthProbePort", func(v value, d *azureDraft) {
				if v.node.Value != "0" { // 0 means the default
					into(&d.LoadBalancer.SharedProbePort, value.port)(v)
				}
			},
			func(a *Azure, _ func(Secret) string) any { return int(a.LoadBalancer.SharedProbePort) },
		},
		azureText("clusterServiceSharedLoadBalancerHealthProbePath", value.word, func(a *Azure) *string { return &a.LoadBalancer.SharedProbePath }),
		{
			"multipleStandardLoadBalancerConfigurations", func(v value, d *azureDraft) { v.azureBalancers(&d.Azure) },
			func(a *Azure, _ func(Secret) string) any { return newAzureBalancersYAML(a) },
		},
		{"serviceGatewayEnabled", func(v value, _ *azureDraft) {
			if on, ok := v.flag(); ok && on {
				v.fault("the service gateway is not supported, because it is of AKS alone", "remove it")
			}
		}, nil},
	}
}

// azureText is a key with a text.
func azureText(name string, read func(value) (string, bool), field func(*Azure) *string) azureKey {
	return azureKey{
		name, func(v value, d *azureDraft) { into(field(&d.Azure), read)(v) },
		func(a *Azure, _ func(Secret) string) any { return orNil(*field(a)) },
	}
}

func azureSecret(name string, field func(*Azure) *Secret) azureKey {
	return azureKey{
		name, func(v value, d *azureDraft) { into(field(&d.Azure), value.azureSecretText)(v) },
		func(a *Azure, show func(Secret) string) any {
			if *field(a) == "" {
				return nil
			}
			return show(*field(a))
		},
	}
}

// azureFlag is a key that is true or false; false unless set.
func azureFlag(name string, field func(*Azure) *bool) azureKey {
	return azureKey{name, readAzureFlag(field), func(a *Azure, _ func(Secret) string) any {
		if *field(a) {
			return true
		}
		return nil
	}}
}

// azureFlagOn is a key that is true or false; true unless set.
func azureFlagOn(name string, field func(*Azure) *bool) azureKey {
	return azureKey{name, readAzureFlag(field), func(a *Azure, _ func(Secret) string) any {
		if *field(a) {
			return nil
		}
		return false
	}}
}

func readAzureFlag(field func(*Azure) *bool) func(value, *azureDraft) {
	return func(v value, d *azureDraft) { into(field(&d.Azure), value.flag)(v) }
}

// azureWord is a key with one of some words.
func azureWord[T comparable](name string, words []word[T], standard T, field func(*Azure) *T) azureKey {
	return azureKey{
		name, func(v value, d *azureDraft) { into(field(&d.Azure), oneOf(words))(v) },
		func(a *Azure, _ func(Secret) string) any {
			if *field(a) == standard {
				return nil
			}
			return textOf(words, *field(a))
		},
	}
}

// oneOf reads one of the words, without regard to case, as the peer.
func oneOf[T comparable](words []word[T]) func(value) (T, bool) {
	return func(v value) (T, bool) {
		var zero T
		s, ok := v.text()
		if !ok {
			return zero, false
		}
		var allowed []string
		for _, w := range words {
			if strings.EqualFold(w.text, s) {
				return w.value, true
			}
			allowed = append(allowed, w.text)
		}
		v.fault("is not known", "allowed are "+list(allowed))
		return zero, false
	}
}

// orNil is nil for the zero value.
func orNil[T comparable](t T) any {
	var zero T
	if t == zero {
		return nil
	}
	return t
}

// azureName is a word that becomes part of an ID.
func (v value) azureName() (string, bool) {
	s, ok := v.word()
	if ok && (strings.ContainsAny(s, "/?#%") || s == "." || s == "..") {
		v.fault("is not the name of a resource", "write the name alone, without slashes")
		return "", false
	}
	return s, ok
}

func (v value) lowerName() (string, bool) {
	s, ok := v.azureName()
	return strings.ToLower(s), ok
}

func (v value) azureSecretText() (Secret, bool) {
	v.secret = true
	s, ok := v.text()
	if ok && s == redacted {
		v.fault("is the text that stands for a hidden secret", "write the secret itself")
		return "", false
	}
	if ok && isPlaceholder(s) {
		v.fault(placeholder, placeholderCure)
		return "", false
	}
	return Secret(s), ok
}

func (v value) endpoint() (string, bool) {
	return v.url("https://management.local.azurestack.external")
}

// url is a URL of a server.
func (v value) url(example string) (string, bool) {
	s, ok := v.word()
	if !ok {
		return "", false
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.RawQuery != "" {
		v.fault("is not a URL of https or http", "write such as "+example)
		return "", false
	}
	return s, true
}

// azureTags reads a=b,c=d. What is no pair is left out, as in the peer.
func (v value) azureTags(d *azureDraft) {
	s, ok := v.text()
	if !ok {
		return
	}
	d.tags = map[string]string{}
	for _, pair := range splitList(s) {
		key, val, found := strings.Cut(pair, "=")
		key, val = strings.TrimSpace(key), strings.TrimSpace(val)
		if !found || key == "" || strings.Contains(val, "=") {
			v.warn(fmt.Sprintf("%s is no pair and left out", strconv.Quote(shorten(pair))), "write a=b,c=d, or use tagsMap")
			continue
		}
		if !v.isReservedTag(key) {
			setTag(d.tags, key, val)
		}
	}
}

func (v value) azureTagsMap(d *azureDraft) {
	if !v.isMapping() {
		return
	}
	if d.tagsMap == nil {
		d.tagsMap = map[string]string{}
	}
	for _, p := range v.pairs() {
		key := strings.TrimSpace(p.key.Value)
		if val, ok := v.under(p.key.Value, p.val).text(); ok && key != "" && !v.isReservedTag(key) {
			setTag(d.tagsMap, key, strings.TrimSpace(val))
		}
	}
}

// azureReserved are the keys of the tags by which the peer and the provider tell
// whose a resource is.
func azureReserved() []string {
	return []string{
		"k8s-azure-service", "k8s-azure-cluster-name", "k8s-azure-dns-label-service", "k8s-azure-owner-service",
	}
}

// isReservedTag reports whether the tag is one of ownership, and warns of it: the
// peer sets the true value.
func (v value) isReservedTag(key string) bool {
	is := slices.ContainsFunc(azureReserved(), func(r string) bool { return strings.EqualFold(r, key) })
	if is {
		v.warn(fmt.Sprintf("has tag %s, which tells whose a resource is; it is left out", key), "take it away")
	}
	return is
}

// setTag keeps one tag of each name: Azure compares them without case.
func setTag(tags map[string]string, key, val string) {
	for known := range tags {
		if strings.EqualFold(known, key) {
			key = known
		}
	}
	tags[key] = val
}

// mergeTags are all tags; nil when there are none.
func (d *azureDraft) mergeTags() map[string]string {
	out := maps.Clone(d.tags)
	for _, key := range slices.Sorted(maps.Keys(d.tagsMap)) {
		if out == nil {
			out = map[string]string{}
		}
		setTag(out, key, d.tagsMap[key])
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// splitList splits at commas and drops what is empty.
func splitList(s string) []string {
	var out []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}
