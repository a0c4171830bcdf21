// SPDX-License-Identifier: Apache-2.0

// Package azure measures the Azure provider: the provider and the engine over
// HTTP against the simulated cloud, with the latencies and the throttling that
// docs/benchmarks.md names. Memory is that of the controller manager that
// ships, on a real API server.
package azure
