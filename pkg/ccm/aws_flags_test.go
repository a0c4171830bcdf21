// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/intent"
)

// Each flag of cloud-provider-aws is taken; what it answers is what a user of
// that controller has to know.
func TestFlagsOfCloudProviderAWSAreTaken(t *testing.T) {
	const tagging = "--controllers=*,tagging --tags=a=b --resources=instance "
	for flags, warning := range map[string]string{
		"--cloud-config=/etc/kubernetes/cloud.conf":                   "",
		"--allow-untagged-cloud":                                      "",
		"--cluster-name=prod":                                         "",
		"--configure-cloud-routes=false":                              "",
		"--use-service-account-credentials=true":                      "",
		"--controllers=*,-service":                                    "",
		"--controllers=*,-tagging":                                    "",
		tagging:                                                       "",
		tagging + "--tags=c=d,e=f":                                    "",
		"--tags=a=b":                                                  "--tags has no effect: --controllers does not name tagging; add it, as in --controllers=*,tagging, or leave the flag out",
		tagging + "--tagging-controller-rate-limit=1.5":               "--tagging-controller-rate-limit has no effect: calls keep to the limits of AWS by themselves; leave the flag out",
		tagging + "--tagging-controller-burst-limit=9":                "--tagging-controller-burst-limit has no effect: calls keep to the limits of AWS by themselves; leave the flag out",
		tagging + "--tagging-controller-concurrent-node-syncs=5":      "--tagging-controller-concurrent-node-syncs has no effect: nodes are tagged many at a time, in one call; leave the flag out",
		tagging + "--tagging-controller-enable-batching":              "--tagging-controller-enable-batching has no effect: nodes are always tagged many at a time; leave the flag out",
		"--concurrent-service-syncs=10":                               "--concurrent-service-syncs 10 makes Services wait for each other: what is served together needs fewer calls; leave the flag out",
		"--controllers=cloud-node,cloud-node-lifecycle,service,route": "",
	} {
		o := parse(t, append([]string{"--cloud-provider=aws"}, strings.Fields(flags)...)...)
		if got := strings.Join(o.awsWarnings(), "\n"); got != warning {
			t.Errorf("%s warns\n%s\nwant\n%s", flags, got, warning)
		}
		if _, err := o.config(); err != nil {
			t.Errorf("%s is refused: %v", flags, err)
		}
	}
}

func TestTaggingThatCannotBeIsRefused(t *testing.T) {
	for flags, want := range map[string]string{
		"--controllers=*,tagging --resources=instance":               "--tags is empty: --controllers names tagging; give the tags, such as cluster=prod",
		"--controllers=*,tagging --tags=a=b":                         "--resources is empty: --controllers names tagging; give instance",
		"--controllers=*,tagging --tags=a=b --resources=volume":      `--resources "volume": must be instance`,
		"--controllers=*,tagging-controller --tags=a=b --resources=": `--resources "": must be instance`,
	} {
		_, err := parse(t, append([]string{"--cloud-provider=aws"}, strings.Fields(flags)...)...).config()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", flags, err, want)
		}
	}
}

func TestFlagsForAWSWarnOnOtherClouds(t *testing.T) {
	got := parse(t, "--cloud-provider=metal", "--tags=a=b", "--concurrent-service-syncs=1").awsWarnings()
	if diff := cmp.Diff([]string{"--tags has no effect: it is for --cloud-provider=aws; leave it out"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFlagsCountOverTheCloudConfigOfAWS(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cloud.yaml")
	const text = "apiVersion: config.fairlead.dev/v1alpha1\nkind: CloudConfig\naws: {vpc: vpc-1, nodeTags: {old: x}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	load := func(flags ...string) *cloudconfig.AWS {
		o := parse(t, append([]string{"--cloud-provider=aws"}, flags...)...)
		from, err := o.source()
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // before and after the controllers are known
			conf, err := from.load(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := o.config(); err != nil {
				t.Fatal(err)
			}
			if len(o.Generic.Controllers) == 0 || conf.Provider() != intent.AWS {
				t.Fatalf("provider %q", conf.Provider())
			}
		}
		conf, err := from.load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return conf.AWS
	}
	if a := load("--cloud-config=" + file); a.VPC != "vpc-1" || a.NodeTags["old"] != "x" || a.AllowUntagged {
		t.Errorf("the file alone: %+v", a)
	}
	a := load("--cloud-config="+file, "--controllers=*,tagging", "--tags=new=y", "--resources=instance", "--allow-untagged-cloud")
	if diff := cmp.Diff(map[string]string{"new": "y"}, a.NodeTags); diff != "" || !a.AllowUntagged {
		t.Errorf("untagged %t, tags (-want +got):\n%s", a.AllowUntagged, diff)
	}
	if a := load(); a.VPC != "" || a.SecurityGroupRuleLimit != cloudconfig.DefaultSecurityGroupRuleLimit {
		t.Errorf("without a file: %+v", a)
	}
}
