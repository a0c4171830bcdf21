// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/fairlead/fairlead/pkg/ccm"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// collected runs gc in a cluster.
func collected(t *testing.T, client *fake.Clientset, change func(*collector)) (string, error) {
	t.Helper()
	var out bytes.Buffer
	c := collector{named: true, planner: planner{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &out},
		from:      source{namespace: systemNamespace}, clouds: ccm.Clouds(), output: "text",
	}}
	change(&c)
	err := c.run(t.Context(), client)
	return out.String(), err
}

func awsEnvironment(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
	} {
		t.Setenv(name, value)
	}
}

// deserted is a site of AWS whose Services are gone, with what they left.
func deserted(t *testing.T, states ...string) (*awssim.Cloud, string, *fake.Clientset) {
	t.Helper()
	awsEnvironment(t)
	cloud, config, client := awsSite(t, states)
	services, err := client.CoreV1().Services(metav1.NamespaceAll).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range services.Items {
		if err := client.CoreV1().Services(services.Items[i].Namespace).Delete(t.Context(), services.Items[i].Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return cloud, config, client
}

// TestGCOnAWS: all that cloud-provider-aws made for Services that are gone is
// told, and with --delete the cloud is as before.
func TestGCOnAWS(t *testing.T) {
	files, err := filepath.Glob("../../test/cloud/aws/testdata/*/service.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden states: %v", err)
	}
	for _, file := range files {
		name := filepath.Base(filepath.Dir(file))
		t.Run(name, func(t *testing.T) {
			bare, _, _ := deserted(t, "site")
			cloud, config, client := deserted(t, "site", name)
			before := string(cloud.State())
			of := func(remove bool) func(*collector) {
				return func(c *collector) {
					c.from.file, c.cluster, c.remove, c.yes = config, "rig", remove, remove
				}
			}
			out, err := collected(t, client, of(false))
			if !errors.Is(err, ErrPlanned) || string(cloud.State()) != before {
				t.Errorf("without --delete: %v\n%s", err, out)
			}
			goldenSite(t, "gc-"+name+".txt", out)
			if out, err := collected(t, client, of(true)); err != nil {
				t.Errorf("with --delete: %v\n%s", err, out)
			}
			if got, want := string(cloud.State()), string(bare.State()); got != want {
				t.Errorf("left behind:\n%s\nwant\n%s", got, want)
			}
			if out, err := collected(t, client, of(true)); err != nil || out != "Nothing is left over.\n" {
				t.Errorf("then: %v\n%s", err, out)
			}
		})
	}
}

// TestGCSaysWhenAnotherClusterIsMeantOnAWS: nothing is offered that may be in use
// elsewhere, and "nothing is left over" is said of no cluster that is not there.
func TestGCSaysWhenAnotherClusterIsMeantOnAWS(t *testing.T) {
	const id = "kubernetesClusterID: rig"
	for name, c := range map[string]struct {
		old, wrong string
		change     func(*testing.T, *awssim.Cloud, *fake.Clientset)
		want       string
	}{
		"another cluster's machines": {id, "kubernetesClusterID: other", nil, `of a node has the tag of cluster "rig", and no node has that of "other"`},
		"a cluster of which nothing is there": {
			id, "kubernetesClusterID: other", withoutNodes,
			"has the tag kubernetes.io/cluster/other: no subnet, security group, instance of a node or load balancer; correct kubernetesClusterID in the cloud-config",
		},
		"an empty cluster":                 {id, id, withoutNodes, "nothing that lives has the tag kubernetes.io/cluster/rig, no instance of a node and no load balancer of a Service"},
		"another cluster's load balancers": {id, id, renamedMachines, `of a node has the tag of cluster "mine", and no node has that of "rig"`},
		"another --cluster-name":           {id, id, managedLives, "which lives, has not the name that --cluster-name other makes"},
		"another VPC":                      {"vpc: vpc-", "vpc: vpc-0", nil, "has no security group in region us-east-1 that can be seen; correct VPC and region"},
	} {
		t.Run(name, func(t *testing.T) {
			cloud, file, client := deserted(t, "site", "nlb-managed-group")
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, bytes.ReplaceAll(text, []byte(c.old), []byte(c.wrong)), 0o600); err != nil {
				t.Fatal(err)
			}
			if c.change != nil {
				c.change(t, cloud, client)
			}
			before := string(cloud.State())
			for _, format := range []string{"text", "json"} {
				out, err := collected(t, client, func(c *collector) {
					c.from.file, c.cluster, c.remove, c.yes, c.output = file, "other", true, true, format
				})
				if !errors.Is(err, ErrRefused) || !strings.Contains(strings.ReplaceAll(out, `\"`, `"`), c.want) || strings.Contains(out, "Nothing is left over") {
					t.Errorf("%v\n%s", err, out)
				}
			}
			if string(cloud.State()) != before {
				t.Error("something was written")
			}
		})
	}
}

func withoutNodes(t *testing.T, _ *awssim.Cloud, client *fake.Clientset) {
	t.Helper()
	nodes, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range nodes.Items {
		if err := client.CoreV1().Nodes().Delete(t.Context(), nodes.Items[i].Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// managedLives lets the Service live whose load balancer has a group of its own.
func managedLives(t *testing.T, _ *awssim.Cloud, client *fake.Clientset) {
	t.Helper()
	svc := &v1.Service{}
	leftOnAWS(t, svc, "nlb-managed-group", "service.json")
	if _, err := client.CoreV1().Services(svc.Namespace).Create(t.Context(), svc, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// renamedMachines gives the machines the tag of another cluster than their
// load balancers have.
func renamedMachines(t *testing.T, cloud *awssim.Cloud, client *fake.Clientset) {
	t.Helper()
	nodes, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range nodes.Items {
		id := nodes.Items[i].Spec.ProviderID
		id = id[strings.LastIndexByte(id, '/')+1:]
		for api, key := range map[string]string{"ec2.DeleteTags": "kubernetes.io/cluster/rig", "ec2.CreateTags": "kubernetes.io/cluster/mine"} {
			if err := cloud.Apply(api, url.Values{"ResourceId.1": {id}, "Tag.1.Key": {key}, "Tag.1.Value": {"owned"}}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

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

// traces are the ids of what is there of Services, and of load balancers.
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
			of := func(remove bool) func(*collector) {
				return func(c *collector) {
					c.from.file, c.cluster, c.remove, c.yes = config, g.ClusterName, remove, remove
				}
			}
			before := len(traces(cloud))
			out, err := collected(t, client, of(false))
			if !errors.Is(err, ErrPlanned) || len(traces(cloud)) != before {
				t.Errorf("without --delete: %v\n%s", err, out)
			}
			goldenSite(t, "gc-"+name+".txt", out)
			if out, err := collected(t, client, of(true)); err != nil {
				t.Errorf("with --delete: %v\n%s", err, out)
			}
			for _, doc := range traces(cloud) {
				t.Errorf("left behind: %s", doc)
			}
			if out, err := collected(t, client, of(true)); err != nil || out != "Nothing is left over.\n" {
				t.Errorf("then: %v\n%s", err, out)
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
				withoutNodes(t, nil, client)
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if c.old != "" {
				text = bytes.ReplaceAll(text, []byte(c.old), []byte(c.wrong))
			}
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := collected(t, client, func(x *collector) { x.from.file, x.cluster = file, cmp.Or(c.cluster, g.ClusterName) })
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
		of := func(c *collector) { c.from.file, c.cluster, c.remove, c.yes = config, g.ClusterName, true, true }
		if out, err := collected(t, client, of); err != nil {
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
		if out, err := collected(t, client, of); err != nil || out != "Nothing is left over.\n" {
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

// TestGCLooksAtServicesAfterTheCloud: a Service that comes while the cloud is
// read, or before the answer, keeps what it has.
func TestGCLooksAtServicesAfterTheCloud(t *testing.T) {
	t.Run("while the cloud is read", func(t *testing.T) {
		cloud, config, client := deserted(t, "site", "nlb-managed-group")
		svc := &v1.Service{}
		leftOnAWS(t, svc, "nlb-managed-group", "service.json")
		client.PrependReactor("list", "services", func(clienttesting.Action) (bool, runtime.Object, error) {
			reads := cloud.Counts().Reads
			if reads["ec2.DescribeSecurityGroups"] == 0 || reads["elbv2.DescribeTags"] == 0 {
				return true, &v1.ServiceList{}, nil
			}
			return true, &v1.ServiceList{Items: []v1.Service{*svc}}, nil
		})
		out, err := collected(t, client, func(c *collector) { c.from.file, c.cluster, c.remove, c.yes = config, "rig", true, true })
		if err != nil || out != "Nothing is left over.\n" {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("before the answer", func(t *testing.T) {
		cloud, config, client := deserted(t, "site", "nlb-default")
		svc := &v1.Service{}
		leftOnAWS(t, svc, "nlb-default", "service.json")
		out, err := collected(t, client, func(c *collector) {
			c.from.file, c.cluster, c.remove, c.atTerminal = config, "rig", true, true
			c.In = answer(func() string {
				if _, err := client.CoreV1().Services(svc.Namespace).Create(t.Context(), svc, metav1.CreateOptions{}); err != nil {
					t.Error(err)
				}
				return "yes\n"
			})
		})
		if err == nil || !strings.Contains(err.Error(), "changed since it was printed") || sim.Total(cloud.Counts().Writes) > 0 {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

// answer is what somebody types when asked.
func answer(say func() string) io.Reader {
	return readerFunc(func(p []byte) (int, error) { return copy(p, say()), io.EOF })
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestGCAsks(t *testing.T) {
	for text, deleted := range map[string]bool{"yes\n": true, "y\n": false, "\n": false, "": false} {
		cloud, config, client := deserted(t, "site", "nlb-default")
		out, err := collected(t, client, func(c *collector) {
			c.from.file, c.cluster, c.remove, c.atTerminal, c.In = config, "rig", true, true, strings.NewReader(text)
		})
		if done := sim.Total(cloud.Counts().Writes) > 0; done != deleted || (err == nil) != deleted {
			t.Errorf("%q: %v\n%s", text, err, out)
		}
	}
}

func TestGCRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*collector)
		want   string
	}{
		{"without the name of the cluster", func(c *collector) { c.named = false }, "--cluster-name is not set: the cluster's name tells whose an object is; give that of the controller"},
		{"another format", func(c *collector) { c.output = "yaml" }, `--output "yaml": must be text or json`},
		{"to ask in JSON", func(c *collector) { c.remove, c.atTerminal, c.output = true, true, "json" }, "--delete asks before it deletes, which --output json leaves no room for; give --yes as well"},
		{"to ask nobody", func(c *collector) { c.remove = true }, "--delete asks before it deletes, and the standard input is no terminal; give --yes to delete without being asked"},
		{"bare metal", func(*collector) {}, "provider metal makes nothing outside the cluster that could be left over"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := collected(t, with(t), tt.change)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v and %s", err, out)
			}
		})
	}
}

// Without the right to list the Services of all namespaces nothing is known.
func TestGCNeedsToListServicesOfAllNamespaces(t *testing.T) {
	cloud, config, client := deserted(t, "site", "nlb-default")
	client.PrependReactor("list", "services", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(v1.Resource("services"), "", errors.New("not for you"))
	})
	out, err := collected(t, client, func(c *collector) { c.from.file, c.cluster, c.remove, c.yes = config, "rig", true, true })
	want := "list Services: services is forbidden: not for you; ask for the rights that docs/plugin.md names"
	if err == nil || err.Error() != want || sim.Total(cloud.Counts().Reads) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestGCGoesOnAfterAFailure: what waits for it is left and told, and all else is
// done.
func TestGCGoesOnAfterAFailure(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		cloud, config, client := deserted(t, "site", "nlb-managed-group")
		cloud.SetFault(func(call awssim.Call) *awssim.Fault {
			if call.Action == "DeleteSecurityGroup" {
				return awssim.Refuse(http.StatusBadRequest, "DependencyViolation")
			}
			return nil
		})
		of := func(c *collector) {
			c.from.file, c.cluster, c.remove, c.yes, c.output = config, "rig", true, true, format
		}
		out, err := collected(t, client, of)
		if !errors.Is(err, ErrPlanned) || !strings.Contains(out, "aws/securityGroup k8s-default-nlbmanag-555f7b900f") {
			t.Errorf("%v\n%s", err, out)
		}
		if format == "text" && !strings.HasSuffix(out, "3 of 4 steps are done. Run gc again in a few minutes for what is left.\n") {
			t.Errorf("%s", out)
		}
		var doc struct{ Left map[string]string }
		if format == "json" && (json.Unmarshal([]byte(out), &doc) != nil || len(doc.Left) != 1) {
			t.Errorf("%s", out)
		}
		cloud.SetFault(nil)
		if out, err := collected(t, client, of); err != nil {
			t.Errorf("then: %v\n%s", err, out)
		}
		if strings.Contains(string(cloud.State()), "nlbmanag") {
			t.Error("something is left")
		}
	}
}

func TestGCPrintsJSON(t *testing.T) {
	_, config, client := deserted(t, "site", "nlb-default")
	out, err := collected(t, client, func(c *collector) { c.from.file, c.cluster, c.output = config, "rig", "json" })
	var doc struct {
		Services []string
		Plan     struct{ Steps []struct{ Kind string } }
	}
	if !errors.Is(err, ErrPlanned) || json.Unmarshal([]byte(out), &doc) != nil || !slices.Equal(doc.Services, []string{"default/nlb-default"}) || len(doc.Plan.Steps) != 3 {
		t.Errorf("%v\n%s", err, out)
	}
}
