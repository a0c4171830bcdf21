// SPDX-License-Identifier: Apache-2.0

package machines

import (
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

const (
	// scheme begins the provider ids of Azure; the resource's id follows.
	scheme = "azure://"

	// ManagedLabel with the value false marks a node that Azure does not run.
	ManagedLabel = "kubernetes.azure.com/managed"
	// GroupLabel names the resource group of a node's machine, where it is not
	// that of the cluster.
	GroupLabel = "kubernetes.azure.com/resource-group"
)

// Ref says where a machine is found.
type Ref struct {
	Subscription string
	Group        string // the resource group
	ScaleSet     string // of a uniform scale set's instance; empty for others
	Name         string // of the machine, or the id of the instance in its scale set
}

// ParseProviderID reads the provider id of a node. It is false for one that is
// not of a virtual machine in Azure.
func ParseProviderID(id string) (Ref, bool) {
	rest, ok := names.CutPrefix(id, scheme)
	if !ok {
		return Ref{}, false
	}
	return parseMachineID(rest)
}

// parseMachineID reads the id of a virtual machine or scale-set instance.
func parseMachineID(id string) (Ref, bool) {
	p := strings.Split(strings.TrimPrefix(id, "/"), "/")
	if len(p) < 8 || !wordsFold(p, map[int]string{
		0: "subscriptions", 2: "resourceGroups", 4: "providers", 5: "Microsoft.Compute",
	}) {
		return Ref{}, false
	}
	if slices.Contains(p, "") {
		return Ref{}, false
	}
	ref := Ref{Subscription: p[1], Group: p[3]}
	switch {
	case len(p) == 8 && strings.EqualFold(p[6], "virtualMachines"):
		ref.Name = p[7]
	case len(p) == 10 && strings.EqualFold(p[6], "virtualMachineScaleSets") && strings.EqualFold(p[8], "virtualMachines"):
		ref.ScaleSet, ref.Name = p[7], p[9]
	default:
		return Ref{}, false
	}
	return ref, true
}

func wordsFold(parts []string, want map[int]string) bool {
	for i, w := range want {
		if !strings.EqualFold(parts[i], w) {
			return false
		}
	}
	return true
}

// ID is the id of the machine in Azure.
func (r Ref) ID() string {
	if r.ScaleSet == "" {
		return r.group().path("Microsoft.Compute/virtualMachines/" + r.Name)
	}
	return r.group().path("Microsoft.Compute/virtualMachineScaleSets/" + r.ScaleSet + "/virtualMachines/" + r.Name)
}

// group is the resource group that the machine is in.
func (r Ref) group() group { return newGroup(r.Subscription, r.Group) }

// group is a resource group of a subscription, in lower case, so that two are
// equal when they are the same.
type group struct{ subscription, name string }

func newGroup(subscription, name string) group {
	return group{strings.ToLower(subscription), strings.ToLower(name)}
}

// path is the id of something in the group.
func (g group) path(what string) string {
	return "/subscriptions/" + g.subscription + "/resourceGroups/" + g.name + "/providers/" + what
}

// groupOf is the group of any resource id; false for one that has none.
func groupOf(id string) (group, bool) {
	p := strings.Split(strings.TrimPrefix(id, "/"), "/")
	if len(p) < 4 || !wordsFold(p, map[int]string{0: "subscriptions", 2: "resourceGroups"}) {
		return group{}, false
	}
	return newGroup(p[1], p[3]), true
}

// providerID is the node's name for a resource: its id, where the resource
// group is in lower case.
func providerID(id string) string {
	p := strings.SplitN(id, "/", 6)
	if len(p) > 4 {
		p[4] = strings.ToLower(p[4])
	}
	return scheme + strings.Join(p, "/")
}

// Unmanaged reports whether Azure knows nothing of the node: a label says so,
// or its provider id is not of a virtual machine in Azure.
func Unmanaged(node *v1.Node) bool {
	if strings.EqualFold(node.Labels[ManagedLabel], "false") {
		return true
	}
	if node.Spec.ProviderID == "" {
		return false
	}
	_, ok := ParseProviderID(node.Spec.ProviderID)
	return !ok
}

// InOtherGroup reports whether the node's label says that its machine is in
// another resource group than the cluster's. cloud-provider-azure keeps such
// nodes out of load balancers.
func InOtherGroup(node *v1.Node, resourceGroup string) bool {
	name := node.Labels[GroupLabel]
	return name != "" && !strings.EqualFold(name, resourceGroup)
}
