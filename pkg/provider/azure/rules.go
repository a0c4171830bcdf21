// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"encoding/json"
	"fmt"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// wantRule is a load-balancing rule as it shall be.
type wantRule struct {
	name                  string
	frontend, pool, probe string // ids; probe empty for none
	protocol              string
	port, backendPort     int
	floating              bool
	tcpReset              *bool // nil: not set
	idleMinutes           int
	distribution          string
	noOutboundSNAT        bool
}

// protocolAll is the protocol of a rule for all of them.
const protocolAll = "All"

// ruleProtocol is the protocol of a rule; Azure has none for SCTP alone.
func ruleProtocol(p intent.Proto) string {
	switch p {
	case intent.TCP:
		return "Tcp"
	case intent.UDP:
		return "Udp"
	case intent.SCTP:
	}
	return protocolAll
}

// haPorts reports whether one rule is for all ports.
func (a *ask) haPorts() bool { return a.meant == names.Internal && a.on(intent.KeyAzureHAPorts) }

// wantedRules are the rules and probes of the Service in the family.
func (t *turn) wantedRules(a *ask, f intent.Family) ([]wantRule, []wantProbe, error) {
	node, shared := t.nodeProbe(a, f)
	if err := node.checkTimes(); err != nil {
		return nil, nil, err
	}
	if a.haPorts() {
		return t.wantedHARule(a, f, node)
	}
	fr := a.fronts[f]
	var rules []wantRule
	probes := probeSet{}
	for _, port := range a.item.Intent.Ports {
		if a.onPort(intent.AzurePortNoRule, port.Port) {
			continue
		}
		if port.Proto == intent.SCTP && a.meant != names.Internal {
			return nil, nil, refuse(ReasonUnsupported, "spec.ports asks for SCTP on port %d, which Azure forwards on internal load balancers alone; set annotation %s to true, or take the port away",
				port.Port, intent.KeyAzureInternal)
		}
		r := t.baseRule(a, f, ruleProtocol(port.Proto))
		r.name = a.names.Rule(port.Proto, port.Port, f)
		r.port, r.backendPort = int(port.Port), int(port.Port)
		if port.Proto == intent.TCP {
			r.tcpReset = new(!a.on(intent.KeyAzureNoTCPReset))
		}
		if !r.floating {
			r.backendPort = int(port.NodePort)
		}
		if !a.onPort(intent.AzurePortNoProbe, port.Port) {
			p, err := a.portProbe(port, r.name, probeRules{node: node, shared: shared})
			if err != nil {
				return nil, nil, err
			}
			if p != nil {
				probes.add(*p)
				r.probe = names.Child(fr.balancer.ID, names.Probes, p.name)
			}
		}
		rules = append(rules, r)
	}
	return rules, probes.list, nil
}

// wantedHARule is the one rule for all ports, named by the first.
func (t *turn) wantedHARule(a *ask, f intent.Family, node *wantProbe) ([]wantRule, []wantProbe, error) {
	ports := a.item.Intent.Ports
	if len(ports) == 0 {
		return nil, nil, nil
	}
	r := t.baseRule(a, f, protocolAll)
	r.name = a.names.Rule(ports[0].Proto, ports[0].Port, f)
	r.tcpReset = new(!a.on(intent.KeyAzureNoTCPReset))
	r.floating = !t.viaNodePort(a, f)
	probe := node
	var problem error
	for i := 0; probe == nil && i < len(ports); i++ {
		p, err := a.portProbe(ports[i], r.name, probeRules{})
		if err != nil {
			problem = err
			continue
		}
		probe = p
	}
	if probe == nil {
		return []wantRule{r}, nil, problem
	}
	r.probe = names.Child(a.fronts[f].balancer.ID, names.Probes, probe.name)
	return []wantRule{r}, []wantProbe{*probe}, nil
}

// baseRule is what all rules of the Service have in common.
func (t *turn) baseRule(a *ask, f intent.Family, protocol string) wantRule {
	fr := a.fronts[f]
	r := wantRule{
		frontend:       fr.id(),
		pool:           names.Child(fr.balancer.ID, names.Pools, t.poolName(a, f)),
		protocol:       protocol,
		floating:       a.floating() && !t.viaNodePort(a, f),
		distribution:   "Default",
		noOutboundSNAT: t.settings.NoOutboundSNAT,
	}
	r.idleMinutes, _ = a.options().Int(intent.KeyAzureIdleTimeout)
	if a.item.Intent.AffinityTimeout > 0 {
		r.distribution = "SourceIP"
	}
	return r
}

// viaNodePort reports whether floating IP cannot be: Azure's internal load
// balancers have none for IPv6.
func (t *turn) viaNodePort(a *ask, f intent.Family) bool {
	return a.meant == names.Internal && f == intent.V6
}

// diffs is what is different, by the peer's test. The names are the fields'.
func (w *wantRule) diffs(have *rule) map[string]plan.Diff {
	p := &have.Properties
	d := diffs{}
	d.text("protocol", p.Protocol, w.protocol)
	d.id("frontendIPConfiguration", p.FrontendIPConfiguration.id(), w.frontend)
	d.id("backendAddressPool", p.BackendAddressPool.id(), w.pool)
	d.id("probe", p.Probe.id(), w.probe)
	d.value("loadDistribution", p.LoadDistribution, w.distribution)
	d.value("frontendPort", fmt.Sprint(p.FrontendPort), fmt.Sprint(w.port))
	d.value("backendPort", fmt.Sprint(p.BackendPort), fmt.Sprint(w.backendPort))
	d.value("enableFloatingIP", show(p.EnableFloatingIP), fmt.Sprint(w.floating))
	d.value("disableOutboundSnat", fmt.Sprint(isTrue(p.DisableOutboundSnat)), fmt.Sprint(w.noOutboundSNAT))
	if names.Same(w.protocol, "Tcp") {
		d.value("enableTcpReset", fmt.Sprint(isTrue(p.EnableTCPReset)), fmt.Sprint(isTrue(w.tcpReset)))
	}
	if p.IdleTimeoutInMinutes != nil {
		d.value("idleTimeoutInMinutes", fmt.Sprint(*p.IdleTimeoutInMinutes), fmt.Sprint(w.idleMinutes))
	}
	return d
}

// fields are the rule's fields as they are written.
func (w *wantRule) fields() []field {
	ref := func(id string) any {
		if id == "" {
			return nil
		}
		return object(field{"id", id})
	}
	var reset any
	if w.tcpReset != nil {
		reset = *w.tcpReset
	}
	return []field{
		{"frontendIPConfiguration", ref(w.frontend)},
		{"backendAddressPool", ref(w.pool)},
		{"probe", ref(w.probe)},
		{"protocol", w.protocol},
		{"loadDistribution", w.distribution},
		{"frontendPort", w.port},
		{"backendPort", w.backendPort},
		{"enableFloatingIP", w.floating},
		{"idleTimeoutInMinutes", w.idleMinutes},
		{"disableOutboundSnat", w.noOutboundSNAT},
		{"enableTcpReset", reset},
	}
}

// putRule adds the rule, or changes in it what differs.
func (t *turn) putRule(a *ask, b *balancer, w wantRule) error {
	have, has := b.rules.get(w.name)
	var changed map[string]plan.Diff
	if has {
		if changed = w.diffs(have); len(changed) == 0 {
			return nil
		}
	}
	if err := checkPort(a, b, &w, t); err != nil {
		return err
	}
	raw := writeFields(b.rules.raw(w.name), w.fields(), changed)
	if _, moved := changed["backendAddressPool"]; moved {
		raw = unset(raw, "properties", "backendAddressPools") // Azure fills it from the one pool
	}
	b.rules.put(w.name, raw)
	b.gains[a.key] = true
	if !has {
		b.change(a.key, plan.Diff{Field: "rule " + w.name, Want: w.String()})
		return t.checkRuleLimits(b, &w)
	}
	b.change(a.key, sortedDiffs("rule "+w.name, changed)...)
	return nil
}

// String is the rule in short, for a plan.
func (w *wantRule) String() string {
	text := fmt.Sprintf("%s %d to %d", w.protocol, w.port, w.backendPort)
	if w.probe != "" {
		text += ", probe " + names.Last(w.probe)
	}
	return text
}

// writeFields sets the fields in an element's properties: all of a new one,
// else those that are changed. A nil value takes the field away.
func writeFields(raw json.RawMessage, fields []field, changed map[string]plan.Diff) json.RawMessage {
	for _, f := range fields {
		if _, is := changed[f.name]; changed != nil && !is {
			continue
		}
		if f.value == nil {
			raw = unset(raw, "properties", f.name)
		} else {
			raw = set(raw, f.value, "properties", f.name)
		}
	}
	return raw
}

// checkPort refuses a port that another rule takes on the same frontend.
func checkPort(a *ask, b *balancer, w *wantRule, t *turn) error {
	for _, r := range b.rules.all() {
		if names.Same(r.Name, w.name) || !names.Same(r.Properties.FrontendIPConfiguration.id(), w.frontend) {
			continue
		}
		p := &r.Properties
		all := names.Same(p.Protocol, protocolAll) || w.protocol == protocolAll
		whole := all && (p.FrontendPort == 0 || w.port == 0)
		if !whole && (p.FrontendPort != w.port || (!names.Same(p.Protocol, w.protocol) && !all)) {
			continue
		}
		if names.Owns(a.base, r.Name) {
			continue
		}
		return refuse(ReasonPortConflict, "spec.ports has %s port %d, which on frontend %s is taken by %s; use another port, or another address",
			w.protocol, w.port, names.Last(w.frontend), t.ownerOf(r.Name))
	}
	for _, r := range b.foreign {
		if r.uses(w.frontend) && r.takes(w.protocol, w.port) {
			return refuse(ReasonPortConflict, "spec.ports has %s port %d, which on frontend %s is taken by inbound NAT rule or pool %s; use another port, or another address",
				w.protocol, w.port, names.Last(w.frontend), r.Name)
		}
	}
	return nil
}

// Limits of a standard load balancer: Azure, "subscription and service limits".
const (
	maxRules        = 1500
	maxRulesPerPool = 300
	maxFrontends    = 600
)

// checkRuleLimits refuses what a load balancer cannot hold.
func (t *turn) checkRuleLimits(b *balancer, w *wantRule) error {
	inPool := 0
	for _, r := range b.rules.all() {
		if names.Same(r.Properties.BackendAddressPool.id(), w.pool) {
			inPool++
		}
	}
	switch {
	case b.rules.list.Len() > maxRules:
		return refuse(ReasonLimitReached, "load balancer %s has %d rules, which is all that Azure allows; remove ports or Services", b.Name, maxRules)
	case inPool > maxRulesPerPool:
		return refuse(ReasonLimitReached, "backend pool %s of load balancer %s is used by %d rules, which is all that Azure allows; remove ports or Services, or add a load balancer configuration",
			names.Last(w.pool), b.Name, maxRulesPerPool)
	}
	return nil
}
