// SPDX-License-Identifier: Apache-2.0

package e2e

import "testing"

const aws = "manifests/overlays/aws"

// The overlay for AWS stands where cloud-provider-aws stood: in its namespace,
// under its ServiceAccount, and without a file.
func TestAWSOverlayTakesThePeersPlace(t *testing.T) {
	d := inThePeersPlace(t, aws, "--cloud-provider=aws", "--cluster-name=kubernetes", "--configure-cloud-routes=false")
	pod := d.Spec.Template.Spec
	if len(pod.Volumes) > 0 || len(pod.Containers[0].VolumeMounts) > 0 || !pod.HostNetwork {
		t.Errorf("the Pod is %+v", pod)
	}
}

// An API server takes the overlay, and its rights are what AWS needs beyond the
// base: Nodes get labels, a provider id and taints, and lose them when they are
// deleted; endpoints are targets.
func TestAPIServerAcceptsTheAWSOverlay(t *testing.T) {
	accepts(t, aws, []question{
		{verb: "patch", resource: "nodes"},
		{verb: "update", resource: "nodes"},
		{verb: "patch", resource: "nodes", subresource: "status"},
		{verb: "delete", resource: "nodes"},
		{verb: "list", group: "discovery.k8s.io", resource: "endpointslices"},
		{verb: "watch", group: "discovery.k8s.io", resource: "endpointslices"},
		{verb: "update", group: "coordination.k8s.io", resource: "leases", namespace: "kube-system", name: "cloud-controller-manager"},
		{verb: "patch", resource: "services", subresource: "status"},
	}, []question{
		{verb: "get", resource: "secrets", namespace: "kube-system"},
		{verb: "list", resource: "namespaces"},
		{verb: "update", resource: "services"},
		{verb: "create", resource: "nodes"},
		{verb: "create", group: "discovery.k8s.io", resource: "endpointslices"},
	})
}
