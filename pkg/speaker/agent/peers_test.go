// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/pkg/speaker"
	"github.com/fairlead/fairlead/pkg/speaker/agent"
)

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
			<-time.After(time.Minute) // the same event may be counted again by then
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
