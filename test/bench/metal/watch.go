// SPDX-License-Identifier: Apache-2.0

//go:build linux

package metal

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// pollEvery is how often the bench looks for what it waits for. No result
// depends on it: every event carries the time at which it arrived.
const pollEvery = 10 * time.Millisecond

// statusLog is when Services got their addresses, as a watch tells.
type statusLog struct {
	factory informers.SharedInformerFactory
	quit    chan struct{}

	mu    sync.Mutex
	given map[string]given // by the Service's name
}

// given is an address and when it was seen first.
type given struct {
	at   time.Time
	addr netip.Addr
}

// watchStatus follows the Services until close.
func watchStatus(ctx context.Context, client kubernetes.Interface) (*statusLog, error) {
	l := &statusLog{
		factory: informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace)),
		quit:    make(chan struct{}), given: map[string]given{},
	}
	services := l.factory.Core().V1().Services().Informer()
	note := func(obj any) {
		if s, ok := obj.(*v1.Service); ok {
			l.note(s, time.Now())
		}
	}
	_, err := services.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: note, UpdateFunc: func(_, obj any) { note(obj) },
		DeleteFunc: func(obj any) {
			if s, ok := obj.(*v1.Service); ok {
				l.mu.Lock()
				delete(l.given, s.Name)
				l.mu.Unlock()
			}
		},
	})
	if err != nil {
		return nil, err
	}
	l.factory.Start(l.quit)
	if !cache.WaitForCacheSync(ctx.Done(), services.HasSynced) {
		l.close()
		return nil, context.Cause(ctx)
	}
	return l, nil
}

func (l *statusLog) note(s *v1.Service, at time.Time) {
	if len(s.Status.LoadBalancer.Ingress) == 0 {
		return
	}
	addr, err := netip.ParseAddr(s.Status.LoadBalancer.Ingress[0].IP)
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.given[s.Name]; !known {
		l.given[s.Name] = given{at: at, addr: addr}
	}
}

func (l *statusLog) close() {
	close(l.quit)
	l.factory.Shutdown()
}

// addresses waits until all Services have one, and returns them and the time of
// the last.
func (l *statusLog) addresses(ctx context.Context, services []service) ([]netip.Addr, time.Time, error) {
	var last time.Time
	addrs := make([]netip.Addr, len(services))
	err := wait(ctx, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		missing := 0
		for i, s := range services {
			g, ok := l.given[s.name]
			if !ok {
				missing++
				continue
			}
			addrs[i] = g.addr
			if g.at.After(last) {
				last = g.at
			}
		}
		if missing > 0 {
			return fmt.Errorf("%d of %d Services have no address", missing, len(services))
		}
		return nil
	})
	return addrs, last, err
}

// wait calls check until it gives no error.
func wait(ctx context.Context, check func() error) error {
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

// pause is for measuring over a stretch of time, or for letting a cluster come
// to rest.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
