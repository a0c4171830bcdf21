// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"time"

	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
)

// The metrics of all clients of the process; labels are from closed sets.
var (
	callSeconds = metrics.NewHistogramVec(&metrics.HistogramOpts{
		Subsystem: "fairlead", Name: "aws_call_seconds", StabilityLevel: metrics.ALPHA,
		Help:    "Time of calls to AWS, each attempt for itself.",
		Buckets: metrics.ExponentialBuckets(0.01, 3, 9),
	}, []string{"service", "action", "outcome"})
	paceSeconds = metrics.NewHistogramVec(&metrics.HistogramOpts{
		Subsystem: "fairlead", Name: "aws_pace_seconds", StabilityLevel: metrics.ALPHA,
		Help:    "Time that calls to AWS were held back, so that its limits are kept.",
		Buckets: metrics.ExponentialBuckets(0.01, 4, 8),
	}, []string{"service", "class"})
	throttlesTotal = metrics.NewCounterVec(&metrics.CounterOpts{
		Subsystem: "fairlead", Name: "aws_throttles_total", StabilityLevel: metrics.ALPHA,
		Help: "Calls that AWS refused for too many.",
	}, []string{"service", "action"})
)

// RegisterMetrics makes the metrics of clients visible. It is to be called once
// in a process.
func RegisterMetrics() { legacyregistry.MustRegister(callSeconds, paceSeconds, throttlesTotal) }

func observeThrottle(c *call) { throttlesTotal.WithLabelValues(c.service, c.action).Inc() }

func observeWait(c *call, d time.Duration) {
	paceSeconds.WithLabelValues(c.service, c.key.class.String()).Observe(d.Seconds())
}

func observeCall(ctx context.Context, c *call, d time.Duration, err error) {
	callSeconds.WithLabelValues(c.service, c.action, outcome(ctx, c, err)).Observe(d.Seconds())
}

// outcome is a closed set: ok, notfound, lost, canceled, unsigned, or the kind
// of error.
func outcome(ctx context.Context, c *call, err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(ctx.Err(), context.Canceled):
		return "canceled"
	case NotFound(err):
		return "notfound"
	case !c.signed:
		return "unsigned"
	case Code(err) == "":
		return "lost"
	}
	return verdictOfError(c.action, err).kind.String()
}
