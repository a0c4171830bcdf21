// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"k8s.io/klog/v2"
)

// Starter starts a controller for a cluster by a cloud-config, which says where
// the cloud is too.
type Starter func(ctx context.Context, cluster *Cluster, config string) (*Controller, error)

// World is a cluster over a cloud, and the controller that lives now.
type World struct {
	*Cluster
	// Config is the cloud-config of its controllers.
	Config func() string
	// Starter starts them, in this process.
	Starter Starter
	// Apart lets each controller be a process of its own, which can be killed.
	Apart bool
	lives []life
}

// life is one life of a controller.
type life interface {
	Reconcile(ctx context.Context, services []string, why Reason) (failed []string, err error)
	dead() bool
	Close()
}

// Start lets a new controller live.
func (w *World) Start(ctx context.Context) error {
	var l life
	var err error
	if w.Apart {
		l, err = startProcess(ctx, w.Cluster, w.Config())
	} else {
		l, err = w.Starter(ctx, w.Cluster, w.Config())
	}
	if err == nil {
		w.lives = append(w.lives, l)
	}
	return err
}

// now is the controller that lives now.
func (w *World) now() life { return w.lives[len(w.lives)-1] }

// Reconcile does once what the upstream controller does for each of the
// Services, side by side, and returns those that failed.
func (w *World) Reconcile(ctx context.Context, services []string, why Reason) (failed []string, err error) {
	return w.now().Reconcile(ctx, services, why)
}

// Stop ends the controller in good order.
func (w *World) Stop() { w.now().Close() }

// Close ends all controllers.
func (w *World) Close() {
	for _, l := range w.lives {
		l.Close()
	}
}

// LongestSettle bounds what one change may take, with all back-off.
const LongestSettle = 4 * time.Minute

// Settle reconciles until nothing is left to do. When the controller dies, a
// new one looks at everything, as at each start.
func (w *World) Settle(ctx context.Context, services []string, why Reason) error {
	ctx, cancel := context.WithTimeout(ctx, LongestSettle)
	defer cancel()
	var last error
	for ctx.Err() == nil {
		if w.now().dead() {
			services, why = w.Names(), OfServices
			if err := w.Start(context.WithoutCancel(ctx)); err != nil {
				return err
			}
		}
		failed, err := w.Reconcile(ctx, services, why)
		switch {
		case w.now().dead():
			continue
		case err == nil:
			return nil
		}
		services, last = failed, err
	}
	return errors.Join(last, ctx.Err())
}

// Play runs steps to their end.
func (w *World) Play(ctx context.Context, steps []Step) error {
	for _, s := range steps {
		services, err := s.Change(w.Cluster)
		if err == nil {
			err = w.Settle(ctx, services, s.Why)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return nil
}

// Quiet is a context whose controllers log nothing.
func Quiet(t *testing.T) context.Context {
	t.Helper()
	return klog.NewContext(t.Context(), klog.Logger{})
}

// Do plays steps to their end.
func (w *World) Do(t *testing.T, steps ...Step) {
	t.Helper()
	if err := w.Play(Quiet(t), steps); err != nil {
		t.Fatal(err)
	}
}

// Away does a step while no controller is there. The next one looks at all
// Services, as at each start.
func (w *World) Away(t *testing.T, s Step) {
	t.Helper()
	w.Stop()
	services, err := s.Change(w.Cluster)
	if err == nil {
		err = w.Start(Quiet(t))
	}
	if err == nil {
		err = w.Settle(Quiet(t), append(w.Names(), services...), OfServices)
	}
	if err != nil {
		t.Fatalf("%s: %v", s.Name, err)
	}
}

// Restart ends the controller and starts another.
func (w *World) Restart(t *testing.T) {
	t.Helper()
	w.Stop()
	if err := w.Start(Quiet(t)); err != nil {
		t.Fatal(err)
	}
}

// Controller is the one that lives in this process now.
func (w *World) Controller(t *testing.T) *Controller {
	t.Helper()
	x, is := w.now().(*Controller)
	if !is {
		t.Fatal("the controller lives in another process")
	}
	return x
}
