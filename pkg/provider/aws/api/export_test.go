// SPDX-License-Identifier: Apache-2.0

package api

import "k8s.io/component-base/metrics"

// RegisterMetricsIn is RegisterMetrics for a registry of a test's own.
func RegisterMetricsIn(r metrics.KubeRegistry) {
	callSeconds.Reset()
	paceSeconds.Reset()
	throttlesTotal.Reset()
	r.MustRegister(callSeconds, paceSeconds, throttlesTotal)
}
