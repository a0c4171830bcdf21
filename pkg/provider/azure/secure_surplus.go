// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"fmt"
	"maps"
	"slices"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// cleaner takes addresses of the batch's Services out of rules.
type cleaner struct {
	turn *turn
	// owners are the Services of the batch by destination.
	owners map[string][]*ask
	// wanted are the destinations that a rule shall have, by its name.
	wanted map[string]map[string]bool
	// others are the ports of Services outside the batch, by destination and
	// protocol.
	others map[string]map[string]map[uint16]bool
	// For a pass over leftovers: the destinations that it must not touch, and
	// whether clients of any Service are let in at the addresses of the nodes.
	spared  map[string]bool
	byNodes bool
}

func newCleaner(t *turn) *cleaner {
	c := &cleaner{turn: t, owners: map[string][]*ask{}, wanted: map[string]map[string]bool{}}
	if t.leftovers {
		c.spared, c.byNodes = t.strangers(), slices.ContainsFunc(t.observed.Services, noFloating)
	}
	for _, a := range t.asks {
		for d := range t.cleaned(a) {
			c.owners[d] = append(c.owners[d], a)
		}
		if a.serve() {
			c.want(a)
		}
	}
	c.others = t.portsOfOthers()
	return c
}

func (c *cleaner) want(a *ask) {
	grants := a.grants()
	if a.clients.everyone && !a.edited() && !a.on(intent.KeyAzureNoSecurityRules) {
		ports := securityPorts(a.item.Service)
		for _, protocol := range securityProtocols() {
			for _, f := range a.families {
				if len(ports[protocol]) > 0 {
					grants = append(grants, allow(f, protocol, []string{tagInternet}, ports[protocol]))
				}
			}
		}
	}
	for i := range grants {
		key := names.Key(grants[i].name)
		if c.wanted[key] == nil {
			c.wanted[key] = map[string]bool{}
		}
		for _, d := range a.destinations[grants[i].family] {
			c.wanted[key][destinationKey(d)] = true
		}
	}
}

// clean removes the destinations from the rule that no Service wants there.
func (c *cleaner) clean(r *ownRule) {
	for _, d := range slices.Clone(r.destinations) {
		key := destinationKey(d)
		owners := c.owners[key]
		if len(owners) == 0 || c.spared[key] || c.wanted[names.Key(r.name)][key] {
			continue
		}
		rest, keep := c.retained(r, key)
		if keep {
			continue
		}
		if len(rest) > 0 && !c.split(r, d, rest) {
			owners[0].warn(ReasonSecurityRuleKept, fmt.Sprintf("security rule %s still lets clients of %s in at all its ports: network security group %s has no room for a rule of the ports that other Services need there; remove rules",
				r.name, d, c.turn.group.Name))
			continue
		}
		r.drop(d)
		for _, a := range owners {
			c.turn.group.serves[a.key] = true
		}
	}
}

// split lets a rule of some of the ports lead to the destination, and reports
// whether there was room.
func (c *cleaner) split(r *ownRule, destination string, ports []uint16) bool {
	g := c.turn.group
	w := allow(intent.FamilyOf(parseAddr(destination)), r.have.Properties.Protocol, r.have.sources(), ports)
	after := g.used()
	after.add(g.cost(&w, []string{destination}))
	if after.over() != "" {
		return false
	}
	owner := c.owners[destinationKey(destination)][0]
	return g.join(&w, &ask{key: owner.key, destinations: map[intent.Family][]string{w.family: {destination}}})
}

// retained are the rule's ports that Services outside the batch need at the
// destination; keep is true when the rule is to stay as it is.
func (c *cleaner) retained(r *ownRule, key string) (rest []uint16, keep bool) {
	p := &r.have.Properties
	others := c.others[key][p.Protocol]
	if names.Same(p.Access, "Deny") {
		return nil, len(c.others[key]) > 0
	}
	ports, plain := r.have.ports()
	if !plain {
		return nil, true
	}
	for _, port := range ports {
		if others[port] {
			rest = append(rest, port)
		}
	}
	return rest, len(rest) == len(ports)
}

func (r *ownRule) drop(destination string) {
	r.destinations = slices.DeleteFunc(slices.Clone(r.destinations), func(d string) bool { return d == destination })
	r.removed = append(r.removed, destination)
}

// collect drops addresses that lead to no Service and to no node any more.
func (c *cleaner) collect() {
	alive := c.turn.destinationsAlive()
	dead := func(d string) bool { return !alive[destinationKey(d)] }
	if c.turn.leftovers {
		maps.Copy(alive, c.spared)
		dead = func(d string) bool { return c.abandoned(d, alive) }
	}
	for _, r := range c.turn.group.sorted() {
		for _, d := range slices.Clone(r.destinations) {
			if parseAddr(d).IsValid() && dead(d) && !c.wanted[names.Key(r.name)][destinationKey(d)] {
				r.drop(d)
			}
		}
	}
}
