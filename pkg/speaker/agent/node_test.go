// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/pkg/speaker"
	"github.com/fairlead/fairlead/pkg/speaker/agent"
)

func leave(n *v1.Node) {
	n.Spec.Taints = []v1.Taint{{Key: speaker.TaintLeaving, Effect: v1.TaintEffectNoSchedule}}
}

func stay(n *v1.Node) { n.Spec.Taints = nil }

func cordon(n *v1.Node) { n.Spec.Unschedulable = true }

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
		b.changeNode(t, cordon)
		b.routers.waitRoutes(t, "x", marked)
		if id := b.routers.sessions["x"].cfg.RouterID; id.String() != ip.Address || len(b.routers.opened) != 2 {
			t.Errorf("the router id is %s, opened %v", id, b.routers.opened)
		}
	})
}

func TestCordonedNodeMarksItsRoutes(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b, _ := announcing(t)
		b.changeNode(t, cordon)
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
		b, _ := announcing(t)
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
		b, _ := announcing(t)
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
		b, stop := announcing(t)
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
		b, stop := announcing(t)
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
