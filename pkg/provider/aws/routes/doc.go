// SPDX-License-Identifier: Apache-2.0

// Package routes keeps the routes to the nodes' pods in a route table of the
// VPC. It reads the table seldom, and knows what it wrote since.
package routes
