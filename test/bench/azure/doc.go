// SPDX-License-Identifier: Apache-2.0

// Package azure measures the Azure provider: the provider and the engine over
// HTTP against the simulated cloud, with the latencies and the throttling that
// docs/benchmarks.md names. Memory is that of the real controller manager on a
// real API server, in a process of its own.
package azure
