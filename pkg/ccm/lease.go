// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// releaseTime bounds the release of the lease.
const releaseTime = 5 * time.Second

var errLeaseLost = errors.New("the lease is lost: another leads, or the API server could not be reached before it ended")

// elect waits for the lease and leads while it holds, or until ctx ends. The
// lease is released here and not by the elector, which would also try when it
// has lost it, and stay meanwhile.
func (m *manager) elect(ctx context.Context) error {
	lock, err := m.lock()
	if err != nil {
		return err
	}
	held, drop := context.WithCancel(context.WithoutCancel(ctx))
	defer drop()
	started := make(chan struct{})
	c := m.ComponentConfig.Generic.LeaderElection
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:          lock,
		LeaseDuration: c.LeaseDuration.Duration,
		RenewDeadline: c.RenewDeadline.Duration,
		RetryPeriod:   c.RetryPeriod.Duration,
		WatchDog:      m.health.election,
		Name:          c.ResourceName,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { close(started) },
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return fmt.Errorf("make the leader election: %w", err)
	}
	m.health.election.SetLeaderElection(elector)
	over := make(chan struct{})
	go func() {
		defer close(over)
		elector.Run(held)
	}()

	led := make(chan error, 1)
	select {
	case <-started:
		go func() { led <- m.lead(ctx) }()
	case <-ctx.Done():
		led <- nil
	}
	select {
	case err = <-led:
		drop()
		<-over
		return errors.Join(err, release(ctx, lock))
	case <-over:
		return errLeaseLost
	}
}

func (m *manager) lock() (resourcelock.Interface, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("find the name of this host: %w", err)
	}
	c := m.ComponentConfig.Generic.LeaderElection
	lock, err := resourcelock.NewFromKubeconfig(c.ResourceLock, c.ResourceNamespace, c.ResourceName,
		resourcelock.ResourceLockConfig{Identity: host + "_" + string(uuid.NewUUID()), EventRecorder: m.recorder},
		m.Kubeconfig, c.RenewDeadline.Duration)
	if err != nil {
		return nil, fmt.Errorf("make the lock of lease %s/%s: %w", c.ResourceNamespace, c.ResourceName, err)
	}
	return lock, nil
}

// release gives the lease up when it is ours, so that a standby takes it at
// its next try instead of waiting until it ends.
func release(ctx context.Context, lock resourcelock.Interface) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
	defer cancel()
	record, _, err := lock.Get(ctx)
	if err != nil {
		return fmt.Errorf("release lease %s: %w; the next leader waits until it ends", lock.Describe(), err)
	}
	if record.HolderIdentity != lock.Identity() {
		return nil
	}
	now := metav1.Now()
	err = lock.Update(ctx, resourcelock.LeaderElectionRecord{
		LeaderTransitions:    record.LeaderTransitions,
		LeaseDurationSeconds: 1,
		AcquireTime:          now,
		RenewTime:            now,
	})
	if err != nil {
		return fmt.Errorf("release lease %s: %w; the next leader waits until it ends", lock.Describe(), err)
	}
	return nil
}
