// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/fairlead/fairlead/test/controlplane"
)

const aws = "manifests/overlays/aws"

// The overlay for AWS stands where cloud-provider-aws stood: in its namespace,
// under its ServiceAccount, and without a file.
func TestAWSOverlayTakesThePeersPlace(t *testing.T) {
	found := map[string]int{}
	for _, obj := range render(t, aws) {
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
			pod := as[appsv1.Deployment](t, obj).Spec.Template.Spec
			c := pod.Containers[0]
			if pod.ServiceAccountName != peerServer || len(pod.Volumes) > 0 || len(c.VolumeMounts) > 0 || !pod.HostNetwork {
				t.Errorf("the Pod is %+v", pod)
			}
			for _, want := range []string{"--cloud-provider=aws", "--cluster-name=kubernetes", "--configure-cloud-routes=false"} {
				if !slices.Contains(c.Args, want) {
					t.Errorf("arguments %q lack %s", c.Args, want)
				}
			}
		}
	}
	if found["ServiceAccount"] != 1 || found["Deployment"] != 1 || found["Namespace"]+found["ConfigMap"] > 0 {
		t.Errorf("the overlay has %v", found)
	}
}

// An API server takes the overlay, and its rights are what AWS needs beyond the
// base: Nodes get labels, a provider id and taints, and lose them when they are
// deleted; endpoints are targets.
func TestAPIServerAcceptsTheAWSOverlay(t *testing.T) {
	cp := controlplane.ForTest(t, controlplane.Options{})
	c := &cluster{ControlPlane: cp, admin: clientFor(t, cp.Config())}
	applyDir(t, cp.Config(), aws)
	for _, q := range []question{
		{verb: "patch", resource: "nodes"},
		{verb: "update", resource: "nodes"},
		{verb: "patch", resource: "nodes", subresource: "status"},
		{verb: "delete", resource: "nodes"},
		{verb: "list", group: "discovery.k8s.io", resource: "endpointslices"},
		{verb: "watch", group: "discovery.k8s.io", resource: "endpointslices"},
		{verb: "update", group: "coordination.k8s.io", resource: "leases", namespace: "kube-system", name: "cloud-controller-manager"},
		{verb: "patch", resource: "services", subresource: "status"},
	} {
		if !c.mayIn(t, "kube-system", peerServer, q) {
			t.Errorf("it may not %+v", q)
		}
	}
	for _, q := range []question{
		{verb: "get", resource: "secrets", namespace: "kube-system"},
		{verb: "list", resource: "namespaces"},
		{verb: "update", resource: "services"},
		{verb: "create", resource: "nodes"},
		{verb: "create", group: "discovery.k8s.io", resource: "endpointslices"},
	} {
		if c.mayIn(t, "kube-system", peerServer, q) {
			t.Errorf("it may %+v", q)
		}
	}
}
