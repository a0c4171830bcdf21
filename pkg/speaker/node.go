// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// Taints that say that a node leaves.
const (
	// TaintLeaving is ours: put it on a node to drain its routes by hand.
	TaintLeaving = "fairlead.dev/leaving"
	// taintAutoscaler is cluster-autoscaler's, before it deletes a node
	// (cluster-autoscaler utils/taints).
	taintAutoscaler = "ToBeDeletedByClusterAutoscaler"
	// taintShutdown is cloud-provider's (api.TaintNodeShutdown).
	taintShutdown = "node.cloudprovider.kubernetes.io/shutdown"
	// taintOutOfService is Kubernetes' (v1.TaintNodeOutOfService).
	taintOutOfService = v1.TaintNodeOutOfService
)

// shuttingDown is what kubelet writes into the Ready condition during a
// graceful node shutdown (kubelet nodestatus.ReadyCondition).
const shuttingDown = "node is shutting down"

// Node is what decisions need to know of a node.
type Node struct {
	Name string
	// Known is false when there is no such Node object.
	Known  bool
	UID    types.UID
	Labels labels.Set
	// Addrs are its InternalIPs, in the Node's order.
	Addrs []netip.Addr
	// Excluded is the label exclude-from-external-load-balancers: present with
	// any value but "false".
	Excluded bool
	// NetworkUnavailable is the condition of that name, True.
	NetworkUnavailable bool
	// Cordoned is spec.unschedulable.
	Cordoned bool
	// Leaving says why the node is about to go; empty when it stays.
	Leaving string
	// BootID changes with every boot of the node's machine.
	BootID string
}

// NodeFrom reads a Node object. A nil object is a node that does not exist.
func NodeFrom(name string, obj *v1.Node) Node {
	if obj == nil {
		return Node{Name: name}
	}
	n := Node{
		Name:     name,
		Known:    true,
		UID:      obj.UID,
		Labels:   labels.Set(obj.Labels),
		Cordoned: obj.Spec.Unschedulable,
		Leaving:  leaving(obj),
		BootID:   obj.Status.NodeInfo.BootID,
	}
	if v, ok := obj.Labels[v1.LabelNodeExcludeBalancers]; ok && v != "false" {
		n.Excluded = true
	}
	for _, c := range obj.Status.Conditions {
		if c.Type == v1.NodeNetworkUnavailable && c.Status == v1.ConditionTrue {
			n.NetworkUnavailable = true
		}
	}
	for _, a := range obj.Status.Addresses {
		if a.Type != v1.NodeInternalIP {
			continue
		}
		if ip, err := netip.ParseAddr(a.Address); err == nil {
			n.Addrs = append(n.Addrs, ip.Unmap())
		}
	}
	return n
}

// leaving returns why a node is about to go, or the empty string.
func leaving(obj *v1.Node) string {
	if obj.DeletionTimestamp != nil {
		return "its Node object is being deleted"
	}
	for _, t := range obj.Spec.Taints {
		switch t.Key {
		case TaintLeaving, taintAutoscaler, taintShutdown, taintOutOfService:
			return "it has the taint " + t.Key
		}
	}
	for _, c := range obj.Status.Conditions {
		if c.Type == v1.NodeReady && c.Status == v1.ConditionFalse && strings.Contains(c.Message, shuttingDown) {
			return "its kubelet is shutting down"
		}
	}
	return ""
}

// Equal reports whether two nodes lead to the same decisions.
func (n Node) Equal(o Node) bool {
	return n.Name == o.Name && n.Known == o.Known && labels.Equals(n.Labels, o.Labels) &&
		slices.Equal(n.Addrs, o.Addrs) && n.Excluded == o.Excluded &&
		n.NetworkUnavailable == o.NetworkUnavailable && n.Cordoned == o.Cordoned &&
		n.Leaving == o.Leaving && n.BootID == o.BootID
}

// addr returns the node's first InternalIP of the family of a.
func (n Node) addr(a netip.Addr) (netip.Addr, bool) {
	for _, ip := range n.Addrs {
		if ip.Is4() == a.Is4() {
			return ip, true
		}
	}
	return netip.Addr{}, false
}

// String names the node as messages do.
func (n Node) String() string { return fmt.Sprintf("node %q", n.Name) }
