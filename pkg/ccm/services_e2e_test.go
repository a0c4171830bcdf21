// SPDX-License-Identifier: Apache-2.0

package ccm_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	ours    = "fairlead.dev/load-balancer-cleanup"
	stock   = "service.kubernetes.io/load-balancer-cleanup"
	foreign = "example.com/hold"
)

func (c *cluster) patch(t *testing.T, name, patch string) {
	t.Helper()
	if _, err := c.CoreV1().Services("default").Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) delete(t *testing.T, name string) {
	t.Helper()
	if err := c.CoreV1().Services("default").Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) gone(name string) func(context.Context) error {
	return func(ctx context.Context) error {
		svc, err := c.get(ctx, name)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("Service %s is still there with finalizers %v (error %w)", name, svc.Finalizers, err)
	}
}

// settled returns nil when the Service has exactly these finalizers.
func (c *cluster) holds(name string, want ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		svc, err := c.get(ctx, name)
		if err != nil {
			return err
		}
		got := slices.Sorted(slices.Values(svc.Finalizers))
		slices.Sort(want)
		if !slices.Equal(got, want) {
			return fmt.Errorf("Service %s has finalizers %v, want %v", name, got, want)
		}
		return nil
	}
}

// limit bounds every wait. All of them take well under a second on an idle
// machine.
const limit = time.Minute

// Trap 6: upstream serves no class, and takes the stock finalizer from
// Services of every class.
func TestTrap06ServicesOfEveryKind(t *testing.T) {
	c := newCluster(t)
	c.build(t)
	c.create(t, withFinalizers(newService("foreign", "example.com/other"), stock))
	c.start(t, "manager")
	c.create(t, newService("plain", ""))
	c.create(t, newService("classed", "fairlead.dev/metal"))
	c.create(t, withFinalizers(newService("held", "fairlead.dev/metal"), foreign, stock))
	c.create(t, withFinalizers(newService("typed", "fairlead.dev/metal"), foreign))
	for _, name := range []string{"plain", "classed", "held", "typed"} {
		eventually(t, limit, func(ctx context.Context) error { return c.served(ctx, name) })
	}
	eventually(t, limit, c.holds("plain", stock))
	eventually(t, limit, c.holds("classed", ours))
	eventually(t, limit, c.holds("held", foreign, stock, ours))
	if svc, err := c.get(t.Context(), "classed"); err != nil || svc.Spec.LoadBalancerClass == nil || *svc.Spec.LoadBalancerClass != "fairlead.dev/metal" {
		t.Errorf("the class is not kept: %+v, error %v", svc.Spec.LoadBalancerClass, err)
	}

	c.patch(t, "typed", `{"spec":{"type":"ClusterIP"}}`)
	eventually(t, limit, c.holds("typed", foreign))
	c.delete(t, "foreign")
	c.delete(t, "plain")
	c.delete(t, "classed")
	eventually(t, limit, c.gone("plain"))
	eventually(t, limit, c.gone("classed"))
	if err := c.holds("foreign", stock)(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestServiceOfOurClassLosesItWhileNobodyWatches(t *testing.T) {
	c := newCluster(t)
	c.build(t)
	m := c.start(t, "first")
	c.create(t, newService("wiped", "fairlead.dev/metal"))
	c.create(t, newService("moved", "fairlead.dev/metal"))
	for _, name := range []string{"wiped", "moved"} {
		eventually(t, limit, func(ctx context.Context) error { return c.served(ctx, name) })
	}
	if code := m.term(t); code != 0 {
		t.Errorf("exit code %d after TERM, want 0", code)
	}
	c.patch(t, "wiped", `{"spec":{"type":"ClusterIP"}}`)
	c.patch(t, "moved", `{"spec":{"type":"ClusterIP"}}`)
	c.patch(t, "moved", `{"spec":{"type":"LoadBalancer","loadBalancerClass":"example.com/other"}}`)
	moved, err := c.get(t.Context(), "moved")
	if err != nil {
		t.Fatal(err)
	}
	moved.Status.LoadBalancer.Ingress = []v1.LoadBalancerIngress{{IP: "203.0.113.1"}}
	if _, err := c.CoreV1().Services("default").UpdateStatus(t.Context(), moved, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.start(t, "second")
	eventually(t, limit, c.holds("wiped"))
	eventually(t, limit, c.holds("moved"))
	if moved, err = c.get(t.Context(), "moved"); err != nil || len(moved.Status.LoadBalancer.Ingress) != 1 {
		t.Errorf("the other controller's status is %+v (error %v), want it left alone", moved.Status.LoadBalancer, err)
	}
}

func TestUnclassedServicesAreLeftAloneWhenToldSo(t *testing.T) {
	c := newCluster(t)
	c.build(t)
	c.create(t, newService("plain", ""))
	c.create(t, withFinalizers(newService("leaving", ""), stock))
	c.delete(t, "leaving")
	c.start(t, "manager", "--serve-unclassed=false")
	c.create(t, newService("classed", "fairlead.dev/metal"))
	eventually(t, limit, func(ctx context.Context) error { return c.served(ctx, "classed") })
	if err := c.served(t.Context(), "plain"); err == nil {
		t.Error("a Service without a class is served")
	}
	for name, want := range map[string][]string{"plain": nil, "leaving": {stock}} {
		if err := c.holds(name, want...)(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func withFinalizers(svc *v1.Service, names ...string) *v1.Service {
	svc.Finalizers = names
	return svc
}
