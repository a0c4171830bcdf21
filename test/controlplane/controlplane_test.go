// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"context"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	v1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/fairlead/fairlead/test/controlplane"
)

func TestTwoSideBySideServeTheirOwnServices(t *testing.T) {
	clients := map[string]*kubernetes.Clientset{}
	for _, name := range []string{"first", "second"} {
		clients[name] = clientFor(t, controlplane.ForTest(t, controlplane.Options{}).Config())
	}
	for name, client := range clients {
		createService(t, client, name)
	}
	for name, other := range map[string]string{"first": "second", "second": "first"} {
		_, err := clients[name].CoreV1().Services("default").Get(t.Context(), other, metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			t.Errorf("get Service %s from the %s control plane: %v, want NotFound", other, name, err)
		}
	}
}

func TestStopLeavesNoProcess(t *testing.T) {
	cp := controlplane.ForTest(t, controlplane.Options{Controllers: controlplane.EndpointControllers()})
	pids := cp.PIDs()
	if len(pids) != 3 {
		t.Fatalf("running: %v, want etcd, kube-apiserver and kube-controller-manager", pids)
	}
	if err := cp.Stop(); err != nil {
		t.Fatal(err)
	}
	for name, pid := range pids {
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("%s (pid %d) still runs", name, pid)
		}
	}
	if err := cp.Stop(); err != nil {
		t.Errorf("a second Stop: %v", err)
	}
}

func TestStartCarriesTheLastLinesOfAFailedProgram(t *testing.T) {
	bin := t.TempDir()
	script := "#!/bin/sh\necho no such flag >&2\nexit 1\n"
	if err := os.WriteFile(bin+"/etcd", []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := controlplane.Start(t.Context(), controlplane.Options{Dir: t.TempDir(), BinDir: bin})
	if err == nil || !strings.Contains(err.Error(), "etcd ended before it was ready") || !strings.Contains(err.Error(), "no such flag") {
		t.Errorf("error %v, want one that names etcd and holds its last line", err)
	}
}

func TestRestartOfTheAPIServerKeepsDataAndConfigs(t *testing.T) {
	cp := controlplane.ForTest(t, controlplane.Options{})
	client := clientFor(t, cp.Config())
	want := createService(t, client, "kept")
	if err := cp.KillAPIServer(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().Services("default").Get(t.Context(), "kept", metav1.GetOptions{}); err == nil {
		t.Fatal("the API server answers after it was killed")
	}
	if err := cp.RestartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := client.CoreV1().Services("default").Get(t.Context(), "kept", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got.UID != want.UID {
		t.Errorf("UID %s after the restart, %s before", got.UID, want.UID)
	}
}

func TestStartInTheSameDirKeepsData(t *testing.T) {
	// Linux has all of 127.0.0.0/8, and other systems 127.0.0.1 alone.
	addr := netip.MustParseAddr("127.0.0.1")
	if runtime.GOOS == "linux" {
		addr = netip.MustParseAddr("127.0.0.2")
	}
	o := controlplane.Options{Dir: t.TempDir(), BindAddress: addr}
	first := controlplane.ForTest(t, o)
	want := createService(t, clientFor(t, first.Config()), "kept")
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	second := controlplane.ForTest(t, o)
	if !strings.HasPrefix(second.URL(), "https://"+addr.String()+":") {
		t.Errorf("the API server is at %s, want it at %s", second.URL(), addr)
	}
	got, err := clientFor(t, second.Config()).CoreV1().Services("default").Get(t.Context(), "kept", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got.UID != want.UID {
		t.Errorf("UID %s after the second start, %s before", got.UID, want.UID)
	}
}

func TestServiceAccountMayDoWhatRBACGrants(t *testing.T) {
	cp := controlplane.ForTest(t, controlplane.Options{})
	admin := clientFor(t, cp.Config())
	file, err := cp.ServiceAccountKubeconfig(t.Context(), controlplane.Identity{Namespace: "kube-system", Name: "reader"})
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		t.Fatal(err)
	}
	reader := clientFor(t, config)
	list := func(ctx context.Context) error {
		_, err := reader.CoreV1().Services("").List(ctx, metav1.ListOptions{})
		return err
	}
	if err := list(t.Context()); !apierrors.IsForbidden(err) {
		t.Fatalf("list Services without a role: %v, want Forbidden", err)
	}

	meta := metav1.ObjectMeta{Name: "reader"}
	_, err = admin.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{
		ObjectMeta: meta,
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = admin.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: meta.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "kube-system", Name: "reader"}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the role takes effect", func(ctx context.Context) bool { return list(ctx) == nil })
	if _, err := reader.CoreV1().Services("default").Create(t.Context(), service("denied"), metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("create a Service with a role that lists: %v, want Forbidden", err)
	}
}

func TestTokenBoundToAPodNamesItsNode(t *testing.T) {
	cp := controlplane.ForTest(t, controlplane.Options{})
	config, err := cp.ServiceAccountConfig(t.Context(), controlplane.Identity{
		Namespace: "fairlead-system", Name: "speaker", Pod: "speaker-a", Node: "node-a",
	})
	if err != nil {
		t.Fatal(err)
	}
	review, err := clientFor(t, config).AuthenticationV1().SelfSubjectReviews().
		Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	user := review.Status.UserInfo
	if want := "system:serviceaccount:fairlead-system:speaker"; user.Username != want {
		t.Errorf("user %s, want %s", user.Username, want)
	}
	for key, want := range map[string]string{
		"authentication.kubernetes.io/node-name": "node-a",
		"authentication.kubernetes.io/pod-name":  "speaker-a",
	} {
		if got := strings.Join(user.Extra[key], ","); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
}

func TestValidatingAdmissionPolicyRefuses(t *testing.T) {
	cp := controlplane.ForTest(t, controlplane.Options{})
	client := clientFor(t, cp.Config())
	all := []string{"*"}
	_, err := client.AdmissionregistrationV1().ValidatingAdmissionPolicies().Create(t.Context(), &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "no-bad"},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionregistrationv1.RuleWithOperations{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
					Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: all, Resources: []string{"services"}},
				},
			}}},
			Validations: []admissionregistrationv1.Validation{{Expression: `!object.metadata.name.startsWith("bad")`, Message: "a bad name"}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings().Create(t.Context(), &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "no-bad"},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: "no-bad", ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the policy takes effect", func(ctx context.Context) bool {
		_, err := client.CoreV1().Services("default").Create(ctx, service("bad"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err != nil && strings.Contains(err.Error(), "a bad name")
	})
	createService(t, client, "good")
}

func TestEndpointSliceControllerRunsOverPods(t *testing.T) {
	cp := controlplane.ForTest(t, controlplane.Options{Controllers: controlplane.EndpointControllers()})
	client := clientFor(t, cp.Config())
	createService(t, client, "web")
	// The controller leaves out the Pods of nodes that it does not find.
	node := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-a"}}
	if _, err := client.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	pod, err := client.CoreV1().Pods("default").Create(t.Context(), &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web-0", Labels: map[string]string{"app": "web"}},
		Spec:       v1.PodSpec{NodeName: "node-a", Containers: []v1.Container{{Name: "web", Image: "none"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod.Status = v1.PodStatus{
		Phase: v1.PodRunning, PodIP: "10.1.0.5", PodIPs: []v1.PodIP{{IP: "10.1.0.5"}},
		Conditions: []v1.PodCondition{{Type: v1.PodReady, Status: v1.ConditionTrue}},
	}
	if _, err := client.CoreV1().Pods("default").UpdateStatus(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the EndpointSlice names the Pod", func(ctx context.Context) bool {
		slices, err := client.DiscoveryV1().EndpointSlices("default").List(ctx, metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=web"})
		if err != nil || len(slices.Items) != 1 || len(slices.Items[0].Endpoints) != 1 {
			return false
		}
		e := slices.Items[0].Endpoints[0]
		return e.Addresses[0] == "10.1.0.5" && *e.NodeName == "node-a" && *e.Conditions.Ready
	})
}

func clientFor(t *testing.T, config *rest.Config) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func service(name string) *v1.Service {
	return &v1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1.ServiceSpec{
			Type:     v1.ServiceTypeLoadBalancer,
			Selector: map[string]string{"app": name},
			Ports:    []v1.ServicePort{{Port: 80}},
		},
	}
}

func createService(t *testing.T, client kubernetes.Interface, name string) *v1.Service {
	t.Helper()
	created, err := client.CoreV1().Services("default").Create(t.Context(), service(name), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return created
}

// until fails the test when cond does not hold within 30 s.
func until(t *testing.T, what string, cond func(context.Context) bool) {
	t.Helper()
	begin := time.Now()
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 2*time.Minute, true,
		func(ctx context.Context) (bool, error) { return cond(ctx), nil })
	if err != nil {
		t.Fatalf("waited in vain until %s: %v", what, err)
	}
	t.Logf("%s after %s", what, time.Since(begin).Round(time.Millisecond))
}
