// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
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
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead/fairlead/pkg/engine"
	"github.com/fairlead/fairlead/test/controlplane"
	"github.com/fairlead/fairlead/test/manifests"
)

const (
	plugin     = "kubectl-fairlead"
	peerServer = "cloud-controller-manager" // the ServiceAccount of both peers
)

// stand is a control plane with the manifests for a cloud where the peer stood,
// and our binaries.
type stand struct {
	*cluster

	bin        string
	config     string // the file of the cloud-config
	kubeconfig string // of the controller
	admins     string // kubeconfig of who runs the plugin
}

// newStand starts a control plane with an overlay.
func newStand(t *testing.T, bin, overlay string, o controlplane.Options) *stand {
	t.Helper()
	cp := controlplane.ForTest(t, o)
	s := &stand{cluster: &cluster{ControlPlane: cp, admin: clientFor(t, cp.Config())}, bin: bin}
	applyDir(t, cp.Config(), overlay)
	s.kubeconfig = s.kubeconfigOf(t, controlplane.Identity{Namespace: "kube-system", Name: peerServer})
	var err error
	if s.admins, err = cp.Kubeconfig(controlplane.Admin); err != nil {
		t.Fatal(err)
	}
	return s
}

// configure writes the cloud-config and sets the environment that goes with it.
func (s *stand) configure(t *testing.T, name string, text []byte, environment []string) {
	t.Helper()
	for _, variable := range environment {
		key, value, _ := strings.Cut(variable, "=")
		t.Setenv(key, value)
	}
	s.config = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(s.config, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// manage starts the controller manager.
func (s *stand) manage(t *testing.T, args ...string) *program {
	t.Helper()
	return start(t, filepath.Join(s.bin, controller), append([]string{
		"--cloud-config=" + s.config, "--secure-port=0", "--kubeconfig=" + s.kubeconfig,
	}, args...)...)
}

// run runs the plugin, which must end with the code, and returns what it
// printed.
func (s *stand) run(t *testing.T, code int, args ...string) string {
	t.Helper()
	out, err := s.tryRun(t.Context(), code, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (s *stand) tryRun(ctx context.Context, code int, args ...string) (string, error) {
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

// applyFrom applies what a file of the folder objects holds, changed by edit
// unless that is nil.
func (s *stand) applyFrom(t *testing.T, files fs.FS, file string, edit func(*unstructured.Unstructured)) {
	t.Helper()
	data, err := files.Open("objects/" + file)
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
func (s *stand) createNode(t *testing.T, want *v1.Node) {
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

// awaitCondition waits until the condition of a Service is false for that
// reason.
func (s *stand) awaitCondition(t *testing.T, service, reason string) {
	t.Helper()
	s.awaitStatus(t, service, func(svc *v1.Service) bool {
		c := meta.FindStatusCondition(svc.Status.Conditions, engine.ConditionProgrammed)
		return c != nil && c.Status == metav1.ConditionFalse && c.Reason == reason
	})
}

// delete deletes Services and waits until they are gone.
func (s *stand) delete(t *testing.T, services ...string) {
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

// recreate makes the Services again, with their status, and returns what turns
// the names that belong to their old UIDs into those of the new ones: an API
// server gives UIDs itself.
func (s *stand) recreate(t *testing.T, services []*v1.Service) *strings.Replacer {
	t.Helper()
	var pairs []string
	for _, want := range services {
		svc := want.DeepCopy()
		svc.Spec.ClusterIP, svc.Spec.ClusterIPs, svc.ResourceVersion = "", nil, ""
		api := s.admin.CoreV1().Services(svc.Namespace)
		made, err := api.Create(t.Context(), svc, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		made.Status = want.Status
		if _, err := api.UpdateStatus(t.Context(), made, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		pairs = append(pairs, baseName(want.UID), baseName(made.UID))
	}
	return strings.NewReplacer(pairs...)
}

// touch changes the Services in what nobody minds, so that they are looked at
// again.
func (s *stand) touch(t *testing.T, services []*v1.Service) {
	t.Helper()
	for _, svc := range services {
		patch := []byte(`{"metadata":{"annotations":{"example.com/looked-at":"again"}}}`)
		if _, err := s.admin.CoreV1().Services(svc.Namespace).Patch(t.Context(), svc.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// baseName begins the names of what belongs to a Service: the peer's rule.
func baseName(uid types.UID) string {
	return ("a" + strings.ReplaceAll(string(uid), "-", ""))[:32]
}

func addressesOf(svc *v1.Service) []string {
	var out []string
	for _, in := range svc.Status.LoadBalancer.Ingress {
		out = append(out, in.IP)
	}
	return out
}

// awaitEnsured waits until each of the Services was told that often that its
// load balancer is ensured.
func (s *stand) awaitEnsured(t *testing.T, services []*v1.Service, times int32) {
	t.Helper()
	eventually(t, fmt.Sprintf("every Service was ensured %d times", times), func(ctx context.Context) error {
		events, err := s.admin.CoreV1().Events("default").List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		told := map[string]int32{}
		for i := range events.Items {
			if e := &events.Items[i]; e.Reason == "EnsuredLoadBalancer" {
				told[e.InvolvedObject.Name] += max(e.Count, 1)
			}
		}
		for _, svc := range services {
			if told[svc.Name] < times {
				return fmt.Errorf("%s was ensured %d times", svc.Name, told[svc.Name])
			}
		}
		return nil
	})
}
