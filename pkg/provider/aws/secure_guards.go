// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"slices"
)

// groupsOfNodes are the ids of the security groups that guard the Service's
// nodes, one for each node: the one with the cluster's tag, or else its only
// one. What is doubtful about them is told.
func (t *turn) groupsOfNodes(a *ask) []string {
	t.findGuards(a)
	for _, doubt := range a.doubts {
		a.warn(ReasonNodeSecurityGroups, doubt)
	}
	a.doubts = nil
	return a.guards
}

// findGuards finds the security groups of the Service's nodes, once.
func (t *turn) findGuards(a *ask) {
	if a.guards != nil {
		return
	}
	a.guards = []string{}
	for _, id := range a.targets {
		g := t.guardOf(id)
		if slices.Contains(a.guards, g.group) {
			continue
		}
		if g.doubt != "" {
			a.doubts = append(a.doubts, g.doubt)
		}
		if g.group != "" {
			a.guards = append(a.guards, g.group)
		}
	}
	slices.Sort(a.guards)
	if lost := t.lostOf(a); lost != "" {
		a.doubts = append(a.doubts, lost)
	}
}

// guard is what is known of the security groups of a node's instance.
type guard struct {
	group string // gets the rules; empty: none does
	doubt string // what has to be told about it
	// hidden: it is not known yet which groups there are, or what one of them is;
	// it may be the one. lost: EC2 was waited for in vain to list one, or the
	// instance, which counts as none.
	hidden, lost bool
}

// guardOf finds the guard of an instance, once.
func (t *turn) guardOf(id string) guard {
	g, ok := t.guards[id]
	if !ok {
		g = t.findGuard(id)
		t.guards[id] = g
	}
	return g
}

// findGuard takes the group with the tag of the cluster, or else the only one.
// The peer serves nobody where there are several.
func (t *turn) findGuard(id string) guard {
	i, isLost := t.observed.Instances[id], t.observed.Lost[id]
	if i == nil {
		return guard{hidden: !isLost, lost: isLost}
	}
	g := guard{lost: isLost}
	for _, group := range t.observed.unlistedAt(i, t.settings) {
		if t.observed.Lost[group] {
			g.lost = true
		} else {
			g.hidden = true
		}
	}
	if g.hidden {
		return g
	}
	list, kind := t.observed.taggedGroups(i, t.settings), "with"
	if len(list) == 0 {
		list, kind = slices.DeleteFunc(slices.Clone(i.Groups), func(id string) bool { return t.observed.Groups[id] == nil }), "without"
	}
	if len(list) == 0 {
		return g
	}
	g.group = slices.Min(list)
	if len(list) > 1 {
		g.doubt = fmt.Sprintf("instance %s has %d security groups %s the tag of the cluster; rules are in the first, %s; tag one alone", id, len(list), kind, g.group)
	}
	return g
}

// needsRules reports whether rules of ours let the Service's load balancer in at
// the nodes.
func (a *ask) needsRules() bool { return !a.external || a.sharesGroup() }

// lostOf is what has to be told when nobody waits any more for security groups
// of the Service's instances; empty for nothing. Which they are is in the log:
// nodes come and go, and each other text is another event.
func (t *turn) lostOf(a *ask) string {
	if !a.needsRules() || len(t.observed.Lost) == 0 || !slices.ContainsFunc(a.targets, func(id string) bool { return t.guardOf(id).lost }) {
		return ""
	}
	return fmt.Sprintf("EC2 has not listed instances of nodes, or security groups of theirs, for %s: no rule lets this load balancer in there; the log has the ids; delete nodes that are gone, and see that instances and groups are of this account and region",
		longestListing)
}

// waitsForNodes reports whether nothing is known of the security groups of the
// Service's nodes, since they could not be read: its load balancer would serve
// nobody. What is known of one node is enough to go on.
func (t *turn) waitsForNodes(a *ask) bool {
	if t.observed.NodesUnread == nil || !t.settings.NodeRules || !a.needsRules() {
		return false
	}
	return len(a.targets) > 0 && !slices.ContainsFunc(a.targets, func(id string) bool { return !t.guardOf(id).hidden })
}

// isGuard reports whether a security group guards nodes: it has the cluster's
// tag, or a node has it alone.
func (t *turn) isGuard(id string) bool {
	g, ok := t.observed.Groups[id]
	if !ok {
		return false
	}
	if t.settings.Tags.ID != "" && t.settings.Tags.Has(ec2Tags(g.Tags)) {
		return true
	}
	for instance := range t.observed.Instances {
		if t.guardOf(instance).group == id {
			return true
		}
	}
	return false
}
