// SPDX-License-Identifier: Apache-2.0

// Package providertest has what tests of providers say alike.
package providertest

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// Decide is what the pass decides, with its steps in order.
func Decide(t testing.TB, p provider.Pass) provider.Decision {
	t.Helper()
	d := p.Decide()
	var err error
	if d.Plan, err = plan.New(d.Plan.Steps); err != nil {
		t.Fatal(err)
	}
	return d
}

// Text is the plan, and what was refused and noticed, by Services.
func Text(d *provider.Decision) string {
	var b strings.Builder
	b.WriteString(d.Plan.String())
	for _, k := range slices.SortedFunc(maps.Keys(d.Refused), plan.CompareKeys) {
		b.WriteString("refused " + k.String() + ": " + d.Refused[k].Error() + "\n")
	}
	for _, k := range slices.SortedFunc(maps.Keys(d.Notices), plan.CompareKeys) {
		for _, n := range d.Notices[k] {
			b.WriteString("notice " + k.String() + ": " + n.Reason + ": " + n.Message + "\n")
		}
	}
	return b.String()
}

// Tree is what is told of a Service, a line for each part.
func Tree(key plan.Key, parts []provider.Part) string {
	var b strings.Builder
	b.WriteString("Service " + key.String() + "\n")
	grow(&b, parts, "  ")
	return b.String()
}

func grow(b *strings.Builder, parts []provider.Part, indent string) {
	for _, p := range parts {
		b.WriteString(indent + p.What)
		if p.State != "" {
			b.WriteString(" [" + p.State + "]")
		}
		b.WriteString("\n")
		grow(b, p.Parts, indent+"  ")
	}
}
