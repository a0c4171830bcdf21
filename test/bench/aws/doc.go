// SPDX-License-Identifier: Apache-2.0

// Package aws measures the AWS provider: the provider and the engine over HTTP
// against the simulated cloud, with the latencies and the throttling that
// docs/benchmarks.md names. Memory, and the calls of a controller at rest, are
// those of the controller manager that ships, on a real API server.
package aws
