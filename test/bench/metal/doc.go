// SPDX-License-Identifier: Apache-2.0

// Package metal measures bare metal end to end: real controller, real speakers
// on three nodes, FRR as the router, each with no more rights than the manifests
// give it. A route counts once it is in the router's kernel.
package metal
