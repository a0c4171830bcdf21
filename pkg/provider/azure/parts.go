// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// parts are the rules and probes of a Service.
type parts struct {
	rules  []wantRule
	probes []wantProbe
}

func (p *parts) hasRule(name string) bool {
	return slices.ContainsFunc(p.rules, func(r wantRule) bool { return names.Same(r.name, name) })
}

func (p *parts) hasProbe(name string) bool {
	return slices.ContainsFunc(p.probes, func(x wantProbe) bool { return names.Same(x.name, name) })
}

// wantAll are the parts that the Services shall have.
func (t *turn) wantAll() map[*ask]*parts {
	out := map[*ask]*parts{}
	for _, a := range t.asks {
		if !a.serve() {
			continue
		}
		p := &parts{}
		for _, f := range a.families {
			rules, probes, err := t.wantedRules(a, f)
			if err != nil {
				t.refuse(a, err)
				break
			}
			p.rules, p.probes = append(p.rules, rules...), append(p.probes, probes...)
		}
		out[a] = p
	}
	return out
}

// dropParts takes away the rules and probes of the Service that it does not
// want where they are.
func (t *turn) dropParts(a *ask, want *parts) {
	for _, b := range t.sortedBalancers() {
		here := a.serve() && b == a.balancer
		for _, r := range b.rules.all() {
			if !names.Owns(a.base, r.Name) {
				continue
			}
			a.had[names.Key(r.Properties.FrontendIPConfiguration.id())] = true
			a.hadPools[names.Key(r.Properties.BackendAddressPool.id())] = true
			if names.Same(names.Last(r.Properties.Probe.id()), names.SharedProbe) {
				b.sharedProbe = a.key
			}
			if !here || !want.hasRule(r.Name) {
				b.rules.remove(r.Name)
				b.change(a.key, plan.Diff{Field: "rule " + r.Name, Have: describeRule(r)})
			}
		}
		for _, p := range b.probes.all() {
			if names.Owns(a.base, p.Name) && (!here || !want.hasProbe(p.Name)) {
				b.probes.remove(p.Name)
				b.change(a.key, plan.Diff{Field: "probe " + p.Name, Have: describeProbe(p)})
			}
		}
	}
}

// putParts adds and changes the pools, probes and rules of the Service. Of one
// that is refused none is there afterwards.
func (t *turn) putParts(a *ask, want *parts) error {
	if !a.serve() {
		return nil
	}
	b := a.balancer
	t.ensurePools(a)
	for _, p := range want.probes {
		t.putProbe(a, b, p)
	}
	for i := range want.rules {
		if err := t.putRule(a, b, want.rules[i]); err != nil {
			for _, r := range want.rules {
				b.rules.remove(r.name)
			}
			return err
		}
	}
	t.tagResource(&b.resource, a.key)
	return nil
}

// dropSharedProbe takes away the probe of all Services where the last of them
// left it.
func (t *turn) dropSharedProbe() {
	for _, b := range t.sortedBalancers() {
		if b.sharedProbe == (plan.Key{}) {
			continue
		}
		used := false
		for _, r := range b.rules.all() {
			used = used || names.Same(names.Last(r.Properties.Probe.id()), names.SharedProbe)
		}
		if p, has := b.probes.get(names.SharedProbe); has && !used {
			b.probes.remove(p.Name)
			b.change(b.sharedProbe, plan.Diff{Field: "probe " + p.Name, Have: describeProbe(p)})
		}
	}
}

func describeRule(r *rule) string {
	return fmt.Sprintf("%s %d to %d", r.Properties.Protocol, r.Properties.FrontendPort, r.Properties.BackendPort)
}

func describeProbe(p *probe) string {
	return strings.TrimSpace(fmt.Sprintf("%s %d %s", p.Properties.Protocol, p.Properties.Port, p.Properties.RequestPath))
}
