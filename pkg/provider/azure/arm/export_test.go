// SPDX-License-Identifier: Apache-2.0

package arm

import "k8s.io/component-base/metrics"

// RegisterMetricsIn is RegisterMetrics for a registry of a test's own.
func RegisterMetricsIn(r metrics.KubeRegistry) {
	callSeconds.Reset()
	paceSeconds.Reset()
	throttlesTotal.Reset()
	r.MustRegister(callSeconds, paceSeconds, throttlesTotal)
}

// CallSeconds is the metric of calls.
func CallSeconds() *metrics.HistogramVec { return callSeconds }

// PaceSeconds is the metric of what calls waited.
func PaceSeconds() *metrics.HistogramVec { return paceSeconds }

// Covers is covers.
func Covers(answered, sent string) bool { return covers([]byte(answered), []byte(sent)) }
