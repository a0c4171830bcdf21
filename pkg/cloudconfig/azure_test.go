// SPDX-License-Identifier: Apache-2.0

package cloudconfig_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
	"github.com/fairlead/fairlead/test/goldenfile"
)

const azureRequired = "subscriptionId: sub\nresourceGroup: RG\nlocation: West Europe\nsecurityGroupName: nsg\n"

func TestAzureIsReadAsItStands(t *testing.T) {
	eachFile(t, "azure", func(t *testing.T, data []byte, file string) {
		c, err := cloudconfig.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		goldenfile.Check(t, file, report(t, c))
	})
}

func TestAzureDefaultsAreThePeers(t *testing.T) {
	c := good(t, azureRequired)
	want := &cloudconfig.Azure{
		Cloud:          cloudconfig.AzurePublic,
		SubscriptionID: "sub", NetworkResourceSubscriptionID: "sub",
		ConfigType:    cloudconfig.AzureConfigMerge,
		ResourceGroup: "rg", Location: "West Europe",
		VnetResourceGroup: "rg", SecurityGroupName: "nsg", SecurityGroupResourceGroup: "rg", RouteTableResourceGroup: "rg",
		VMType: cloudconfig.AzureVMSS,
		LoadBalancer: cloudconfig.AzureLoadBalancer{
			ResourceGroup: "rg", PoolType: cloudconfig.AzureNodeIPConfiguration, ExcludeControlPlane: true,
			SharedProbePort: 10256, SharedProbePath: "/healthz",
		},
		PrivateLinkServiceResourceGroup: "rg",
	}
	if diff := cmp.Diff(want, c.Azure); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if c.Provider() != "azure" {
		t.Errorf("it is of provider %q", c.Provider())
	}
}

func TestPlaceholdersOfExamplesAreFaults(t *testing.T) {
	for key, text := range map[string]string{
		"subscriptionId": strings.Replace(azureRequired, ": sub", ": <subscription-id>", 1),
		"tenantId":       azureRequired + "tenantId: <tenant-id>\n", "aadClientSecret": azureRequired + "aadClientSecret: <secret>\n",
	} {
		_, err := cloudconfig.Parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), "is a placeholder of an example") {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestTagsMapCountsOverTags(t *testing.T) {
	c := good(t, azureRequired+"tagsMap: {Team: new, x: 'a=b,c'}\ntags: team=old,cost=42\n")
	if diff := cmp.Diff(map[string]string{"team": "new", "cost": "42", "x": "a=b,c"}, c.Azure.Tags); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The peer sets the true values of these tags after all.
func TestTagsOfOwnershipAreLeftOut(t *testing.T) {
	c := parse(t, azureRequired+"tagsMap: {K8s-Azure-Service: x, cost: '42'}\ntags: service=a,team=b\n")
	if diff := cmp.Diff(map[string]string{"cost": "42", "service": "a", "team": "b"}, c.Azure.Tags); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	const want = "tagsMap: has tag K8s-Azure-Service, "
	if text := c.Faults.String(); !strings.Contains(text, want) || len(c.Faults.Errors()) > 0 {
		t.Errorf("no warning says %q: %s", want, text)
	}
}

func TestAzureSecretsNeverShow(t *testing.T) {
	c := good(t, azureRequired+"aadClientSecret: hush\naadClientCertPassword: hush\n")
	out, err := cloudconfig.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", c.Azure, c.Azure, *c.Azure, out); strings.Contains(text, "hush") {
		t.Errorf("a secret shows:\n%s", text)
	}
	if got := c.Azure.Auth.ClientSecret.Reveal(); got != "hush" {
		t.Errorf("the secret is %q", got)
	}
}

func TestSecretIsMergedAsTheFileSays(t *testing.T) {
	const secret = "subscriptionId: other\nresourceGroup: rg2\nlocation: northeurope\nsecurityGroupName: nsg2\naadClientSecret: hush\ntagsMap: {b: c}\n"
	for name, tc := range map[string]struct {
		file, secret   string
		sub, nsg, vnet string
		secretIsThere  bool
		tags           map[string]string
	}{
		"merge is the default and the Secret's keys count": {
			file: azureRequired + "vnetName: vnet\ntagsMap: {a: b}\n", secret: "subscriptionId: other\naadClientSecret: hush\ntagsMap: {b: c}\n",
			sub: "other", nsg: "nsg", vnet: "vnet", secretIsThere: true, tags: map[string]string{"a": "b", "b": "c"},
		},
		"merge lets the Secret hold what is required": {
			file: "cloudConfigType: merge\nvnetName: vnet\n", secret: secret,
			sub: "other", nsg: "nsg2", vnet: "vnet", secretIsThere: true, tags: map[string]string{"b": "c"},
		},
		"file alone": {
			file: azureRequired + "cloudConfigType: file\n", secret: secret, sub: "sub", nsg: "nsg",
		},
		"secret alone": {
			file: azureRequired + "cloudConfigType: secret\nvnetName: vnet\n", secret: secret,
			sub: "other", nsg: "nsg2", secretIsThere: true, tags: map[string]string{"b": "c"},
		},
		"a missing Secret leaves the file": {file: azureRequired, sub: "sub", nsg: "nsg"},
		"a missing file leaves the Secret": {secret: secret, sub: "other", nsg: "nsg2", secretIsThere: true, tags: map[string]string{"b": "c"}},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := cloudconfig.ParseAzure(orNil(tc.file), orNil(tc.secret))
			if err != nil {
				t.Fatal(err)
			}
			a := c.Azure
			if a.SubscriptionID != tc.sub || a.SecurityGroupName != tc.nsg || a.VnetName != tc.vnet || (a.Auth.ClientSecret != "") != tc.secretIsThere {
				t.Errorf("got %+v", a)
			}
			if diff := cmp.Diff(tc.tags, a.Tags); diff != "" {
				t.Errorf("tags (-want +got):\n%s", diff)
			}
		})
	}
}

func orNil(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

func TestFaultsOfASecretNameIt(t *testing.T) {
	_, err := cloudconfig.ParseAzure([]byte(azureRequired), []byte("vmType: bare\n"))
	want := `the Secret: vmType "bare": is not known; allowed are vmss, standard and vmssflex`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	_, err = cloudconfig.ParseAzure([]byte(azureRequired), []byte("{"))
	if err == nil || !strings.HasPrefix(err.Error(), "the Secret of the cloud-config: ") {
		t.Errorf("got %v", err)
	}
	c, err := cloudconfig.ParseAzure([]byte(azureRequired), []byte("vmCacheTTLInSeconds: 60\n"))
	if err != nil || len(c.Faults) != 1 || !strings.HasPrefix(c.Faults[0].Error(), "the Secret: vmCacheTTLInSeconds: has no effect: ") {
		t.Errorf("got %v, %v", c, err)
	}
}

func TestOneLoadBalancerIsNamedLikeTheCluster(t *testing.T) {
	c := good(t, azureRequired+`
vnetName: vnet
loadBalancerBackendPoolConfigurationType: nodeIP
multipleStandardLoadBalancerConfigurations:
- {name: prod, primaryVMSet: a}
- {name: lb2, primaryVMSet: b}
`)
	if err := c.Azure.CheckCluster("PROD"); err != nil {
		t.Error(err)
	}
	want := `multipleStandardLoadBalancerConfigurations names lb2 and prod; one of them must be named like the cluster, "kubernetes": add it, or correct --cluster-name`
	if err := c.Azure.CheckCluster("kubernetes"); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := good(t, azureRequired).Azure.CheckCluster("any"); err != nil {
		t.Error(err)
	}
}

func TestGracePeriodIsInSeconds(t *testing.T) {
	c := good(t, azureRequired+"nodeInstanceNotFoundGracePeriodInSeconds: 90\n")
	if got := c.Azure.NodeGracePeriod; got != 90*time.Second {
		t.Errorf("got %s", got)
	}
}

// A key that switches nothing on needs no warning.
func TestKeysWithoutEffectWarnWhenTheySayMore(t *testing.T) {
	good(t, azureRequired+"cloudProviderBackoff: false\nvmCacheTTLInSeconds: 0\nuseInstanceMetadata: false\n")
	c := parse(t, azureRequired+"cloudProviderBackoff: true\nvmCacheTTLInSeconds: 60\nuseInstanceMetadata: true\n")
	if len(c.Faults) != 3 || len(c.Faults.Errors()) != 0 {
		t.Errorf("got\n%s", c.Faults)
	}
	c = parse(t, azureRequired+"enableMigrateToIPBasedBackendPoolAPI: true\nputVMSSVMBatchSize: 100\n")
	for _, key := range []string{"enableMigrateToIPBasedBackendPoolAPI", "putVMSSVMBatchSize"} {
		if text := c.Faults.String(); !strings.Contains(text, key+": has no effect: ") || c.Azure == nil || len(c.Faults.Errors()) > 0 {
			t.Errorf("no warning names %s: %s", key, text)
		}
	}
}

// The tags that the provider keeps for itself are those that the configuration
// leaves out, in any case.
func TestTagsOfOwnershipAreThoseOfTheProvider(t *testing.T) {
	for _, key := range []string{
		names.TagService, names.TagServiceLegacy, names.TagCluster, names.TagClusterLegacy,
		names.TagDNSService, names.TagDNSServiceLegacy, names.TagOwner, strings.ToUpper(names.TagOwner), "team",
	} {
		c := parse(t, azureRequired+"tagsMap: {"+key+": x}\ntags: "+key+"=x\n")
		if _, kept := c.Azure.Tags[key]; kept == names.IsReserved(key) {
			t.Errorf("%s: kept %v, reserved %v", key, kept, names.IsReserved(key))
		}
	}
}
