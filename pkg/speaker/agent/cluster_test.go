// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/speaker"
	"github.com/fairlead/fairlead/pkg/speaker/agent"
	"github.com/fairlead/fairlead/pkg/speaker/bgp"
	"github.com/fairlead/fairlead/test/controlplane"
	"github.com/fairlead/fairlead/test/testrouter"
)

// rules are what a speaker may do, and all that it may: this test runs it with
// no other rights.
func rules() (cluster, own []rbacv1.PolicyRule) {
	cluster = []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"services", "nodes"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"create", "patch"}},
	}
	own = []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "create", "update"}},
		{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}},
	}
	return cluster, own
}

// grant gives the rules to a ServiceAccount.
func grant(t *testing.T, c kubernetes.Interface, ns, account string) {
	t.Helper()
	cluster, own := rules()
	subject := []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: ns, Name: account}}
	meta := metav1.ObjectMeta{Name: "fairlead-speaker"}
	rbac := c.RbacV1()
	_, err1 := rbac.ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: meta, Rules: cluster}, metav1.CreateOptions{})
	_, err2 := rbac.ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta, Subjects: subject, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: meta.Name},
	}, metav1.CreateOptions{})
	_, err3 := rbac.Roles(ns).Create(t.Context(), &rbacv1.Role{ObjectMeta: meta, Rules: own}, metav1.CreateOptions{})
	_, err4 := rbac.RoleBindings(ns).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: meta, Subjects: subject, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
	}, metav1.CreateOptions{})
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func clientOf(t *testing.T, cfg *rest.Config) kubernetes.Interface {
	t.Helper()
	cfg.QPS, cfg.Burst = 500, 1000
	c, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestOnARealCluster runs a speaker with the rights of its ServiceAccount
// against a real API server and a router.
func TestOnARealCluster(t *testing.T) {
	cp := controlplane.ForTest(t, controlplane.Options{})
	admin := clientOf(t, cp.Config())
	mine, err := cp.ServiceAccountConfig(t.Context(), controlplane.Identity{
		Namespace: "fairlead-system", Name: "fairlead-speaker", Pod: "speaker-a", Node: "node-a",
	})
	if err != nil {
		t.Fatal(err)
	}
	grant(t, admin, "fairlead-system", "fairlead-speaker")
	createNode(t, admin, "node-a")
	r := testrouter.Start(t, testrouter.Config{
		ASN: 64512, RouterID: "10.0.0.1", Address: netip.MustParseAddr("127.0.0.1"), GracefulRestart: true,
		Peers: []testrouter.Peer{{Address: netip.MustParseAddr("127.0.0.11"), ASN: 64512}},
	})
	service(t, admin, "web", "192.0.2.1", v1.ServiceExternalTrafficPolicyLocal)
	endpoint(t, admin, "web", "node-a")

	api, err := agent.NewClient(mine)
	if err != nil {
		t.Fatal(err)
	}
	opts := agent.Options{
		Client: api, Open: openWith(bgp.NewHost(slog.DiscardHandler)),
		Node: "node-a", Namespace: "fairlead-system", Source: netip.MustParseAddr("127.0.0.11"), BootID: "boot-1",
	}
	stop := start(t, opts, metalFor(r))
	r.WaitTable(t, "the address is announced", announced(1))

	// A Service's birth and death.
	service(t, admin, "db", "192.0.2.2", v1.ServiceExternalTrafficPolicyCluster)
	endpoint(t, admin, "db", "node-b")
	r.WaitTable(t, "the second is, too", announced(2))
	if err := admin.CoreV1().Services("default").Delete(t.Context(), "db", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	r.WaitTable(t, "it is withdrawn", announced(1))

	// The state object tells of the session.
	waitState(t, admin, "node-a", "the session is up", func(s speaker.NodeState) bool {
		return len(s.Sessions) == 1 && s.Sessions[0].State == "Up" && s.Announced
	})

	// The API server goes away: the last state stays. A restart changes nothing.
	r.Changes()
	if err := cp.KillAPIServer(); err != nil {
		t.Fatal(err)
	}
	if err := cp.RestartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop()
	stop = start(t, opts, metalFor(r))
	r.WaitUp(t, netip.MustParseAddr("127.0.0.11"), true)
	service(t, admin, "late", "192.0.2.3", v1.ServiceExternalTrafficPolicyCluster)
	endpoint(t, admin, "late", "node-b")
	r.WaitTable(t, "a new one comes", announced(2))
	for _, c := range r.Changes() {
		if c.Withdrawn {
			t.Errorf("%s was withdrawn", c.Prefix)
		}
	}
	stop()
}

func announced(n int) func([]testrouter.Route) bool {
	return func(rs []testrouter.Route) bool { return len(rs) == n }
}

func openWith(h *bgp.Host) agent.OpenFunc {
	return func(ctx context.Context, cfg speaker.SessionConfig, routes []speaker.Route, changed func()) (agent.Session, error) {
		return h.Open(ctx, cfg, routes, changed)
	}
}

// metalFor is a configuration with one pool and one router.
func metalFor(r *testrouter.Router) *cloudconfig.Metal {
	cfg, err := cloudconfig.Parse(fmt.Appendf(nil, `
apiVersion: config.fairlead.dev/v1alpha1
kind: CloudConfig
metal:
  pools:
  - name: public
    addresses: [192.0.2.0/24]
  peers:
  - name: router
    myASN: 64512
    peerASN: %d
    address: %s
    port: %d
  advertisements:
  - name: all
  speaker:
    kubeProxyHealthURL: ""
    drainTime: 1s
`, r.ASN, r.Address, r.Port))
	if err != nil {
		panic(err)
	}
	if len(cfg.Faults) > 0 {
		panic(cfg.Faults.String())
	}
	return cfg.Metal
}

// start runs a speaker; the function it returns stops it, once.
func start(t *testing.T, o agent.Options, m *cloudconfig.Metal) func() {
	t.Helper()
	_, stop := launch(t, o, m)
	return stop
}

// launch runs a speaker and returns what stops it, once.
func launch(t *testing.T, o agent.Options, m *cloudconfig.Metal) (*agent.Agent, func()) {
	t.Helper()
	a, err := agent.New(o)
	if err != nil {
		t.Fatal(err)
	}
	a.Configure(m)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return a, stop
}

func createNode(t *testing.T, c kubernetes.Interface, name string) {
	t.Helper()
	n := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := c.CoreV1().Nodes().Create(t.Context(), n, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func service(t *testing.T, c kubernetes.Interface, name, ip string, policy v1.ServiceExternalTrafficPolicy) {
	t.Helper()
	api := c.CoreV1().Services("default")
	svc, err := api.Create(t.Context(), &v1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
		Spec: v1.ServiceSpec{
			Type: v1.ServiceTypeLoadBalancer, ExternalTrafficPolicy: policy,
			Ports: []v1.ServicePort{{Port: 80}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	svc.Status.LoadBalancer.Ingress = []v1.LoadBalancerIngress{{IP: ip}}
	if _, err := api.UpdateStatus(t.Context(), svc, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func endpoint(t *testing.T, c kubernetes.Interface, svc, node string) {
	t.Helper()
	_, err := c.DiscoveryV1().EndpointSlices("default").Create(t.Context(), &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name: svc + "-1", Namespace: "default", Labels: map[string]string{discoveryv1.LabelServiceName: svc},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"10.1.0.1"}, NodeName: &node}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// waitState waits until a node's state object fulfils a condition.
func waitState(t *testing.T, c kubernetes.Interface, node, what string, cond func(speaker.NodeState) bool) speaker.NodeState {
	t.Helper()
	limit := time.After(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var last string
	for {
		cm, err := c.CoreV1().ConfigMaps("fairlead-system").Get(t.Context(), speaker.StateName(node), metav1.GetOptions{})
		if err == nil {
			last = cm.Data[speaker.StateKey]
			if s, err := speaker.ParseState(last); err == nil && cond(s) {
				return s
			}
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited in vain until %s; the state object holds %s (%v)", what, last, err)
		}
	}
}
