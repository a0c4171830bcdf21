// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/speaker"
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

func leave(n *v1.Node) {
	n.Spec.Taints = []v1.Taint{{Key: speaker.TaintLeaving, Effect: v1.TaintEffectNoSchedule}}
}

func stay(n *v1.Node) { n.Spec.Taints = nil }

func TestSessionsOpenWithAllTheirRoutes(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := newBench(t)
		b.start(t)
		b.routers.waitRoutes(t, "x", plain)
		b.routers.waitRoutes(t, "y", plain)
		for _, s := range b.routers.sessions {
			if s.first != 1 {
				t.Errorf("the session with %s was opened with %d routes, want all", s.cfg.Peer, s.first)
			}
		}
	})
}

func TestServiceComesChangesAndGoes(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := newBench(t)
		b.start(t)
		b.routers.waitRoutes(t, "x", plain)
		endpoint(t, b.api, "db", "node-b")
		service(t, b.api, "db", "192.0.2.2", v1.ServiceExternalTrafficPolicyCluster)
		b.routers.waitRoutes(t, "x", plain, "192.0.2.2/32")

		svc, err := b.api.CoreV1().Services("default").Get(t.Context(), "db", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		svc.Spec.ExternalTrafficPolicy = v1.ServiceExternalTrafficPolicyLocal
		if _, err := b.api.CoreV1().Services("default").Update(t.Context(), svc, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		b.routers.waitRoutes(t, "x", plain)

		slices := b.api.DiscoveryV1().EndpointSlices("default")
		if err := slices.Delete(t.Context(), "web-1", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		b.routers.waitRoutes(t, "x")
		endpoint(t, b.api, "web", "node-b")
		b.routers.waitRoutes(t, "x", plain)
		if err := b.api.CoreV1().Services("default").Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		b.routers.waitRoutes(t, "x")
	})
}

func TestNewNodeWaitsForKubeProxy(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := newBench(t)
		var healthy atomic.Bool
		b.opts.Probe = func(_ context.Context, url string) error {
			if url != b.metal.Speaker.KubeProxyHealthURL {
				t.Errorf("asked %q", url)
			}
			if healthy.Load() {
				return nil
			}
			return errors.New("not yet")
		}
		b.start(t)
		b.routers.waitRoutes(t, "x")
		waitState(t, b.api, "node-a", "it holds", func(s speaker.NodeState) bool {
			return s.Phase == "Holding" && s.Reason == speaker.ReasonKubeProxyUnhealthy && !s.Announced
		})
		healthy.Store(true)
		b.routers.waitRoutes(t, "x", plain)
		waitState(t, b.api, "node-a", "it serves", func(s speaker.NodeState) bool {
			return s.Phase == "Serving" && s.Reason == "" && s.Announced && s.BootID == "boot-1"
		})
	})
}

func TestNewNodeStopsWaitingWhenTheConfigSaysSo(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := newBench(t)
		b.opts.Probe = func(context.Context, string) error { return errors.New("not yet") }
		b.start(t)
		b.routers.waitRoutes(t, "x")
		without := *b.metal
		without.Speaker.KubeProxyHealthURL = ""
		b.agent.Configure(&without)
		b.routers.waitRoutes(t, "x", plain)
	})
}

func TestNodeWhoseAddressesAreSetAnewKeepsItsSessions(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := newBench(t)
		addrs := func(a ...v1.NodeAddress) func(*v1.Node) {
			return func(n *v1.Node) { n.Status.Addresses = a }
		}
		ip := v1.NodeAddress{Type: v1.NodeInternalIP, Address: "10.0.0.11"}
		b.changeNode(t, addrs(ip))
		b.start(t)
		b.routers.waitRoutes(t, "x", plain)
		b.changeNode(t, addrs())
		b.changeNode(t, func(n *v1.Node) { n.Spec.Unschedulable = true })
		b.routers.waitRoutes(t, "x", marked)
		if id := b.routers.sessions["x"].cfg.RouterID; id.String() != ip.Address || len(b.routers.opened) != 2 {
			t.Errorf("the router id is %s, opened %v", id, b.routers.opened)
		}
	})
}

// local makes the Service web of policy Local with a health check port.
func (b *bench) local(t *testing.T) {
	t.Helper()
	api := b.api.CoreV1().Services("default")
	svc, err := api.Get(t.Context(), "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	svc.Spec.ExternalTrafficPolicy, svc.Spec.HealthCheckNodePort = v1.ServiceExternalTrafficPolicyLocal, 30001
	if _, err := api.Update(t.Context(), svc, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// proxyPort is a health check port of kube-proxy, at 127.0.0.1:30001, that
// becomes ready when told so.
type proxyPort struct {
	ready atomic.Bool
	asked atomic.Int32
}

func (p *proxyPort) probe(_ context.Context, url string) error {
	switch {
	case !strings.Contains(url, ":30001/"): // kube-proxy itself
		return nil
	case !strings.Contains(url, "127.0.0.1"):
		return errors.New("refused")
	}
	p.asked.Add(1)
	if p.ready.Load() {
		return nil
	}
	return agent.StatusError("503")
}

func TestLocalEndpointWaitsForKubeProxy(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := newBench(t)
		b.local(t)
		var port proxyPort
		b.opts.Probe = port.probe
		b.start(t)
		b.routers.waitRoutes(t, "x")
		service(t, b.api, "db", "192.0.2.2", v1.ServiceExternalTrafficPolicyCluster)
		endpoint(t, b.api, "db", "node-b")
		b.routers.waitRoutes(t, "x", "192.0.2.2/32") // others do not wait
		port.ready.Store(true)
		b.routers.waitRoutes(t, "x", plain, "192.0.2.2/32")

		port.ready.Store(false)
		b.changeNode(t, func(n *v1.Node) { n.Spec.Unschedulable = true })
		b.routers.wait(t, "what is announced already is marked at once", func() bool {
			return b.routers.sessions["x"].routes[netip.MustParsePrefix(plain)].Marked()
		})
	})
}

func TestLocalEndpointWaitsForKubeProxyNoLongerThanItMay(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := newBench(t)
		b.local(t)
		var port proxyPort
		b.opts.Probe = port.probe
		b.start(t)
		b.routers.waitRoutes(t, "x")
		b.routers.waitRoutes(t, "x", plain) // after three seconds
		if n := port.asked.Load(); n < 10 {
			t.Errorf("kube-proxy was asked %d times", n)
		}
	})
}

func TestNothingWaitsWhereNoHealthCheckPortAnswers(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := newBench(t)
		b.local(t)
		b.opts.Probe = func(_ context.Context, url string) error {
			if strings.Contains(url, ":30001/") {
				return errors.New("refused")
			}
			return nil
		}
		b.start(t)
		b.routers.waitRoutes(t, "x", plain) // after three seconds, once
		begin := time.Now()
		slices := b.api.DiscoveryV1().EndpointSlices("default")
		if err := slices.Delete(t.Context(), "web-1", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		b.routers.waitRoutes(t, "x")
		endpoint(t, b.api, "web", "node-a")
		b.routers.waitRoutes(t, "x", plain)
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("the second time it took %s", took)
		}
	})
}

func TestRestartedSpeakerAnnouncesLocalServicesAtOnce(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := newBench(t)
		b.local(t)
		port := &proxyPort{}
		port.ready.Store(true)
		b.opts.Probe = port.probe
		stop := b.start(t)
		b.routers.waitRoutes(t, "x", plain)
		waitState(t, b.api, "node-a", "it serves", func(s speaker.NodeState) bool { return s.Announced })
		stop()
		port.ready.Store(false)
		b.routers = newFakeRouters()
		b.opts.Open = b.routers.open
		b.start(t)
		b.routers.waitRoutes(t, "x", plain)
		b.routers.mu.Lock()
		defer b.routers.mu.Unlock()
		if n := b.routers.sessions["x"].first; n != 1 {
			t.Errorf("the session was opened with %d routes, want all", n)
		}
	})
}

func TestRestartInTheSameBootDoesNotAskKubeProxy(t *testing.T) {
	sick := func(context.Context, string) error { return errors.New("sick") }
	for boot, want := range map[string][]string{"boot-1": {plain}, "boot-2": nil} {
		t.Run(boot, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				b := newBench(t)
				stop := b.start(t)
				waitState(t, b.api, "node-a", "it serves", func(s speaker.NodeState) bool { return s.Announced })
				stop()
				b.opts.Probe, b.opts.BootID = sick, boot
				b.routers = newFakeRouters()
				b.opts.Open = b.routers.open
				b.start(t)
				b.routers.waitRoutes(t, "x", want...)
			})
		})
	}
}

func TestCordonedNodeMarksItsRoutes(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := newBench(t)
		b.start(t)
		b.routers.waitRoutes(t, "x", plain)
		b.changeNode(t, func(n *v1.Node) { n.Spec.Unschedulable = true })
		b.routers.waitRoutes(t, "x", marked)
		waitState(t, b.api, "node-a", "it says so", func(s speaker.NodeState) bool { return s.Marked && s.Phase == "Serving" })
		b.changeNode(t, func(n *v1.Node) { n.Spec.Unschedulable = false })
		b.routers.waitRoutes(t, "x", plain)
		if len(b.routers.opened) != 2 || len(b.routers.closed) != 0 {
			t.Errorf("sessions were touched: opened %v, closed %v", b.routers.opened, b.routers.closed)
		}
	})
}

func TestLeavingNodeMarksThenWithdraws(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := newBench(t)
		b.start(t)
		b.routers.waitRoutes(t, "x", plain)
		begin := time.Now()
		b.changeNode(t, leave)
		b.routers.waitRoutes(t, "x", marked)
		b.routers.waitRoutes(t, "x")
		if took := time.Since(begin); took < b.metal.Speaker.DrainTime {
			t.Errorf("withdrawn after %s, want the drain time of %s", took, b.metal.Speaker.DrainTime)
		}
		waitState(t, b.api, "node-a", "it says so", func(s speaker.NodeState) bool {
			return s.Phase == "Drained" && s.Reason == speaker.ReasonNodeDrained
		})
		b.changeNode(t, stay)
		b.routers.waitRoutes(t, "x", plain)
		waitEvents(t, b.api, agent.EventRoutesMarked, agent.EventRoutesWithdrawn, agent.EventRoutesRestored)
	})
}

func TestDeletedNodeMarksThenWithdraws(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := newBench(t)
		b.start(t)
		b.routers.waitRoutes(t, "x", plain)
		if err := b.api.CoreV1().Nodes().Delete(t.Context(), "node-a", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		b.routers.waitRoutes(t, "x", marked)
		b.routers.waitRoutes(t, "x")
	})
}

func TestUnknownNodeAnnouncesNothing(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := newBench(t)
		b.opts.Node = "node-z"
		b.start(t)
		b.routers.waitRoutes(t, "x")
		waitState(t, b.api, "node-z", "it says why", func(s speaker.NodeState) bool {
			return s.Reason == speaker.ReasonNodeUnknown && strings.Contains(s.Message, "node-z")
		})
	})
}

func TestStopOnANodeThatStaysKeepsTheRoutes(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := newBench(t)
		stop := b.start(t)
		b.routers.waitRoutes(t, "x", plain)
		stop()
		if b.routers.closed["x"] != speaker.Keep || b.routers.closed["y"] != speaker.Keep {
			t.Errorf("closed %v, want the routes kept", b.routers.closed)
		}
		if got := b.routers.sessions["x"].routes; len(got) != 1 {
			t.Errorf("routes are %v, want them announced to the end", got)
		}
		s := waitState(t, b.api, "node-a", "it has stopped", func(s speaker.NodeState) bool { return !s.Stopped.IsZero() })
		if s.Sessions[0].State != "Down" {
			t.Errorf("the session is %s in the last state", s.Sessions[0].State)
		}
	})
}

func TestStopOnANodeThatLeavesDrainsFirst(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := newBench(t)
		stop := b.start(t)
		b.routers.waitRoutes(t, "x", plain)
		begin := time.Now()
		b.changeNode(t, leave)
		b.routers.waitRoutes(t, "x", marked)
		stop()
		took := time.Since(begin)
		if took < b.metal.Speaker.DrainTime || took > b.metal.Speaker.DrainTime+3*time.Second {
			t.Errorf("it ended after %s, want just after the drain time of %s", took, b.metal.Speaker.DrainTime)
		}
		if b.routers.closed["x"] != speaker.Withdraw {
			t.Errorf("closed %v, want the routes withdrawn", b.routers.closed)
		}
		if got := b.routers.sessions["x"].routes; len(got) != 0 {
			t.Errorf("routes are %v, want none", got)
		}
	})
}

func TestConfigChangeTouchesOnlyTheChangedSession(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := newBench(t)
		b.start(t)
		b.routers.waitRoutes(t, "y", plain)
		x := b.routers.sessions["x"]
		b.agent.Configure(metalOf(t, `
  - {name: x, myASN: 64512, peerASN: 64512, address: 10.0.0.1}
  - {name: y, myASN: 64512, peerASN: 64512, address: 10.0.0.2, holdTime: 30s}
  - {name: z, myASN: 64512, peerASN: 64512, address: 10.0.0.3}`))
		b.routers.waitRoutes(t, "z", plain)
		if want := []string{"x", "y", "y", "z"}; !slices.Equal(b.routers.opened, want) {
			t.Errorf("opened %v, want %v", b.routers.opened, want)
		}
		if b.routers.sessions["x"] != x || x.status.Updates != 0 {
			t.Error("the session with x was touched")
		}
		if b.routers.closed["y"] != speaker.Keep {
			t.Errorf("closed %v, want the routes kept at the same router", b.routers.closed)
		}
		b.agent.Configure(metalOf(t, `
  - {name: x, myASN: 64512, peerASN: 64512, address: 10.0.0.1}`))
		b.routers.wait(t, "the others are closed", func() bool {
			return b.routers.closed["y"] == speaker.Withdraw && b.routers.closed["z"] == speaker.Withdraw
		})
	})
}

func TestMissingPasswordFileBlocksOnePeer(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := newBench(t)
		file := filepath.Join(t.TempDir(), "password")
		b.metal = metalOf(t, fmt.Sprintf(`
  - {name: x, myASN: 64512, peerASN: 64512, address: 10.0.0.1, passwordFile: %s}
  - {name: y, myASN: 64512, peerASN: 64512, address: 10.0.0.2}`, file))
		b.start(t)
		b.routers.waitRoutes(t, "y", plain)
		s := waitState(t, b.api, "node-a", "it says so", func(s speaker.NodeState) bool {
			return len(s.Sessions) == 2 && s.Sessions[0].State == "Blocked" && strings.Contains(s.Sessions[0].LastError, "does not exist")
		})
		if !strings.Contains(s.Sessions[0].LastError, file) {
			t.Errorf("%q does not name the file", s.Sessions[0].LastError)
		}
		waitEvents(t, b.api, agent.EventSessionDown)
		if err := os.WriteFile(file, []byte("foo\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		b.routers.waitRoutes(t, "x", plain)
		if got := b.routers.sessions["x"].cfg.Password; got != "foo" {
			t.Errorf("the password is %q", got.Reveal())
		}
	})
}

func TestRunningSessionKeepsItsPasswordWhenTheFileGoesAway(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := newBench(t)
		file := filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(file, []byte("foo\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		b.metal = metalOf(t, fmt.Sprintf(`
  - {name: x, myASN: 64512, peerASN: 64512, address: 10.0.0.1, passwordFile: %s}`, file))
		b.start(t)
		b.routers.waitRoutes(t, "x", plain)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		b.routers.set("x", speaker.SessionDown, "the connection broke") // then the password is read again
		waitState(t, b.api, "node-a", "it says that the file is gone", func(s speaker.NodeState) bool {
			return len(s.Sessions) == 1 && strings.Contains(s.Sessions[0].LastError, "does not exist")
		})
		b.routers.mu.Lock()
		defer b.routers.mu.Unlock()
		if len(b.routers.opened) != 1 || len(b.routers.closed) != 0 {
			t.Errorf("opened %v, closed %v, want the first session alone", b.routers.opened, b.routers.closed)
		}
	})
}

func TestPasswordOfASecretIsReadAgainWhenItChanges(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := newBench(t)
		b.metal = metalOf(t, `
  - {name: x, myASN: 64512, peerASN: 64512, address: 10.0.0.1, passwordSecret: {name: bgp}}`)
		b.start(t)
		waitState(t, b.api, "node-a", "it misses the Secret", func(s speaker.NodeState) bool {
			return len(s.Sessions) == 1 && strings.Contains(s.Sessions[0].LastError, "fairlead-system/bgp does not exist")
		})
		secrets := b.api.CoreV1().Secrets("fairlead-system")
		secret := &v1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: "bgp", Namespace: "fairlead-system"},
			Data:       map[string][]byte{"password": []byte("one")},
		}
		if _, err := secrets.Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		b.routers.waitRoutes(t, "x", plain)
		secret.Data["password"] = []byte("two")
		if _, err := secrets.Update(t.Context(), secret, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		b.routers.set("x", speaker.SessionDown, "the connection broke") // as it does, when the router has the new one
		b.routers.wait(t, "the new password is used", func() bool { return b.routers.sessions["x"].cfg.Password == "two" })
	})
}

func TestSessionChangesAreToldOnce(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := newBench(t)
		b.metal = metalOf(t, `
  - {name: x, myASN: 64512, peerASN: 64513, address: 10.0.0.1}`)
		b.start(t)
		waitEvents(t, b.api, agent.EventSessionUp)
		for range 3 {
			b.routers.set("x", speaker.SessionDown, "the router went away")
		}
		events := waitEvents(t, b.api, agent.EventSessionUp, agent.EventSessionDown)
		last := events[len(events)-1]
		want := `BGP session with peer "x" (10.0.0.1, AS 64513) is down: the router went away`
		if last.Message != want || last.Type != v1.EventTypeWarning || last.InvolvedObject.Kind != "Node" || last.Count != 1 {
			t.Errorf("the event is %+v, want %q once, about the Node", last, want)
		}
		waitState(t, b.api, "node-a", "it says so", func(s speaker.NodeState) bool {
			return s.Sessions[0].State == "Down" && s.Sessions[0].LastError == "the router went away"
		})
	})
}

func TestNothingIsWrittenPerService(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := newBench(t)
		b.start(t)
		b.routers.waitRoutes(t, "x", plain)
		waitState(t, b.api, "node-a", "the first state is written", func(s speaker.NodeState) bool { return len(s.Sessions) == 2 })
		waitEvents(t, b.api, agent.EventSessionUp, agent.EventSessionUp)
		synctest.Wait()
		before := b.writes()
		for i := range 50 {
			name := fmt.Sprintf("s%d", i)
			endpoint(t, b.api, name, "node-a")
			service(t, b.api, name, fmt.Sprintf("192.0.2.%d", 100+i), v1.ServiceExternalTrafficPolicyCluster)
		}
		b.routers.wait(t, "all are announced", func() bool { return len(b.routers.sessions["x"].routes) == 51 })
		synctest.Wait()
		if n := b.writes() - before - 3*50; n > 1 { // the test writes three objects for each
			t.Errorf("the speaker wrote %d times for 50 Services, want once at most", n)
		}
	})
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

func TestHealthAndMetrics(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := newBench(t)
		b.start(t)
		b.routers.waitRoutes(t, "x", plain)
		waitState(t, b.api, "node-a", "it is up", func(s speaker.NodeState) bool { return len(s.Sessions) == 2 })
		for path, want := range map[string]string{
			"/healthz": "ok", "/readyz": "ok", "/metrics": `fairlead_bgp_session_up{peer="x"} 1`,
		} {
			if got := get(t, b.agent.Handler(), path); !strings.Contains(got, want) {
				t.Errorf("%s says %q, want %q", path, got, want)
			}
		}
	})
}

func TestBadConfigAtTheStartEndsIt(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := newBench(t)
		a, err := agent.New(b.opts)
		if err != nil {
			t.Fatal(err)
		}
		a.Reconfigure(t.Context(), &cloudconfig.Config{}, nil)
		if err := a.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "metal section") {
			t.Errorf("error is %v", err)
		}
		b.start(t)
		b.routers.waitRoutes(t, "x", plain)
		b.agent.Reconfigure(t.Context(), nil, errors.New("bad file"))
		service(t, b.api, "db", "192.0.2.2", v1.ServiceExternalTrafficPolicyCluster)
		endpoint(t, b.api, "db", "node-b")
		b.routers.waitRoutes(t, "x", plain, "192.0.2.2/32") // it goes on with what it has
	})
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
