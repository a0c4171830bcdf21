// SPDX-License-Identifier: Apache-2.0

package machines

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/test/goldenfile"
)

func poolID(lb, name string) string {
	return "/subscriptions/" + subscription + "/resourceGroups/rig/providers/Microsoft.Network/loadBalancers/" + lb + "/backendAddressPools/" + name
}

var (
	public   = Pool{ID: poolID("kubernetes", "kubernetes"), Family: intent.V4, Serves: []plan.Key{{Namespace: "default", Name: "web"}}}
	public6  = Pool{ID: poolID("kubernetes", "kubernetes-IPv6"), Family: intent.V6, Serves: []plan.Key{{Namespace: "default", Name: "web"}}}
	internal = Pool{
		ID: poolID("kubernetes-internal", "kubernetes"), Family: intent.V4, Serves: []plan.Key{{Namespace: "default", Name: "db"}},
		Needs: []plan.ID{{Kind: "azure/loadBalancer", Name: "kubernetes-internal"}},
	}
)

// allNodes are the nodes of the fixture, of every kind of machine.
func allNodes() []*v1.Node {
	return []*v1.Node{
		node("u0", uniformID("0")), node("u1", uniformID("1")), node("u2", uniformID("2")),
		node("flex", rig("Microsoft.Compute/virtualMachines/np-flex_3fb1a2")),
		node("s0", rig("Microsoft.Compute/virtualMachines/single-0")),
		node("s1", groupPath("other", "Microsoft.Compute/virtualMachines/single-1")),
	}
}

func observe(t *testing.T, r *Reader, w Wish) *Snapshot {
	t.Helper()
	scope := Scope{Nodes: slices.Concat(w.Nodes, w.Excluded)}
	for _, p := range slices.Concat(w.Join, w.Leave) {
		scope.Pools = append(scope.Pools, p.ID)
	}
	snap, err := r.Observe(t.Context(), scope)
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

func decide(t *testing.T, r *Reader, w Wish) *Membership {
	t.Helper()
	w.ResourceGroup = "rig"
	m, err := observe(t, r, w).Decide(w)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// show prints a membership with the bodies that are sent.
func show(t *testing.T, m *Membership, pools ...Pool) string {
	t.Helper()
	var b strings.Builder
	for _, s := range m.Steps {
		fmt.Fprintf(&b, "%s\n", s.Target)
		for _, d := range s.Why {
			fmt.Fprintf(&b, "  %s: %q -> %q\n", d.Field, d.Have, d.Want)
		}
		for _, n := range s.Needs {
			fmt.Fprintf(&b, "  needs %s\n", n)
		}
		for _, k := range s.Serves {
			fmt.Fprintf(&b, "  serves %s\n", k)
		}
		w := m.Writes[s.Target]
		body, err := w.body(w.doc)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "  etag %s\n", w.etag)
		pretty, err := json.MarshalIndent(body, "  ", " ")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "  %s\n", pretty)
	}
	for _, p := range pools {
		for _, id := range m.Leaving(p.ID) {
			fmt.Fprintf(&b, "%s goes after %s\n", label(p.ID), id)
		}
	}
	for _, n := range m.Notices {
		fmt.Fprintf(&b, "%s: %s\n", n.Node, n.Message)
	}
	for _, n := range m.Waiting {
		fmt.Fprintf(&b, "%s is to be looked at again\n", n)
	}
	return b.String()
}

func TestDecide(t *testing.T) {
	nodes := allNodes()
	for _, tc := range []struct {
		name string
		wish Wish
	}{
		{"joins_what_is_missing", Wish{Join: []Pool{public, public6}, Nodes: nodes}},
		{"joins_the_internal_pool_after_its_balancer", Wish{Join: []Pool{internal}, Nodes: nodes[:2]}},
		{"leaves_with_the_balancer", Wish{Leave: []Pool{public, public6}, Nodes: nodes}},
		{"moves_from_one_balancer_to_the_other", Wish{Join: []Pool{internal}, Leave: []Pool{public}, Nodes: nodes[:1]}},
		{"takes_excluded_nodes_out", Wish{Join: []Pool{public, internal}, Excluded: nodes[4:5]}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, _ := newTestReader(newFake(t), options())
			goldenfile.Check(t, filepath.Join("testdata", tc.name+".txt"), show(t, decide(t, r, tc.wish), tc.wish.Leave...))
		})
	}
}

// Who is in a pool serves, whatever else is done to its machine; unless that is
// switched off.
func TestJoinedAreMachinesThatRunInThePool(t *testing.T) {
	f := newFake(t)
	r, _ := newTestReader(f, options())
	for _, w := range decide(t, r, Wish{Join: []Pool{public}, Nodes: allNodes()[:1]}).Writes {
		if err := r.Write(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	for _, state := range []string{"Succeeded", "Updating", "Failed"} {
		snap := observe(t, r, Wish{Join: []Pool{public}})
		for i := range snap.Machines {
			snap.Machines[i].Provisioning = state
		}
		for _, power := range []string{"running", "deallocated"} {
			for i := range snap.Machines {
				snap.Machines[i].Power = power
			}
			m, err := snap.Decide(Wish{Join: []Pool{public, internal}, Nodes: allNodes()[:1]})
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Joined(public.ID); got != (power == "running") || m.Joined(internal.ID) {
				t.Errorf("%s and %s: joined %t and %t", state, power, got, m.Joined(internal.ID))
			}
		}
	}
}

func TestWritingADecisionLeavesNothingToDecide(t *testing.T) {
	for _, wish := range []Wish{
		{Join: []Pool{public, public6}, Nodes: allNodes()},
		{Join: []Pool{public, internal}, Nodes: allNodes()},
		{Leave: []Pool{public, public6, internal}, Nodes: allNodes()},
		{Join: []Pool{internal}, Leave: []Pool{public}, Nodes: allNodes()[:2], Excluded: allNodes()[4:]},
	} {
		f := newFake(t)
		r, clock := newTestReader(f, options())
		first := decide(t, r, wish)
		if len(first.Steps) == 0 {
			t.Fatal("nothing to do")
		}
		for range 2 { // the same again, as after lost answers
			for _, s := range first.Steps {
				if err := r.Write(t.Context(), first.Writes[s.Target]); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n := len(f.sent); n != len(first.Steps) {
			t.Errorf("%d writes, want %d", n, len(first.Steps))
		}
		clock.SetTime(clock.Now().Add(time.Second))
		if again := decide(t, r, wish); len(again.Steps) != 0 {
			t.Errorf("after the writes:\n%s", show(t, again))
		}
	}
}

func TestOtherWritersAreNotOverwritten(t *testing.T) {
	f := newFake(t)
	r, _ := newTestReader(f, options())
	wish := Wish{Join: []Pool{public}, Nodes: allNodes()}
	m := decide(t, r, wish)
	theirs := poolID("theirs", "web")
	for id, path := range map[string][]string{
		uniformID("1"): instanceForm.path(),
		rig("Microsoft.Network/networkInterfaces/flex-nic-1"): nil,
	} {
		f.edit(t, id, `"\"changed\""`, "etag")
		if path == nil {
			f.edit(t, id, `{"theirs":"1"}`, "tags")
		} else {
			f.edit(t, id, `"theirs"`, "properties", "networkProfileConfiguration", "unknown")
		}
	}
	for _, s := range m.Steps {
		if err := r.Write(t.Context(), m.Writes[s.Target]); err != nil {
			t.Fatal(err)
		}
	}
	nic := string(f.docs[strings.ToLower(rig("Microsoft.Network/networkInterfaces/flex-nic-1"))])
	if !strings.Contains(nic, public.ID) {
		t.Error("the interface has not joined")
	}
	sent := slices.IndexFunc(f.sent, func(b json.RawMessage) bool { return strings.Contains(string(b), `"theirs":"1"`) })
	if sent < 0 {
		t.Error("the interface was written as it was observed, not as it was read before the write")
	}
	if !slices.ContainsFunc(f.sent, func(b json.RawMessage) bool { return strings.Contains(string(b), `"unknown":"theirs"`) }) {
		t.Error("the instance was not read again after the conflict")
	}
	if strings.Contains(nic, theirs) {
		t.Error("a foreign pool came in")
	}
}

func TestAConflictThatStaysIsReported(t *testing.T) {
	f := newFake(t)
	r, _ := newTestReader(f, options())
	m := decide(t, r, Wish{Join: []Pool{public}, Nodes: allNodes()[1:2]})
	n := 0
	f.spoil = func(id string) {
		n++
		f.edit(t, id, fmt.Sprintf(`"\"other%d\""`, n), "etag")
	}
	id := plan.ID{Kind: KindInstance, Name: "np-uniform/1"}
	if err := r.Write(t.Context(), m.Writes[id]); plan.KindOf(err) != plan.Conflict || err == nil {
		t.Errorf("error %v", err)
	}
}

func TestWhatIsGoneNeedsNoWrite(t *testing.T) {
	f := newFake(t)
	r, _ := newTestReader(f, options())
	m := decide(t, r, Wish{Join: []Pool{public}, Nodes: allNodes()})
	for _, id := range []string{uniformID("1"), rig("Microsoft.Network/networkInterfaces/flex-nic-1")} {
		f.remove(id)
	}
	for _, s := range m.Steps {
		if err := r.Write(t.Context(), m.Writes[s.Target]); err != nil {
			t.Errorf("%s: %v", s.Target, err)
		}
	}
}

// state is a recorded state of a cloud.
type state struct {
	Nodes []*v1.Node `json:"nodes"`
	State struct {
		Resources []json.RawMessage `json:"resources"`
	} `json:"state"`
}

func loadState(t *testing.T, name string) (*fakeARM, []*v1.Node) {
	t.Helper()
	raw, err := os.ReadFile("../testdata/golden/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var s state
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	f := &fakeARM{docs: map[string]json.RawMessage{}, fail: map[string]error{}}
	for _, d := range s.State.Resources {
		f.add(t, d)
	}
	return f, s.Nodes
}

func TestAdoptedStatesNeedNoWrite(t *testing.T) {
	internal6 := Pool{ID: poolID("kubernetes-internal", "kubernetes-IPv6"), Family: intent.V6}
	for name, pools := range map[string][]Pool{
		"vmss-nic.public-one-port.json": {public},
		"vmss-nic.local-policy.json":    {public},
		"vmss-nic.dual-stack.json":      {public, public6, internal, internal6},
	} {
		t.Run(name, func(t *testing.T) {
			f, nodes := loadState(t, name)
			r, _ := newTestReader(f, options())
			m := decide(t, r, Wish{Join: pools, Nodes: nodes})
			if text := show(t, m); text != "" {
				t.Error(text)
			}
			if len(f.calls) != 2 {
				t.Errorf("%d reads: %q", len(f.calls), f.calls)
			}
			if m := decide(t, r, Wish{Join: pools, Nodes: nodes[:2]}); len(m.Steps) != 0 {
				t.Errorf("a node less:\n%s", show(t, m))
			}
		})
	}
}
