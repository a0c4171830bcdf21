// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/fairlead/fairlead/test/controlplane"
)

const (
	azure     = "manifests/overlays/azure"
	azureFile = "/etc/kubernetes/azure.json"
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

// The overlay for Azure stands where cloud-provider-azure stood: in its
// namespace, under its ServiceAccount and with its file.
func TestAzureOverlayTakesThePeersPlace(t *testing.T) {
	accounts, deployments := 0, 0
	for _, obj := range render(t, azure) {
		if ns := obj.GetNamespace(); ns != "" && ns != "kube-system" {
			t.Errorf("%s %s is in namespace %s", obj.GetKind(), obj.GetName(), ns)
		}
		switch obj.GetKind() {
		case "Namespace", "ConfigMap":
			t.Errorf("the overlay has %s %s", obj.GetKind(), obj.GetName())
		case "ServiceAccount":
			accounts++
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
			deployments++
			checkAzureDeployment(t, as[appsv1.Deployment](t, obj))
		}
	}
	if accounts != 1 || deployments != 1 {
		t.Errorf("the overlay has %d ServiceAccounts and %d Deployments", accounts, deployments)
	}
}

func checkAzureDeployment(t *testing.T, d *appsv1.Deployment) {
	t.Helper()
	pod := d.Spec.Template.Spec
	c := pod.Containers[0]
	for _, want := range []string{"--cloud-provider=azure", "--cloud-config=" + azureFile, "--cluster-name=kubernetes"} {
		if !slices.Contains(c.Args, want) {
			t.Errorf("arguments %q lack %s", c.Args, want)
		}
	}
	if pod.ServiceAccountName != peerServer {
		t.Errorf("the Pod runs as %s", pod.ServiceAccountName)
	}
	if v := pod.Volumes; len(v) != 1 || v[0].HostPath == nil || v[0].HostPath.Path != azureFile || *v[0].HostPath.Type != v1.HostPathFile {
		t.Errorf("volumes are %+v", v)
	}
	if m := c.VolumeMounts; len(m) != 1 || m[0].MountPath != azureFile || !m[0].ReadOnly {
		t.Errorf("mounts are %+v", m)
	}
	for _, problem := range unhardened(pod) {
		if problem != "mounts a path of its node" {
			t.Error(problem)
		}
	}
	for key, value := range d.Spec.Selector.MatchLabels {
		if d.Spec.Template.Labels[key] != value {
			t.Errorf("the selector %s=%s does not match the Pod", key, value)
		}
	}
	if strings.Contains(d.Namespace, "fairlead") {
		t.Errorf("the Deployment is in %s", d.Namespace)
	}
}

// An API server takes the overlay, and its rights are what Azure needs beyond
// the base.
func TestAPIServerAcceptsTheAzureOverlay(t *testing.T) {
	cp := controlplane.ForTest(t, controlplane.Options{})
	c := &cluster{ControlPlane: cp, admin: clientFor(t, cp.Config())}
	applyDir(t, cp.Config(), azure)
	for _, q := range []question{
		{verb: "delete", resource: "nodes"},
		{verb: "list", resource: "namespaces"},
		{verb: "list", group: "discovery.k8s.io", resource: "endpointslices"},
		{verb: "update", group: "coordination.k8s.io", resource: "leases", namespace: "kube-system", name: "cloud-controller-manager"},
		{verb: "patch", resource: "services", subresource: "status"},
	} {
		if !c.mayIn(t, "kube-system", peerServer, q) {
			t.Errorf("it may not %+v", q)
		}
	}
	for _, q := range []question{
		{verb: "get", resource: "secrets", namespace: "kube-system"},
		{verb: "update", resource: "services"},
		{verb: "create", resource: "nodes"},
	} {
		if c.mayIn(t, "kube-system", peerServer, q) {
			t.Errorf("it may %+v", q)
		}
	}
}
