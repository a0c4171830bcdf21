// SPDX-License-Identifier: Apache-2.0

package machines_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/arm"
	"github.com/fairlead/fairlead/pkg/provider/azure/machines"
	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

type token string

func (t token) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(t), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// rig is a simulated cloud with machines of every kind.
type rig struct {
	*machines.Reader
	client *arm.Client
	cloud  *azuresim.Cloud
	site   *azuresim.Site
	nodes  []*v1.Node
	set    string // id of the uniform scale set
}

func newRig(t *testing.T, cloud *azuresim.Cloud) *rig {
	t.Helper()
	server := cloud.Start()
	t.Cleanup(server.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client, err := arm.New(arm.Options{
		Cloud:     arm.Cloud{Endpoint: server.URL, Audience: "https://management.azure.com/", Authority: "https://login.example.com/"},
		Identity:  arm.Identity{Credential: token("a-long-enough-token")},
		Times:     arm.Times{Poll: time.Millisecond, Retry: time.Millisecond},
		Transport: &http.Client{Transport: transport},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &rig{
		Reader: machines.NewReader(client, clock.RealClock{}, machines.Options{
			Subscription: azuresim.DefaultSubscription, ResourceGroup: "rig", VMType: machines.VMSS,
		}),
		client: client, cloud: cloud,
	}
}

// newMixedRig has three instances, two machines of a flexible scale set, and
// two single ones, all nodes.
func newMixedRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, azuresim.New(azuresim.Options{MaxRetryAfter: time.Nanosecond, PageSize: 2}))
	site, err := r.cloud.NewSite(azuresim.SiteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r.site, r.set = site, site.UniformScaleSet("uni", 3)
	for i := range 3 {
		r.addNode(fmt.Sprintf("uni00000%d", i), fmt.Sprintf("%s/virtualMachines/%d", r.set, i))
	}
	if _, err := site.FlexScaleSet("flex", 2); err != nil {
		t.Fatal(err)
	}
	if _, err := site.Machines("vm", 2); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"flex000000", "flex000001", "vm000000", "vm000001"} {
		r.addNode(name, r.cloud.ID("rig", azuresim.Machines, name))
	}
	return r
}

func (r *rig) addNode(name, id string) {
	r.nodes = append(r.nodes, &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1.NodeSpec{ProviderID: "azure://" + id}})
}

// balancer makes a load balancer with one pool.
func (r *rig) balancer(t *testing.T, name string) machines.Pool {
	t.Helper()
	id := r.cloud.ID("rig", azuresim.LoadBalancers, name)
	_, err := r.cloud.Make(id, map[string]any{
		"location": "eastus", "sku": map[string]any{"name": "Standard"},
		"properties": map[string]any{"backendAddressPools": []any{map[string]any{"name": "kubernetes"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return machines.Pool{ID: id + "/backendAddressPools/kubernetes", Family: intent.V4}
}

// inPool counts the members of a pool.
func (r *rig) inPool(t *testing.T, p machines.Pool) int {
	t.Helper()
	doc, _ := r.cloud.Get(p.ID)
	var pool struct {
		Properties struct {
			Members []json.RawMessage `json:"backendIPConfigurations"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(doc, &pool); err != nil {
		t.Fatal(err)
	}
	return len(pool.Properties.Members)
}

func (r *rig) decide(t *testing.T, w machines.Wish) *machines.Membership {
	t.Helper()
	scope := machines.Scope{Nodes: slices.Concat(w.Nodes, w.Excluded), NotBefore: time.Now()}
	for _, p := range slices.Concat(w.Join, w.Leave) {
		scope.Pools = append(scope.Pools, p.ID)
	}
	snap, err := r.Observe(t.Context(), scope)
	if err != nil {
		t.Fatal(err)
	}
	w.ResourceGroup = "rig"
	m, err := snap.Decide(w)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// write does all steps, side by side where they do not need each other.
func (r *rig) write(t *testing.T, m *machines.Membership) {
	t.Helper()
	for _, models := range []bool{true, false} {
		var all sync.WaitGroup
		for _, s := range m.Steps {
			if (s.Target.Kind == machines.KindScaleSet) != models {
				continue
			}
			all.Go(func() {
				if err := r.Write(t.Context(), m.Writes[s.Target]); err != nil {
					t.Errorf("%s: %v", s.Target, err)
				}
			})
		}
		all.Wait()
	}
}

func targets(m *machines.Membership) string {
	var out []string
	for _, s := range m.Steps {
		out = append(out, s.Target.String())
	}
	return strings.Join(out, "\n")
}

func TestMachinesOfEveryKindJoinAndLeave(t *testing.T) {
	r := newMixedRig(t)
	pool := r.balancer(t, "kubernetes")
	r.cloud.ResetCalls()
	join := machines.Wish{Join: []machines.Pool{pool}, Nodes: r.nodes}
	m := r.decide(t, join)
	if n := sim.Total(r.cloud.Counts().Reads); n != 4 {
		t.Errorf("%d reads for a cluster of every kind", n)
	}
	r.write(t, m)
	if n := r.inPool(t, pool); n != 7 {
		t.Errorf("%d members", n)
	}
	if n := sim.Total(r.cloud.Counts().Writes); n != len(m.Steps) || n != 9 {
		t.Errorf("%d writes for %d steps", n, len(m.Steps))
	}
	if again := r.decide(t, join); len(again.Steps) != 0 {
		t.Errorf("still to do:\n%s", targets(again))
	}

	if err := r.cloud.Remove(strings.TrimSuffix(pool.ID, "/backendAddressPools/kubernetes")); err == nil {
		t.Error("the balancer could be removed with its members")
	}
	leave := machines.Wish{Leave: []machines.Pool{pool}, Nodes: r.nodes}
	m = r.decide(t, leave)
	if n := len(m.Leaving(pool.ID)); n != 9 {
		t.Errorf("the balancer goes after %d steps", n)
	}
	r.write(t, m)
	if n := r.inPool(t, pool); n != 0 {
		t.Errorf("%d members left", n)
	}
	if err := r.cloud.Remove(strings.TrimSuffix(pool.ID, "/backendAddressPools/kubernetes")); err != nil {
		t.Error(err)
	}
}

func TestAnInstanceThatComesWithItsScaleSetCostsNoWrite(t *testing.T) {
	r := newMixedRig(t)
	pool := r.balancer(t, "kubernetes")
	r.nodes = r.nodes[:3]
	join := machines.Wish{Join: []machines.Pool{pool}, Nodes: r.nodes}
	r.write(t, r.decide(t, join))
	if err := r.cloud.Scale(r.set, 4); err != nil {
		t.Fatal(err)
	}
	if m := r.decide(t, join); len(m.Steps) != 0 {
		t.Errorf("before its node is there:\n%s", targets(m))
	}
	r.cloud.ResetCalls()
	r.addNode("uni000003", r.set+"/virtualMachines/3")
	join.Nodes = r.nodes
	if m := r.decide(t, join); len(m.Steps) != 0 {
		t.Errorf("with its node:\n%s", targets(m))
	}
	if n := sim.Total(r.cloud.Counts().Reads); n != 2 {
		t.Errorf("%d reads", n)
	}
	if n := r.inPool(t, pool); n != 4 {
		t.Errorf("%d members", n)
	}
}

func TestAnExcludedNodeLeavesAndTheOthersStay(t *testing.T) {
	r := newMixedRig(t)
	pool, internal := r.balancer(t, "kubernetes"), r.balancer(t, "kubernetes-internal")
	pools := []machines.Pool{pool, internal}
	r.write(t, r.decide(t, machines.Wish{Join: pools, Nodes: r.nodes}))
	m := r.decide(t, machines.Wish{Join: pools, Nodes: r.nodes[1:6], Excluded: []*v1.Node{r.nodes[0], r.nodes[6]}})
	if got, want := targets(m), "azure/scaleSetInstance uni/0\nazure/networkInterface vm000001-nic"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	r.write(t, m)
	if a, b := r.inPool(t, pool), r.inPool(t, internal); a != 5 || b != 5 {
		t.Errorf("%d and %d members", a, b)
	}
}

func TestWritesSurviveConflictsAndLostAnswers(t *testing.T) {
	for name, fault := range map[string]*azuresim.Fault{
		"lost after commit": azuresim.Drop(azuresim.After),
		"lost before":       azuresim.Drop(azuresim.Before),
		"precondition":      azuresim.Refuse(http.StatusPreconditionFailed, "PreconditionFailed", 0),
		"conflict":          azuresim.Refuse(http.StatusConflict, "Conflict", 0),
		"error":             azuresim.Refuse(http.StatusInternalServerError, "InternalServerError", 0),
	} {
		t.Run(name, func(t *testing.T) {
			r := newMixedRig(t)
			pool := r.balancer(t, "kubernetes")
			join := machines.Wish{Join: []machines.Pool{pool}, Nodes: r.nodes}
			var mu sync.Mutex
			seen := map[string]bool{}
			r.cloud.SetFault(func(c azuresim.Call) *azuresim.Fault {
				mu.Lock()
				defer mu.Unlock()
				if c.Kind != azuresim.Write || seen[c.ID] {
					return nil
				}
				seen[c.ID] = true
				return fault
			})
			for range 4 { // passes
				m := r.decide(t, join)
				for _, s := range m.Steps {
					if err := r.Write(t.Context(), m.Writes[s.Target]); err != nil && plan.KindOf(err) != plan.Transient && plan.KindOf(err) != plan.Conflict {
						t.Errorf("%s: %v", s.Target, err)
					}
				}
			}
			if m := r.decide(t, join); len(m.Steps) != 0 || r.inPool(t, pool) != 7 {
				t.Errorf("%d members, still to do:\n%s", r.inPool(t, pool), targets(m))
			}
		})
	}
}

func TestInstancesOverTheWire(t *testing.T) {
	r := newMixedRig(t)
	in := r.Instances()
	r.cloud.ResetCalls()
	for _, n := range r.nodes {
		meta, err := in.InstanceMetadata(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		if meta.ProviderID != n.Spec.ProviderID || meta.InstanceType != "Standard_D4s_v5" || meta.Region != "eastus" || meta.Zone != "0" || len(meta.NodeAddresses) != 2 {
			t.Errorf("%s: %+v", n.Name, meta)
		}
		fresh := n.DeepCopy()
		fresh.Spec.ProviderID = ""
		if again, err := in.InstanceMetadata(t.Context(), fresh); err != nil || again.ProviderID != n.Spec.ProviderID {
			t.Errorf("%s by its name: %+v, %v", n.Name, again, err)
		}
		if down, err := in.InstanceShutdown(t.Context(), n); down || err != nil {
			t.Errorf("%s is shut down: %v, %v", n.Name, down, err)
		}
	}
	if n := sim.Total(r.cloud.Counts().Reads); n > 8 {
		t.Errorf("%d reads for %d nodes: %v", n, len(r.nodes), r.cloud.Counts().Reads)
	}
}

func TestShutdownAndGoneOverTheWire(t *testing.T) {
	r := newMixedRig(t)
	for _, n := range r.nodes {
		id := strings.TrimPrefix(n.Spec.ProviderID, "azure://")
		if err := r.cloud.SetPower(id, "deallocated"); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range r.nodes {
		if down, err := r.Instances().InstanceShutdown(t.Context(), n); !down || err != nil {
			t.Errorf("%s is shut down: %v, %v", n.Name, down, err)
		}
	}
	r = newMixedRig(t)
	gone := []*v1.Node{r.nodes[0], r.nodes[3], r.nodes[6]}
	for _, n := range gone {
		if err := r.cloud.Remove(strings.TrimPrefix(n.Spec.ProviderID, "azure://")); err != nil {
			t.Fatal(err)
		}
	}
	for i, n := range r.nodes {
		exists, err := r.Instances().InstanceExists(t.Context(), n)
		if want := i != 0 && i != 3 && i != 6; exists != want || err != nil {
			t.Errorf("%s exists: %v, %v", n.Name, exists, err)
		}
	}
}

func TestRecordedStatesOverTheWireNeedNoWrite(t *testing.T) {
	raw, err := os.ReadFile("../testdata/golden/vmss-nic.public-one-port.json")
	if err != nil {
		t.Fatal(err)
	}
	var state struct {
		Nodes []*v1.Node `json:"nodes"`
		State struct {
			Resources []json.RawMessage `json:"resources"`
		} `json:"state"`
	}
	if err := json.Unmarshal(raw, &state); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, azuresim.New(azuresim.Options{}))
	if err := r.cloud.Seed(state.State.Resources); err != nil {
		t.Fatal(err)
	}
	pool := machines.Pool{ID: r.cloud.ID("rig", azuresim.LoadBalancers, "kubernetes") + "/backendAddressPools/kubernetes", Family: intent.V4}
	if m := r.decide(t, machines.Wish{Join: []machines.Pool{pool}, Nodes: state.Nodes}); len(m.Steps) != 0 {
		t.Errorf("to do:\n%s", targets(m))
	}
	for _, n := range state.Nodes {
		meta, err := r.Instances().InstanceMetadata(t.Context(), n)
		if err != nil || meta.ProviderID != n.Spec.ProviderID {
			t.Fatalf("%+v, %v", meta, err)
		}
		for i, a := range meta.NodeAddresses {
			if a != n.Status.Addresses[i] {
				t.Errorf("%s has address %v, was %v", n.Name, a, n.Status.Addresses[i])
			}
		}
	}
}
