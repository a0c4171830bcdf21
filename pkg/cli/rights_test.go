// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/fairlead/fairlead/test/controlplane"
)

// documentedRights are the roles that docs/plugin.md asks for.
func documentedRights(t *testing.T) []runtime.Object {
	t.Helper()
	page, err := os.ReadFile("../../docs/plugin.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(page), "## Rights")
	_, after, _ = strings.Cut(after, "```yaml\n")
	text, _, found := strings.Cut(after, "```")
	if !found {
		t.Fatal("docs/plugin.md has no roles under Rights")
	}
	var out []runtime.Object
	for part := range strings.SplitSeq(text, "---\n") {
		o, _, err := scheme.Codecs.UniversalDeserializer().Decode([]byte(part), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, o)
	}
	return out
}

// grant makes the roles and binds them to a ServiceAccount.
func grant(t *testing.T, client kubernetes.Interface, to controlplane.Identity) {
	t.Helper()
	rbac, subjects := client.RbacV1(), []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: to.Namespace, Name: to.Name}}
	for _, o := range documentedRights(t) {
		var err error
		switch role := o.(type) {
		case *rbacv1.ClusterRole:
			if _, err = rbac.ClusterRoles().Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
				break
			}
			_, err = rbac.ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: role.Name}, Subjects: subjects,
				RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
			}, metav1.CreateOptions{})
		case *rbacv1.Role:
			if _, err = rbac.Roles(role.Namespace).Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
				break
			}
			_, err = rbac.RoleBindings(role.Namespace).Create(t.Context(), &rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: role.Name}, Subjects: subjects,
				RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
			}, metav1.CreateOptions{})
		default:
			t.Fatalf("docs/plugin.md has a %T under Rights", o)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// awsFile is a cloud-config for AWS.
func awsFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cloud.conf")
	if err := os.WriteFile(file, []byte("[Global]\nZone = us-east-1a\nVPC = vpc-1\nKubernetesClusterID = rig\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestDocumentedRightsSuffice(t *testing.T) {
	cp := controlplane.ForTest(t, controlplane.Options{})
	admin, err := kubernetes.NewForConfig(cp.Config())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.CoreV1().Namespaces().Create(t.Context(), &v1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: "fairlead-system"},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	config := "apiVersion: config.fairlead.dev/v1alpha1\nkind: CloudConfig\nmetal:\n  pools:\n  - {name: public, addresses: [192.0.2.0/24]}\n"
	if _, err := admin.CoreV1().ConfigMaps("fairlead-system").Create(t.Context(), &v1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "fairlead-cloud-config"}, Data: map[string]string{"cloud-config.yaml": config},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.CoreV1().Services("default").Create(t.Context(), &v1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       v1.ServiceSpec{Type: v1.ServiceTypeLoadBalancer, Ports: []v1.ServicePort{{Port: 80}}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	viewer := controlplane.Identity{Namespace: "default", Name: "viewer"}
	kubeconfig, err := cp.ServiceAccountKubeconfig(t.Context(), viewer)
	if err != nil {
		t.Fatal(err)
	}
	if got := run(t, root, "", "--kubeconfig="+kubeconfig, "bgp"); got.err == nil {
		t.Fatalf("bgp works without any right: %s", got)
	}
	for _, command := range []string{"explain web", "plan --all", "plan web", "gc --cluster-name=rig"} {
		args := append([]string{"--kubeconfig=" + kubeconfig, "--cloud-config=" + awsFile(t)}, strings.Fields(command)...)
		got := run(t, root, "", args...)
		if got.err == nil || !strings.Contains(got.err.Error(), "is forbidden: User") || !strings.HasSuffix(got.err.Error(), "; ask for the rights that docs/plugin.md names") {
			t.Errorf("%s without any right: %s", command, got)
		}
	}
	grant(t, admin, viewer)
	for command, want := range map[string]string{
		"bgp": "ANNOUNCED TO", "explain web": "no controller leads", "plan --all": "metal/addresses default/web",
		"gc --cluster-name=rig": "metal makes nothing outside the cluster",
	} {
		args := append([]string{"--kubeconfig=" + kubeconfig}, strings.Fields(command)...)
		var got ran
		err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
			got = run(t, root, "", args...) // rights count a moment after they are given
			return strings.Contains(got.String(), want), nil
		})
		if err != nil {
			t.Errorf("%s: want %q: %s", command, want, got)
		}
	}
}
