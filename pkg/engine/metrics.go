// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"time"

	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"

	"github.com/fairlead/fairlead/pkg/plan"
)

const subsystem = "fairlead"

// The metrics of all engines of the process; labels are from closed sets.
var (
	callSeconds = metrics.NewHistogramVec(&metrics.HistogramOpts{
		Subsystem: subsystem, Name: "load_balancer_call_seconds", StabilityLevel: metrics.ALPHA,
		Help:    "Time from a call of the service controller to its answer.",
		Buckets: metrics.ExponentialBuckets(0.001, 4, 10),
	}, []string{"provider", "operation", "outcome"})
	passSeconds = metrics.NewHistogramVec(&metrics.HistogramOpts{
		Subsystem: subsystem, Name: "pass_seconds", StabilityLevel: metrics.ALPHA,
		Help:    "Time of a pass from its first read to its last step.",
		Buckets: metrics.ExponentialBuckets(0.001, 4, 10),
	}, []string{"provider"})
	passServices = metrics.NewHistogramVec(&metrics.HistogramOpts{
		Subsystem: subsystem, Name: "pass_services", StabilityLevel: metrics.ALPHA,
		Help:    "Number of Services in a pass.",
		Buckets: metrics.ExponentialBuckets(1, 4, 8),
	}, []string{"provider"})
	stepsTotal = metrics.NewCounterVec(&metrics.CounterOpts{
		Subsystem: subsystem, Name: "steps_total", StabilityLevel: metrics.ALPHA,
		Help: "Steps executed, by action, kind of target and outcome.",
	}, []string{"provider", "action", "kind", "outcome"})
	driftSteps = metrics.NewCounterVec(&metrics.CounterOpts{
		Subsystem: subsystem, Name: "drift_steps_total", StabilityLevel: metrics.ALPHA,
		Help: "Steps that drift passes found necessary and did not take.",
	}, []string{"provider"})
)

// RegisterMetrics makes the metrics of engines visible. It is to be called once
// in a process.
func RegisterMetrics() {
	legacyregistry.MustRegister(callSeconds, passSeconds, passServices, stepsTotal, driftSteps)
}

// outcomeLabel is a closed set: ok, or the kind of error.
func outcomeLabel(err error) string {
	if err == nil {
		return "ok"
	}
	return plan.KindOf(err).String()
}

func observeCall(provider string, o op, err error, took time.Duration) {
	callSeconds.WithLabelValues(provider, o.String(), outcomeLabel(err)).Observe(took.Seconds())
}

func observePass(provider string, services int, took time.Duration) {
	passSeconds.WithLabelValues(provider).Observe(took.Seconds())
	passServices.WithLabelValues(provider).Observe(float64(services))
}

func observeStep(provider string, st plan.Step, err error) {
	stepsTotal.WithLabelValues(provider, st.Action.String(), st.Target.Kind, outcomeLabel(err)).Inc()
}

func observeDrift(provider string, p plan.Plan) {
	driftSteps.WithLabelValues(provider).Add(float64(len(p.Steps)))
}
