// SPDX-License-Identifier: Apache-2.0

// Package machines knows the virtual machines of a cluster in Azure: single
// ones and those of scale sets, their network interfaces and addresses. It
// answers for Kubernetes nodes, and decides which machines must join or leave
// the pools of load balancers. It reads by few list calls, which those who ask
// at the same time share, and never asks for one node after the other.
package machines
