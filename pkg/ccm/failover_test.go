// SPDX-License-Identifier: Apache-2.0

package ccm_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/test/timed"
)

func (c *cluster) lease(ctx context.Context) (*coordinationv1.Lease, error) {
	return c.CoordinationV1().Leases("kube-system").Get(ctx, "cloud-controller-manager", metav1.GetOptions{})
}

// holder is who has the lease; empty when it was released.
func (c *cluster) holder(ctx context.Context) (string, error) {
	lease, err := c.lease(ctx)
	if err != nil {
		return "", err
	}
	if lease.Spec.HolderIdentity == nil {
		return "", nil
	}
	return *lease.Spec.HolderIdentity, nil
}

func (c *cluster) heldBy(want func(string) bool) func(context.Context) error {
	return func(ctx context.Context) error {
		got, err := c.holder(ctx)
		if err != nil {
			return err
		}
		if !want(got) {
			return fmt.Errorf("the lease is held by %q", got)
		}
		return nil
	}
}

func someone(holder string) bool { return holder != "" }

// Trap 13: upstream neither releases the lease nor waits for anything.
func TestTrap13StandbyLeadsWithinThreeSecondsOfTERM(t *testing.T) {
	c := newCluster(t)
	c.build(t)
	leader := c.start(t, "leader")
	eventually(t, limit, c.heldBy(someone))
	first, err := c.holder(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.create(t, newService("before", ""))
	eventually(t, limit, func(ctx context.Context) error { return c.served(ctx, "before") })

	try := 0
	timed.Within(t, 3*time.Second, "the change of leaders", func() time.Duration {
		try++
		standby := c.start(t, fmt.Sprintf("standby-%d", try))
		eventually(t, limit, standby.logged("Attempting to acquire leader lease"))
		begin := time.Now()
		if code := leader.term(t); code != 0 {
			t.Errorf("exit code %d after TERM, want 0", code)
		}
		t.Logf("leader ended after %s", time.Since(begin).Round(time.Millisecond))
		eventually(t, limit, c.heldBy(func(h string) bool { return h != "" && h != first }))
		took := time.Since(begin)
		t.Logf("standby leads after %s", took.Round(time.Millisecond))
		if first, err = c.holder(t.Context()); err != nil {
			t.Fatal(err)
		}
		leader = standby
		return took
	})
	c.create(t, newService("after", ""))
	eventually(t, limit, func(ctx context.Context) error { return c.served(ctx, "after") })
}

func TestStandbyEndsOnTERMWithoutTheLease(t *testing.T) {
	c := newCluster(t)
	c.build(t)
	c.start(t, "leader")
	eventually(t, limit, c.heldBy(someone))
	first, err := c.holder(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if code := c.start(t, "standby").term(t); code != 0 && code != -1 { // -1: before its signal handler
		t.Errorf("exit code %d after TERM, want 0", code)
	}
	if now, err := c.holder(t.Context()); err != nil || now != first {
		t.Errorf("the lease is held by %q (error %v), want %q as before", now, err, first)
	}
}

func TestLosingTheLeaseEndsTheProcessWithAnError(t *testing.T) {
	c := newCluster(t)
	c.build(t)
	m := c.start(t, "leader", "--leader-elect-lease-duration=3s", "--leader-elect-renew-deadline=2s", "--leader-elect-retry-period=200ms")
	eventually(t, limit, c.heldBy(someone))
	lease, err := c.CoordinationV1().Leases("kube-system").Get(t.Context(), "cloud-controller-manager", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	eventually(t, limit, func(ctx context.Context) error {
		other, far, now := "another", int32(3600), metav1.NowMicro()
		lease.Spec.HolderIdentity, lease.Spec.LeaseDurationSeconds, lease.Spec.RenewTime = &other, &far, &now
		_, err := c.CoordinationV1().Leases("kube-system").Update(ctx, lease, metav1.UpdateOptions{})
		if err != nil {
			lease, _ = c.CoordinationV1().Leases("kube-system").Get(ctx, "cloud-controller-manager", metav1.GetOptions{})
		}
		return err
	})
	if code := m.wait(t); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	t.Logf("ended %s after the lease was taken", time.Since(begin).Round(time.Millisecond))
	if now, err := c.holder(t.Context()); err != nil || now != "another" {
		t.Errorf("the lease is held by %q (error %v), want it left to another", now, err)
	}
}
