// SPDX-License-Identifier: Apache-2.0

package ccm_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/test/controlplane"
)

// clusterRules and systemRules are all that docs/controller-manager.md says
// the command needs.
func clusterRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"services", "namespaces"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{""}, Resources: []string{"services/status"}, Verbs: []string{"patch"}},
		{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"get", "list", "watch", "update", "patch", "delete"}},
		{APIGroups: []string{""}, Resources: []string{"nodes/status"}, Verbs: []string{"patch"}},
		{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"create", "patch"}},
		{APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"tokenreviews"}, Verbs: []string{"create"}},
		{APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}},
	}
}

func systemRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"create"}},
		{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"get", "update"}, ResourceNames: []string{"cloud-controller-manager"}},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list", "watch"}, ResourceNames: []string{"extension-apiserver-authentication"}},
	}
}

func (c *cluster) grant(t *testing.T) {
	t.Helper()
	subjects := []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "fairlead-system", Name: "controller"}}
	meta := metav1.ObjectMeta{Name: "fairlead-controller"}
	rbac := c.RbacV1()
	_, err := rbac.ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: meta, Rules: clusterRules()}, metav1.CreateOptions{})
	if err == nil {
		_, err = rbac.ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
			ObjectMeta: meta, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: meta.Name},
		}, metav1.CreateOptions{})
	}
	if err == nil {
		_, err = rbac.Roles("kube-system").Create(t.Context(), &rbacv1.Role{ObjectMeta: meta, Rules: systemRules()}, metav1.CreateOptions{})
	}
	if err == nil {
		_, err = rbac.RoleBindings("kube-system").Create(t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: meta, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
		}, metav1.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestLeastRightsSuffice(t *testing.T) {
	c := newCluster(t)
	c.build(t)
	c.grant(t)
	var err error
	if c.kubeconfig, err = c.ServiceAccountKubeconfig(t.Context(), controlplane.Identity{Namespace: "fairlead-system", Name: "controller"}); err != nil {
		t.Fatal(err)
	}
	taints := []v1.Taint{
		{Key: "node.cloudprovider.kubernetes.io/uninitialized", Effect: v1.TaintEffectNoSchedule},
		{Key: "node.cloudprovider.kubernetes.io/shutdown", Effect: v1.TaintEffectNoSchedule}, // Ready: to be removed by a patch
	}
	node := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}, Spec: v1.NodeSpec{Taints: taints}, Status: v1.NodeStatus{
		Conditions: []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionTrue}},
		Addresses:  []v1.NodeAddress{{Type: v1.NodeInternalIP, Address: "10.0.0.1"}},
	}}
	if _, err := c.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	m := c.start(t, "manager", fmt.Sprintf("--secure-port=%d", port), "--bind-address=127.0.0.1",
		"--authentication-kubeconfig="+c.kubeconfig, "--authorization-kubeconfig="+c.kubeconfig)
	c.create(t, newService("web", ""))
	refused := newService("refused", "fairlead.dev/metal")
	refused.Annotations = map[string]string{"fairlead.dev/address-pool": "none"}
	c.create(t, refused)
	eventually(t, limit, func(ctx context.Context) error { return c.served(ctx, "web") })
	eventually(t, limit, func(ctx context.Context) error {
		svc, err := c.get(ctx, "refused")
		if err == nil && len(svc.Status.Conditions) == 0 {
			return fmt.Errorf("Service refused has no condition")
		}
		return err
	})
	eventually(t, limit, func(ctx context.Context) error { return c.event(ctx, "web", "EnsuredLoadBalancer") })
	eventually(t, limit, func(ctx context.Context) error {
		n, err := c.CoreV1().Nodes().Get(ctx, "n1", metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, taint := range n.Spec.Taints {
			if strings.HasPrefix(taint.Key, "node.cloudprovider.kubernetes.io/") {
				return fmt.Errorf("node n1 has taints %v", n.Spec.Taints)
			}
		}
		return nil
	})
	code, _, err := fetch(t.Context(), fmt.Sprintf("https://127.0.0.1:%d/metrics", port), c.Config().BearerToken)
	if err != nil || code != 200 {
		t.Errorf("metrics: %d, %v", code, err)
	}
	c.delete(t, "web")
	eventually(t, limit, c.gone("web"))
	if code := m.term(t); code != 0 {
		t.Errorf("exit code %d after TERM, want 0", code)
	}
	data, err := os.ReadFile(m.log)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, "forbidden") {
			t.Errorf("refused by RBAC: %s", line)
		}
	}
}
