// SPDX-License-Identifier: Apache-2.0

package machines

import (
	"slices"
	"testing"
	"time"
)

func TestMachinesAreInPoolsOnceTheyAreWritten(t *testing.T) {
	r, clock := newTestReader(newFake(t), options())
	wish := Wish{Join: []Pool{public}, Nodes: allNodes()}
	in := func(m *Membership) []string {
		var out []string
		for _, n := range wish.Nodes {
			has, known := m.Has(n, public.ID)
			if !known {
				t.Errorf("of %s it is not known", n.Name)
			}
			if has {
				out = append(out, n.Name)
			}
		}
		return out
	}
	m := decide(t, r, wish)
	before := in(m)
	if len(before)+len(m.Steps) < len(wish.Nodes) || len(before) == len(wish.Nodes) {
		t.Errorf("%q are in the pool, and %d steps are to be done", before, len(m.Steps))
	}
	for _, st := range m.Steps {
		if err := r.Write(t.Context(), m.Writes[st.Target]); err != nil {
			t.Fatal(err)
		}
	}
	clock.SetTime(clock.Now().Add(time.Second))
	m = decide(t, r, wish)
	var want []string // all but those that cannot be
	for _, n := range wish.Nodes {
		if !slices.ContainsFunc(m.Notices, func(x Notice) bool { return x.Node == n.Name }) {
			want = append(want, n.Name)
		}
	}
	if after := in(m); !slices.Equal(after, want) || len(after) <= len(before) {
		t.Errorf("%q are in the pool, want %q", after, want)
	}
}

func TestOfMachinesThatWereNotObservedNothingIsKnown(t *testing.T) {
	r, _ := newTestReader(newFake(t), options())
	m := decide(t, r, Wish{Join: []Pool{public}, Nodes: allNodes()})
	if in, known := m.Has(node("stranger", uniformID("99")), public.ID); in || known {
		t.Errorf("in %t, known %t", in, known)
	}
	if in, known := (&Membership{}).Has(allNodes()[0], public.ID); in || known {
		t.Errorf("of nothing observed: in %t, known %t", in, known)
	}
}
