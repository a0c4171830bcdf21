// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/collectors"
	"k8s.io/component-base/metrics"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/speaker"
)

// speakerMetrics are a speaker's metrics, in a registry of their own.
type speakerMetrics struct {
	registry    metrics.KubeRegistry
	up          *metrics.GaugeVec
	routes      *metrics.GaugeVec
	updates     *metrics.CounterVec
	transitions *metrics.CounterVec
	held        *metrics.GaugeVec
	phases      *metrics.GaugeVec
	faults      *metrics.Gauge
	decisions   *metrics.Counter
	turns       *metrics.Histogram
}

func newMetrics() *speakerMetrics {
	gauge := func(subsystem, name, help string, labels ...string) *metrics.GaugeVec {
		return metrics.NewGaugeVec(&metrics.GaugeOpts{
			Namespace: "fairlead", Subsystem: subsystem, Name: name, Help: help, StabilityLevel: metrics.ALPHA,
		}, labels)
	}
	m := &speakerMetrics{
		registry: metrics.NewKubeRegistry(),
		up:       gauge("bgp", "session_up", "Whether the session with a peer is established.", "peer"),
		routes:   gauge("bgp", "routes", "Routes that are announced to a peer.", "peer"),
		updates: metrics.NewCounterVec(&metrics.CounterOpts{
			Namespace: "fairlead", Subsystem: "bgp", Name: "updates_total",
			Help: "Routes announced to and withdrawn from a peer.", StabilityLevel: metrics.ALPHA,
		}, []string{"peer"}),
		transitions: metrics.NewCounterVec(&metrics.CounterOpts{
			Namespace: "fairlead", Subsystem: "bgp", Name: "session_transitions_total",
			Help: "Times a session went up or down.", StabilityLevel: metrics.ALPHA,
		}, []string{"peer", "state"}),
		held:   gauge("speaker", "services_withheld", "Services with an address that is not announced from this node, by reason.", "reason"),
		phases: gauge("speaker", "phase", "The node's phase: 1 for the one it is in.", "phase"),
		faults: metrics.NewGauge(&metrics.GaugeOpts{
			Namespace: "fairlead", Subsystem: "speaker", Name: "config_faults",
			Help: "Faults of the cloud-config in use.", StabilityLevel: metrics.ALPHA,
		}),
		decisions: metrics.NewCounter(&metrics.CounterOpts{
			Namespace: "fairlead", Subsystem: "speaker", Name: "decisions_total",
			Help: "Decisions about one Service.", StabilityLevel: metrics.ALPHA,
		}),
		turns: metrics.NewHistogram(&metrics.HistogramOpts{
			Namespace: "fairlead", Subsystem: "speaker", Name: "turn_duration_seconds",
			Help:    "Time from taking changes up to handing their routes to the sessions.",
			Buckets: metrics.ExponentialBuckets(0.0001, 4, 8), StabilityLevel: metrics.ALPHA,
		}),
	}
	m.registry.MustRegister(m.up, m.routes, m.updates, m.transitions, m.held, m.phases, m.faults, m.decisions, m.turns)
	m.registry.RawMustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// handler serves the metrics.
func (m *speakerMetrics) handler() http.Handler {
	return metrics.HandlerFor(m.registry, metrics.HandlerOpts{})
}

// session tells how a session stands, and how many updates came since the last
// call.
func (m *speakerMetrics) session(peer string, s speaker.SessionStatus, updates uint64) {
	up := 0.0
	if s.Phase == speaker.SessionUp {
		up = 1
	}
	m.up.WithLabelValues(peer).Set(up)
	m.routes.WithLabelValues(peer).Set(float64(s.Routes))
	m.updates.WithLabelValues(peer).Add(float64(updates))
}

func (m *speakerMetrics) forget(peer string) {
	l := map[string]string{"peer": peer}
	m.up.Delete(l)
	m.routes.Delete(l)
	m.updates.Delete(l)
}

func (m *speakerMetrics) transition(peer string, p speaker.SessionPhase) {
	m.transitions.WithLabelValues(peer, p.String()).Inc()
}

func (m *speakerMetrics) withheld(was, is speaker.Reason) {
	if was != "" {
		m.held.WithLabelValues(string(was)).Dec()
	}
	if is != "" {
		m.held.WithLabelValues(string(is)).Inc()
	}
}

func (m *speakerMetrics) phase(now speaker.Phase) {
	for _, p := range []speaker.Phase{speaker.Serving, speaker.Holding, speaker.Draining, speaker.Drained} {
		v := 0.0
		if p == now {
			v = 1
		}
		m.phases.WithLabelValues(p.String()).Set(v)
	}
}

func (m *speakerMetrics) configured(faults cloudconfig.Faults) { m.faults.Set(float64(len(faults))) }

func (m *speakerMetrics) turn(decisions int, took time.Duration) {
	m.decisions.Add(float64(decisions))
	m.turns.Observe(took.Seconds())
}
