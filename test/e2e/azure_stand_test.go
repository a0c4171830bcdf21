// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/fairlead/fairlead/pkg/engine"
	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/azure/votefront"
	"github.com/fairlead/fairlead/test/controlplane"
	"github.com/fairlead/fairlead/test/manifests"
)

const plugin = "kubectl-fairlead"

// azureStand is a control plane with the manifests for Azure, a simulated cloud
// and our binaries.
type azureStand struct {
	*cluster

	cloud      *azuresim.Cloud
	bin        string
	config     string // the file azure.json
	kubeconfig string // of the controller
	admins     string // kubeconfig of who runs the plugin
}

// newAzureStand starts a control plane before a cloud. What azure.json says
// beside the site of votefront are more keys.
func newAzureStand(t *testing.T, bin string, cloud *azuresim.Cloud, more map[string]any) *azureStand {
	t.Helper()
	cp := controlplane.ForTest(t, controlplane.Options{
		ServiceCIDRs: []netip.Prefix{votefront.ServiceRange(), netip.MustParsePrefix("fd00:10::/112")},
	})
	s := &azureStand{cluster: &cluster{ControlPlane: cp, admin: clientFor(t, cp.Config())}, cloud: cloud, bin: bin}
	applyDir(t, cp.Config(), azure)
	server := cloud.Start()
	t.Cleanup(server.Close)
	for _, variable := range votefront.Environment(server.URL) {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	text, err := votefront.CloudConfig(server.URL, more)
	if err != nil {
		t.Fatal(err)
	}
	s.config = filepath.Join(t.TempDir(), "azure.json")
	if err := os.WriteFile(s.config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s.kubeconfig = s.kubeconfigOf(t, controlplane.Identity{Namespace: "kube-system", Name: azureServer})
	if s.admins, err = cp.Kubeconfig(controlplane.Admin); err != nil {
		t.Fatal(err)
	}
	return s
}

// manage starts the controller manager in the peer's place.
func (s *azureStand) manage(t *testing.T, args ...string) *program {
	t.Helper()
	return start(t, filepath.Join(s.bin, controller), append([]string{
		"--cloud-provider=azure", "--cloud-config=" + s.config, "--cluster-name=" + votefront.ClusterName,
		"--secure-port=0", "--kubeconfig=" + s.kubeconfig,
	}, args...)...)
}

// run runs the plugin, which must end with the code, and returns what it
// printed.
func (s *azureStand) run(t *testing.T, code int, args ...string) string {
	t.Helper()
	out, err := s.tryRun(t.Context(), code, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (s *azureStand) tryRun(ctx context.Context, code int, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, plugin), append(args, "--cloud-config="+s.config, "--kubeconfig="+s.admins)...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return "", err
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		return "", fmt.Errorf("kubectl fairlead %q ended with %d, want %d:\n%s%s", args, got, code, out.String(), problems.String())
	}
	return out.String(), nil
}

// says fails unless the text has each of the parts, and none after without.
func says(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("there is no %q in\n%s", p, text)
		}
	}
}

func silentAbout(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if strings.Contains(text, p) {
			t.Errorf("there is %q in\n%s", p, text)
		}
	}
}

// writes are the writes to the cloud, in words.
func (s *azureStand) writes() []string {
	var out []string
	for _, c := range s.cloud.Calls() {
		if c.Kind == azuresim.Write {
			out = append(out, fmt.Sprintf("%s %s: %d", c.Method, c.ID, c.Status))
		}
	}
	return out
}

// balancing is the load balancing in the cloud, to be compared.
func (s *azureStand) balancing(t *testing.T) string {
	t.Helper()
	text, err := votefront.Balancing(s.cloud.State())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// apply applies an acceptance Service, changed by edit unless that is nil.
func (s *azureStand) apply(t *testing.T, file string, edit func(*unstructured.Unstructured)) {
	t.Helper()
	data, err := votefront.Objects.Open("objects/" + file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = data.Close() }()
	objs, err := manifests.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objs {
		if o.GetNamespace() == "" {
			o.SetNamespace("default")
		}
		if edit != nil {
			edit(o)
		}
	}
	client, err := manifests.NewClient(s.Config())
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Apply(t.Context(), objs...); err != nil {
		t.Fatal(err)
	}
}

// createNode makes a Node with its status.
func (s *azureStand) createNode(t *testing.T, want *v1.Node) {
	t.Helper()
	api := s.admin.CoreV1().Nodes()
	node, err := api.Create(t.Context(), want, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	node.Status = want.Status
	if _, err := api.UpdateStatus(t.Context(), node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// awaitAddress waits until the status of a Service has just that address.
func (s *azureStand) awaitAddress(t *testing.T, service string, is func(string) bool) string {
	t.Helper()
	var address string
	s.awaitStatus(t, service, func(svc *v1.Service) bool {
		in := svc.Status.LoadBalancer.Ingress
		if len(in) != 1 || !is(in[0].IP) {
			return false
		}
		address = in[0].IP
		return in[0].IPMode != nil && *in[0].IPMode == v1.LoadBalancerIPModeVIP
	})
	return address
}

// awaitCondition waits until the condition of a Service is false for that
// reason.
func (s *azureStand) awaitCondition(t *testing.T, service, reason string) {
	t.Helper()
	s.awaitStatus(t, service, func(svc *v1.Service) bool {
		c := meta.FindStatusCondition(svc.Status.Conditions, engine.ConditionProgrammed)
		return c != nil && c.Status == metav1.ConditionFalse && c.Reason == reason
	})
}

// delete deletes Services and waits until they are gone.
func (s *azureStand) delete(t *testing.T, services ...string) {
	t.Helper()
	api := s.admin.CoreV1().Services("default")
	for _, name := range services {
		if err := api.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, fmt.Sprintf("%q are gone", services), func(ctx context.Context) error {
		list, err := api.List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for i := range list.Items {
			if slices.Contains(services, list.Items[i].Name) {
				return fmt.Errorf("%s is there with finalizers %q", list.Items[i].Name, list.Items[i].Finalizers)
			}
		}
		return nil
	})
}

// document decodes a resource of the cloud.
func (s *azureStand) document(t *testing.T, typeName, name string, into any) {
	t.Helper()
	raw, ok := s.cloud.Get(s.cloud.ID(votefront.Group, typeName, name))
	if !ok {
		t.Fatalf("%s %s is not there", typeName, name)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatal(err)
	}
}
