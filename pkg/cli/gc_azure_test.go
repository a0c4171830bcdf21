// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
)

// azureState is a state that cloud-provider-azure left.
type azureState struct {
	CloudConfig map[string]any
	ClusterName string
	Nodes       []*v1.Node
	Services    []*v1.Service
	State       struct{ Resources []json.RawMessage }
}

// azureSite is a cloud that holds the state, its cloud-config, and the cluster
// with the Services that keep says yes to.
func azureSite(t *testing.T, file string, keep func(int) bool) (*azuresim.Cloud, string, *fake.Clientset, *azureState) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	g := &azureState{}
	if err := json.Unmarshal(raw, g); err != nil {
		t.Fatal(err)
	}
	cloud := azuresim.New(azuresim.Options{})
	if err := cloud.Seed(g.State.Resources); err != nil {
		t.Fatal(err)
	}
	server := cloud.Start()
	t.Cleanup(server.Close)
	t.Setenv("IDENTITY_ENDPOINT", server.URL+"/token")
	t.Setenv("IDENTITY_HEADER", "x")
	g.CloudConfig["resourceManagerEndpoint"], g.CloudConfig["useManagedIdentityExtension"] = server.URL, true
	text, err := json.Marshal(g.CloudConfig)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "azure.json")
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	var objects []runtime.Object
	for _, n := range g.Nodes {
		objects = append(objects, n)
	}
	for i, svc := range g.Services {
		if keep(i) {
			objects = append(objects, svc)
		}
	}
	return cloud, config, fake.NewClientset(objects...), g
}

func none(int) bool { return false }

func azureStates(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../test/cloud/azure/testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden states: %v", err)
	}
	return files
}

// traces are what is there of Services, and of load balancers.
func traces(cloud *azuresim.Cloud) []string {
	var out []string
	for _, doc := range cloud.State() {
		if strings.Contains(string(doc), "/loadBalancers/") || strings.Contains(string(doc), "k8s-azure-") {
			out = append(out, string(doc))
		}
	}
	return out
}

// TestGCOnAzure is TestGCOnAWS with what cloud-provider-azure made.
func TestGCOnAzure(t *testing.T) {
	for _, file := range azureStates(t) {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			cloud, config, client, g := azureSite(t, file, none)
			emptied(t, client, of(config, g.ClusterName), "gc-"+name+".txt", func() string { return strings.Join(traces(cloud), "\n") })
			for _, doc := range traces(cloud) {
				t.Errorf("left behind: %s", doc)
			}
		})
	}
}

// TestGCSaysWhenAnotherClusterIsMeantOnAzure: what bears a wrong name may be
// another cluster's.
func TestGCSaysWhenAnotherClusterIsMeantOnAzure(t *testing.T) {
	for name, c := range map[string]struct {
		old, wrong, cluster, want string
		lives, deserted           bool
	}{
		"another --cluster-name":    {"", "", "other", "has not the name of cluster other", true, false},
		"an empty cluster":          {"", "", "", "no Service that lives is served there, so what is there may be another cluster's", false, true},
		"another resource group":    {`"resourceGroup":"`, `"resourceGroup":"no-`, "", "is not there, and nothing was looked for in it; correct resourceGroup in the cloud-config", false, false},
		"the cluster that is meant": {"", "", "", "", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, file, client, g := azureSite(t, azureStates(t)[0], func(int) bool { return c.lives })
			if c.deserted {
				withoutNodes(t, client)
			}
			if c.old != "" {
				rewrite(t, file, c.old, c.wrong)
			}
			out, err := collected(t, client, of(file, cmp.Or(c.cluster, g.ClusterName)))
			if errors.Is(err, ErrRefused) != (c.want != "") || !strings.Contains(out, c.want) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestGCWhileHalfOfTheServicesLive: nothing of theirs changes, and nothing of
// another cluster in the same resource group.
func TestGCWhileHalfOfTheServicesLive(t *testing.T) {
	const file = "../../test/cloud/azure/testdata/vmss-ip.all.json"
	for _, odd := range []int{0, 1} {
		cloud, config, client, g := azureSite(t, file, func(i int) bool { return i%2 == odd })
		others := foreignCluster(t, cloud, g)
		remove := of(config, g.ClusterName, deleting)
		if out, err := collected(t, client, remove); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, id := range others {
			if _, ok := cloud.Get(id); !ok {
				t.Errorf("%s of another cluster is gone", id)
			}
		}
		mine := slices.DeleteFunc(traces(cloud), func(doc string) bool { return strings.Contains(doc, "other-a") })
		for i, svc := range g.Services {
			base := "a" + strings.ReplaceAll(string(svc.UID), "-", "")[:31]
			if lives := i%2 == odd; strings.Contains(strings.Join(mine, ""), base) != lives {
				t.Errorf("%s lives: %t", svc.Name, lives)
			}
		}
		// The controller takes the address of the other cluster for left over, as
		// the peer does: clusters are not to share a security group.
		out, _ := planned(t, client, func(p *planner) { p.from.file, p.cluster = config, g.ClusterName })
		if strings.Count(out, " -> ") != 1 || !strings.Contains(out, ": 20.50.9.9 -> (none)") {
			t.Errorf("what lives was changed:\n%s", out)
		}
		if out, err := collected(t, client, remove); err != nil || out != "Nothing is left over.\n" {
			t.Errorf("then: %v\n%s", err, out)
		}
	}
}

// foreignCluster is a load balancer of another cluster, with its public IP, and
// a rule of the shared security group that leads there.
func foreignCluster(t *testing.T, cloud *azuresim.Cloud, g *azureState) []string {
	t.Helper()
	var docs []json.RawMessage
	var ids []string
	for _, doc := range g.State.Resources {
		text := string(doc)
		var head struct{ ID, Name string }
		if err := json.Unmarshal(doc, &head); err != nil {
			t.Fatal(err)
		}
		switch {
		case head.Name == "rig-nsg":
			docs = append(docs, json.RawMessage(strings.Replace(text, `"20.50.0.3"`, `"20.50.0.3","20.50.9.9"`, 1)))
		case strings.Contains(text, "default/session-affinity"):
			text = strings.NewReplacer(head.Name, "other-"+strings.TrimPrefix(head.Name, "kubernetes-"), `"kubernetes"`, `"other"`, "20.50.0.3", "20.50.9.9", "/loadBalancers/kubernetes/", "/loadBalancers/other/").Replace(text)
			docs = append(docs, json.RawMessage(text))
			ids = append(ids, strings.Replace(head.ID, "kubernetes-", "other-", 1))
		}
	}
	if len(docs) != 2 {
		t.Fatalf("%d resources", len(docs))
	}
	if err := cloud.Seed(docs); err != nil {
		t.Fatal(err)
	}
	return ids
}
