// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
)

const (
	azure     = "manifests/overlays/azure"
	azureFile = "/etc/kubernetes/azure.json"
)

// The overlay for Azure stands where cloud-provider-azure stood: in its
// namespace, under its ServiceAccount and with its file.
func TestAzureOverlayTakesThePeersPlace(t *testing.T) {
	checkAzureDeployment(t, inThePeersPlace(t, azure, "--cloud-provider=azure", "--cloud-config="+azureFile, "--cluster-name=kubernetes"))
}

func checkAzureDeployment(t *testing.T, d *appsv1.Deployment) {
	t.Helper()
	pod := d.Spec.Template.Spec
	c := pod.Containers[0]
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
	accepts(t, azure, []question{
		{verb: "delete", resource: "nodes"},
		{verb: "list", resource: "namespaces"},
		{verb: "list", group: "discovery.k8s.io", resource: "endpointslices"},
		{verb: "update", group: "coordination.k8s.io", resource: "leases", namespace: "kube-system", name: "cloud-controller-manager"},
		{verb: "patch", resource: "services", subresource: "status"},
	}, []question{
		{verb: "get", resource: "secrets", namespace: "kube-system"},
		{verb: "update", resource: "services"},
		{verb: "create", resource: "nodes"},
	})
}
