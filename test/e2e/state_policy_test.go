// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/fairlead/fairlead/test/controlplane"
)

const statePolicy = "fairlead-speaker-state"

func TestStatePolicy(t *testing.T) {
	c := newCluster(t, controlplane.Options{})
	c.awaitPolicies(t)
	t.Run("a speaker writes the state of its node alone", func(t *testing.T) { writesItsOwnAlone(t, c) })
	t.Run("a token of no Pod writes nothing", func(t *testing.T) { writesNothingWithoutPod(t, c) })
	t.Run("an administrator edits the cloud-config", func(t *testing.T) { administratorEdits(t, c) })
	t.Run("deletions and patches are judged too", func(t *testing.T) { deletesNothingForeign(t, c) })
}

func writesItsOwnAlone(t *testing.T, c *cluster) {
	t.Helper()
	a, b := c.speakerOn(t, "node-a"), c.speakerOn(t, "node-b")
	ctx := t.Context()

	for name, client := range map[string]*kubernetes.Clientset{"node-a": a, "node-b": b} {
		api := client.CoreV1().ConfigMaps(system)
		if _, err := api.Create(ctx, stateOf(name), metav1.CreateOptions{}); err != nil {
			t.Fatalf("the speaker of %s creates its state: %v", name, err)
		}
		if _, err := api.Update(ctx, stateOf(name), metav1.UpdateOptions{}); err != nil {
			t.Fatalf("the speaker of %s updates its state: %v", name, err)
		}
	}

	maps := a.CoreV1().ConfigMaps(system)
	create := func(cm *v1.ConfigMap) error {
		_, err := maps.Create(ctx, cm, metav1.CreateOptions{})
		return err
	}
	update := func(cm *v1.ConfigMap) error {
		_, err := maps.Update(ctx, cm, metav1.UpdateOptions{})
		return err
	}
	named := func(name string) *v1.ConfigMap {
		cm := stateOf("node-a")
		cm.Name = name
		return cm
	}
	generated := stateOf("node-a")
	generated.Name, generated.GenerateName = "", "speaker-node-"
	for _, tc := range []struct {
		name string
		err  error
		says string
	}{
		{"create another node's state", create(stateOf("node-c")), "node-a may write the ConfigMap speaker-node-a alone, not speaker-node-c"},
		{"update another node's state", update(stateOf("node-b")), "alone, not speaker-node-b"},
		{"update the cloud-config", update(named(config)), "alone, not " + config},
		{"create a foreign ConfigMap", create(named("fresh")), "alone, not fresh"},
		{"create with a generated name", create(generated), "alone, not speaker-node-"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := refusedBy(tc.err, statePolicy); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(tc.err.Error(), tc.says) {
				t.Errorf("refused with %q, want %q", tc.err, tc.says)
			}
		})
	}
}

func writesNothingWithoutPod(t *testing.T, c *cluster) {
	t.Helper()
	loose := c.as(t, controlplane.Identity{Namespace: system, Name: speaker})
	_, err := loose.CoreV1().ConfigMaps(system).Create(t.Context(), stateOf("node-a"), metav1.CreateOptions{})
	if err := refusedBy(err, statePolicy); err != nil {
		t.Fatal(err)
	}
	if want := "the token of this speaker names no node"; !strings.Contains(err.Error(), want) {
		t.Errorf("refused with %q, want %q", err, want)
	}
}

// deletesNothingForeign grants a speaker more than the manifests do.
func deletesNothingForeign(t *testing.T, c *cluster) {
	t.Helper()
	ctx := t.Context()
	role, err := c.admin.RbacV1().Roles(system).Get(ctx, speaker, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	role.Rules[0].Verbs = append(role.Rules[0].Verbs, "delete", "patch")
	if _, err := c.admin.RbacV1().Roles(system).Update(ctx, role, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	maps := c.speakerOn(t, "node-a").CoreV1().ConfigMaps(system)
	eventually(t, "the deletion is refused by the policy", func(ctx context.Context) error {
		return refusedBy(maps.Delete(ctx, config, metav1.DeleteOptions{}), statePolicy)
	})
	_, err = maps.Patch(ctx, config, types.MergePatchType, []byte(`{"data":{"cloud-config.yaml":""}}`), metav1.PatchOptions{})
	if err := refusedBy(err, statePolicy); err != nil {
		t.Error(err)
	}
}

func administratorEdits(t *testing.T, c *cluster) {
	t.Helper()
	maps := c.admin.CoreV1().ConfigMaps(system)
	cm, err := maps.Get(t.Context(), config, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cm.Data["cloud-config.yaml"] += "# edited\n"
	if _, err := maps.Update(t.Context(), cm, metav1.UpdateOptions{}); err != nil {
		t.Error(err)
	}
}
