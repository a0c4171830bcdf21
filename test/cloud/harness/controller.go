// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	v1 "k8s.io/api/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/engine"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// Provider is one cloud, with what it does beside the passes.
type Provider interface {
	provider.Provider
	// Run works until the context ends.
	Run(ctx context.Context)
}

// Controller is one life of a controller: the provider with the engine.
type Controller struct {
	*engine.Engine
	Provider Provider
	cluster  *Cluster
	name     string
	stop     context.CancelFunc
	ended    chan struct{}
}

// Start starts a controller for a cluster that the flag --cluster-name calls by
// this name. It looks for no drift unless its engine is told to, and must be
// closed.
func Start(ctx context.Context, c *Cluster, name string, p Provider) *Controller {
	ctx, stop := context.WithCancel(ctx)
	x := &Controller{
		Provider: p, cluster: c, name: name, stop: stop, ended: make(chan struct{}),
		Engine: engine.New(engine.Options{
			Provider: p, Registry: intent.Annotations(), Services: corelisters.NewServiceLister(c.Services),
			Nodes: corelisters.NewNodeLister(c.Nodes), Recorder: c.Recorder,
			Owns: Wants, Refresh: func(...plan.Key) {}, Clock: clock.RealClock{},
			Drift: cloudconfig.Drift{Mode: cloudconfig.DriftOff},
		}),
	}
	go func() {
		defer close(x.ended)
		var beside sync.WaitGroup
		beside.Go(func() { p.Run(ctx) })
		x.Run(ctx)
		beside.Wait()
	}()
	return x
}

// Wants reports whether the Service wants a load balancer.
func Wants(svc *v1.Service) bool {
	return svc.Spec.Type == v1.ServiceTypeLoadBalancer && svc.DeletionTimestamp == nil
}

// Close ends the controller in good order: steps in flight are finished.
func (x *Controller) Close() {
	x.stop()
	<-x.ended
}

// Sync does what the upstream controller does for a Service: one that wants a
// load balancer gets one, and its status; from others it is taken. One that is
// being deleted is then no more in the cluster.
func (x *Controller) Sync(ctx context.Context, svc *v1.Service) error {
	if Wants(svc) {
		status, err := x.EnsureLoadBalancer(ctx, x.name, svc, nil)
		if err != nil {
			return err
		}
		return x.cluster.publish(svc, status)
	}
	if err := x.EnsureLoadBalancerDeleted(ctx, x.name, svc); err != nil {
		return err
	}
	if svc.DeletionTimestamp != nil {
		return x.cluster.Services.Delete(svc)
	}
	return x.cluster.publish(svc, &v1.LoadBalancerStatus{})
}

// Reconcile does once what the upstream controller does for each of the
// Services, side by side, and returns those that failed. nodes says that it is
// because of nodes.
func (x *Controller) Reconcile(ctx context.Context, services []string, why Reason) (failed []string, err error) {
	var mu sync.Mutex
	var errs []error
	x.each(ctx, services, why, func(name string, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			failed, errs = append(failed, name), append(errs, fmt.Errorf("%s: %w", name, err))
		}
	})
	slices.Sort(failed)
	return failed, errors.Join(errs...)
}

// Reason is why Services are looked at.
type Reason uint8

// Reasons.
const (
	OfServices Reason = iota + 1 // they changed, or nobody knows whether they did
	OfNodes                      // the nodes changed
)

// each reconciles the Services and tells how each one ended.
func (x *Controller) each(ctx context.Context, services []string, why Reason, ended func(name string, err error)) {
	var wg sync.WaitGroup
	for _, name := range services {
		svc := x.cluster.Service(name)
		wg.Go(func() {
			var err error
			switch {
			case svc == nil:
			case why == OfNodes && Wants(svc):
				err = x.UpdateLoadBalancer(ctx, x.name, svc, nil)
			default:
				err = x.Sync(ctx, svc)
			}
			ended(name, err)
		})
	}
	wg.Wait()
}

// dead implements life: this controller ends with the process of the test.
func (*Controller) dead() bool { return false }
