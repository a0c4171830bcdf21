// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/test/controlplane"
	"github.com/fairlead/fairlead/test/controlplane/binaries"
	"github.com/fairlead/fairlead/test/manifests"
)

func TestAPIServerAcceptsAllManifests(t *testing.T) {
	c := newCluster(t, controlplane.Options{})
	c.awaitPolicies(t)

	// What kubelet and the scheduler would make of the workloads.
	ctx := t.Context()
	deployment, err := c.admin.AppsV1().Deployments(system).Get(ctx, controller, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	daemons, err := c.admin.AppsV1().DaemonSets(system).Get(ctx, speaker, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range []struct {
		name string
		args []string
	}{
		{controller, deployment.Spec.Template.Spec.Containers[0].Args},
		{speaker, daemons.Spec.Template.Spec.Containers[0].Args},
	} {
		if want := "--cloud-config=/etc/fairlead/cloud-config.yaml"; !slices.Contains(pod.args, want) {
			t.Errorf("%s: arguments %q lack %s", pod.name, pod.args, want)
		}
	}
	if want := "--cloud-provider=metal"; !slices.Contains(deployment.Spec.Template.Spec.Containers[0].Args, want) {
		t.Errorf("the controller's arguments lack %s", want)
	}
	for _, problem := range unhardened(deployment.Spec.Template.Spec) {
		t.Errorf("%s: %s", controller, problem)
	}
	for _, problem := range unhardened(daemons.Spec.Template.Spec) {
		t.Errorf("%s: %s", speaker, problem)
	}
}

func TestExampleConfigHasNoFaults(t *testing.T) {
	for _, obj := range render(t, metal) {
		if obj.GetKind() != "ConfigMap" {
			continue
		}
		data, _, err := unstructured.NestedStringMap(obj.Object, "data")
		if err != nil {
			t.Fatal(err)
		}
		if len(data) != 1 {
			t.Fatalf("ConfigMap %s has %d keys; the plugin wants the cloud-config to be the only one", obj.GetName(), len(data))
		}
		conf, err := cloudconfig.Parse([]byte(data["cloud-config.yaml"]))
		if err != nil {
			t.Fatal(err)
		}
		if len(conf.Faults) > 0 {
			t.Errorf("faults:\n%s", conf.Faults)
		}
		return
	}
	t.Fatal("the overlay has no ConfigMap")
}

// The overlays of clouds build on the base alone.
func TestBaseKnowsNoProvider(t *testing.T) {
	var names []string
	for _, obj := range render(t, "manifests/base") {
		names = append(names, obj.GetName())
		if args, ok, _ := unstructured.NestedSlice(obj.Object, "spec", "template", "spec", "containers"); ok {
			if text := fmt.Sprint(args); strings.Contains(text, "--cloud-provider") {
				t.Errorf("%s names a provider: %s", obj.GetName(), text)
			}
		}
	}
	if !slices.Contains(names, controller) || slices.Contains(names, speaker) {
		t.Errorf("the base must hold the controller and not the speaker; it holds %q", names)
	}
}

// What docs/install.md tells people to write works with the manifests as they
// are.
func TestInstallPageMakesAnOverlay(t *testing.T) {
	root, err := binaries.Root()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "install.md"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "site"), 0o700), os.Symlink(root, filepath.Join(dir, "fairlead"))); err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n# (site/\\S+)\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d files, want the kustomization and the cloud-config", len(blocks))
	}
	for _, b := range blocks {
		if err := os.WriteFile(filepath.Join(dir, b[1]), []byte(b[2]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	kubectl := filepath.Join(binaries.Dir(root), "kubectl")
	out, err := exec.CommandContext(t.Context(), kubectl, "kustomize", filepath.Join(dir, "site")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"image: REGISTRY/fairlead:v0.1.0", "name: router-2", "name: fairlead-cloud-config\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the overlay lacks %q", want)
		}
	}
	conf, err := cloudconfig.Load(filepath.Join(dir, "site", "cloud-config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(conf.Faults) > 0 {
		t.Errorf("faults:\n%s", conf.Faults)
	}
}

func render(t *testing.T, dir string) []*unstructured.Unstructured {
	t.Helper()
	objs, err := manifests.Render(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return objs
}
