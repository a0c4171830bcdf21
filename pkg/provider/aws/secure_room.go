// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"maps"
	"slices"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
)

// withinLimit refuses the Services whose rules a security group has no room
// for, after older ones had theirs. A group that has more rules than the limit
// says that the limit is another.
func (t *turn) withinLimit(g *nodeGroup, missing described) bool {
	limit := t.settings.RuleLimit
	if limit == 0 || g.have.count() > limit {
		return true
	}
	granted, within := g.have, true
	for _, a := range t.asks {
		more := maps.Clone(granted)
		for r, text := range missing {
			if slices.Contains(g.asked[r], a) {
				more[r] = text
			}
		}
		if more.count() <= limit {
			granted = more
			continue
		}
		within = false
		t.refuse(a, t.noRoom(a, g))
	}
	return within
}

// noRoom says that the security group of the nodes has no room for a Service. It
// tells nothing that changes with the other rules there: it is told once.
func (t *turn) noRoom(a *ask, g *nodeGroup) error {
	needs := described{}
	for r, list := range g.asked {
		if slices.Contains(list, a) {
			needs[r] = g.want[r]
		}
	}
	rules := "1 rule"
	if n := needs.count(); n != 1 {
		rules = fmt.Sprintf("%d rules", n)
	}
	return &plan.Error{Kind: plan.Exhausted, Reason: ReasonLimitReached, Err: fmt.Errorf(
		"security group %s of the nodes takes at most %d rules, and has no room for what this Service needs, %s; %sraise the limit at AWS and in securityGroupRuleLimit of the cloud-config",
		g.id, t.settings.RuleLimit, rules, t.fewerRules(a))}
}

// fewerRules is how the Service would need fewer rules at the nodes; empty where
// its load balancer has a security group, which few rules let in.
func (t *turn) fewerRules(a *ask) string {
	const fewer = ", name fewer source ranges, or "
	switch {
	case a.kind != NetworkKind || len(a.groups) > 0:
		return ""
	case t.hasGroups(a): // it was made before that
		return "make a new Service, whose load balancer has a security group for few rules to let in" + fewer
	case a.external:
		return fmt.Sprintf("make a new Service without annotation %s, whose load balancer has a security group for few rules to let in", intent.KeyAWSNoSecurityGroup) + fewer
	}
	return "set nlbSecurityGroupMode Managed in the cloud-config, with which new load balancers have security groups for few rules to let in" + fewer
}
