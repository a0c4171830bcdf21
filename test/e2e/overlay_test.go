// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/fairlead/fairlead/test/controlplane"
)

// as reads an object into its type.
func as[T any](t *testing.T, obj *unstructured.Unstructured) *T {
	t.Helper()
	out := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// inThePeersPlace is the Deployment of a cloud's overlay, which stands where the
// peer stood: in its namespace, under its ServiceAccount and with these arguments.
func inThePeersPlace(t *testing.T, dir string, args ...string) *appsv1.Deployment {
	t.Helper()
	found := map[string]int{}
	var out *appsv1.Deployment
	for _, obj := range render(t, dir) {
		found[obj.GetKind()]++
		if ns := obj.GetNamespace(); ns != "" && ns != "kube-system" {
			t.Errorf("%s %s is in namespace %s", obj.GetKind(), obj.GetName(), ns)
		}
		switch obj.GetKind() {
		case "ServiceAccount":
			if obj.GetName() != peerServer {
				t.Errorf("the ServiceAccount is %s", obj.GetName())
			}
			if _, has := obj.Object["automountServiceAccountToken"]; has {
				t.Error("the ServiceAccount keeps its token from the peer's Pods")
			}
		case "RoleBinding", "ClusterRoleBinding":
			want := rbacv1.Subject{Kind: "ServiceAccount", Namespace: "kube-system", Name: peerServer}
			if b := as[rbacv1.RoleBinding](t, obj); !slices.Equal(b.Subjects, []rbacv1.Subject{want}) {
				t.Errorf("%s %s is for %+v", obj.GetKind(), obj.GetName(), b.Subjects)
			}
		case "Deployment":
			out = as[appsv1.Deployment](t, obj)
		}
	}
	if found["ServiceAccount"] != 1 || found["Deployment"] != 1 || found["Namespace"]+found["ConfigMap"] > 0 {
		t.Fatalf("the overlay has %v", found)
	}
	pod := out.Spec.Template.Spec
	if pod.ServiceAccountName != peerServer {
		t.Errorf("the Pod runs as %s", pod.ServiceAccountName)
	}
	for _, want := range args {
		if has := pod.Containers[0].Args; !slices.Contains(has, want) {
			t.Errorf("arguments %q lack %s", has, want)
		}
	}
	return out
}

// accepts lets an API server take an overlay, and asks what its ServiceAccount
// may do, and may not.
func accepts(t *testing.T, dir string, may, mayNot []question) {
	t.Helper()
	cp := controlplane.ForTest(t, controlplane.Options{})
	c := &cluster{ControlPlane: cp, admin: clientFor(t, cp.Config())}
	applyDir(t, cp.Config(), dir)
	for _, q := range may {
		if !c.mayIn(t, "kube-system", peerServer, q) {
			t.Errorf("it may not %+v", q)
		}
	}
	for _, q := range mayNot {
		if c.mayIn(t, "kube-system", peerServer, q) {
			t.Errorf("it may %+v", q)
		}
	}
}
