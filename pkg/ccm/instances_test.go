// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	cloudprovider "k8s.io/cloud-provider"
	cloudproviderapi "k8s.io/cloud-provider/api"
	nodecontroller "k8s.io/cloud-provider/controllers/node"
	"k8s.io/cloud-provider/controllers/nodelifecycle"
	controllersmetrics "k8s.io/component-base/metrics/prometheus/controllers"
	testingclock "k8s.io/utils/clock/testing"
)

// cloudNodes is a cloud that knows some nodes.
type cloudNodes struct {
	exists   func(*v1.Node) (bool, error)
	shutdown error
	metadata func(*v1.Node) (*cloudprovider.InstanceMetadata, error)
}

func (c cloudNodes) InstanceExists(_ context.Context, n *v1.Node) (bool, error) { return c.exists(n) }

func (c cloudNodes) InstanceShutdown(context.Context, *v1.Node) (bool, error) {
	return false, c.shutdown
}

func (c cloudNodes) InstanceMetadata(_ context.Context, n *v1.Node) (*cloudprovider.InstanceMetadata, error) {
	return c.metadata(n)
}

func newNode(name, providerID string) *v1.Node {
	return &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(start.Add(-time.Hour))},
		Spec:       v1.NodeSpec{ProviderID: providerID},
		Status: v1.NodeStatus{Conditions: []v1.NodeCondition{
			{Type: v1.NodeReady, Status: v1.ConditionUnknown},
		}},
	}
}

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// nodeRig is upstream's node controllers over a fake API server, with our
// guard and client.
type nodeRig struct {
	clock     *testingclock.FakeClock
	client    *fake.Clientset
	nodes     *nodecontroller.CloudNodeController
	lifecycle *nodelifecycle.CloudNodeLifecycleController
}

func newNodeRig(t *testing.T, inner cloudNodes, nodes ...*v1.Node) *nodeRig {
	t.Helper()
	r := &nodeRig{clock: testingclock.NewFakeClock(start), client: fake.NewClientset()}
	factory := informers.NewSharedInformerFactory(r.client, 0)
	informer := factory.Core().V1().Nodes()
	for _, n := range nodes {
		if _, err := r.client.CoreV1().Nodes().Create(t.Context(), n, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	count := func() int {
		list, err := r.client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return len(list.Items)
	}
	c := cloud{name: "metal", instances: &guardedInstances{
		inner: inner, scheme: "metal", brake: newBrake(defaultMaxMissing, count, r.clock), clock: r.clock,
	}}
	var err error
	if r.nodes, err = nodecontroller.NewCloudNodeController(informer, shownClient{r.client}, c, time.Minute, 1, 1); err != nil {
		t.Fatal(err)
	}
	if r.lifecycle, err = nodelifecycle.NewCloudNodeLifecycleController(informer, shownClient{r.client}, c, time.Second, 4); err != nil {
		t.Fatal(err)
	}
	factory.Start(t.Context().Done())
	factory.WaitForCacheSync(t.Context().Done())
	r.client.ClearActions()
	return r
}

// written are the verbs and names of writes to nodes.
func (r *nodeRig) written() []string {
	var out []string
	for _, a := range r.client.Actions() {
		if a.GetResource().Resource == "nodes" && a.GetVerb() != "list" && a.GetVerb() != "watch" && a.GetVerb() != "get" {
			out = append(out, a.GetVerb())
		}
	}
	return out
}

func initialised(n *v1.Node) (*cloudprovider.InstanceMetadata, error) {
	return &cloudprovider.InstanceMetadata{ProviderID: n.Spec.ProviderID, NodeAddresses: n.Status.Addresses}, nil
}

// Trap 7: upstream reads the addresses of nil metadata and ends the process.
func TestTrap07MissingMetadataIsAnError(t *testing.T) {
	none := func(*v1.Node) (*cloudprovider.InstanceMetadata, error) { return nil, nil } //nolint:nilnil // the fault of a provider that is tested
	node := newNode("n1", "metal://n1")
	g := &guardedInstances{inner: cloudNodes{metadata: none}, scheme: "metal"}
	if m, err := g.InstanceMetadata(t.Context(), node); m != nil || err == nil || !strings.Contains(err.Error(), "node n1") {
		t.Errorf("metadata %+v, error %v, want an error that names the node", m, err)
	}
	r := newNodeRig(t, cloudNodes{metadata: none}, node)
	if err := r.nodes.UpdateNodeStatus(t.Context()); err != nil { // the loop that ends the process
		t.Error(err)
	}
	if w := r.written(); len(w) > 0 {
		t.Errorf("written: %v", w)
	}
}

// Trap 9: upstream patches dual-stack nodes with {} in every period.
func TestTrap09DualStackNodesAreNotPatchedWithNothing(t *testing.T) {
	node := newNode("n1", "metal://n1")
	node.Status.Addresses = []v1.NodeAddress{
		{Type: v1.NodeInternalIP, Address: "10.0.0.1"},
		{Type: v1.NodeInternalIP, Address: "fd00::1"},
		{Type: v1.NodeHostName, Address: "n1"},
	}
	moved := false
	r := newNodeRig(t, cloudNodes{metadata: func(n *v1.Node) (*cloudprovider.InstanceMetadata, error) {
		m, err := initialised(n.DeepCopy())
		if moved {
			m.NodeAddresses[0].Address = "10.0.0.2"
		}
		return m, err
	}}, node)
	for range 5 {
		if err := r.nodes.UpdateNodeStatus(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if w := r.written(); len(w) > 0 {
		t.Errorf("written: %v, want nothing", w)
	}
	moved = true
	if err := r.nodes.UpdateNodeStatus(t.Context()); err != nil {
		t.Error(err)
	}
	if w := r.written(); len(w) != 1 || w[0] != "patch" {
		t.Errorf("written after an address changed: %v, want one patch", w)
	}
}

// pass is one pass of the lifecycle controller, and returns the nodes left.
func (r *nodeRig) pass(t *testing.T) int {
	t.Helper()
	r.lifecycle.MonitorNodes(t.Context())
	list, err := r.client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return len(list.Items)
}

// run lets a rig's lifecycle controller have its recorder, which only Run makes.
func (r *nodeRig) run(t *testing.T) {
	t.Helper()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	r.lifecycle.Run(ended, controllersmetrics.NewControllerManagerMetrics("test"))
}

// Trap 8: upstream never deletes a node whose absence is told by the sentinel
// error, and deletes at once, and any number, when told by false.
func TestTrap08AbsentNodesAreDeletedWithABrake(t *testing.T) {
	gone := map[string]bool{}
	for _, tc := range []struct {
		name   string
		absent func(*v1.Node) (bool, error)
	}{
		{"told by the sentinel error", func(n *v1.Node) (bool, error) {
			if gone[n.Name] {
				return false, fmt.Errorf("look: %w", cloudprovider.InstanceNotFound)
			}
			return true, nil
		}},
		{"told by false", func(n *v1.Node) (bool, error) { return !gone[n.Name], nil }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			clear(gone)
			var nodes []*v1.Node
			for i := range 10 {
				nodes = append(nodes, newNode(fmt.Sprintf("n%d", i), fmt.Sprintf("metal://n%d", i)))
			}
			r := newNodeRig(t, cloudNodes{exists: tc.absent, shutdown: cloudprovider.NotImplemented}, nodes...)
			r.run(t)
			gone["n3"] = true
			if left := r.pass(t); left != 10 {
				t.Errorf("%d nodes after the first pass, want all 10: absence is not confirmed", left)
			}
			r.clock.Step(settleTime)
			if left := r.pass(t); left != 9 {
				t.Errorf("%d nodes after it is confirmed, want 9", left)
			}
			for i := range 10 {
				gone[fmt.Sprintf("n%d", i)] = true
			}
			for range 5 {
				r.pass(t)
				r.clock.Step(settleTime)
			}
			if left := r.pass(t); left != 9 {
				t.Errorf("%d nodes when the cloud knows none, want the 9 left alone", left)
			}
		})
	}
}

func TestInstanceExists(t *testing.T) {
	failed := errors.New("timeout")
	young := newNode("new", "")
	young.CreationTimestamp = metav1.NewTime(start.Add(-time.Minute))
	young.Spec.Taints = []v1.Taint{{Key: cloudproviderapi.TaintExternalCloudProvider}}
	for _, tc := range []struct {
		name   string
		node   *v1.Node
		exists bool
		err    error
		want   bool
		says   string // part of the error; empty: none
	}{
		{"it exists", newNode("n", "metal://n"), true, nil, true, ""},
		{"nobody can tell", newNode("n", "metal://n"), false, cloudprovider.NotImplemented, true, ""},
		{"the call fails", newNode("n", "metal://n"), false, failed, false, "timeout"},
		{"foreign node", newNode("n", "kind://n"), false, nil, true, ""},
		{"provider id that names no cloud", newNode("n", "i-0123"), false, nil, false, "in 10s"},
		{"first absence", newNode("n", "metal://n"), false, nil, false, "in 10s"},
		{"not initialised yet", young, false, nil, false, "not initialised yet"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			clock := testingclock.NewFakeClock(start)
			g := &guardedInstances{
				inner:  cloudNodes{exists: func(*v1.Node) (bool, error) { return tc.exists, tc.err }},
				scheme: "metal", brake: newBrake(100, func() int { return 1 }, clock), clock: clock,
			}
			got, err := g.InstanceExists(t.Context(), tc.node)
			if got != tc.want || (err == nil) != (tc.says == "") || (err != nil && !strings.Contains(err.Error(), tc.says)) {
				t.Errorf("%v, %v; want %v and an error with %q", got, err, tc.want, tc.says)
			}
		})
	}
}

func TestForeignNodesAreLeftToTheirOwnCloud(t *testing.T) {
	g := &guardedInstances{scheme: "metal"} // asks nobody
	node := newNode("n", "kind://n")
	if down, err := g.InstanceShutdown(t.Context(), node); down || err != nil {
		t.Errorf("shut down: %v, %v", down, err)
	}
	if m, err := g.InstanceMetadata(t.Context(), node); err != nil || m.ProviderID != "kind://n" || len(m.NodeAddresses) > 0 {
		t.Errorf("metadata %+v, %v, want its provider id and no addresses", m, err)
	}
	node.Spec.Taints = []v1.Taint{{Key: cloudproviderapi.TaintExternalCloudProvider}}
	if m, err := g.InstanceMetadata(t.Context(), node); m != nil || err == nil {
		t.Errorf("metadata %+v, %v before it is initialised, want an error", m, err)
	}
}

func TestBrake(t *testing.T) {
	clock := testingclock.NewFakeClock(start)
	total := 10
	b := newBrake(30, func() int { return total }, clock)
	ask := func(names ...string) (passed []string) {
		for _, n := range names {
			if b.missing(n) == nil {
				passed = append(passed, n)
				total--
			}
		}
		return passed
	}
	ask("a", "b", "c")
	clock.Step(settleTime)
	if got := ask("a", "b", "c"); len(got) != 3 {
		t.Errorf("passed %v, want all three: 30%% of 10", got)
	}
	ask("d")
	clock.Step(settleTime)
	if got := ask("d"); got != nil {
		t.Errorf("passed %v within the window of the first three", got)
	}
	clock.Step(brakeWindow)
	ask("d")
	if got := ask("d"); len(got) != 1 {
		t.Errorf("passed %v after the window, want d", got)
	}
	err := newBrake(0, func() int { return 100 }, clock).missing("x")
	if err == nil || !strings.Contains(err.Error(), "--max-missing-nodes-percent") || !strings.Contains(err.Error(), "node x") {
		t.Errorf("error %v, want one that names the node and the flag", err)
	}
	if err := newBrake(100, func() int { return 1 }, clock).missing("x"); err == nil || strings.Contains(err.Error(), "none is deleted") {
		t.Errorf("error %v, want only the wait without a brake", err)
	}
}
