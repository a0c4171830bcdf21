// SPDX-License-Identifier: Apache-2.0

// Package engine is the load balancer that the upstream service controller
// calls. It folds calls into passes: callers bring keys, the Services of one
// group that wait go into one pass together, and a pass goes one way: observe,
// decide, apply, answer.
package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/record"
	cloudprovider "k8s.io/cloud-provider"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// Options are what an engine is made of.
type Options struct {
	Provider provider.Provider
	Registry *intent.Registry
	Services corelisters.ServiceLister
	Nodes    corelisters.NodeLister
	// Client writes the condition of Services; nil where nothing may be written.
	Client   kubernetes.Interface
	Recorder record.EventRecorder
	// Owns reports whether the class of the Service is ours and its type is
	// LoadBalancer.
	Owns func(*v1.Service) bool
	// Left reports whether a Service is another controller's, and what was made for
	// it before is to be removed; nil: none is.
	Left func(*v1.Service) bool
	// Refresh asks the upstream controller to ensure the Services again, because
	// their status has to change.
	Refresh func(...plan.Key)
	Clock   clock.WithTicker
	Drift   cloudconfig.Drift // at the start, see SetDrift
}

// Engine answers the upstream service controller. One goroutine, Run, owns the
// state of all groups; callers and passes send it values.
type Engine struct {
	Options
	requests chan request
	events   chan event
	nodes    chan struct{}       // the nodes changed; holds one
	retries  chan provider.Group // what was refused there may be possible now
	drifts   chan cloudconfig.Drift
	stopped  chan struct{} // closed when Run has ended
}

var _ cloudprovider.LoadBalancer = (*Engine)(nil)

// eventRoom lets a pass tell of many Services while the scheduler is busy.
const eventRoom = 1024

// errStopping answers callers when the process ends before their turn.
var errStopping = errors.New("the controller is stopping; the next leader goes on")

// New returns an engine that does nothing until Run.
func New(o Options) *Engine {
	return &Engine{
		Options:  o,
		requests: make(chan request),
		events:   make(chan event, eventRoom),
		nodes:    make(chan struct{}, 1),
		retries:  make(chan provider.Group),
		drifts:   make(chan cloudconfig.Drift),
		stopped:  make(chan struct{}),
	}
}

// op is what a caller asks for. The zero value is none.
type op uint8

const (
	opEnsure op = iota + 1
	opUpdate
	opDelete
	opSync // the engine itself; nobody waits
)

func (o op) String() string {
	switch o {
	case opEnsure:
		return "ensure"
	case opUpdate:
		return "update"
	case opDelete:
		return "delete"
	case opSync:
		return "sync"
	}
	return "none"
}

// ident is one life of a Service: a name can come back with another UID.
type ident struct {
	plan.Key
	uid types.UID
}

func identOf(svc *v1.Service) ident {
	return ident{Key: provider.KeyOf(svc), uid: svc.UID}
}

// request is one call, sent to Run.
type request struct {
	op      op
	cause   provider.Cause // of opSync; Run finds out that of callers
	service *v1.Service    // as the caller knows it
	done    chan answer    // holds one; nil for opSync
}

type answer struct {
	status *v1.LoadBalancerStatus
	err    error
}

// call sends a request and waits for its answer.
func (e *Engine) call(ctx context.Context, o op, svc *v1.Service) (*v1.LoadBalancerStatus, error) {
	start := e.Clock.Now()
	r := request{op: o, service: svc, done: make(chan answer, 1)}
	var a answer
	select {
	case e.requests <- r:
		select {
		case a = <-r.done:
		case <-ctx.Done():
			a.err = ctx.Err()
		}
	case <-e.stopped:
		a.err = errStopping
	case <-ctx.Done():
		a.err = ctx.Err()
	}
	observeCall(e.Provider.Name(), o, a.err, e.Clock.Since(start))
	return a.status, a.err
}

// GetLoadBalancer reports the load balancer of a Service. Absence is no error,
// and it exists while any fragment remains: the upstream controller skips the
// deletion otherwise.
func (e *Engine) GetLoadBalancer(ctx context.Context, _ string, svc *v1.Service) (*v1.LoadBalancerStatus, bool, error) {
	status, exists, err := e.Provider.Find(ctx, svc)
	if err != nil {
		return nil, false, fmt.Errorf("find load balancer: %w", err)
	}
	return status, exists, nil
}

// GetLoadBalancerName is the name that the upstream controller would choose.
func (e *Engine) GetLoadBalancerName(_ context.Context, _ string, svc *v1.Service) string {
	return cloudprovider.DefaultLoadBalancerName(svc)
}

// EnsureLoadBalancer makes the load balancer as the newest form of the Service
// wants it, together with all that wait for the same group. The nodes given
// are ignored: the pass reads the newest.
func (e *Engine) EnsureLoadBalancer(ctx context.Context, _ string, svc *v1.Service, _ []*v1.Node) (*v1.LoadBalancerStatus, error) {
	return e.call(ctx, opEnsure, svc)
}

// UpdateLoadBalancer lets the load balancer follow the nodes. It never makes
// one for a Service that wants none any more. The context of the upstream
// controller has no end, so the passes bound their own calls.
func (e *Engine) UpdateLoadBalancer(ctx context.Context, _ string, svc *v1.Service, _ []*v1.Node) error {
	_, err := e.call(ctx, opUpdate, svc)
	return err
}

// EnsureLoadBalancerDeleted removes all of the load balancer. It waits out
// throttling itself, since the upstream controller loses a RetryError on this
// path.
func (e *Engine) EnsureLoadBalancerDeleted(ctx context.Context, _ string, svc *v1.Service) error {
	_, err := e.call(ctx, opDelete, svc)
	return err
}

// SetDrift changes how drift is looked for from now on.
func (e *Engine) SetDrift(d cloudconfig.Drift) {
	select {
	case e.drifts <- d:
	case <-e.stopped:
	}
}

// Drain waits until Run has ended, with no step in flight and every caller
// answered, or until ctx ends. Run ends when its own context does.
func (e *Engine) Drain(ctx context.Context) error {
	select {
	case <-e.stopped:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("passes still run: %w", ctx.Err())
	}
}

// tick returns a channel that receives every interval, and nil for none.
func (e *Engine) tick(interval time.Duration) (c <-chan time.Time, stop func()) {
	if interval <= 0 {
		return nil, func() {}
	}
	t := e.Clock.NewTicker(interval)
	return t.C(), t.Stop
}
