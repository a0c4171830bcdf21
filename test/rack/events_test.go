// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// event is something that happens while a client asks. It returns when it is
// over.
type event func(ctx context.Context, s *scene, c *Client) error

// all runs steps one after the other until one fails.
func all(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// restartSpeaker ends the speaker of a node and starts it again at once, as
// kubelet does.
func restartSpeaker(end func(*Program) error) event {
	return func(ctx context.Context, s *scene, _ *Client) error {
		n := s.Nodes[0]
		return all(
			func() error { return end(n.Speaker()) },
			func() error { return n.StartSpeaker(ctx) },
			func() error { return n.SpeakerReady(ctx) },
			func() error { return s.AwaitSessions(ctx, s.Nodes...) },
		)
	}
}

// cordon marks a node's routes, and unmarks them. The node of an only endpoint
// keeps its route.
func cordon(ctx context.Context, s *scene, c *Client) error {
	n := s.Nodes[0]
	return all(
		func() error { return n.Cordon(ctx) },
		func() error { return s.hops(ctx, "local", s.Nodes[1:]...) },
		func() error { return s.hops(ctx, "local-only", n) },
		func() error { return c.More(ctx, 100) },
		func() error { return n.Uncordon(ctx) },
		func() error { return s.hops(ctx, "local", s.Nodes...) },
		func() error { return s.hops(ctx, "local-only", n) },
	)
}

// successor gives local-only a second Pod, on the second node.
func successor(ctx context.Context, s *scene, c *Client) error {
	return all(
		func() error { return s.onlyPod(ctx, "only-2", s.Nodes[1]) },
		func() error { return s.hops(ctx, "local-only", s.Nodes[:2]...) },
		func() error { return c.Steady(ctx, 200) },
	)
}

// leave takes a node out, whose Pod of local-only has a successor elsewhere.
func leave(ctx context.Context, s *scene, c *Client) error {
	n := s.Nodes[0]
	return all(
		func() error { return n.Leave(ctx) },
		func() error { return s.hops(ctx, "local-only", s.Nodes[1]) },
		func() error { return s.hops(ctx, "local", s.Nodes[1:]...) },
		func() error { return s.phase(ctx, n, "Drained") },
		// Now the Pod may go, as a drain of the node evicts it.
		func() error { return s.deletePodsOn(ctx, n.Name, "app=only") },
		func() error { return c.More(ctx, 400) },
	)
}

// comeBack undoes leave.
func comeBack(ctx context.Context, s *scene, _ *Client) error {
	return all(
		func() error { return s.Nodes[0].Return(ctx) },
		func() error { return s.phase(ctx, s.Nodes[0], "Serving") },
		func() error { return s.hops(ctx, "local", s.Nodes...) },
	)
}

// predecessor puts the Pod of local-only back to the first node.
func predecessor(ctx context.Context, s *scene, _ *Client) error {
	return all(
		func() error { return s.onlyPod(ctx, "only-1", s.Nodes[0]) },
		func() error { return s.hops(ctx, "local-only", s.Nodes[:2]...) },
		func() error { return s.deletePodsOn(ctx, s.Nodes[1].Name, "app=only") },
		func() error { return s.hops(ctx, "local-only", s.Nodes[0]) },
	)
}

// killController kills the controller-manager and starts it again.
func killController(ctx context.Context, s *scene, c *Client) error {
	return all(
		s.Controller().Kill,
		func() error { return c.More(ctx, 100) },
		func() error { return s.StartController(ctx) },
	)
}

// resetSessions ends all sessions from the router's side.
func resetSessions(ctx context.Context, s *scene, _ *Client) error {
	return all(
		func() error { return s.Router.Reset(ctx) },
		func() error { return s.AwaitSessions(ctx, s.Nodes...) },
		func() error { return s.complete(ctx) },
	)
}

// restartRouter ends the router for some seconds. What is counted begins when it
// is back.
func restartRouter(end RouterEnd) event {
	return func(ctx context.Context, s *scene, c *Client) error {
		back, err := s.RestartRouter(ctx, end, func(ctx context.Context) error { return c.More(ctx, 500) })
		if err != nil {
			return err
		}
		s.since = back
		return all(
			func() error { return s.AwaitSessions(ctx, s.Nodes...) },
			func() error { return s.complete(ctx) },
		)
	}
}

// losePower takes the power from the third node until the router has noticed.
func losePower(ctx context.Context, s *scene, _ *Client) error {
	return all(
		func() error { return s.Nodes[2].PowerOff(ctx) },
		func() error { return s.hops(ctx, "local", s.Nodes[:2]...) },
		func() error { return s.hops(ctx, "cluster-only", s.Nodes[:2]...) },
	)
}

// regainPower undoes losePower.
func regainPower(ctx context.Context, s *scene) error {
	return all(
		func() error { return s.Nodes[2].PowerOn(ctx) },
		func() error { return s.AwaitSessions(ctx, s.Nodes...) },
		func() error { return s.complete(ctx) },
	)
}

// complete waits until the router's table is the one that the scene began with.
func (s *scene) complete(ctx context.Context) error {
	return s.Routes.Await(ctx, func(table map[netip.Prefix][]netip.Addr) bool {
		return maps.EqualFunc(table, s.table, slices.Equal)
	})
}

// hops waits until the next hops of a Service are these nodes.
func (s *scene) hops(ctx context.Context, service string, nodes ...*Node) error {
	want := make([]netip.Addr, len(nodes))
	for i, n := range nodes {
		want[i] = n.Addr
	}
	return s.Routes.AwaitNextHops(ctx, s.addrs[service], want...)
}

// phase waits until the speaker of a node says that it is in a phase.
func (s *scene) phase(ctx context.Context, n *Node, want string) error {
	return poll(ctx, func(ctx context.Context) error {
		state, err := s.State(ctx, n)
		if err == nil && state.Phase != want {
			err = fmt.Errorf("%s is %s, want %s", n.Name, state.Phase, want)
		}
		return err
	})
}

// onlyPod makes a Pod of local-only and cluster-only on a node.
func (s *scene) onlyPod(ctx context.Context, name string, n *Node) error {
	_, err := s.Kube.CoreV1().Pods("default").Create(ctx, &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "only"}},
		Spec: v1.PodSpec{NodeName: n.Name, Containers: []v1.Container{{
			Name: "web", Image: "none", Ports: []v1.ContainerPort{{ContainerPort: 80}},
		}}},
	}, metav1.CreateOptions{})
	return err
}

// stillLed shows that the controller that was started last leads: a new Service
// gets an address, and all others keep theirs.
func (s *scene) stillLed(ctx context.Context) error {
	_, err := s.Kube.CoreV1().Services("default").Create(ctx, &v1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "after"},
		Spec:       v1.ServiceSpec{Type: v1.ServiceTypeLoadBalancer, Ports: []v1.ServicePort{{Port: 80}}},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	fresh, err := s.Address(ctx, "default", "after")
	if err != nil {
		return err
	}
	if slices.Contains(slices.Collect(maps.Values(s.addrs)), fresh) {
		return fmt.Errorf("%s was given twice", fresh)
	}
	var errs []error
	for name, want := range s.addrs {
		if got, err := s.Address(ctx, "default", name); err != nil || got != want {
			errs = append(errs, fmt.Errorf("Service %s had %s and has %s: %w", name, want, got, err))
		}
	}
	return errors.Join(append(errs, s.Kube.CoreV1().Services("default").Delete(ctx, "after", metav1.DeleteOptions{}))...)
}

// holdTime waits until FRR's sessions with all nodes are up with a hold time in
// seconds.
func (s *scene) holdTime(ctx context.Context, want string) error {
	return poll(ctx, func(ctx context.Context) error {
		out, err := s.Router.Show(ctx, "show bgp neighbors")
		if n := strings.Count(out, "Hold time is "+want+" "); err == nil && n != len(s.Nodes) {
			err = fmt.Errorf("%d sessions have a hold time of %s s, want %d", n, want, len(s.Nodes))
		}
		if err != nil {
			return err
		}
		return s.AwaitSessions(ctx, s.Nodes...)
	})
}
