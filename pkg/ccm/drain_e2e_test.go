// SPDX-License-Identifier: Apache-2.0

package ccm_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	cloudprovider "k8s.io/cloud-provider"

	"github.com/fairlead/fairlead/pkg/ccm"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// slowCloud takes its time for each write, whatever its context says, as a
// cloud does that has got the request.
type slowCloud struct {
	started chan struct{} // a write has begun
	goOn    chan struct{} // closed: writes may end
	writes  atomic.Int32  // that ended
}

func (*slowCloud) Name() string                         { return "slow" }
func (*slowCloud) Group(*v1.Service) provider.Group     { return "all" }
func (*slowCloud) NodeFingerprint(n *v1.Node) string    { return n.Name }
func (*slowCloud) Changed() <-chan struct{}             { return nil }
func (*slowCloud) Instances() cloudprovider.InstancesV2 { return nil }
func (*slowCloud) Routes() cloudprovider.Routes         { return nil }
func (c *slowCloud) Observe(_ context.Context, b provider.Batch) (provider.Pass, error) {
	return slowPass{cloud: c, batch: b}, nil
}

func (*slowCloud) Find(context.Context, *v1.Service) (*v1.LoadBalancerStatus, bool, error) {
	return nil, false, nil
}

type slowPass struct {
	cloud *slowCloud
	batch provider.Batch
}

func (p slowPass) Decide() provider.Decision {
	var steps []plan.Step
	for _, item := range p.batch.Items {
		steps = append(steps, plan.Step{
			Action: plan.Create, Target: plan.ID{Kind: "balancer", Name: item.Key.String()}, Serves: []plan.Key{item.Key},
		})
	}
	made, err := plan.New(steps)
	if err != nil {
		panic(err)
	}
	return provider.Decision{Plan: made}
}

func (p slowPass) Execute(context.Context, plan.Step, map[plan.Key]bool) error {
	p.cloud.started <- struct{}{}
	<-p.cloud.goOn
	p.cloud.writes.Add(1)
	return nil
}

func (slowPass) Status(plan.Key) *v1.LoadBalancerStatus {
	mode := v1.LoadBalancerIPModeVIP
	return &v1.LoadBalancerStatus{Ingress: []v1.LoadBalancerIngress{{IP: "192.0.2.7", IPMode: &mode}}}
}

// Trap 13: what is in flight at the end is finished, with its status written,
// before the lease is released.
func TestTrap13WritesInFlightAreFinishedBeforeTheLeaseIsReleased(t *testing.T) {
	c := newCluster(t)
	cloud := &slowCloud{started: make(chan struct{}, 1), goOn: make(chan struct{})}
	opts, err := ccm.NewOptions()
	if err != nil {
		t.Fatal(err)
	}
	opts.Generic.ClientConnection.Kubeconfig = c.kubeconfig
	opts.SecureServing.BindPort = 0
	opts.KubeCloudShared.CloudProvider.Name = "slow"
	opts.KubeCloudShared.CloudProvider.CloudConfigFile = writeConfig(t, metalConfig)
	opts.Generic.LeaderElection.RetryPeriod.Duration = 300 * time.Millisecond
	worked := make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() {
		ended <- ccm.Run(ctx, opts, []ccm.Cloud{{
			Name: "slow", Scheme: "slow",
			New: func(life context.Context, d ccm.Deps) (provider.Provider, error) {
				d.Go(func() {
					<-life.Done()
					worked <- c.stillLeads(context.WithoutCancel(life))
				})
				return cloud, nil
			},
		}}, io.Discard)
	}()
	c.create(t, newService("web", ""))
	within(t, cloud.started, "a write begins")
	stop()
	// One that comes while the first is finished is for the next leader.
	c.create(t, newService("late", ""))
	if err := c.heldBy(someone)(t.Context()); err != nil {
		t.Error(err)
	}
	if err := c.stillLeads(t.Context()); err != nil {
		t.Errorf("with a write in flight: %v", err)
	}
	close(cloud.goOn)
	if err := within(t, ended, "Run returns"); err != nil {
		t.Errorf("Run: %v", err)
	}
	if err := within(t, worked, "the provider's work ends"); err != nil {
		t.Errorf("with the provider at work: %v", err)
	}
	if err := c.served(t.Context(), "web"); err != nil {
		t.Errorf("the answer of the write in flight is lost: %v", err)
	}
	if n := cloud.writes.Load(); n != 1 {
		t.Errorf("%d writes, want the 1 that was in flight", n)
	}
	// It may have come before the stop was heard, and have its finalizer then.
	if err := c.served(t.Context(), "late"); err == nil {
		t.Error("a Service that came after the end was served")
	}
	if err := c.heldBy(func(h string) bool { return h == "" })(t.Context()); err != nil {
		t.Error(err)
	}
	if err := c.noWarnings(t.Context()); err != nil {
		t.Error(err)
	}
	if err := c.event(t.Context(), "web", "EnsuredLoadBalancer"); err != nil {
		t.Error(err)
	}
}

// renewals of the lease, 300 ms apart, take longer than a stop with nothing in
// flight.
const renewals = 6

// stillLeads waits until the lease was renewed so often, and fails when it is
// released before.
func (c *cluster) stillLeads(ctx context.Context) error {
	seen := map[time.Time]bool{}
	return wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, limit, true, func(ctx context.Context) (bool, error) {
		lease, err := c.lease(ctx)
		if err != nil {
			return false, err
		}
		if lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "" {
			return false, errors.New("the lease was released")
		}
		seen[lease.Spec.RenewTime.Time] = true
		return len(seen) > renewals, nil
	})
}

func (c *cluster) noWarnings(ctx context.Context) error {
	events, err := c.CoreV1().Events("default").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, e := range events.Items {
		// The API server repairs at its start what is created then.
		if e.Type == v1.EventTypeWarning && e.Reason != "ClusterIPNotAllocated" {
			return fmt.Errorf("warning about %s: %s: %s", e.InvolvedObject.Name, e.Reason, e.Message)
		}
	}
	return nil
}

func (c *cluster) event(ctx context.Context, name, reason string) error {
	events, err := c.CoreV1().Events("default").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var got []string
	for _, e := range events.Items {
		if e.InvolvedObject.Name == name {
			got = append(got, e.Reason)
		}
	}
	if !strings.Contains(strings.Join(got, " "), reason) {
		return fmt.Errorf("events of %s are %v, want %s", name, got, reason)
	}
	return nil
}

func within[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(limit):
		t.Fatalf("not within %s: %s", limit, what)
		panic("unreachable")
	}
}
