// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

const keySecurityRules = "securityRules"

// securityGroup is the network security group. The rules that are ours are
// shared by Services: what they have in common is one rule, to all their
// addresses.
type securityGroup struct {
	resource
	rules section[securityRule]
	own   map[string]*ownRule // by names.Key of the name
	taken map[int]bool        // priorities
	// gains: an address is let in that was not.
	gains bool
}

// ownRule is a security rule that is ours, as it shall be.
type ownRule struct {
	name         string
	have         *securityRule // nil for a new one
	grant        *grant        // what it must say; nil: as it is
	priority     int
	destinations []string // in their order
	added        []string
	removed      []string
}

func loadSecurityGroup(doc json.RawMessage) (*securityGroup, error) {
	r, err := newResource(doc)
	if err != nil {
		return nil, err
	}
	g := &securityGroup{resource: r, own: map[string]*ownRule{}, taken: map[int]bool{}}
	if g.rules, err = loadSection[securityRule](doc, keySecurityRules); err != nil {
		return nil, fmt.Errorf("network security group: %w", err)
	}
	for _, rule := range g.rules.all() {
		g.taken[rule.Properties.Priority] = true
		if names.OwnsSecurityRule(rule.Name, rule.Properties.Priority) {
			g.own[names.Key(rule.Name)] = &ownRule{
				name: rule.Name, have: rule, priority: rule.Properties.Priority, destinations: rule.destinations(),
			}
		}
	}
	return g, nil
}

func (g *securityGroup) target() plan.ID { return plan.ID{Kind: kindSecurityGroup, Name: g.Name} }

// incomplete reports whether a rule leads to an address that is not known yet.
func (g *securityGroup) incomplete() bool {
	for _, r := range g.own {
		for _, d := range r.destinations {
			if strings.HasPrefix(d, unknown) {
				return true
			}
		}
	}
	return false
}

// sorted are our rules by name.
func (g *securityGroup) sorted() []*ownRule {
	out := make([]*ownRule, 0, len(g.own))
	for _, name := range slices.Sorted(maps.Keys(g.own)) {
		out = append(out, g.own[name])
	}
	return out
}

func (r *securityRule) destinations() []string {
	var out []string
	if p := r.Properties.DestinationAddressPrefix; p != "" {
		out = append(out, p)
	}
	return append(out, r.Properties.DestinationAddressPrefixes...)
}

func (r *securityRule) sources() []string {
	var out []string
	if p := r.Properties.SourceAddressPrefix; p != "" {
		out = append(out, p)
	}
	return append(out, r.Properties.SourceAddressPrefixes...)
}

// ports are the destination ports, and false when they are not plain numbers.
func (r *securityRule) ports() ([]uint16, bool) {
	texts := r.Properties.DestinationPortRanges
	if p := r.Properties.DestinationPortRange; p != "" {
		texts = append([]string{p}, texts...)
	}
	out := make([]uint16, 0, len(texts))
	for _, text := range texts {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return nil, false
		}
		out = append(out, uint16(n))
	}
	return out, true
}

// grant is what one security rule says beside its destinations.
type grant struct {
	name     string
	family   intent.Family
	deny     bool
	protocol string
	sources  []string
	ports    []uint16
}

func allow(f intent.Family, protocol string, sources []string, ports []uint16) grant {
	return grant{
		name: names.AllowRule(f, protocol, sources, ports), family: f, protocol: protocol,
		sources: slices.Sorted(slices.Values(sources)), ports: ports,
	}
}

func deny(f intent.Family) grant {
	return grant{name: names.DenyRule(f), family: f, deny: true, protocol: anyProtocol, sources: []string{"*"}}
}

// String is the rule in short, for a plan.
func (g *grant) String() string {
	if g.deny {
		return "deny all"
	}
	return g.protocol + " " + strings.Join(names.SortedPorts(g.ports), ",") + " from " + countOf(g.sources, "")
}

// grants are the security rules that the Service wants, in the order that the
// peer makes them.
func (a *ask) grants() []grant {
	if a.on(intent.KeyAzureNoSecurityRules) {
		return nil
	}
	ports := securityPorts(a.item.Service)
	var out []grant
	for _, protocol := range securityProtocols() {
		if len(ports[protocol]) == 0 {
			continue
		}
		for _, f := range []intent.Family{intent.V4, intent.V6} {
			if len(a.destinations[f]) == 0 {
				continue
			}
			for _, tag := range a.clients.tags {
				out = append(out, allow(f, protocol, []string{tag}, ports[protocol]))
			}
			if ranges := rangesOf(a.clients.ranges, f); len(ranges) > 0 {
				out = append(out, allow(f, protocol, ranges, ports[protocol]))
			}
		}
	}
	for _, f := range []intent.Family{intent.V4, intent.V6} {
		if a.clients.deny && len(a.destinations[f]) > 0 {
			out = append(out, deny(f))
		}
	}
	return out
}

// destinationsOf are the addresses that clients of the Service send to, as the
// security group sees them: those of the nodes where packets reach them so.
func (t *turn) destinationsOf(a *ask) map[intent.Family][]string {
	out := map[intent.Family][]string{}
	add := func(f intent.Family, text string) {
		if !slices.Contains(out[f], text) {
			out[f] = append(out[f], text)
		}
	}
	for _, ip := range additionalOf(a.item.Service) {
		add(intent.FamilyOf(ip), ip.String())
	}
	if !a.floating() {
		nodes := t.nodesIn(a.balancer)
		for i := range nodes {
			for _, ip := range nodes[i].addresses {
				if f := intent.FamilyOf(ip); t.reached(a, f) {
					add(f, ip.String())
				}
			}
		}
		return out
	}
	for _, f := range a.families {
		if fr := a.fronts[f]; fr != nil {
			add(f, t.frontText(fr))
		}
	}
	return out
}

// reached reports whether packets reach the nodes in the family. Interfaces
// have all their addresses in pools, as the peer sees it.
func (t *turn) reached(a *ask, f intent.Family) bool {
	if t.settings.Members == ByInterface {
		return true
	}
	_, all := a.balancer.pools.get(names.Pool(t.settings.Cluster, f))
	_, own := a.balancer.pools.get(t.poolName(a, f))
	return all || own
}

// frontText is the address of the frontend, or says whose it is going to be.
func (t *turn) frontText(fr *front) string {
	if ip := t.frontAddress(fr); ip.IsValid() {
		return ip.String()
	}
	if fr.publicIP != nil {
		return unknown + fr.publicIP.Name
	}
	return unknown + fr.name
}

// unknown begins the text for an address that Azure has still to give.
const unknown = "address of "

func (t *turn) frontAddress(fr *front) netip.Addr {
	if fr.publicIP != nil {
		return fr.publicIP.address()
	}
	if f, ok := fr.balancer.frontends.get(fr.name); ok {
		return f.address()
	}
	return netip.Addr{}
}

// destinationKey is a destination in the form in which equal ones are equal.
func destinationKey(text string) string {
	if ip := parseAddr(text); ip.IsValid() {
		return ip.String()
	}
	return strings.ToLower(text)
}

// Limits of a network security group: Azure, "subscription and service
// limits". The peer checks the same.
const (
	maxSecurityRules  = 1000
	maxSecurityRanges = 4000
)

// usage is what counts towards the limits.
type usage struct{ rules, sources, destinations int }

func (u *usage) add(o usage) {
	u.rules += o.rules
	u.sources += o.sources
	u.destinations += o.destinations
}

// over names the limit that is passed; empty for none.
func (u *usage) over() string {
	switch {
	case u.rules > maxSecurityRules:
		return fmt.Sprintf("%d rules", maxSecurityRules)
	case u.sources > maxSecurityRanges:
		return fmt.Sprintf("%d source addresses", maxSecurityRanges)
	case u.destinations > maxSecurityRanges:
		return fmt.Sprintf("%d destination addresses", maxSecurityRanges)
	}
	return ""
}

// used counts all rules of the group, as they shall be.
func (g *securityGroup) used() usage {
	var u usage
	for _, r := range g.rules.all() {
		if g.own[names.Key(r.Name)] == nil {
			u.add(usage{1, len(r.sources()), len(r.destinations())})
		}
	}
	for _, r := range g.own {
		if len(r.destinations) > 0 {
			u.add(usage{1, len(r.sources()), len(r.destinations)})
		}
	}
	return u
}

func (r *ownRule) sources() []string {
	if r.grant != nil {
		return r.grant.sources
	}
	return r.have.sources()
}

// priority is the first that is free: from below for rules that allow, from
// above for those that deny. Zero: none is.
func (g *securityGroup) priority(denies *grant) int {
	first, last, step := names.FirstPriority, names.LastPriority, 1
	if denies.deny {
		first, last, step = last, first, -1
	}
	for p := first; p != last+step; p += step {
		if !g.taken[p] {
			return p
		}
	}
	return 0
}
