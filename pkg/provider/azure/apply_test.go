// SPDX-License-Identifier: Apache-2.0

package azure_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// apply does the steps of the batch's plan as a cloud that fills in what a
// cloud does, and returns the plan. Shared steps are computed again, as the
// execution does.
func (s *site) apply(t testing.TB, batch provider.Batch, without map[plan.Key]bool) *azure.Result {
	t.Helper()
	first, err := azure.Compute(azure.Input{Settings: &s.settings, Observed: &s.observed, Batch: batch, Without: without})
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.New(first.Steps)
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range p.Steps {
		s.step(t, st, first, azure.Input{Settings: &s.settings, Observed: &s.observed, Batch: batch, Without: without})
	}
	return first
}

func (s *site) step(t testing.TB, st plan.Step, first *azure.Result, in azure.Input) {
	t.Helper()
	w := first.Writes[st.Target]
	if st.Shared {
		again, err := first.Rewrite(in, st.Target)
		if err != nil || again.Empty() || len(again.Left) > 0 {
			t.Fatalf("%s: nothing to write any more, %v, %v", st.Target, again.Left, err)
		}
		w = again.Write
	}
	switch {
	case w.Incomplete:
		t.Fatalf("%s: an address is not known: %s", st.Target, w.Document)
	case w.Delete:
		s.unused(t, w.ID)
		s.observed.Learn(w.ID, nil)
	default:
		s.observed.Learn(w.ID, s.answer(t, w))
	}
}

// answer is the document as the cloud gives it back.
func (s *site) answer(t testing.TB, w azure.Write) json.RawMessage {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(w.Document, &doc); err != nil {
		t.Fatal(err)
	}
	s.serial++
	doc["id"], doc["name"], doc["etag"] = w.ID, names.Last(w.ID), fmt.Sprintf(`W/"%d"`, s.serial)
	properties, _ := doc["properties"].(map[string]any)
	switch {
	case strings.Contains(w.ID, "publicIPAddresses") && properties["ipAddress"] == nil:
		properties["ipAddress"] = fmt.Sprintf("20.60.%d.%d", s.serial/250, s.serial%250)
		if properties["publicIPAddressVersion"] == "IPv6" {
			properties["ipAddress"] = fmt.Sprintf("2603:1030::%x", s.serial)
		}
	case strings.Contains(w.ID, "loadBalancers"):
		for _, f := range list(properties["frontendIPConfigurations"]) {
			fp, _ := f["properties"].(map[string]any)
			if fp["subnet"] != nil && fp["privateIPAddress"] == nil {
				s.serial++
				fp["privateIPAddress"] = netip.AddrFrom4([4]byte{10, 240, 1, byte(s.serial)}).String()
				if fp["privateIPAddressVersion"] == "IPv6" {
					fp["privateIPAddress"] = fmt.Sprintf("fd00:240::%x", s.serial)
				}
			}
			f["id"] = names.Child(w.ID, names.Frontends, f["name"].(string))
		}
		if err := sound(doc, w.ID); err != nil {
			t.Fatalf("%s: %v", w.ID, err)
		}
		s.attached(t, doc, w.ID)
	case strings.Contains(w.ID, "networkSecurityGroups"):
		taken := map[any]any{}
		for _, r := range list(properties["securityRules"]) {
			rp, _ := r["properties"].(map[string]any)
			if other, has := taken[rp["priority"]]; has {
				t.Fatalf("%s and %s have priority %v", other, r["name"], rp["priority"])
			}
			taken[rp["priority"]] = r["name"]
		}
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// attached checks the public IPs of a load balancer: each is there, and of no
// other one.
func (s *site) attached(t testing.TB, doc map[string]any, id string) {
	t.Helper()
	properties, _ := doc["properties"].(map[string]any)
	for _, f := range list(properties[names.Frontends]) {
		fp, _ := f["properties"].(map[string]any)
		ref, ok := fp["publicIPAddress"].(map[string]any)
		if !ok {
			continue
		}
		pip, _ := ref["id"].(string)
		if s.doc(pip) == nil {
			t.Fatalf("%s: public IP %s is not there", id, pip)
		}
		for _, other := range s.observed.LoadBalancers {
			var h struct{ ID string }
			if json.Unmarshal(other, &h) == nil && !names.Same(h.ID, id) && strings.Contains(names.Key(string(other)), names.Key(pip)+`"`) {
				t.Fatalf("%s: public IP %s is attached to %s", id, pip, h.ID)
			}
		}
	}
}

// unused checks that nothing uses what is deleted.
func (s *site) unused(t testing.TB, id string) {
	t.Helper()
	docs := slices.Clone(s.observed.LoadBalancers)
	for _, links := range s.observed.PrivateLinks {
		docs = append(docs, links...)
	}
	for _, doc := range docs {
		var h struct{ ID string }
		if json.Unmarshal(doc, &h) == nil && !names.Same(h.ID, id) && strings.Contains(names.Key(string(doc)), names.Key(id)) &&
			(strings.Contains(id, "publicIPAddresses") || strings.Contains(h.ID, "privateLinkServices")) {
			t.Fatalf("%s is deleted, but %s uses it", id, h.ID)
		}
	}
}

func list(v any) []map[string]any {
	items, _ := v.([]any)
	out := make([]map[string]any, 0, len(items))
	for _, i := range items {
		if m, ok := i.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// sound checks that what a load balancer refers to is in it.
func sound(doc map[string]any, id string) error {
	properties, _ := doc["properties"].(map[string]any)
	has := map[string]bool{}
	for _, part := range []string{names.Frontends, names.Pools, names.Probes} {
		for _, e := range list(properties[part]) {
			has[names.Key(names.Child(id, part, e["name"].(string)))] = true
		}
	}
	for _, r := range list(properties[names.Rules]) {
		rp, _ := r["properties"].(map[string]any)
		for _, part := range []string{"frontendIPConfiguration", "backendAddressPool", "probe"} {
			ref, ok := rp[part].(map[string]any)
			if ok && !has[names.Key(ref["id"].(string))] {
				return fmt.Errorf("rule %s: %s %s is not there", r["name"], part, ref["id"])
			}
		}
	}
	if len(list(properties[names.Frontends])) == 0 {
		return fmt.Errorf("no frontend is left")
	}
	return nil
}

// settled checks that the batch needs no write any more.
func (s *site) settled(t *testing.T, batch provider.Batch) {
	t.Helper()
	r := s.compute(t, batch)
	p, err := plan.New(r.Steps)
	if err != nil {
		t.Fatal(err)
	}
	if !p.Empty() {
		t.Errorf("done, but:\n%s", p)
	}
}

// targets are the names of the plan's targets by kind.
func targets(t *testing.T, r *azure.Result) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for _, st := range r.Steps {
		out[st.Target.Kind] = append(out[st.Target.Kind], st.Target.Name)
	}
	for _, list := range out {
		slices.Sort(list)
	}
	return out
}
