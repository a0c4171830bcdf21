// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"fmt"
	"maps"
	"slices"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// diffs are the fields that differ, by their names.
type diffs map[string]plan.Diff

// value compares exactly.
func (d diffs) value(name, have, want string) {
	if have != want {
		d[name] = plan.Diff{Field: name, Have: have, Want: want}
	}
}

// text compares without case.
func (d diffs) text(name, have, want string) {
	if !names.Same(have, want) {
		d[name] = plan.Diff{Field: name, Have: have, Want: want}
	}
}

// id compares ids, and shows the names alone.
func (d diffs) id(name, have, want string) {
	if !names.Same(have, want) {
		d[name] = plan.Diff{Field: name, Have: names.Last(have), Want: names.Last(want)}
	}
}

// sortedDiffs are the differences of a part of a resource, by field.
func sortedDiffs(part string, changed map[string]plan.Diff) []plan.Diff {
	out := make([]plan.Diff, 0, len(changed))
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		d := changed[name]
		d.Field = part + " " + d.Field
		out = append(out, d)
	}
	return out
}

func isTrue(b *bool) bool { return b != nil && *b }

// show is the switch as text, empty when it is not set.
func show(b *bool) string {
	if b == nil {
		return ""
	}
	return fmt.Sprint(*b)
}
