// SPDX-License-Identifier: Apache-2.0

package machines

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/document"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// Pool is a backend pool that knows its members by network interface.
type Pool struct {
	ID     string
	Family intent.Family
	Serves []plan.Key // Services that fail if a machine cannot join or leave
	Needs  []plan.ID  // steps that must be done before a machine can join
}

// label is the pool in sentences, such as kubernetes/kubernetes-IPv6.
func label(pool string) string {
	return names.Segment(pool, "loadBalancers") + "/" + names.Last(pool)
}

// balancer names the two load balancers, public and internal, that a network
// interface may be in at once.
func balancer(pool string) string {
	return strings.ToLower(names.Configuration(names.Segment(pool, "loadBalancers")))
}

// change is what shall become of the pools of one document.
type change struct {
	join  []Pool
	leave []string // pool ids
}

func (c change) empty() bool { return len(c.join) == 0 && len(c.leave) == 0 }

// edit is a changed list of network interface configurations.
type edit struct {
	configs []json.RawMessage
	diffs   []plan.Diff
	skipped []string // sentences: what was not joined, and why
}

// editConfigs joins and leaves pools in a list of network interface
// configurations. All of them leave; the primary one joins. What is not changed
// stays byte for byte.
func (c change) editConfigs(configs []json.RawMessage) (edit, error) {
	out := edit{configs: slices.Clone(configs)}
	main, err := primaryConfig(configs)
	if err != nil {
		return out, err
	}
	for i, raw := range configs {
		var join []Pool
		if i == main {
			join = c.join
		}
		if out.configs[i], err = c.editConfig(&out, raw, join); err != nil {
			return out, err
		}
	}
	return out, nil
}

// primaryConfig is the index of the primary network interface configuration:
// the one that says so, else the first.
func primaryConfig(configs []json.RawMessage) (int, error) {
	for i, raw := range configs {
		var doc interfaceDoc
		if err := json.Unmarshal(raw, &doc); err != nil {
			return 0, fmt.Errorf("network interface configuration: %w", err)
		}
		if doc.Properties.Primary != nil && *doc.Properties.Primary {
			return i, nil
		}
	}
	return 0, nil
}

// editConfig edits one network interface configuration.
func (c change) editConfig(out *edit, raw json.RawMessage, join []Pool) (json.RawMessage, error) {
	var doc interfaceDoc
	if err := json.Unmarshal(raw, &doc); err != nil {
		return raw, fmt.Errorf("network interface configuration: %w", err)
	}
	configs := doc.ipConfigs()
	want := make([][]string, len(configs))
	for i, cfg := range configs {
		want[i] = slices.DeleteFunc(slices.Clone(cfg.Pools), func(p string) bool { return names.Among(c.leave, p) })
	}
	for _, p := range join {
		out.join(configs, want, p)
	}
	list, err := document.ListAt(raw, "properties", "ipConfigurations")
	if err != nil {
		return raw, err
	}
	edited := make([]json.RawMessage, list.Len())
	changed := false
	for i, e := range list.Elements() {
		edited[i] = e.Raw
		if slices.Equal(want[i], configs[i].Pools) {
			continue
		}
		changed = true
		out.diffs = append(out.diffs, diffsOf(configs[i], want[i])...)
		if edited[i], err = setPools(e.Raw, want[i]); err != nil {
			return raw, err
		}
	}
	if !changed {
		return raw, nil
	}
	return document.Set(raw, array(edited), "properties", "ipConfigurations")
}

// join adds a pool to those that the configuration of its family shall be in,
// unless another load balancer has it.
func (e *edit) join(configs []IPConfig, want [][]string, p Pool) {
	main, ok := mainOf(configs, p.Family)
	if !ok {
		e.skipped = append(e.skipped, fmt.Sprintf("it has no %s configuration for pool %s; add one to its network interface", p.Family, label(p.ID)))
		return
	}
	i := slices.IndexFunc(configs, func(cfg IPConfig) bool { return cfg.Name == main.Name })
	if names.Among(want[i], p.ID) {
		return
	}
	for _, other := range want[i] {
		if balancer(other) != balancer(p.ID) {
			e.skipped = append(e.skipped, fmt.Sprintf("it is in pool %s of another load balancer and does not join %s; take it out there first", label(other), label(p.ID)))
			return
		}
	}
	want[i] = append(want[i], p.ID)
}

func diffsOf(have IPConfig, want []string) []plan.Diff {
	var out []plan.Diff
	field := have.Name + " pool"
	for _, p := range have.Pools {
		if !names.Among(want, p) {
			out = append(out, plan.Diff{Field: field, Have: label(p)})
		}
	}
	for _, p := range want {
		if !names.Among(have.Pools, p) {
			out = append(out, plan.Diff{Field: field, Want: label(p)})
		}
	}
	return out
}

// setPools writes the pools of an IP configuration. Those that stay are kept
// as written.
func setPools(raw json.RawMessage, want []string) (json.RawMessage, error) {
	path := []string{"properties", "loadBalancerBackendAddressPools"}
	list, err := document.ListAt(raw, path...)
	if err != nil {
		return raw, err
	}
	var out []json.RawMessage
	var kept []string
	for _, e := range list.Elements() {
		var ref subResource
		if err := json.Unmarshal(e.Raw, &ref); err != nil {
			return raw, fmt.Errorf("pool of a network interface: %w", err)
		}
		if names.Among(want, ref.ID) {
			out, kept = append(out, e.Raw), append(kept, ref.ID)
		}
	}
	for _, id := range want {
		if names.Among(kept, id) {
			continue
		}
		entry, err := json.Marshal(subResource{ID: id})
		if err != nil {
			return raw, err
		}
		out = append(out, entry)
	}
	return document.Set(raw, array(out), path...)
}

// array joins items to a JSON array.
func array(items []json.RawMessage) json.RawMessage {
	parts := make([][]byte, len(items))
	for i, item := range items {
		parts[i] = item
	}
	return slices.Concat([]byte("["), bytes.Join(parts, []byte(",")), []byte("]"))
}
