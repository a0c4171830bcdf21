// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/fairlead/fairlead/pkg/speaker"
)

const (
	// programInterval is how often kube-proxy is asked about what it has not
	// programmed yet.
	programInterval = 20 * time.Millisecond
	// programTime is how long a Service waits for kube-proxy at most. kube-proxy
	// programs at least once a second (its minSyncPeriod) when it has changes.
	programTime = 3 * time.Second
	// deafTime is how long nothing is asked after kube-proxy has not answered at
	// all: it may serve no health check ports.
	deafTime = 10 * time.Minute
)

// programmed knows for which Services of policy Local kube-proxy has programmed
// the endpoints of this node. A speaker hears of a new endpoint when kube-proxy
// does, but kube-proxy may take a second to act on it, and drops what comes
// before. The Service's healthCheckNodePort answers 200 from the moment that
// the rules are in place.
type programmed struct {
	probe   func(ctx context.Context, url string) error
	changed func(types.NamespacedName)
	kick    chan struct{}

	mu      sync.Mutex
	waiting map[types.NamespacedName]delay
	done    map[types.NamespacedName]struct{}
	deaf    time.Time // nothing is asked before
}

// delay is a Service that waits for kube-proxy.
type delay struct {
	urls     []string
	deadline time.Time
	answered bool // that it is not there yet
}

func newProgrammed(probe func(context.Context, string) error, changed func(types.NamespacedName)) *programmed {
	return &programmed{
		probe: probe, changed: changed, kick: make(chan struct{}, 1),
		waiting: map[types.NamespacedName]delay{}, done: map[types.NamespacedName]struct{}{},
	}
}

// ask reports whether kube-proxy serves a Service's endpoints on the node. When
// it does not yet, changed is called when it does, or when it took too long.
func (p *programmed) ask(key types.NamespacedName, port int32, node speaker.Node) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if _, ok := p.done[key]; ok || now.Before(p.deaf) {
		return true
	}
	if _, ok := p.waiting[key]; !ok {
		p.waiting[key] = delay{urls: healthURLs(port, node), deadline: now.Add(programTime)}
		select {
		case p.kick <- struct{}{}:
		default:
		}
	}
	return false
}

// forget drops a Service that is announced, or not to be.
func (p *programmed) forget(key types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, key)
	delete(p.done, key)
}

// healthURLs are where a health check port may answer: kube-proxy opens it on
// the node's addresses, and on loopback by some configurations alone.
func healthURLs(port int32, node speaker.Node) []string {
	var out []string
	for _, a := range append(slices.Clip(node.Addrs), netip.AddrFrom4([4]byte{127, 0, 0, 1})) {
		out = append(out, "http://"+netip.AddrPortFrom(a, uint16(port)).String()+"/") //nolint:gosec // G115: a port
	}
	return out
}

// run asks until ctx ends.
func (p *programmed) run(ctx context.Context) {
	for ctx.Err() == nil {
		if p.pass(ctx) {
			pause(ctx, programInterval, nil)
		} else {
			pause(ctx, idle, p.kick)
		}
	}
}

// pass asks for every Service that waits, and reports whether one still does.
func (p *programmed) pass(ctx context.Context) bool {
	p.mu.Lock()
	waiting := maps.Clone(p.waiting)
	p.mu.Unlock()
	left := false
	for key, w := range waiting {
		a := p.answer(ctx, w.urls)
		if ctx.Err() != nil {
			return false
		}
		if a != ready && time.Now().Before(w.deadline) {
			p.note(key, a)
			left = true
			continue
		}
		p.settle(ctx, key, a)
	}
	return left
}

// answer is what a health check port says. The zero value is none.
type answer uint8

const (
	silent  answer = iota + 1 // nothing answers there
	unready                   // no endpoint here yet
	ready
)

// answer asks where the port may answer.
func (p *programmed) answer(ctx context.Context, urls []string) answer {
	out := silent
	for _, url := range urls {
		err := p.probe(ctx, url)
		var status *statusError
		switch {
		case err == nil:
			return ready
		case errors.As(err, &status):
			out = unready
		}
	}
	return out
}

// note remembers that a port has answered.
func (p *programmed) note(key types.NamespacedName, a answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w, ok := p.waiting[key]; ok && a == unready {
		w.answered = true
		p.waiting[key] = w
	}
}

// settle ends a wait: kube-proxy is ready, or has had its time.
func (p *programmed) settle(ctx context.Context, key types.NamespacedName, a answer) {
	p.mu.Lock()
	w, ok := p.waiting[key]
	settled := []types.NamespacedName{}
	if ok {
		delete(p.waiting, key)
		p.done[key] = struct{}{}
		settled = append(settled, key)
	}
	deaf := ok && a == silent && !w.answered
	if deaf { // then nobody need wait
		p.deaf = time.Now().Add(deafTime)
		for other := range p.waiting {
			settled = append(settled, other)
		}
		clear(p.waiting)
	}
	p.mu.Unlock()
	switch {
	case deaf:
		klog.FromContext(ctx).Info("No health check port answers; announcing local endpoints without asking kube-proxy", "for", deafTime)
	case ok && a != ready:
		klog.FromContext(ctx).Info("kube-proxy was not ready in time; announcing all the same", "service", key, "waited", programTime)
	}
	for _, key := range settled {
		p.changed(key)
	}
}

// statusError is an answer other than 200.
type statusError struct{ url, status string }

func (e *statusError) Error() string { return fmt.Sprintf("%s answered %s", e.url, e.status) }
