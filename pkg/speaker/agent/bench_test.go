// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/speaker/agent"
)

// agentSession shortens fakeRouters.open.
type agentSession = agent.Session

const (
	plain  = "192.0.2.1/32"
	marked = "192.0.2.1/32 localpref 0 communities 65535:0"
)

// bench is a speaker on node-a with a Service that it announces.
type bench struct {
	api     fakeAPI
	routers *fakeRouters
	opts    agent.Options
	metal   *cloudconfig.Metal
	agent   *agent.Agent
}

// virtual runs a test in time of its own, which passes while everybody waits: no
// test depends on how fast the machine is.
func virtual(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{api: newFakeAPI(), routers: newFakeRouters(), metal: metalOf(t, "")}
	createNode(t, b.api, "node-a")
	endpoint(t, b.api, "web", "node-a")
	service(t, b.api, "web", "192.0.2.1", v1.ServiceExternalTrafficPolicyCluster)
	b.opts = agent.Options{
		Client: b.api, Open: b.routers.open, Node: "node-a", Namespace: "fairlead-system", BootID: "boot-1",
		Probe: func(context.Context, string) error { return nil },
	}
	return b
}

// metalOf is a configuration with the peers x and y, or others.
func metalOf(t *testing.T, peers string) *cloudconfig.Metal {
	t.Helper()
	if peers == "" {
		peers = `
  - {name: x, myASN: 64512, peerASN: 64512, address: 10.0.0.1}
  - {name: y, myASN: 64512, peerASN: 64512, address: 10.0.0.2}`
	}
	cfg, err := cloudconfig.Parse([]byte(`
apiVersion: config.fairlead.dev/v1alpha1
kind: CloudConfig
metal:
  pools: [{name: public, addresses: [192.0.2.0/24]}]
  advertisements: [{name: all}]
  speaker: {drainTime: 1s}
  peers:` + peers + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Faults) > 0 {
		t.Fatal(cfg.Faults)
	}
	return cfg.Metal
}

// start runs the speaker; the function it returns stops it.
func (b *bench) start(t *testing.T) func() {
	t.Helper()
	a, stop := launch(t, b.opts, b.metal)
	b.agent = a
	synctest.Wait() // until all watches are there: the fake tells none of a deletion before
	return stop
}

// announcing is a speaker that announces its Service to all, and what stops it.
func announcing(t *testing.T) (b *bench, stop func()) {
	t.Helper()
	b = newBench(t)
	stop = b.start(t)
	b.routers.waitRoutes(t, "x", plain)
	return b, stop
}

// restart runs the speaker anew, before routers that know nothing of it.
func (b *bench) restart(t *testing.T) {
	t.Helper()
	b.routers = newFakeRouters()
	b.opts.Open = b.routers.open
	b.start(t)
}

// changeService changes a Service.
func (b *bench) changeService(t *testing.T, name string, change func(*v1.Service)) {
	t.Helper()
	services := b.api.CoreV1().Services("default")
	svc, err := services.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	change(svc)
	if _, err := services.Update(t.Context(), svc, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// moveEndpoint takes the endpoint of the Service web away until it is announced
// no more, and gives it one on a node until it is announced again.
func (b *bench) moveEndpoint(t *testing.T, node string) {
	t.Helper()
	if err := b.api.DiscoveryV1().EndpointSlices("default").Delete(t.Context(), "web-1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	b.routers.waitRoutes(t, "x")
	endpoint(t, b.api, "web", node)
	b.routers.waitRoutes(t, "x", plain)
}

// changeNode changes the Node object.
func (b *bench) changeNode(t *testing.T, change func(*v1.Node)) {
	t.Helper()
	n, err := b.api.CoreV1().Nodes().Get(t.Context(), "node-a", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	change(n)
	if _, err := b.api.CoreV1().Nodes().Update(t.Context(), n, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// writes counts what was written through the API.
func (b *bench) writes() int {
	n := 0
	for _, a := range b.api.Actions() {
		switch a.GetVerb() {
		case "create", "update", "patch", "delete":
			n++
		}
	}
	return n
}

func get(t *testing.T, h http.Handler, path string) string {
	t.Helper()
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
	return answer.Body.String()
}

// waitEvents waits until there are events of these reasons and returns all, in
// the order of their writing.
func waitEvents(t *testing.T, api fakeAPI, reasons ...string) []v1.Event {
	t.Helper()
	slices.Sort(reasons)
	limit := time.After(time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		list, err := api.CoreV1().Events("").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range list.Items {
			got = append(got, e.Reason)
		}
		slices.Sort(got)
		if containsAll(got, reasons) {
			slices.SortFunc(list.Items, func(a, b v1.Event) int { return strings.Compare(a.Name, b.Name) })
			return list.Items
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited in vain for the events %v; there are %v", reasons, got)
		}
	}
}

// containsAll reports whether a sorted list contains another, as often.
func containsAll(list, want []string) bool {
	for _, w := range want {
		at := slices.Index(list, w)
		if at < 0 {
			return false
		}
		list = list[at+1:]
	}
	return true
}
