// SPDX-License-Identifier: Apache-2.0

// Package rack builds a rack of machines out of network namespaces: a router
// with FRR or BIRD, nodes that each run the real speaker and a real kube-proxy,
// HTTP servers that stand for Pods, and a client behind the router. A real
// control plane and the real controller-manager run beside them. It needs
// Linux and root.
//
// A program that uses it calls Main first. Main runs the program again in a
// network, process and mount namespace of its own, in which all else is made.
// The kernel removes them, with all that is in them, when the program ends,
// however it ends; nothing of the host is changed.
//
//	    etcd, kube-apiserver, kube-controller-manager, fairlead-controller-manager
//	                           | 10.254.SLOT.1 (the program itself)
//	                 ----------+----------+---------------------+----
//	                           |          |                     |
//	client --- router ------ node1      node2      ...        node3
//	192.0.2.2  10.0.0.1    10.0.0.11  10.0.0.12             10.0.0.13
//
// Between the router and the nodes stands a switch.
package rack
