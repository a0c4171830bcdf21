// SPDX-License-Identifier: Apache-2.0

// Package instances knows the EC2 instances of a cluster's nodes, and what
// Fargate runs. It answers for Kubernetes nodes and tags their instances. It
// reads many instances in one call, which those who ask at the same time share,
// and never asks for one node after the other.
package instances
