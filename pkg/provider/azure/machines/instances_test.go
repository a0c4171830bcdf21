// SPDX-License-Identifier: Apache-2.0

package machines

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	cloudprovider "k8s.io/cloud-provider"
)

func nodeAddresses(list ...string) []v1.NodeAddress {
	var out []v1.NodeAddress
	for _, text := range list {
		kind, address, _ := strings.Cut(text, " ")
		out = append(out, v1.NodeAddress{Type: v1.NodeAddressType(kind), Address: address})
	}
	return out
}

func TestInstanceMetadata(t *testing.T) {
	single0 := rig("Microsoft.Compute/virtualMachines/single-0")
	single1 := groupPath("other", "Microsoft.Compute/virtualMachines/single-1")
	for _, tc := range []struct {
		name  string
		node  *v1.Node
		want  *cloudprovider.InstanceMetadata
		calls []string
	}{
		{
			name: "of an instance in a zone has one address of each family, and not those of pods or further interfaces",
			node: node("np-uniform000000", uniformID("0")),
			want: &cloudprovider.InstanceMetadata{
				ProviderID: "azure://" + uniformID("0"), InstanceType: "Standard_D4s_v5", Zone: "eastus-1", Region: "eastus",
				NodeAddresses: nodeAddresses("InternalIP 10.240.0.4", "InternalIP fd00:240::4", "Hostname np-uniform000000", "ExternalIP 20.50.9.9"),
			},
		},
		{
			name: "of an instance without a zone has the fault domain",
			node: node("np-uniform000002", uniformID("2")),
			want: &cloudprovider.InstanceMetadata{
				ProviderID: "azure://" + uniformID("2"), InstanceType: "Standard_D4s_v5", Zone: "3", Region: "eastus",
				NodeAddresses: nodeAddresses("InternalIP 10.240.0.6", "InternalIP fd00:240::6", "Hostname np-uniform000002"),
			},
		},
		{
			name: "of a new node finds the instance by its host name",
			node: node("np-uniform000001", ""),
			want: &cloudprovider.InstanceMetadata{
				ProviderID:   "azure://" + "/subscriptions/" + subscription + "/resourceGroups/rig/providers/Microsoft.Compute/virtualMachineScaleSets/np-uniform/virtualMachines/1",
				InstanceType: "Standard_D4s_v5", Zone: "eastus-2", Region: "eastus",
				NodeAddresses: nodeAddresses("InternalIP 10.240.0.5", "InternalIP fd00:240::5", "Hostname np-uniform000001"),
			},
		},
		{
			name: "of a new node in a flexible scale set is named as a virtual machine",
			node: node("flexabc001", ""),
			want: &cloudprovider.InstanceMetadata{
				ProviderID: "azure://" + rig("Microsoft.Compute/virtualMachines/np-flex_3fb1a2"), InstanceType: "Standard_D2s_v5", Zone: "1", Region: "eastus",
				NodeAddresses: nodeAddresses("InternalIP 10.240.0.20", "Hostname flexabc001"),
			},
		},
		{
			name: "of a single machine in a zone",
			node: node("single-0", single0),
			want: &cloudprovider.InstanceMetadata{
				ProviderID: "azure://" + single0, InstanceType: "Standard_B2ms", Zone: "eastus-3", Region: "eastus",
				NodeAddresses: nodeAddresses("InternalIP 10.240.0.30", "Hostname single-0"),
			},
		},
		{
			name: "of a single machine in another group has its public address and the fault domain that the states tell",
			node: node("single-1", "", labelled(GroupLabel, "OTHER")),
			want: &cloudprovider.InstanceMetadata{
				ProviderID: "azure://" + single1, InstanceType: "Standard_B4ms", Zone: "2", Region: "eastus",
				NodeAddresses: nodeAddresses("InternalIP 10.240.0.31", "Hostname single-1", "ExternalIP 20.50.8.8"),
			},
		},
		{
			name: "of a node that Azure does not run is what the node says",
			node: node("outside", "", labelled(ManagedLabel, "false"), func(n *v1.Node) { n.Spec.ProviderID = "k3s://outside" }),
			want: &cloudprovider.InstanceMetadata{ProviderID: "k3s://outside"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFake(t)
			r, _ := newTestReader(f, options())
			before := tc.node.DeepCopy()
			got, err := r.Instances().InstanceMetadata(t.Context(), tc.node)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("metadata (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, tc.node); diff != "" {
				t.Errorf("the node was changed:\n%s", diff)
			}
			if n := f.count("GET"); n != 0 {
				t.Errorf("%d machines were asked for one by one: %q", n, f.calls)
			}
		})
	}
}

func TestAllNodesOfAScaleSetCostOneListEach(t *testing.T) {
	f := newFake(t)
	r, clock := newTestReader(f, options())
	ask := func() {
		t.Helper()
		for i, name := range []string{"np-uniform000000", "np-uniform000001", "np-uniform000002"} {
			if _, err := r.Instances().InstanceMetadata(t.Context(), node(name, uniformID(string(rune('0'+i))))); err != nil {
				t.Fatal(err)
			}
		}
	}
	ask()
	ask()
	set := rig("Microsoft.Compute/virtualMachineScaleSets/np-uniform")
	want := []string{
		"LIST " + strings.ToLower(set) + "/virtualmachines $expand",
		"LIST " + strings.ToLower(set) + "/networkinterfaces",
		"LIST " + strings.ToLower(set) + "/publicipaddresses",
	}
	if diff := cmp.Diff(want, f.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	clock.SetTime(clock.Now().Add(hitAge + time.Second))
	ask()
	if len(f.calls) != 2*len(want) {
		t.Errorf("later: %q", f.calls)
	}
}

func TestMetadataOfAMachineThatIsNotThereIsAnError(t *testing.T) {
	r, _ := newTestReader(newFake(t), options())
	meta, err := r.Instances().InstanceMetadata(t.Context(), node("gone", uniformID("99")))
	if meta != nil || !errors.Is(err, cloudprovider.InstanceNotFound) || !strings.Contains(err.Error(), "node gone: ") {
		t.Errorf("metadata %v, error %v", meta, err)
	}
}

func TestInstanceExists(t *testing.T) {
	single0 := rig("Microsoft.Compute/virtualMachines/single-0")
	for _, tc := range []struct {
		name  string
		node  *v1.Node
		setup func(*fakeARM, *Options)
		want  bool
		err   bool
		gets  int
	}{
		{name: "is true for a listed instance", node: node("a", uniformID("0")), want: true},
		{name: "is true for a listed machine", node: node("a", single0), want: true},
		{name: "is true for a new node by its host name", node: node("np-uniform000000", ""), want: true},
		{name: "is true for a node that Azure does not run", node: node("a", uniformID("9"), labelled(ManagedLabel, "false")), want: true},
		{name: "is false for an instance that neither the list nor Azure knows", node: node("a", uniformID("9")), gets: 1},
		{name: "is false for a machine of a group that is gone", node: node("a", groupPath("gone", "Microsoft.Compute/virtualMachines/x")), gets: 1},
		{
			name: "is true when the list is behind and the machine itself answers", node: node("a", single0), want: true, gets: 1,
			setup: func(f *fakeARM, _ *Options) {
				f.fail[rig("microsoft.compute/virtualmachines")] = answer(http.StatusNotFound, "ResourceGroupNotFound")
			},
		},
		{
			name: "is true for a new node in its grace period", want: true,
			node:  node("a", uniformID("9"), created(time.Date(2026, 8, 1, 11, 59, 30, 0, time.UTC))),
			setup: func(_ *fakeARM, o *Options) { o.Grace = time.Minute },
		},
		{
			name: "is false after the grace period", gets: 1,
			node:  node("a", uniformID("9"), created(time.Date(2026, 8, 1, 11, 58, 0, 0, time.UTC))),
			setup: func(_ *fakeARM, o *Options) { o.Grace = time.Minute },
		},
		{
			name: "is not known when the list fails", node: node("a", single0), err: true,
			setup: func(f *fakeARM, _ *Options) {
				f.fail[strings.ToLower(rig("Microsoft.Compute/virtualMachines"))] = answer(http.StatusForbidden, "AuthorizationFailed")
			},
		},
		{
			name: "is not known when the subscription is not there", node: node("a", single0), err: true,
			setup: func(f *fakeARM, _ *Options) {
				f.fail[strings.ToLower(rig("Microsoft.Compute/virtualMachines"))] = answer(http.StatusNotFound, "SubscriptionNotFound")
			},
		},
		{
			name: "is not known when the machine itself cannot be asked for", node: node("a", uniformID("9")), err: true, gets: 1,
			setup: func(f *fakeARM, _ *Options) {
				f.fail[strings.ToLower(uniformID("9"))] = answer(http.StatusTooManyRequests, "TooManyRequests")
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, o := newFake(t), options()
			if tc.setup != nil {
				tc.setup(f, &o)
			}
			for path, err := range f.fail {
				f.fail[strings.ToLower(path)] = err
			}
			r, _ := newTestReader(f, o)
			got, err := r.Instances().InstanceExists(t.Context(), tc.node)
			if got != tc.want || (err != nil) != tc.err {
				t.Errorf("exists %v, error %v", got, err)
			}
			if n := f.count("GET"); n != tc.gets {
				t.Errorf("%d GETs, want %d: %q", n, tc.gets, f.calls)
			}
		})
	}
}

func TestAMissingMachineIsLookedForAgainOncePerWindow(t *testing.T) {
	f := newFake(t)
	r, clock := newTestReader(f, options())
	ask := func() {
		t.Helper()
		for _, id := range []string{"0", "8", "9"} {
			if ok, err := r.Instances().InstanceExists(t.Context(), node("n", uniformID(id))); err != nil || ok != (id == "0") {
				t.Fatalf("instance %s: %v, %v", id, ok, err)
			}
		}
	}
	ask()
	ask()
	if lists, gets := f.count("LIST"), f.count("GET"); lists != 1 || gets != 2 {
		t.Errorf("%d lists and %d gets at first: %q", lists, gets, f.calls)
	}
	clock.SetTime(clock.Now().Add(missAge + time.Second))
	ask()
	ask()
	if lists, gets := f.count("LIST"), f.count("GET"); lists != 2 || gets != 4 {
		t.Errorf("%d lists and %d gets in the second window: %q", lists, gets, f.calls)
	}
}

func TestInstanceShutdown(t *testing.T) {
	single0, single1 := rig("Microsoft.Compute/virtualMachines/single-0"), groupPath("other", "Microsoft.Compute/virtualMachines/single-1")
	flex := rig("Microsoft.Compute/virtualMachines/np-flex_3fb1a2")
	subscriptionList := "/subscriptions/" + subscription + "/providers/microsoft.compute/virtualmachines"
	for _, tc := range []struct {
		name  string
		id    string
		setup func(*testing.T, *fakeARM)
		want  bool
		gets  int
	}{
		{name: "an instance that runs is not", id: uniformID("0")},
		{name: "an instance that is deallocated is", id: uniformID("2"), want: true},
		{name: "a machine that runs is not", id: single0},
		{name: "a machine that is deallocated is", id: single1, want: true},
		{name: "a machine of a flexible scale set that runs is not", id: flex},
		{
			name: "a machine of a flexible scale set that is stopped is", id: flex, want: true,
			setup: func(t *testing.T, f *fakeARM) {
				t.Helper()
				f.edit(t, flex, `{"statuses":[{"code":"PowerState/stopped"}]}`, "properties", "instanceView")
			},
		},
		{
			name: "a machine that is being changed is not yet", id: uniformID("2"),
			setup: func(t *testing.T, f *fakeARM) {
				t.Helper()
				f.edit(t, uniformID("2"), `"Updating"`, "properties", "provisioningState")
			},
		},
		{
			name: "a machine is asked for itself where the identity may not list the subscription", id: single1, want: true, gets: 1,
			setup: func(_ *testing.T, f *fakeARM) {
				f.fail[subscriptionList] = answer(http.StatusForbidden, "AuthorizationFailed")
			},
		},
		{name: "a machine that is not there is not", id: uniformID("9")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFake(t)
			if tc.setup != nil {
				tc.setup(t, f)
			}
			r, _ := newTestReader(f, options())
			for range 2 {
				got, err := r.Instances().InstanceShutdown(t.Context(), node("n", tc.id))
				if err != nil || got != tc.want {
					t.Errorf("shut down %v, %v", got, err)
				}
			}
			if n := f.count("GET"); n != tc.gets {
				t.Errorf("%d GETs, want %d: %q", n, tc.gets, f.calls)
			}
			if n := f.count("LIST " + subscriptionList); n > 1 {
				t.Errorf("%d lists of the subscription", n)
			}
		})
	}
}

func TestDeniedListIsTriedAgainInTime(t *testing.T) {
	list := "/subscriptions/" + subscription + "/providers/microsoft.compute/virtualmachines"
	f := newFake(t)
	f.fail[list] = answer(http.StatusForbidden, "AuthorizationFailed")
	r, clk := newTestReader(f, options())
	for range 5 { // more often than it is tried
		if _, err := r.Instances().InstanceShutdown(t.Context(), node("n", rig("Microsoft.Compute/virtualMachines/single-0"))); err != nil {
			t.Fatal(err)
		}
		clk.SetTime(clk.Now().Add(denyPeriod / 2))
	}
	if n := f.count("LIST " + list); n != 3 {
		t.Errorf("%d lists within %s, want one every %s: %q", n, 2*denyPeriod, denyPeriod, f.calls)
	}
}
