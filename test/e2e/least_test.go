// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	v1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	cloudproviderapi "k8s.io/cloud-provider/api"

	"github.com/fairlead/fairlead/test/controlplane"
	"github.com/fairlead/fairlead/test/freeport"
)

// leastConfig has room for one Service, and a router that is not there.
const leastConfig = `apiVersion: config.fairlead.dev/v1alpha1
kind: CloudConfig
metal:
  pools:
  - name: small
    addresses: [192.0.2.1-192.0.2.1]
  peers:
  - {name: router, myASN: 64512, peerASN: 64512, address: 127.0.0.1, port: 1, passwordSecret: {name: router}}
  speaker: {kubeProxyHealthURL: ""}
`

// right is one thing that a role allows: a verb on a resource, in one namespace
// or in all.
type right struct{ verb, resource, namespace string }

func (r right) String() string {
	return fmt.Sprintf("%s %s in %s", r.verb, r.resource, cmp.Or(r.namespace, "all namespaces"))
}

// unprovoked says why an account has a right that this test does not make it
// use, and nothing where there is no reason.
func unprovoked(account string, r right) string {
	switch {
	case r.verb == "list":
		return "an older API server cannot begin a watch with what there is"
	case account == speaker && r == right{"patch", "events", "default"}:
		return "an event that repeats is counted by a patch"
	default:
		return ""
	}
}

// The binaries run with the rights of the manifests alone, through the life of a
// node and of Services: nothing is refused, and no right is left unused.
func TestRightsAreEnoughAndNoMore(t *testing.T) {
	log, options := withAudit(t)
	c := newCluster(t, options)
	c.awaitPolicies(t)
	dir := t.TempDir()
	bin := buildCommands(t, controller, speaker)
	conf := filepath.Join(dir, "cloud-config.yaml")
	if err := os.WriteFile(conf, []byte(leastConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	c.newNode(t, "node-a")
	kubeconfig := c.kubeconfigOf(t, controlplane.Identity{Namespace: system, Name: controller})
	port := freeport.ForTest(t, netip.MustParseAddr("127.0.0.1"))
	manager := start(t, filepath.Join(bin, controller), "--cloud-provider=metal", "--cloud-config="+conf,
		"--kubeconfig="+kubeconfig, "--authentication-kubeconfig="+kubeconfig, "--authorization-kubeconfig="+kubeconfig,
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port), "--node-monitor-period=1s")
	voice := start(t, filepath.Join(bin, speaker), "--node-name=node-a", "--cloud-config="+conf, "--metrics-bind-address=0",
		"--kubeconfig="+c.kubeconfigOf(t, controlplane.Identity{Namespace: system, Name: speaker, Pod: "speaker-node-a", Node: "node-a"}))

	c.liveThrough(t)
	readMetrics(t, c, port)
	eventually(t, "the speaker told that its Secret is missing", func(ctx context.Context) error {
		cm, err := c.admin.CoreV1().ConfigMaps(system).Get(ctx, "speaker-node-a", metav1.GetOptions{})
		if err != nil {
			return err
		}
		return c.hasEvent(ctx, "default", "node-a", "SessionDown", cm.Data["state.json"])
	})
	voice.stop(t)
	manager.stop(t)

	for _, account := range []string{controller, speaker} {
		requests := log.of(t, account)
		for _, r := range refused(requests) {
			t.Errorf("%s was refused: %+v", account, r)
		}
		c.compareRights(t, account, requests)
	}
}

// compareRights reports what the roles of an account allow and it did not do.
func (c *cluster) compareRights(t *testing.T, account string, requests map[request]int) {
	t.Helper()
	for _, r := range c.rightsOf(t, account) {
		used := false
		for q := range requests {
			used = used || q.verb == r.verb && q.resource == r.resource && (r.namespace == "" || q.namespace == r.namespace)
		}
		if !used && unprovoked(account, r) == "" {
			t.Errorf("%s may %s but never did: take the right away, or provoke its use here", account, r)
		}
	}
}

// rightsOf are the rights that the manifests give to an account.
func (c *cluster) rightsOf(t *testing.T, account string) []right {
	t.Helper()
	var out []right
	add := func(namespace string, rules []rbacv1.PolicyRule) {
		for _, rule := range rules {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					out = append(out, right{verb, resource, namespace})
				}
			}
		}
	}
	ours := func(subjects []rbacv1.Subject) bool {
		return slices.ContainsFunc(subjects, func(s rbacv1.Subject) bool {
			return s.Kind == rbacv1.ServiceAccountKind && s.Namespace == system && s.Name == account
		})
	}
	api := c.admin.RbacV1()
	wide, err := api.ClusterRoleBindings().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range wide.Items {
		if role, err := api.ClusterRoles().Get(t.Context(), b.RoleRef.Name, metav1.GetOptions{}); ours(b.Subjects) && err == nil {
			add("", role.Rules)
		}
	}
	narrow, err := api.RoleBindings("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range narrow.Items {
		if role, err := api.Roles(b.Namespace).Get(t.Context(), b.RoleRef.Name, metav1.GetOptions{}); ours(b.Subjects) && err == nil {
			add(b.Namespace, role.Rules)
		}
	}
	if len(out) == 0 {
		t.Fatalf("%s has no rights at all", account)
	}
	return out
}

// liveThrough takes a node and Services through what happens to them.
func (c *cluster) liveThrough(t *testing.T) {
	t.Helper()
	eventually(t, "the node is initialized and has no taint of ours", func(ctx context.Context) error {
		node, err := c.admin.CoreV1().Nodes().Get(ctx, "node-a", metav1.GetOptions{})
		switch {
		case err != nil:
			return err
		case node.Spec.ProviderID != "metal://node-a" || tainted(node) || len(node.Status.Addresses) < 2:
			return fmt.Errorf("it is %+v with the addresses %v", node.Spec, node.Status.Addresses)
		}
		return nil
	})
	c.newService(t, "first")
	c.awaitStatus(t, "first", func(svc *v1.Service) bool { return len(svc.Status.LoadBalancer.Ingress) == 1 })
	c.newService(t, "second")
	c.awaitStatus(t, "second", func(svc *v1.Service) bool { return len(svc.Status.Conditions) == 1 })
	// The same events once more: they are counted by a patch.
	services := c.admin.CoreV1().Services("default")
	for _, value := range []string{"one", "two"} {
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"example.com/edit":%q}}}`, value)
		if _, err := services.Patch(t.Context(), "first", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "an event repeated", func(ctx context.Context) error {
		events, err := c.admin.CoreV1().Events("default").List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(events.Items, func(e v1.Event) bool { return e.InvolvedObject.Name == "first" && e.Count > 1 }) {
			return errors.New("every event was told once")
		}
		return nil
	})
	for _, name := range []string{"first", "second"} {
		if err := services.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, name+" is gone", func(ctx context.Context) error {
			if svc, err := services.Get(ctx, name, metav1.GetOptions{}); err == nil {
				return fmt.Errorf("it is still there, with the finalizers %q", svc.Finalizers)
			}
			return nil
		})
	}
}

func tainted(node *v1.Node) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(t v1.Taint) bool {
		return t.Key == cloudproviderapi.TaintExternalCloudProvider || t.Key == cloudproviderapi.TaintNodeShutdown
	})
}

func (c *cluster) newNode(t *testing.T, name string) {
	t.Helper()
	nodes := c.admin.CoreV1().Nodes()
	node, err := nodes.Create(t.Context(), &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1.NodeSpec{Taints: []v1.Taint{
			{Key: cloudproviderapi.TaintExternalCloudProvider, Value: "true", Effect: v1.TaintEffectNoSchedule},
			{Key: cloudproviderapi.TaintNodeShutdown, Effect: v1.TaintEffectNoSchedule},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	node.Status.Addresses = []v1.NodeAddress{{Type: v1.NodeInternalIP, Address: "127.0.0.1"}}
	node.Status.Conditions = []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionTrue}}
	if _, err := nodes.UpdateStatus(t.Context(), node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) newService(t *testing.T, name string) {
	t.Helper()
	_, err := c.admin.CoreV1().Services("default").Create(t.Context(), &v1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1.ServiceSpec{
			Type: v1.ServiceTypeLoadBalancer, Selector: map[string]string{"app": name},
			Ports: []v1.ServicePort{{Port: 80}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) awaitStatus(t *testing.T, name string, done func(*v1.Service) bool) {
	t.Helper()
	eventually(t, "the status of "+name+" is written", func(ctx context.Context) error {
		svc, err := c.admin.CoreV1().Services("default").Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if !done(svc) {
			return fmt.Errorf("it is %+v", svc.Status)
		}
		return nil
	})
}

func (c *cluster) hasEvent(ctx context.Context, namespace, object, reason, otherwise string) error {
	events, err := c.admin.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, e := range events.Items {
		if e.InvolvedObject.Name == object && e.Reason == reason {
			return nil
		}
	}
	return fmt.Errorf("%s has no event %s; %s", object, reason, otherwise)
}

func (c *cluster) kubeconfigOf(t *testing.T, id controlplane.Identity) string {
	t.Helper()
	file, err := c.ServiceAccountKubeconfig(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// readMetrics asks the controller for its metrics with a token, so that it must
// ask the API server who that is and what it may.
func readMetrics(t *testing.T, c *cluster, port uint16) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	eventually(t, "the controller serves metrics to those who may read them", func(ctx context.Context) error {
		url := fmt.Sprintf("https://127.0.0.1:%d/", port)
		for path, want := range map[string]struct {
			token string
			code  int
		}{
			"readyz":  {"", http.StatusOK}, // as kubelet asks
			"livez":   {"", http.StatusOK},
			"metrics": {c.Config().BearerToken, http.StatusOK},
			"configz": {"", http.StatusForbidden},
		} {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+path, http.NoBody)
			if err != nil {
				return err
			}
			if want.token != "" {
				req.Header.Set("Authorization", "Bearer "+want.token)
			}
			resp, err := client.Do(req)
			if err != nil {
				return err
			}
			_ = resp.Body.Close()
			if resp.StatusCode != want.code {
				return fmt.Errorf("/%s answers %s", path, resp.Status)
			}
		}
		return nil
	})
}
