// SPDX-License-Identifier: Apache-2.0

// Package stand is one cluster on one simulated cloud, and what is measured of
// it: what the measurements of all clouds have in common.
package stand

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead/fairlead/test/cloud/harness"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// Budget is how many calls the cloud takes. The zero value is none.
type Budget uint8

// The budgets.
const (
	Unlimited Budget = iota + 1
	Published        // what the cloud publishes
)

// Calls are those that a simulated cloud was asked.
type Calls struct {
	Reset  func()
	Counts func() sim.Counts
	All    func() []sim.Call
}

// Stand is one cluster on one simulated cloud, with a controller.
type Stand struct {
	Cluster    *harness.Cluster
	Controller *harness.Controller // set by Start
	Calls      Calls
	// Start starts a controller with a client of its own.
	Start func(context.Context) (*harness.Controller, error)
	// Shape makes a Service what the stand is about.
	Shape func(*v1.Service)
	// Served is what is wrong with the status of a Service that is served.
	Served func(*v1.LoadBalancerStatus) error
	// Quiet is how long no call may come before a change of nodes counts as done:
	// longer than the engine's window of such changes and a slow write.
	Quiet time.Duration

	made int // Services ever made
}

// Restart starts another controller, once the one before has ended.
func (s *Stand) Restart(ctx context.Context) error {
	s.Close()
	var err error
	s.Controller, err = s.Start(ctx)
	return err
}

// Close ends the controller.
func (s *Stand) Close() {
	if s.Controller != nil {
		s.Controller.Close()
	}
}

// service is a Service with one port.
func service(i int) *v1.Service {
	return &v1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: fmt.Sprintf("web-%04d", i), UID: types.UID(fmt.Sprintf("%08d-0000-4000-8000-000000000000", i)),
			Finalizers:        []string{"service.kubernetes.io/load-balancer-cleanup"},
			CreationTimestamp: metav1.NewTime(time.Unix(int64(i), 0)),
		},
		Spec: v1.ServiceSpec{
			Type: v1.ServiceTypeLoadBalancer, ExternalTrafficPolicy: v1.ServiceExternalTrafficPolicyCluster,
			IPFamilies: []v1.IPFamily{v1.IPv4Protocol}, ClusterIP: "10.0.0.1",
			Ports: []v1.ServicePort{{Name: "http", Port: 80, NodePort: int32(30000 + i%2768), Protocol: v1.ProtocolTCP}},
		},
	}
}

// Services are n new Services, which the cluster does not know yet.
func (s *Stand) Services(n int) []*v1.Service {
	out := make([]*v1.Service, n)
	for i := range out {
		out[i] = service(s.made)
		s.Shape(out[i])
		s.made++
	}
	return out
}

// Create adds the Services at once and waits until all are served.
func (s *Stand) Create(ctx context.Context, services []*v1.Service) error {
	for _, svc := range services {
		if err := s.Cluster.Services.Add(svc); err != nil {
			return err
		}
	}
	return s.Ensure(ctx, services)
}

// Ensure does what the upstream controller does at a start, and at each
// resync.
func (s *Stand) Ensure(ctx context.Context, services []*v1.Service) error {
	return s.sync(ctx, services, func(now *v1.Service) (*v1.Service, error) { return now, nil })
}

// Remove deletes the Services at once and waits until nothing is left of them.
func (s *Stand) Remove(ctx context.Context, services []*v1.Service) error {
	at := metav1.Now()
	return s.sync(ctx, services, func(now *v1.Service) (*v1.Service, error) {
		now = now.DeepCopy()
		now.DeletionTimestamp = &at
		return now, s.Cluster.Services.Update(now)
	})
}

// sync changes the Services, and then has them served or removed all at once.
func (s *Stand) sync(ctx context.Context, services []*v1.Service, change func(*v1.Service) (*v1.Service, error)) error {
	changed := make([]*v1.Service, len(services))
	for i, svc := range services {
		now, err := s.Now(svc)
		if err != nil {
			return err
		}
		if changed[i], err = change(now); err != nil {
			return err
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, svc := range changed {
		g.Go(func() error { return s.one(ctx, svc) })
	}
	return g.Wait()
}

// one serves or removes a Service.
func (s *Stand) one(ctx context.Context, svc *v1.Service) error {
	if err := s.Controller.Sync(ctx, svc); err != nil {
		return fmt.Errorf("%s: %w", svc.Name, err)
	}
	if svc.DeletionTimestamp != nil {
		return nil
	}
	now, err := s.Now(svc)
	if err != nil {
		return err
	}
	if err := s.Served(&now.Status.LoadBalancer); err != nil {
		return fmt.Errorf("%s: %w", now.Name, err)
	}
	return nil
}

// Now is the Service as the cluster has it.
func (s *Stand) Now(svc *v1.Service) (*v1.Service, error) {
	obj, exists, err := s.Cluster.Services.Get(svc)
	if now, ok := obj.(*v1.Service); ok && exists && err == nil {
		return now, nil
	}
	return nil, errors.Join(fmt.Errorf("%s is not in the cluster", svc.Name), err)
}

// All are the Services of the cluster.
func (s *Stand) All() []*v1.Service { return of[v1.Service](s.Cluster.Services.List()) }

// Nodes are those of the cluster.
func (s *Stand) Nodes() []*v1.Node { return of[v1.Node](s.Cluster.Nodes.List()) }

func of[T any](objects []any) []*T {
	var out []*T
	for _, obj := range objects {
		if x, ok := obj.(*T); ok {
			out = append(out, x)
		}
	}
	return out
}
