// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/speaker"
	"github.com/fairlead/fairlead/pkg/speaker/agent"
)

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

// local makes the Service web of policy Local with a health check port.
func (b *bench) local(t *testing.T) {
	t.Helper()
	b.changeService(t, "web", func(svc *v1.Service) {
		svc.Spec.ExternalTrafficPolicy, svc.Spec.HealthCheckNodePort = v1.ServiceExternalTrafficPolicyLocal, 30001
	})
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

// behindProxy is a speaker whose Service is Local, and whose kube-proxy is not
// ready for it.
func behindProxy(t *testing.T) (*bench, *proxyPort) {
	t.Helper()
	b, port := newBench(t), &proxyPort{}
	b.local(t)
	b.opts.Probe = port.probe
	b.start(t)
	b.routers.waitRoutes(t, "x")
	return b, port
}

func TestLocalEndpointWaitsForKubeProxy(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b, port := behindProxy(t)
		service(t, b.api, "db", "192.0.2.2", v1.ServiceExternalTrafficPolicyCluster)
		endpoint(t, b.api, "db", "node-b")
		b.routers.waitRoutes(t, "x", "192.0.2.2/32") // others do not wait
		port.ready.Store(true)
		b.routers.waitRoutes(t, "x", plain, "192.0.2.2/32")

		port.ready.Store(false)
		b.changeNode(t, cordon)
		b.routers.wait(t, "what is announced already is marked at once", func() bool {
			return b.routers.sessions["x"].routes[netip.MustParsePrefix(plain)].Marked()
		})
	})
}

func TestLocalEndpointWaitsForKubeProxyNoLongerThanItMay(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b, port := behindProxy(t)
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
		b.moveEndpoint(t, "node-a")
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
		b.restart(t)
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
				b.restart(t)
				b.routers.waitRoutes(t, "x", want...)
			})
		})
	}
}
