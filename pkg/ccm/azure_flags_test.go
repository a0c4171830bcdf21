// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
)

const azureConfig = "subscriptionId: sub\nresourceGroup: rg\nlocation: westeurope\nsecurityGroupName: nsg\n"

// Each flag of cloud-provider-azure is taken; what it answers is what a user
// of that controller has to know.
func TestFlagsOfCloudProviderAzureAreTaken(t *testing.T) {
	for flag, warning := range map[string]string{
		"--cloud-config=/etc/kubernetes/azure.json":                             "",
		"--enable-dynamic-reloading=true":                                       "",
		"--cloud-config-secret-name=azure-cloud-provider":                       "",
		"--cloud-config-secret-namespace=kube-system":                           "",
		"--cloud-config-key=cloud-config":                                       "",
		"--node-instance-not-found-grace-period-in-seconds=9":                   "",
		"--concurrent-service-syncs=1":                                          "--concurrent-service-syncs 1 counts as 1000: cloud-provider-azure can serve but one Service after the other, and what is served together here needs fewer writes; leave the flag out",
		"--concurrent-service-syncs=50":                                         "",
		"--cluster-name=kubernetes":                                             "",
		"--configure-cloud-routes=true":                                         "",
		"--allocate-node-cidrs=true":                                            "",
		"--cluster-cidr=10.244.0.0/16":                                          "",
		"--node-cidr-mask-size=24":                                              "--node-cidr-mask-size has no effect: Pod CIDRs are given to nodes by kube-controller-manager; leave the flag out here, and set it there",
		"--node-cidr-mask-size-ipv4=24":                                         "--node-cidr-mask-size-ipv4 has no effect: Pod CIDRs are given to nodes by kube-controller-manager; leave the flag out here, and set it there",
		"--node-cidr-mask-size-ipv6=64":                                         "--node-cidr-mask-size-ipv6 has no effect: Pod CIDRs are given to nodes by kube-controller-manager; leave the flag out here, and set it there",
		"--service-cluster-ip-range=10.0.0.0/16":                                "--service-cluster-ip-range has no effect: Pod CIDRs are given to nodes by kube-controller-manager; leave the flag out here, and set it there",
		"--node-filter-requirements=a=b":                                        "--node-filter-requirements has no effect: all nodes are looked after; label those that shall not be with kubernetes.azure.com/managed=false, and leave the flag out",
		"--controllers=*,-cloud-node":                                           "",
		"--controllers=*,-node-ipam":                                            "",
		"--controllers=cloud-node,cloud-node-lifecycle,service,route,node-ipam": "--controllers node-ipam has no effect: Pod CIDRs are given to nodes by kube-controller-manager; leave it out",
		"--route-reconciliation-period=10s":                                     "",
		"--leader-elect=true":                                                   "",
	} {
		o := parse(t, "--cloud-provider=azure", flag)
		if got := strings.Join(o.azureWarnings(), "\n"); got != warning {
			t.Errorf("%s warns\n%s\nwant\n%s", flag, got, warning)
		}
		if _, err := o.config(); err != nil {
			t.Errorf("%s is refused: %v", flag, err)
		}
	}
}

func TestOneWorkerAsCloudProviderAzureHasItCountsAsTheDefault(t *testing.T) {
	for provider, want := range map[string]int32{"azure": defaultServiceWorkers, "metal": 1} {
		c, err := parse(t, "--cloud-provider="+provider, "--concurrent-service-syncs=1").config()
		if err != nil {
			t.Fatal(err)
		}
		if got := c.ComponentConfig.ServiceController.ConcurrentServiceSyncs; got != want {
			t.Errorf("%s: %d workers, want %d", provider, got, want)
		}
	}
}

func TestFlagsForAzureWarnOnOtherClouds(t *testing.T) {
	got := parse(t, "--cloud-provider=metal", "--enable-dynamic-reloading", "--concurrent-service-syncs=1").azureWarnings()
	want := []string{"--enable-dynamic-reloading has no effect: it is for --cloud-provider=azure; leave it out"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := parse(t).azureWarnings(); len(got) > 0 {
		t.Errorf("without flags it warns %q", got)
	}
}

func TestNegativeGracePeriodIsRefused(t *testing.T) {
	_, err := parse(t, "--cloud-provider=azure", "--node-instance-not-found-grace-period-in-seconds=-1").config()
	if err == nil || !strings.Contains(err.Error(), "--node-instance-not-found-grace-period-in-seconds -1: must be at least 0") {
		t.Errorf("got %v", err)
	}
}

func writeAzure(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "azure.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestGracePeriodOfTheFlagCounts(t *testing.T) {
	file := writeAzure(t, azureConfig+"nodeInstanceNotFoundGracePeriodInSeconds: 30\n")
	for flag, want := range map[string]time.Duration{"0": 30 * time.Second, "90": 90 * time.Second} {
		from, err := parse(t, "--cloud-provider=azure", "--cloud-config="+file, "--node-instance-not-found-grace-period-in-seconds="+flag).source()
		if err != nil {
			t.Fatal(err)
		}
		conf, err := from.load(t.Context())
		if err != nil || conf.Azure.NodeGracePeriod != want {
			t.Errorf("got %+v, %v, want %s", conf, err, want)
		}
	}
}

func TestWhereTheCloudConfigComesFrom(t *testing.T) {
	for flags, want := range map[string]string{
		"--cloud-provider=azure --cloud-config=/a.json":                                                         "/a.json",
		"--cloud-provider=azure --cloud-config=/a.json --enable-dynamic-reloading":                              "/a.json",
		"--cloud-provider=azure --enable-dynamic-reloading":                                                     "Secret kube-system/cloud-provider-config",
		"--cloud-provider=azure --cloud-config-secret-name=x --cloud-config-secret-namespace=y":                 "Secret y/x",
		"--cloud-provider=azure --cloud-config=/a.json --cloud-config-secret-name=x --enable-dynamic-reloading": "Secret kube-system/x",
		"--cloud-provider=metal --cloud-config=/a.json --cloud-config-secret-name=x":                            "/a.json",
	} {
		from, err := parse(t, strings.Fields(flags)...).source()
		if err != nil || from.where() != want {
			t.Errorf("%s: got %v, %v, want %s", flags, from, err, want)
		}
	}
	if _, err := parse(t, "--cloud-provider=azure").source(); err == nil || !strings.Contains(err.Error(), "--cloud-config is empty") {
		t.Errorf("got %v", err)
	}
}

func secretOf(data string) *v1.Secret {
	return &v1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "cloud-provider-config"},
		Data:       map[string][]byte{"cloud-config": []byte(data)},
	}
}

func secretSourceOf(t *testing.T, file string, objects ...runtime.Object) (*secretSource, *fake.Clientset, *testingclock.FakeClock) {
	t.Helper()
	client, clk := fake.NewClientset(objects...), testingclock.NewFakeClock(time.Now())
	o := parse(t, "--cloud-provider=azure", "--enable-dynamic-reloading")
	return &secretSource{client: client, flags: &o.Azure, file: file, clock: clk}, client, clk
}

func TestSecretCountsOverTheFile(t *testing.T) {
	s, _, _ := secretSourceOf(t, writeAzure(t, azureConfig+"vnetName: vnet\n"), secretOf("subscriptionId: other\n"))
	conf, err := s.load(t.Context())
	if err != nil || conf.Azure.SubscriptionID != "other" || conf.Azure.VnetName != "vnet" {
		t.Errorf("got %+v, %v", conf, err)
	}
}

func TestSecretThatCannotBeReadSaysWhy(t *testing.T) {
	const flag = "--cloud-config-secret-name kube-system/cloud-provider-config: "
	missing, _, _ := secretSourceOf(t, "")
	noKey, _, _ := secretSourceOf(t, "", &v1.Secret{ObjectMeta: secretOf("").ObjectMeta})
	bad, _, _ := secretSourceOf(t, "", secretOf(azureConfig+"vmType: bare\n"))
	for want, s := range map[string]*secretSource{
		flag + `secrets "cloud-provider-config" not found`:                                        missing,
		flag + "the Secret has no key cloud-config; add it, or set --cloud-config-key":            noKey,
		flag + `the Secret: vmType "bare": is not known; allowed are vmss, standard and vmssflex`: bad,
	} {
		if _, err := s.load(t.Context()); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestSecretIsFollowed(t *testing.T) {
	s, client, clk := secretSourceOf(t, "", secretOf(azureConfig))
	type told struct {
		sub string
		err error
	}
	seen := make(chan told)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.watch(ctx, func(conf *cloudconfig.Config, err error) {
			select {
			case seen <- told{conf.Azure.SubscriptionID, err}:
			case <-ctx.Done():
			}
		})
	}()
	next := func(write string) told {
		t.Helper()
		if write != "" {
			if _, err := client.CoreV1().Secrets("kube-system").Update(ctx, secretOf(write), metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		for {
			select {
			case got := <-seen:
				return got
			case <-time.After(time.Millisecond):
				clk.Step(secretInterval)
			case <-t.Context().Done():
				t.Fatal("nothing was told")
			}
		}
	}
	if got := next(""); got.sub != "sub" || got.err != nil {
		t.Errorf("at first %+v", got)
	}
	if got := next(strings.Replace(azureConfig, "sub", "other", 1)); got.sub != "sub" || got.err == nil {
		t.Errorf("a misspelt key must leave the last good one: %+v", got)
	}
	if got := next(strings.Replace(azureConfig, ": sub", ": other", 1)); got.sub != "other" || got.err != nil {
		t.Errorf("after the edit %+v", got)
	}
	cancel()
	<-ended
}
