// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
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

// of is a collector for a cluster, by the file with its cloud-config.
func of(config, cluster string, more ...func(*collector)) func(*collector) {
	return func(c *collector) {
		c.from.file, c.cluster = config, cluster
		for _, change := range more {
			change(c)
		}
	}
}

// deleting lets gc delete without asking.
func deleting(c *collector) { c.remove, c.yes = true, true }

// emptied expects that gc tells what is left over, as in the golden file, and
// does not touch it; deletes it when it is told to; and then finds nothing more.
func emptied(t *testing.T, client *fake.Clientset, site func(*collector), golden string, state func() string) {
	t.Helper()
	before := state()
	out, err := collected(t, client, site)
	if !errors.Is(err, ErrPlanned) || state() != before {
		t.Errorf("without --delete: %v\n%s", err, out)
	}
	goldenSite(t, golden, out)
	remove := func(c *collector) {
		site(c)
		deleting(c)
	}
	if out, err := collected(t, client, remove); err != nil {
		t.Errorf("with --delete: %v\n%s", err, out)
	}
	if out, err := collected(t, client, remove); err != nil || out != "Nothing is left over.\n" {
		t.Errorf("then: %v\n%s", err, out)
	}
}

// rewrite replaces text of a file.
func rewrite(t *testing.T, file, old, wrong string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, bytes.ReplaceAll(text, []byte(old), []byte(wrong)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// withoutNodes deletes all nodes.
func withoutNodes(t *testing.T, client *fake.Clientset) {
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
		out, err := collected(t, client, of(config, "rig", deleting))
		if err != nil || out != "Nothing is left over.\n" {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("before the answer", func(t *testing.T) {
		cloud, config, client := deserted(t, "site", "nlb-default")
		svc := &v1.Service{}
		leftOnAWS(t, svc, "nlb-default", "service.json")
		out, err := collected(t, client, of(config, "rig", func(c *collector) {
			c.remove, c.atTerminal = true, true
			c.In = answer(func() string {
				if _, err := client.CoreV1().Services(svc.Namespace).Create(t.Context(), svc, metav1.CreateOptions{}); err != nil {
					t.Error(err)
				}
				return "yes\n"
			})
		}))
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
		out, err := collected(t, client, of(config, "rig", func(c *collector) {
			c.remove, c.atTerminal, c.In = true, true, strings.NewReader(text)
		}))
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
	out, err := collected(t, client, of(config, "rig", deleting))
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
		remove := of(config, "rig", deleting, func(c *collector) { c.output = format })
		out, err := collected(t, client, remove)
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
		if out, err := collected(t, client, remove); err != nil {
			t.Errorf("then: %v\n%s", err, out)
		}
		if strings.Contains(string(cloud.State()), "nlbmanag") {
			t.Error("something is left")
		}
	}
}

func TestGCPrintsJSON(t *testing.T) {
	_, config, client := deserted(t, "site", "nlb-default")
	out, err := collected(t, client, of(config, "rig", func(c *collector) { c.output = "json" }))
	var doc struct {
		Services []string
		Plan     struct{ Steps []struct{ Kind string } }
	}
	if !errors.Is(err, ErrPlanned) || json.Unmarshal([]byte(out), &doc) != nil || !slices.Equal(doc.Services, []string{"default/nlb-default"}) || len(doc.Plan.Steps) != 3 {
		t.Errorf("%v\n%s", err, out)
	}
}
