// SPDX-License-Identifier: Apache-2.0

// Package ccm wires the upstream controllers of k8s.io/cloud-provider to a
// provider, without a fork of any. Two views stand between the service
// controller and the informers: ServiceView shows it the Services that are
// ours and no other, NodeView keeps it out of node changes. The node
// controllers get the provider's answers through a guard. Run is the process:
// flags, health, the lease, and a stop that loses nothing.
package ccm
