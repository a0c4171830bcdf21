// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rack

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// acceptance runs the cases of users of MetalLB as they stand, on a rack whose
// cloud-config is MetalLB's ConfigMap.
func acceptance(t *testing.T, r *Rack) {
	t.Helper()
	t.Run("three neighbours are established", func(t *testing.T) {
		must(t, r.AwaitSessions(within(t, limit), r.Nodes...))
	})
	t.Run("whoami", func(t *testing.T) { whoami(t, r) })
	t.Run("traefik", func(t *testing.T) { traefik(t, r) })
}

func whoami(t *testing.T, r *Rack) {
	t.Helper()
	must(t, r.Apply(t.Context(), "testdata/metal-whoami.yaml"))
	addr, err := r.Address(within(t, limit), "default", "whoami-lb")
	must(t, err)
	if want := netip.MustParseAddr("1.2.3.4"); addr != want {
		t.Fatalf("whoami-lb has %s, want the pool's first, %s", addr, want)
	}
	url := "http://" + addr.String()

	t.Run("the client reaches every Pod through the router", func(t *testing.T) {
		must(t, r.Routes.AwaitNextHops(within(t, limit), addr, r.Nodes[0].Addr, r.Nodes[1].Addr, r.Nodes[2].Addr))
		must(t, r.holders(within(t, limit), addr, "app=whoami"))
		must(t, r.answers(within(t, limit), url, "app=whoami"))
	})
	t.Run("next hops follow a Pod that moves", func(t *testing.T) {
		n := r.Nodes[2]
		must(t, n.Cordon(t.Context()))
		must(t, r.deletePodsOn(t.Context(), n.Name, "app=whoami"))
		must(t, r.Routes.AwaitNextHops(within(t, limit), addr, r.Nodes[0].Addr, r.Nodes[1].Addr))
		must(t, r.answers(within(t, limit), url, "app=whoami"))
		must(t, n.Uncordon(t.Context()))
	})
	t.Run("next hops follow Pods that are deleted", func(t *testing.T) {
		must(t, r.scale(t.Context(), "whoami", 1))
		must(t, poll(within(t, limit), func(context.Context) error {
			hops, err := r.Routes.NextHops(addr)
			if err == nil && len(hops) != 1 {
				err = fmt.Errorf("next hops %v, want one", hops)
			}
			return err
		}))
		must(t, r.holders(within(t, limit), addr, "app=whoami"))
		must(t, r.scale(t.Context(), "whoami", 0))
		must(t, r.Routes.AwaitNextHops(within(t, limit), addr))
		must(t, r.scale(t.Context(), "whoami", 3))
		must(t, r.Routes.AwaitNextHops(within(t, limit), addr, r.Nodes[0].Addr, r.Nodes[1].Addr, r.Nodes[2].Addr))
	})
	t.Run("an address in use is refused", func(t *testing.T) { refused(t, r, addr) })
}

// refused asks for an address that another Service has.
func refused(t *testing.T, r *Rack, addr netip.Addr) {
	t.Helper()
	mark, err := r.Routes.Now()
	must(t, err)
	_, err = r.Kube.CoreV1().Services("default").Create(t.Context(), &v1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "thief", Annotations: map[string]string{
			"metallb.universe.tf/loadBalancerIPs": addr.String(),
		}},
		Spec: v1.ServiceSpec{
			Type: v1.ServiceTypeLoadBalancer, Selector: map[string]string{"app": "whoami"},
			Ports: []v1.ServicePort{{Port: 80}},
		},
	}, metav1.CreateOptions{})
	must(t, err)
	must(t, poll(within(t, limit), func(ctx context.Context) error {
		events, err := r.Kube.CoreV1().Events("default").List(ctx, metav1.ListOptions{
			FieldSelector: "involvedObject.kind=Service,involvedObject.name=thief,type=Warning",
		})
		if err != nil {
			return err
		}
		for i := range events.Items {
			if e := &events.Items[i]; strings.Contains(e.Message, addr.String()) && strings.Contains(e.Message, "whoami-lb") {
				t.Logf("%s: %s", e.Reason, e.Message)
				return nil
			}
		}
		return errors.New("no warning names the address and its owner")
	}))
	svc, err := r.Kube.CoreV1().Services("default").Get(t.Context(), "thief", metav1.GetOptions{})
	must(t, err)
	if got := svc.Status.LoadBalancer.Ingress; len(got) > 0 {
		t.Errorf("the thief has %v", got)
	}
	owner, err := r.Address(t.Context(), "default", "whoami-lb")
	must(t, err)
	if owner != addr {
		t.Errorf("the owner has %s, want %s", owner, addr)
	}
	if changes, err := r.Routes.Since(mark); err != nil || len(changes) > 0 {
		t.Errorf("routes changed: %v, %v", changes, err)
	}
	must(t, r.Kube.CoreV1().Services("default").Delete(t.Context(), "thief", metav1.DeleteOptions{}))
}

func traefik(t *testing.T, r *Rack) {
	t.Helper()
	for _, n := range r.Nodes[:2] {
		_, err := r.Kube.CoreV1().Pods("default").Create(t.Context(), &v1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "traefik-" + n.Name, Labels: map[string]string{
				"app.kubernetes.io/name": "traefik", "app.kubernetes.io/instance": "service",
			}},
			Spec: v1.PodSpec{NodeName: n.Name, Containers: []v1.Container{{
				Name: "traefik", Image: "none", Ports: []v1.ContainerPort{{ContainerPort: 80}, {ContainerPort: 443}},
			}}},
		}, metav1.CreateOptions{})
		must(t, err)
	}
	must(t, r.Apply(t.Context(), "testdata/metal-traefik.yaml"))
	addr, err := r.Address(within(t, limit), "default", "traefik-ingress")
	must(t, err)
	must(t, r.Routes.AwaitNextHops(within(t, limit), addr, r.Nodes[0].Addr, r.Nodes[1].Addr))
	for _, port := range []string{"80", "443"} {
		must(t, r.answers(within(t, limit), "http://"+addr.String()+":"+port, "app.kubernetes.io/name=traefik"))
	}
}

// dualStack shows an address of each family over the one IPv4 session.
func dualStack(t *testing.T, r *Rack) {
	t.Helper()
	mark, err := r.Routes.Now()
	must(t, err)
	must(t, r.Configure(testdata(t, "both.yaml")))
	both := v1.IPFamilyPolicyRequireDualStack
	_, err = r.Kube.CoreV1().Services("default").Create(t.Context(), &v1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "both"},
		Spec: v1.ServiceSpec{
			Type: v1.ServiceTypeLoadBalancer, Selector: map[string]string{"app": "whoami"}, IPFamilyPolicy: &both,
			ExternalTrafficPolicy: v1.ServiceExternalTrafficPolicyLocal, Ports: []v1.ServicePort{{Port: 80}},
		},
	}, metav1.CreateOptions{})
	must(t, err)
	addrs, err := r.Addresses(within(t, limit), "default", "both")
	must(t, err)
	if len(addrs) != 2 || addrs[0].Is4() == addrs[1].Is4() {
		t.Fatalf("the Service has %v, want an address of each family", addrs)
	}
	for _, addr := range addrs {
		var hops []netip.Addr
		for _, n := range r.Nodes {
			if addr.Is4() {
				hops = append(hops, n.Addr)
			} else {
				hops = append(hops, n.Addr6)
			}
		}
		must(t, r.Routes.AwaitNextHops(within(t, limit), addr, hops...))
		must(t, r.answers(within(t, limit), "http://"+netip.AddrPortFrom(addr, 80).String(), "app=whoami"))
	}
	changes, err := r.Routes.Since(mark)
	must(t, err)
	for _, c := range changes {
		if !slices.Contains(addrs, c.Prefix.Addr()) {
			t.Errorf("the edit of the configuration changed another route: %s", c)
		}
	}
	must(t, r.Kube.CoreV1().Services("default").Delete(t.Context(), "both", metav1.DeleteOptions{}))
}

// holders waits until the next hops of an address are exactly the nodes that
// hold a ready Pod.
func (r *Rack) holders(ctx context.Context, addr netip.Addr, selector string) error {
	return poll(ctx, func(ctx context.Context) error {
		pods, err := r.readyPods(ctx, selector)
		if err != nil {
			return err
		}
		var want []netip.Addr
		for _, n := range r.Nodes {
			if slices.ContainsFunc(pods, func(p v1.Pod) bool { return p.Spec.NodeName == n.Name }) {
				want = append(want, n.Addr)
			}
		}
		hops, err := r.Routes.NextHops(addr)
		if err == nil && (len(want) == 0 || !slices.Equal(hops, want)) {
			err = fmt.Errorf("%s has next hops %v, ready Pods are on %v", addr, hops, want)
		}
		return err
	})
}

// readyPods are the Pods that are ready and stay.
func (r *Rack) readyPods(ctx context.Context, selector string) ([]v1.Pod, error) {
	list, err := r.Kube.CoreV1().Pods("default").List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list.Items, func(p v1.Pod) bool {
		return p.DeletionTimestamp != nil || p.Status.Phase != v1.PodRunning
	}), nil
}

// answers asks a URL with curl until every ready Pod has answered.
func (r *Rack) answers(ctx context.Context, url, selector string) error {
	seen := map[string]bool{}
	return poll(ctx, func(ctx context.Context) error {
		body, err := r.Get(ctx, url)
		if err != nil {
			return err
		}
		first, _, _ := strings.Cut(body, "\n")
		seen[strings.TrimPrefix(first, "Hostname: ")] = true
		pods, err := r.readyPods(ctx, selector)
		if err != nil {
			return err
		}
		if len(pods) == 0 {
			return errors.New("no Pod is ready")
		}
		for _, p := range pods {
			if !seen[p.Name] {
				return fmt.Errorf("%s: Pod %s has not answered, but %v", url, p.Name, seen)
			}
		}
		return nil
	})
}

// deletePodsOn deletes the Pods on a node.
func (r *Rack) deletePodsOn(ctx context.Context, node, selector string) error {
	return r.Kube.CoreV1().Pods("default").DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{
		LabelSelector: selector, FieldSelector: "spec.nodeName=" + node,
	})
}

// scale sets the replicas of a Deployment.
func (r *Rack) scale(ctx context.Context, deployment string, replicas int32) error {
	return poll(ctx, func(ctx context.Context) error {
		s, err := r.Kube.AppsV1().Deployments("default").GetScale(ctx, deployment, metav1.GetOptions{})
		if err != nil {
			return err
		}
		s.Spec.Replicas = replicas
		_, err = r.Kube.AppsV1().Deployments("default").UpdateScale(ctx, deployment, s, metav1.UpdateOptions{})
		return err
	})
}
