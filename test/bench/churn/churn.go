// SPDX-License-Identifier: Apache-2.0

package churn

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// Namespace is where all happens.
const Namespace = "default"

const (
	// users work side by side, each with Services of its own.
	users = 12
	// perUser is how many Services a user has at most. All of them do not quite
	// fill the pool, so that freed addresses are soon given again.
	perUser = 8
	// progress is how many addresses a controller gives before it is ended.
	progress = 15
	// progressLimit is longer than a standby waits for the lease of a controller
	// that was killed.
	progressLimit = 2 * time.Minute
)

// Controller is the controller-manager.
type Controller interface {
	// Start starts it with the configuration that was set last.
	Start(context.Context) error
	// Stop ends it by TERM, Kill by KILL.
	Stop() error
	Kill() error
}

// Options say how to churn.
type Options struct {
	Client     kubernetes.Interface
	Controller Controller
	// Configure sets the content of the cloud-config; its argument is the list
	// below metal.pools. The controller is not told.
	Configure func(pools string) error
	// Restarts is how often the controller is ended at least, by TERM and by KILL
	// in turn; For is how long it goes on at least.
	Restarts int
	For      time.Duration
	// Seed chooses what users do.
	Seed uint64
	// Say is told how it goes.
	Say func(format string, args ...any)
}

// Report is what happened.
type Report struct {
	Restarts, PoolEdits     int
	Creates, Deletes, Edits int
	Given, Moves, Events    int
	Took                    time.Duration
	// Faults are the addresses that changed or were given twice.
	Faults []string
}

// String is the report in one line.
func (r Report) String() string {
	return fmt.Sprintf("%d restarts, %d edits of pools, %d Services created, %d edited, %d deleted, %d addresses given, %d moved as asked, in %s",
		r.Restarts, r.PoolEdits, r.Creates, r.Edits, r.Deletes, r.Given, r.Moves, r.Took.Round(time.Second))
}

// run is one run.
type run struct {
	Options

	mu     sync.Mutex
	ledger *ledger
	report Report
}

// Run churns until Restarts and For are reached, with a controller that runs
// already and runs in the end. Faults are no error of it.
func Run(ctx context.Context, o Options) (Report, error) {
	r := &run{Options: o, ledger: newLedger()}
	begin := time.Now()
	stop, err := r.watch(ctx)
	if err != nil {
		return Report{}, err
	}
	defer stop()
	err = r.churn(ctx)
	if err == nil {
		err = r.settle(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.ledger.audit()
	}
	r.report.Took = time.Since(begin)
	r.report.Given, r.report.Moves, r.report.Events = r.ledger.given, r.ledger.moves, r.ledger.events
	r.report.Faults = r.ledger.faults
	return r.report, err
}

// watch plays all changes of Services until the function it returns is called.
func (r *run) watch(ctx context.Context) (func(), error) {
	factory := informers.NewSharedInformerFactoryWithOptions(r.Client, 0, informers.WithNamespace(Namespace))
	services := factory.Core().V1().Services().Informer()
	play := func(f func(*ledger, *v1.Service)) func(any) {
		return func(obj any) {
			if last, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = last.Obj
			}
			if s, ok := obj.(*v1.Service); ok {
				r.mu.Lock()
				defer r.mu.Unlock()
				f(r.ledger, s)
			}
		}
	}
	see := play((*ledger).see)
	_, err := services.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: see, UpdateFunc: func(_, obj any) { see(obj) }, DeleteFunc: play((*ledger).gone),
	})
	if err != nil {
		return nil, err
	}
	quit := make(chan struct{})
	factory.Start(quit)
	stop := func() {
		close(quit)
		factory.Shutdown()
	}
	if !cache.WaitForCacheSync(ctx.Done(), services.HasSynced) {
		stop()
		return nil, context.Cause(ctx)
	}
	return stop, nil
}

// errEnough ends the users when the restarts are done.
var errEnough = errors.New("enough")

// churn lets users and the editor of pools work while the controller restarts.
func (r *run) churn(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for i := range users {
		g.Go(func() error { return r.user(ctx, i) })
	}
	g.Go(func() error { return r.editPools(ctx) })
	g.Go(func() error {
		if err := r.restart(ctx); err != nil {
			return err
		}
		return errEnough
	})
	if err := g.Wait(); !errors.Is(err, errEnough) {
		return err
	}
	return nil
}

// restart ends the controller and starts it again.
func (r *run) restart(ctx context.Context) error {
	begin := time.Now()
	for n := 0; n < r.Restarts || time.Since(begin) < r.For; n++ {
		if err := r.awaitProgress(ctx); err != nil {
			return fmt.Errorf("after %d restarts: %w", n, err)
		}
		end, how := r.Controller.Stop, "TERM"
		if n%2 == 1 {
			end, how = r.Controller.Kill, "KILL"
		}
		if err := end(); err != nil {
			return err
		}
		if err := r.Controller.Start(ctx); err != nil {
			return err
		}
		r.mu.Lock()
		r.report.Restarts++
		r.Say("restart %d after %s: %d addresses given so far, %d faults", n+1, how, r.ledger.given, len(r.ledger.faults))
		r.mu.Unlock()
	}
	return r.awaitProgress(ctx)
}

// awaitProgress waits until the controller has given some addresses.
func (r *run) awaitProgress(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, progressLimit)
	defer cancel()
	given := func() int {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.ledger.given
	}
	begin := given()
	return poll(ctx, func() error {
		if n := given() - begin; n < progress {
			return fmt.Errorf("%d addresses were given in %s, want %d", n, progressLimit, progress)
		}
		return nil
	})
}

// settle waits until every Service has what it will get.
func (r *run) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, progressLimit)
	defer cancel()
	return poll(ctx, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.ledger.waiting()
	})
}

// pollEvery is how often a condition is looked at.
const pollEvery = 50 * time.Millisecond

// poll calls check until it gives no error.
func poll(ctx context.Context, check func() error) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", err, context.Cause(ctx))
		case <-tick.C:
		}
	}
}
