// SPDX-License-Identifier: Apache-2.0

package ccm_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// logged returns nil when the command has written the text.
func (m *manager) logged(text string) func(context.Context) error {
	return func(context.Context) error {
		data, err := os.ReadFile(m.log)
		if err != nil {
			return err
		}
		if !strings.Contains(string(data), text) {
			return fmt.Errorf("%q is not in the output", text)
		}
		return nil
	}
}

func TestDryRunPrintsThePlanAndWritesNothing(t *testing.T) {
	c := newCluster(t)
	c.build(t)
	c.create(t, withFinalizers(newService("web", ""), foreign))
	node := &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "n1"},
		Spec:       v1.NodeSpec{Taints: []v1.Taint{{Key: "node.cloudprovider.kubernetes.io/uninitialized", Effect: v1.TaintEffectNoSchedule}}},
	}
	if _, err := c.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	before := c.versions(t)
	m := c.start(t, "dry", "--dry-run")
	eventually(t, limit, m.logged("default/web"))

	c.create(t, newService("more", "fairlead.dev/metal"))
	eventually(t, limit, m.logged("default/more"))
	after := c.versions(t)
	delete(after, "Service default/more")
	for object, version := range after {
		if before[object] != version {
			t.Errorf("%s went from version %q to %q during a dry run", object, before[object], version)
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d objects before the dry run, %d after", len(before), len(after))
	}
	if _, err := c.holder(t.Context()); !apierrors.IsNotFound(err) {
		t.Errorf("a lease was taken (error %v)", err)
	}
	if code := m.term(t); code != 0 {
		t.Errorf("exit code %d after TERM, want 0", code)
	}
}

// versions are the resource versions of all that a controller manager writes.
func (c *cluster) versions(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	services, err := c.CoreV1().Services("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range services.Items {
		if o.Name != "kubernetes" {
			out["Service "+o.Namespace+"/"+o.Name] = o.ResourceVersion
		}
	}
	nodes, err := c.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range nodes.Items {
		out["Node "+o.Name] = o.ResourceVersion
	}
	events, err := c.CoreV1().Events("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range events.Items {
		if o.Reason != "ClusterIPNotAllocated" { // the API server's own repair
			out["Event "+o.Name] = o.ResourceVersion
		}
	}
	return out
}
