// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/fairlead/fairlead/test/controlplane"
)

// bindingKind is the kind of TargetGroupBindings, without its schema.
func bindingKind() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": "targetgroupbindings.elbv2.k8s.aws"},
		"spec": map[string]any{
			"group": "elbv2.k8s.aws", "scope": "Namespaced",
			"names": map[string]any{"plural": "targetgroupbindings", "kind": "TargetGroupBinding", "listKind": "TargetGroupBindingList", "singular": "targetgroupbinding"},
			"versions": []any{map[string]any{
				"name": "v1beta1", "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
			}},
		},
	}}
}

// handoverCluster is the command in a real cluster with two bindings of a
// Service, one of them in deletion.
func handoverCluster(t *testing.T) *taker {
	t.Helper()
	cp := controlplane.ForTest(t, controlplane.Options{})
	h, _ := newTaker(t, claimingConfig, nil, nil)
	var err error
	if h.client, err = kubernetes.NewForConfig(cp.Config()); err != nil {
		t.Fatal(err)
	}
	if h.dynamic, err = dynamic.NewForConfig(cp.Config()); err != nil {
		t.Fatal(err)
	}
	h.yes, h.now = true, time.Now
	if err := h.run(t.Context()); err != nil {
		t.Fatalf("before there is such a kind: %v", err)
	}
	kinds := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	if _, err := h.dynamic.Resource(kinds).Create(t.Context(), bindingKind(), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	svc := lbcService("web", func(svc *v1.Service) {
		svc.Namespace, svc.ResourceVersion, svc.Spec.Ports = "default", "", []v1.ServicePort{{Port: 80}}
	})
	if _, err := h.client.CoreV1().Services("default").Create(t.Context(), svc, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	all := h.dynamic.Resource(bindings()).Namespace("default")
	for _, name := range []string{"web-80", "web-443"} {
		b := binding(name, map[string]string{lbcStackNamespace: "default", lbcStackName: "web"})
		b.SetNamespace("default")
		b.SetUID("")
		err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
			_, err := all.Create(ctx, b, metav1.CreateOptions{})
			return err == nil, nil // a kind is served a moment after it is made
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := all.Delete(t.Context(), "web-443", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHandoverOnARealServer(t *testing.T) {
	h := handoverCluster(t)
	found, err := h.observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	services := h.client.CoreV1().Services("default")
	if _, err := services.Patch(t.Context(), "web", types.MergePatchType, []byte(`{"metadata":{"labels":{"changed":"meanwhile"}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	g, err := found.plan()
	if err != nil || len(g.Plan.Steps) != 3 {
		t.Fatalf("got %v and %v", g, err)
	}
	if err := h.carryOut(t.Context(), found, g.Plan); err == nil || !strings.Contains(err.Error(), "run this again") {
		t.Errorf("a Service that changed meanwhile was written: %v", err)
	}
	if err := h.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	svc, err := services.Get(t.Context(), "web", metav1.GetOptions{})
	if err != nil || len(svc.Finalizers) != 1 || svc.Finalizers[0] != stockFinalizer {
		t.Errorf("got %v, %v", svc.Finalizers, err)
	}
	left, err := h.dynamic.Resource(bindings()).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(left.Items) > 0 {
		t.Errorf("%d bindings are left, %v", len(left.Items), err)
	}
	if err := h.run(t.Context()); err != nil {
		t.Errorf("a second time: %v", err)
	}
}
