// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/speaker"
	"github.com/fairlead/fairlead/pkg/speaker/agent"
)

func TestSessionsOpenWithAllTheirRoutes(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b, _ := announcing(t)
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
		b, _ := announcing(t)
		endpoint(t, b.api, "db", "node-b")
		service(t, b.api, "db", "192.0.2.2", v1.ServiceExternalTrafficPolicyCluster)
		b.routers.waitRoutes(t, "x", plain, "192.0.2.2/32")

		b.changeService(t, "db", func(svc *v1.Service) { svc.Spec.ExternalTrafficPolicy = v1.ServiceExternalTrafficPolicyLocal })
		b.routers.waitRoutes(t, "x", plain)
		b.moveEndpoint(t, "node-b")
		if err := b.api.CoreV1().Services("default").Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		b.routers.waitRoutes(t, "x")
	})
}

func TestNothingIsWrittenPerService(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b, _ := announcing(t)
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

func TestHealthAndMetrics(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b, _ := announcing(t)
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
