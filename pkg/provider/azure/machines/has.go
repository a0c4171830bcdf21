// SPDX-License-Identifier: Apache-2.0

package machines

import (
	"encoding/json"
	"slices"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider/azure/document"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// Has reports whether the machine of a node was in a backend pool when it was
// observed; known is false when it was not, or cannot be read.
func (m *Membership) Has(node *v1.Node, pool string) (in, known bool) {
	if m.snap == nil || node == nil {
		return false, false
	}
	machine := m.snap.Machine(node)
	if machine == nil {
		return false, false
	}
	pools, known := m.snap.pools(machine)
	return names.Among(pools, pool), known
}

// pools are the backend pools that a machine is in.
func (s *Snapshot) pools(m *Machine) ([]string, bool) {
	if m.Kind != Uniform {
		at, ok := slices.BinarySearchFunc(s.Interfaces, m.Interface, func(n Interface, id string) int { return compareFold(n.ID, id) })
		if !ok {
			return nil, false
		}
		return poolsOf(s.Interfaces[at].IPConfigs), true
	}
	list, err := document.ListAt(m.Raw, instanceForm.path()...)
	if err != nil {
		return nil, false
	}
	var out []string
	for _, e := range list.Elements() {
		var doc interfaceDoc
		if json.Unmarshal(e.Raw, &doc) != nil {
			return nil, false
		}
		out = append(out, poolsOf(doc.ipConfigs())...)
	}
	return out, true
}

func poolsOf(configs []IPConfig) []string {
	var out []string
	for _, c := range configs {
		out = append(out, c.Pools...)
	}
	return out
}
