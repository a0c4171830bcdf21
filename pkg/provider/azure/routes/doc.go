// SPDX-License-Identifier: Apache-2.0

// Package routes keeps the routes to the nodes' pods in an Azure route table.
// All changes that are asked for while the table is written go into its next
// write, so that a batch of nodes costs one or two.
package routes
