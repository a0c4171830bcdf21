// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// ready says of the node whether it is ready, as the cluster does.
func ready(n *v1.Node, status v1.ConditionStatus) {
	n.Status.Conditions = []v1.NodeCondition{{Type: v1.NodeReady, Status: status}}
}

// TestStoppedInstances are no reason for a write: one that is registered stays,
// and one that is not comes when its node is ready again.
func TestStoppedInstances(t *testing.T) {
	for name, edit := range map[string]func(*v1.Service){"classic": classic, "network": func(*v1.Service) {}} {
		for _, state := range []string{"stopping", "stopped"} {
			t.Run(name+", "+state, func(t *testing.T) {
				l := startLive(t, awssim.Options{})
				s := newSite(t)
				old, late := s.service("old", edit), s.service("late", edit)
				for _, n := range l.nodes {
					ready(n, v1.ConditionTrue)
				}
				l.add(t, old)
				l.must(t, -1, provider.Serve, provider.Edit, old)
				n, id := l.nodes[1], idOf(l.nodes[1])
				power := func(state string, status v1.ConditionStatus) {
					t.Helper()
					was := l.provider.NodeFingerprint(n)
					ready(n, status)
					if l.provider.NodeFingerprint(n) == was {
						t.Error("nothing tells that the node changed")
					}
					if err := l.cloud.SetPower(id, state); err != nil {
						t.Fatal(err)
					}
				}
				power(state, v1.ConditionUnknown)
				l.must(t, 0, provider.Serve, provider.Nodes, old)
				before := strings.Count(string(l.cloud.State()), id)
				l.add(t, late)
				l.must(t, -1, provider.Serve, provider.Edit, old, late)
				if n := strings.Count(string(l.cloud.State()), id); n != before {
					t.Errorf("the instance is named %d times, want %d", n, before)
				}
				l.must(t, 0, provider.Serve, provider.Edit, old, late)
				l.restart(t)
				l.must(t, 0, provider.Serve, provider.Resync, old, late)
				if failed := l.cloud.Counts().Failed; len(failed) > 0 {
					t.Errorf("AWS refused %v", failed)
				}
				power("running", v1.ConditionTrue)
				l.cloud.ResetCalls()
				l.must(t, 1, provider.Serve, provider.Nodes, old, late)
				if n := strings.Count(string(l.cloud.State()), id); n != before+1 {
					t.Errorf("the instance is named %d times, want %d", n, before+1)
				}
				if c := l.cloud.Counts(); total(c.Reads)+c.Pages != 1 {
					t.Errorf("read %v", c.Reads)
				}
				l.cloud.ResetCalls()
				l.must(t, 0, provider.Serve, provider.Nodes, old, late)
				if c := l.cloud.Counts(); total(c.Reads) > 0 {
					t.Errorf("all run, and it reads %v", c.Reads)
				}
			})
		}
	}
}

// TestNodesThatStayDownAreReadSeldom makes a pass each second, as endpoints may.
func TestNodesThatStayDownAreReadSeldom(t *testing.T) {
	for name, c := range map[string]struct {
		state  string
		status v1.ConditionStatus
		most   int // reads in five minutes
	}{
		"the node is not ready":         {"running", v1.ConditionFalse, 6},
		"the instance stands still":     {"stopped", v1.ConditionUnknown, 6},
		"AWS says it stands, and ready": {"stopped", v1.ConditionTrue, 31},
	} {
		t.Run(name, func(t *testing.T) {
			l := startLive(t, awssim.Options{})
			now := l.stopClock(t)
			svc := newSite(t).service("web")
			l.add(t, svc)
			for _, n := range l.nodes {
				ready(n, v1.ConditionTrue)
			}
			n := l.nodes[1]
			power := func(state string, status v1.ConditionStatus) {
				t.Helper()
				ready(n, status)
				if err := l.cloud.SetPower(idOf(n), state); err != nil {
					t.Fatal(err)
				}
			}
			power(c.state, c.status)
			l.must(t, -1, provider.Serve, provider.Edit, svc)
			missing := strings.Count(string(l.cloud.State()), idOf(n))
			l.cloud.ResetCalls()
			for range 300 {
				l.must(t, 0, provider.Serve, provider.Nodes, svc)
				now.Step(time.Second)
			}
			if c1 := l.cloud.Counts(); total(c1.Reads)+c1.Pages > c.most {
				t.Errorf("more than %d reads: %v", c.most, c1.Reads)
			}
			if c.state == "running" {
				return
			}
			power("running", v1.ConditionTrue)
			now.Step(10 * time.Second)
			l.must(t, 1, provider.Serve, provider.Nodes, svc)
			if got := strings.Count(string(l.cloud.State()), idOf(n)); got != missing+1 {
				t.Errorf("the instance is named %d times, want %d", got, missing+1)
			}
		})
	}
}

// Security groups of instances hardly ever change, and are remembered; who asks
// for a repair gets a look at them.
func TestRepairSeesNewSecurityGroupsOfInstances(t *testing.T) {
	l := startLive(t, awssim.Options{})
	svc := newSite(t).service("web")
	l.add(t, svc)
	l.must(t, -1, provider.Serve, provider.Edit, svc)
	group := l.site.Group("nodes-of-another-pool")
	if err := l.cloud.Apply("ec2.ModifyInstanceAttribute", url.Values{"InstanceId": {idOf(l.nodes[0])}, "GroupId.1": {group}}); err != nil {
		t.Fatal(err)
	}
	l.must(t, 0, provider.Serve, provider.Edit, svc)
	l.must(t, 1, provider.Serve, provider.Repair, svc)
}
