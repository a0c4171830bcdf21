// SPDX-License-Identifier: Apache-2.0

package machines

import (
	"testing"

	v1 "k8s.io/api/core/v1"
)

func TestParseProviderID(t *testing.T) {
	const set = "/subscriptions/S/resourceGroups/RG/providers/Microsoft.Compute/virtualMachineScaleSets/np/virtualMachines/7"
	for _, tc := range []struct {
		id   string
		want Ref
		ok   bool
	}{
		{"azure://" + set, Ref{"S", "RG", "np", "7"}, true},
		{"azure:///subscriptions/s/resourcegroups/rg/providers/microsoft.compute/virtualmachines/vm-1", Ref{"s", "rg", "", "vm-1"}, true},
		{"AZURE:///subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm-1", Ref{"s", "rg", "", "vm-1"}, true},
		{"", Ref{}, false},
		{"azure://", Ref{}, false},
		{"k3s://node", Ref{}, false},
		{"azure:///subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/", Ref{}, false},
		{"azure:///subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/disks/d", Ref{}, false},
		{"azure:///subscriptions/s/resourceGroups/rg/providers/Microsoft.HybridCompute/machines/m", Ref{}, false},
		{"azure:///subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachineScaleSets/np", Ref{}, false},
	} {
		if got, ok := ParseProviderID(tc.id); got != tc.want || ok != tc.ok {
			t.Errorf("%q: %+v, %v", tc.id, got, ok)
		}
	}
	if got, want := providerID(set), "azure:///subscriptions/S/resourceGroups/rg/providers/Microsoft.Compute/virtualMachineScaleSets/np/virtualMachines/7"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzParseProviderID(f *testing.F) {
	f.Add("azure:///subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachineScaleSets/np/virtualMachines/0")
	f.Add("azure:///subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm")
	f.Fuzz(func(t *testing.T, id string) {
		ref, ok := ParseProviderID(id)
		if !ok {
			return
		}
		again, ok := ParseProviderID(scheme + ref.ID())
		if !ok || again.ID() != ref.ID() {
			t.Errorf("%q: %+v, then %+v", id, ref, again)
		}
	})
}

func TestUnmanaged(t *testing.T) {
	vm := rig("Microsoft.Compute/virtualMachines/vm")
	for _, tc := range []struct {
		name string
		node *v1.Node
		want bool
	}{
		{"a machine of Azure is managed", node("n", vm), false},
		{"a new node is managed", node("n", ""), false},
		{"a node whose label says so is not", node("n", vm, labelled(ManagedLabel, "False")), true},
		{"a node with a label of another value is", node("n", vm, labelled(ManagedLabel, "no")), false},
		{"a node of another system is not", node("n", "", func(n *v1.Node) { n.Spec.ProviderID = "k3s://n" }), true},
	} {
		if got := Unmanaged(tc.node); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
	if !InOtherGroup(node("n", "", labelled(GroupLabel, "other")), "rig") || InOtherGroup(node("n", "", labelled(GroupLabel, "RIG")), "rig") || InOtherGroup(node("n", ""), "rig") {
		t.Error("groups are told apart wrongly")
	}
}
