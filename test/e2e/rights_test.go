// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"

	"github.com/fairlead/fairlead/test/controlplane"
)

// question is whether an account may do something; namespace "" is all of them.
type question struct {
	verb, group, resource, subresource, namespace, name string
}

func TestRights(t *testing.T) {
	c := newCluster(t, controlplane.Options{})
	t.Run("nobody may do more", func(t *testing.T) { mayNotDoMore(t, c) })
	t.Run("who asks is refused", func(t *testing.T) { isRefused(t, c) })
}

func mayNotDoMore(t *testing.T, c *cluster) {
	t.Helper()
	both := []question{
		{verb: "list", resource: "secrets"},
		{verb: "get", resource: "secrets"},
		{verb: "list", resource: "secrets", namespace: system},
		{verb: "list", resource: "configmaps", namespace: system},
		{verb: "get", resource: "configmaps"},
		{verb: "delete", resource: "configmaps", namespace: system, name: config},
		{verb: "delete", resource: "nodes"},
		{verb: "create", resource: "nodes"},
		{verb: "create", resource: "services"},
		{verb: "update", resource: "services"},
		{verb: "patch", resource: "services"},
		{verb: "delete", resource: "services"},
		{verb: "update", resource: "services", subresource: "status"},
		{verb: "list", resource: "pods"},
		{verb: "create", resource: "pods", namespace: system},
		{verb: "create", resource: "serviceaccounts", subresource: "token", namespace: system},
		{verb: "impersonate", resource: "users"},
		{verb: "delete", resource: "events"},
		{verb: "update", group: "coordination.k8s.io", resource: "leases", namespace: "kube-system", name: "kube-controller-manager"},
		{verb: "delete", group: "coordination.k8s.io", resource: "leases", namespace: "kube-system", name: "cloud-controller-manager"},
		{verb: "bind", group: "rbac.authorization.k8s.io", resource: "clusterroles"},
		{verb: "update", group: "rbac.authorization.k8s.io", resource: "clusterroles"},
		{verb: "delete", group: "admissionregistration.k8s.io", resource: "validatingadmissionpolicies"},
	}
	refusals := map[string][]question{
		controller: append([]question{
			{verb: "get", resource: "secrets", namespace: system},
			{verb: "update", resource: "configmaps", namespace: system, name: config},
			{verb: "get", resource: "configmaps", namespace: system, name: config},
			{verb: "list", group: "discovery.k8s.io", resource: "endpointslices"},
		}, both...),
		speaker: append([]question{
			{verb: "get", resource: "secrets", namespace: "default"},
			{verb: "update", resource: "nodes"},
			{verb: "patch", resource: "nodes"},
			{verb: "patch", resource: "nodes", subresource: "status"},
			{verb: "patch", resource: "services", subresource: "status"},
			{verb: "create", resource: "events", namespace: system},
			{verb: "update", resource: "configmaps", namespace: "kube-system"},
			{verb: "get", group: "coordination.k8s.io", resource: "leases", namespace: "kube-system", name: "cloud-controller-manager"},
			{verb: "update", group: "coordination.k8s.io", resource: "leases", namespace: "kube-system", name: "cloud-controller-manager"},
			{verb: "list", resource: "namespaces"},
		}, both...),
	}
	for account, questions := range refusals {
		for _, q := range questions {
			if c.may(t, account, q) {
				t.Errorf("%s may %+v", account, q)
			}
		}
	}
	// The questions are not all answered with no.
	for account, q := range map[string]question{
		controller: {verb: "patch", resource: "services", subresource: "status"},
		speaker:    {verb: "get", resource: "secrets", namespace: system},
	} {
		if !c.may(t, account, q) {
			t.Errorf("%s may not %+v", account, q)
		}
	}
}

// may asks the API server what an account of ours may do.
func (c *cluster) may(t *testing.T, account string, q question) bool {
	t.Helper()
	return c.mayIn(t, system, account, q)
}

// mayIn is may for an account of a namespace.
func (c *cluster) mayIn(t *testing.T, namespace, account string, q question) bool {
	t.Helper()
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:   serviceaccount.MakeUsername(namespace, account),
		Groups: append(serviceaccount.MakeGroupNames(namespace), "system:authenticated"),
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: q.verb, Group: q.group, Resource: q.resource, Subresource: q.subresource,
			Namespace: q.namespace, Name: q.name,
		},
	}}
	answer, err := c.admin.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return answer.Status.Allowed
}

func isRefused(t *testing.T, c *cluster) {
	t.Helper()
	s := c.speakerOn(t, "node-a").CoreV1()
	_, err := s.Nodes().Patch(t.Context(), "node-a", "application/merge-patch+json", []byte(`{}`), metav1.PatchOptions{})
	if err := forbidden(err); err != nil {
		t.Error("patch a Node:", err)
	}
	_, err = s.Services("default").Patch(t.Context(), "web", "application/merge-patch+json", []byte(`{}`), metav1.PatchOptions{}, "status")
	if err := forbidden(err); err != nil {
		t.Error("patch the status of a Service:", err)
	}
	manager := c.as(t, controlplane.Identity{Namespace: system, Name: controller}).CoreV1()
	_, err = manager.Secrets(system).Get(t.Context(), "router-1", metav1.GetOptions{})
	if err := forbidden(err); err != nil {
		t.Error("the controller reads a Secret:", err)
	}
}
