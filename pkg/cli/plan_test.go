// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/fairlead/fairlead/pkg/ccm"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/arm"
)

// planned runs plan in a cluster.
func planned(t *testing.T, client *fake.Clientset, change func(*planner), services ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	p := planner{
		IOStreams: genericiooptions.IOStreams{Out: &out, ErrOut: &out},
		from:      source{namespace: systemNamespace}, clouds: ccm.Clouds(), cluster: defaultCluster,
		output: "text", unclassed: true,
	}
	change(&p)
	var keys []plan.Key
	for _, name := range services {
		keys = append(keys, plan.Key{Namespace: "shop", Name: name})
	}
	err := p.run(t.Context(), client, keys)
	return out.String(), err
}

func asIs(*planner) {}

func TestPlanPrintsWhatWouldBeDone(t *testing.T) {
	for _, tt := range []struct {
		file     string
		services []string
		want     error
	}{
		{"plan-all.txt", nil, ErrPlanned},
		{"plan-all.json", nil, ErrPlanned},
		{"plan-web.txt", []string{"web"}, nil},
		{"plan-waits.txt", []string{"waits"}, ErrRefused},
	} {
		t.Run(tt.file, func(t *testing.T) {
			client := with(t, balancer("new", func(*v1.Service) {}))
			format := strings.Replace(strings.TrimPrefix(filepath.Ext(tt.file), "."), "txt", "text", 1)
			out, err := planned(t, client, func(p *planner) { p.output = format }, tt.services...)
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			goldenSite(t, tt.file, out)
			for _, a := range client.Actions() {
				if v := a.GetVerb(); v != "get" && v != "list" && v != "watch" {
					t.Errorf("the plan wrote: %s %s", v, a.GetResource().Resource)
				}
			}
		})
	}
}

func TestPlanOfAServiceThatIsNotOursIsAnError(t *testing.T) {
	class := "metallb.io/x"
	client := with(t,
		balancer("internal", func(svc *v1.Service) { svc.Spec.Type = v1.ServiceTypeClusterIP }),
		balancer("foreign", func(svc *v1.Service) { svc.Spec.LoadBalancerClass = &class }),
	)
	for _, tt := range []struct {
		name   string
		change func(*planner)
		want   string
	}{
		{"wbe", asIs, `no Service "wbe" in namespace "shop"; choose another with -n`},
		{"internal", asIs, "plan shop/internal: the Service is of type ClusterIP, and has no load balancer to plan; give it type LoadBalancer, or name another"},
		{"foreign", asIs, `plan shop/foreign: the Service has loadBalancerClass "metallb.io/x", which is another controller's; ours is fairlead.dev/metal`},
		{
			"web",
			func(p *planner) { p.unclassed = false },
			"plan shop/web: the Service has no loadBalancerClass, and --serve-unclassed=false leaves it to others; plan with --serve-unclassed, or name one of class fairlead.dev/metal",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := planned(t, client, tt.change, tt.name)
			if err == nil || err.Error() != tt.want || out != "" {
				t.Errorf("got %q and %v\nwant %s", out, err, tt.want)
			}
		})
	}
}

func TestPlanOfAllSaysWhyThereIsNone(t *testing.T) {
	client := exampleCluster(t)
	for format, want := range map[string]string{
		"text": "No Service is ours: --serve-unclassed=false leaves out those without a loadBalancerClass, and none of type LoadBalancer has fairlead.dev/metal.\n",
		"json": "[]\n",
	} {
		out, err := planned(t, client, func(p *planner) { p.unclassed, p.output = false, format })
		if err != nil || out != want {
			t.Errorf("%s: got %q and %v, want %q", format, out, err, want)
		}
	}
}

func TestPlanPrintsFaultsOfTheCloudConfigFirst(t *testing.T) {
	out, err := planned(t, with(t, faultyConfig()), asIs, "web")
	if err != nil || !strings.HasPrefix(out, "The cloud-config has 1 fault:\n") || !strings.Contains(out, "did you mean myASN?") {
		t.Errorf("got %q and %v", out, err)
	}
}

func TestPlanPrintsFaultsOnce(t *testing.T) {
	cm := faultyConfig()
	cm.Data["cloud-config.yaml"] = `{"cloud": "Elsewhere", "vmType": "none", "loadBalancerSku": "large"}`
	out, err := planned(t, with(t, cm), asIs)
	if err == nil {
		t.Fatal("it can be planned")
	}
	told := out + err.Error()
	for _, name := range []string{"Elsewhere", "vmType", "large"} {
		if n := strings.Count(told, name); n != 1 {
			t.Errorf("%s is told %d times:\n%s", name, n, told)
		}
	}
}

// TestPlanCountsFaultsAsValidateDoes: warnings are none.
func TestPlanCountsFaultsAsValidateDoes(t *testing.T) {
	cm := faultyConfig()
	cm.Data["cloud-config.yaml"] = "[Global]\nZone = a\nVPC = b\nNoSuchKey = c\n"
	out, err := planned(t, with(t, cm), asIs)
	file := filepath.Join(t.TempDir(), "cloud.conf")
	if err := os.WriteFile(file, []byte(cm.Data["cloud-config.yaml"]), 0o600); err != nil {
		t.Fatal(err)
	}
	var verdict bytes.Buffer
	validated := validate(genericiooptions.IOStreams{Out: &verdict}, os.DirFS("/"), []string{file}, "")
	if validated == nil || !strings.Contains(verdict.String(), "cloud.conf: 2 faults; not usable\n") || !strings.Contains(verdict.String(), "warning: ") {
		t.Fatalf("validate: %v\n%s", validated, &verdict)
	}
	if err == nil || !strings.HasPrefix(out, "The cloud-config has 2 faults:\n") || !strings.Contains(err.Error(), "the cloud-config has 2 faults") {
		t.Errorf("got %q and %v", out, err)
	}
}

func TestPlanSignsInWithTheAzureCLI(t *testing.T) {
	folder := t.TempDir()
	script := "#!/bin/sh\necho 'Please run az login to setup account.' >&2\nexit 1\n"
	if err := os.WriteFile(filepath.Join(folder, "az"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder+string(os.PathListSeparator)+os.Getenv("PATH"))
	cm := faultyConfig()
	cm.Data["cloud-config.yaml"] = `{"cloud": "AzurePublicCloud", "subscriptionId": "11111111-1111-1111-1111-111111111111", "resourceGroup": "rg",
		"location": "westeurope", "vnetName": "vnet", "subnetName": "nodes", "securityGroupName": "nsg",
		"loadBalancerSku": "standard", "vmType": "vmss", "useManagedIdentityExtension": true}`
	_, err := planned(t, with(t, cm), func(p *planner) { p.auth = arm.AuthCLI })
	for _, want := range []string{"the account of the Azure CLI", "az login"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}
