// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"maps"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/speaker"
)

// flushTime bounds how long a leaving node's speaker goes on after its drain
// time when it is told to stop.
const flushTime = 2 * time.Second

// loop is the state of a running speaker. One goroutine owns it.
type loop struct {
	agent  *Agent
	states *stateWriter
	events *recorder
	// stopStates ends the writing of states.
	stopStates func()

	metal    *cloudconfig.Metal
	node     speaker.Node
	life     speaker.Lifecycle
	health   speaker.Health
	view     *speaker.View
	table    *speaker.Table
	sessions map[string]*session
	withheld map[types.NamespacedName]speaker.Reason
	restored bool // a speaker announced in this boot before
	resumed  bool // this is the first turn of one that did
}

func newLoop(a *Agent, before speaker.NodeState) *loop {
	l := &loop{
		agent:    a,
		states:   newStateWriter(a.opts),
		events:   newRecorder(a.opts.Client, a.opts.Node),
		table:    speaker.NewTable(),
		sessions: map[string]*session{},
		withheld: map[types.NamespacedName]speaker.Reason{},
	}
	if a.opts.BootID != "" && before.BootID == a.opts.BootID && before.Announced {
		l.restored, l.resumed, l.life = true, true, before.Lifecycle()
	}
	return l
}

// begin decides about everything and opens the sessions with all their routes.
func (l *loop) begin(ctx context.Context, first mail) {
	if !l.restored && first.metal.Speaker.KubeProxyHealthURL != "" {
		l.life = speaker.Lifecycle{Phase: speaker.Holding, Since: time.Now()}
		l.health = speaker.Unhealthy
		if l.agent.opts.Probe(ctx, first.metal.Speaker.KubeProxyHealthURL) == nil {
			l.health = speaker.Healthy
		}
	}
	l.turn(ctx, first)
	l.agent.ready.started(time.Now())
}

// run takes turns until ctx ends, and then ends the sessions. work is the
// context of what it does.
func (l *loop) run(ctx, work context.Context) {
	var deadline <-chan time.Time
	stopping := ctx.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	wait := time.Duration(0)
	for {
		timer.Reset(wait)
		select {
		case <-stopping:
			stopping = nil
			l.turn(work, l.agent.inbox.take()) // that the node leaves may have come with it
			if l.life.Phase != speaker.Draining {
				l.end(work)
				return
			}
			klog.FromContext(ctx).Info("Told to stop while the node leaves: finishing its drain time first")
			deadline = time.After(l.metal.Speaker.DrainTime + flushTime)
		case <-deadline:
			l.end(work)
			return
		case <-l.agent.inbox.wake:
		case <-timer.C:
		}
		wait = l.turn(work, l.agent.inbox.take())
		if stopping == nil && l.life.Phase != speaker.Draining {
			l.end(work)
			return
		}
	}
}

// turn makes the routes what they should be after what happened. It returns
// after how long the next turn is due without anything happening.
func (l *loop) turn(ctx context.Context, m mail) time.Duration {
	start := time.Now()
	wait, all := l.look(m, start)
	dirty := m.services
	if all {
		dirty = l.agent.cluster.all()
		maps.Copy(dirty, m.services)
	}
	for key := range dirty {
		l.decide(key)
	}
	l.resumed = false
	next := l.sync(ctx, l.table.Flush())
	if len(dirty) > 0 {
		l.agent.metrics.turn(len(dirty), time.Since(start))
	}
	l.report()
	return shorter(wait, next)
}

// look takes note of what the node and its surroundings are now. all is true
// when every Service must be decided again.
func (l *loop) look(m mail, now time.Time) (wait time.Duration, all bool) {
	node := carry(l.node, l.agent.cluster.own())
	changed := l.view == nil || m.metal != nil || !node.Equal(l.node)
	if m.metal != nil {
		l.metal = m.metal
		l.agent.gateURL.Store(&m.metal.Speaker.KubeProxyHealthURL)
	}
	if m.health != 0 {
		l.health = m.health
	}
	was := l.life.Phase
	l.node = node
	l.life, wait = l.life.Next(now, node, l.health, l.metal.Speaker.DrainTime)
	if was != l.life.Phase {
		l.events.phase(node, was, l.life.Phase)
	}
	if !changed && was == l.life.Phase {
		return wait, false
	}
	l.view = speaker.NewView(speaker.Facts{
		Node: l.node, Phase: l.life.Phase, Metal: l.metal, Unclassed: l.agent.opts.Unclassed,
	})
	return wait, true
}

// carry keeps of the old node what the new one lost for the moment: a deleted
// node drains as what it was, and one whose addresses are being set anew keeps
// its sessions.
func carry(old, node speaker.Node) speaker.Node {
	if !node.Known {
		node.Labels = old.Labels
	}
	if len(node.Addrs) == 0 {
		node.Addrs = old.Addrs
	}
	return node
}

// decide brings one Service up to date in the table.
func (l *loop) decide(key types.NamespacedName) {
	svc, eps := l.agent.cluster.service(key)
	if svc == nil {
		l.table.Apply(key, nil)
		l.agent.proxy.forget(key)
		l.withhold(key, "")
		return
	}
	d := speaker.Decide(l.view, svc, eps)
	if l.early(key, svc, d) {
		d = d.Held(speaker.Withheld{
			Reason:  speaker.ReasonKubeProxyPending,
			Message: "kube-proxy does not serve the Service's new endpoint on this node yet; it is announced as soon as it does",
		})
	} else {
		l.agent.proxy.forget(key)
	}
	l.table.Apply(key, d.Paths)
	reason := speaker.Reason("")
	if len(d.Withheld) > 0 {
		reason = d.Withheld[0].Reason
	}
	if reason == speaker.ReasonNotLoadBalancer || reason == speaker.ReasonForeignClass {
		reason = ""
	}
	l.withhold(key, reason)
}

// early reports whether kube-proxy has yet to serve an endpoint that is new on
// this node. Only policy Local depends on it, and has a port that tells. What a
// speaker announced before its restart is served already.
func (l *loop) early(key types.NamespacedName, svc *v1.Service, d speaker.Decision) bool {
	switch {
	case len(d.Paths) == 0, l.table.Has(key), l.resumed,
		svc.Spec.ExternalTrafficPolicy != v1.ServiceExternalTrafficPolicyLocal,
		svc.Spec.HealthCheckNodePort == 0,
		l.metal.Speaker.KubeProxyHealthURL == "":
		return false
	}
	return !l.agent.proxy.ask(key, svc.Spec.HealthCheckNodePort, l.node)
}

func (l *loop) withhold(key types.NamespacedName, r speaker.Reason) {
	old := l.withheld[key]
	if old == r {
		return
	}
	if r == "" {
		delete(l.withheld, key)
	} else {
		l.withheld[key] = r
	}
	l.agent.metrics.withheld(old, r)
}

// shorter is the shorter of two waits, of which 0 is for ever.
func shorter(a, b time.Duration) time.Duration {
	switch {
	case a == 0 && b == 0:
		return idle
	case a == 0:
		return b
	case b == 0:
		return a
	default:
		return min(a, b)
	}
}

// idle is the longest time between two turns. It only guards against a lost
// wake-up, as liveness needs some sign of life.
const idle = 10 * time.Second
