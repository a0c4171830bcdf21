// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
)

// listenerRules are those of the group of a network load balancer: the clients
// at each listener, and the ICMP messages of path MTU discovery.
func (a *ask) listenerRules() described {
	out := described{}
	for _, m := range a.mappings {
		for _, protocol := range transports(m.listener) {
			a.letClients(out, rule{protocol: protocol, from: int32(m.port), to: int32(m.port)}, "")
		}
	}
	asked := a.external && a.text(intent.KeyAWSPathMTURule) != ""
	if !a.external || asked {
		out.let(a.clients(), rule{protocol: protocolICMP, from: icmpType, to: icmpCode}, "")
	}
	if asked {
		six := slices.DeleteFunc(slices.Clone(a.clients()), func(p netip.Prefix) bool { return p.Addr().Is4() })
		out.let(six, rule{protocol: protocolICMPv6, from: icmpv6Type, to: icmpv6Code}, "")
	}
	return out
}

// letClients adds the rules for those who may connect to the rule's ports.
func (a *ask) letClients(d described, r rule, text string) {
	d.let(a.clients(), r, text)
	for _, list := range a.prefixLists() {
		r.kind, r.source = fromPrefixList, list
		d[r] = text
	}
}

// transports are the protocols of a listener or target group as rules have
// them.
func transports(p elbv2types.ProtocolEnum) []string {
	if p == elbv2types.ProtocolEnumUdp {
		return []string{"udp"}
	}
	if p == elbv2types.ProtocolEnumTcpUdp {
		return []string{"tcp", "udp"}
	}
	return []string{"tcp"}
}

// let adds a rule for each prefix.
func (d described) let(prefixes []netip.Prefix, r rule, text string) {
	for _, p := range prefixes {
		r.kind, r.source = fromIPv4, p.String()
		if p.Addr().Is6() {
			r.kind = fromIPv6
		}
		if r.protocol == protocolICMP && r.kind == fromIPv6 {
			continue // path MTU discovery is another message there
		}
		d[r] = text
	}
}

// putGroupRules brings the rules of a load balancer's own group to what they
// shall be. Rules for IPv6 and prefix lists that somebody added stay, as with
// the peer, until the user edits the Service.
func (t *turn) putGroupRules(a *ask, name string, group Ref, want described) error {
	return t.putRules(a, groupRules{name: name, target: plan.ID{Kind: kindGroupRules, Name: name}, group: group, want: want, realm: t.realmOf(a, nil)})
}

// groupRules are the rules that a Service wants of a group, and which of the
// others it may take away.
type groupRules struct {
	name   string
	target plan.ID
	group  Ref
	want   described
	realm  realm
}

func (t *turn) putRules(a *ask, x groupRules) error {
	have := described{}
	if g, ok := t.observed.Groups[x.group.ID]; ok {
		have = rulesOf(g.IpPermissions)
	}
	missing, surplus := x.want.minus(have), have.minus(x.want)
	maps.DeleteFunc(surplus, func(r rule, _ string) bool {
		return ((r.kind == fromPrefixList || r.kind == fromIPv6) && !a.strict()) || !x.realm.has(r)
	})
	if len(missing)+len(surplus) == 0 {
		return nil
	}
	limit := t.settings.RuleLimit
	then := have.minus(surplus)
	maps.Copy(then, missing)
	if n := then.count(); limit > 0 && n > limit && have.count() <= limit {
		return &plan.Error{Kind: plan.Exhausted, Reason: ReasonLimitReached, Err: fmt.Errorf(
			"security group %s of Service %s needs %d rules of at most %d: one for each port and range of clients, and one for each range; name fewer source ranges or ports, or raise the limit at AWS and in securityGroupRuleLimit of the cloud config",
			x.name, a.key, n, limit)}
	}
	st := plan.Step{Action: plan.Update, Target: x.target, Why: ruleDiffs(missing, surplus)}
	if x.group.ID == "" {
		st.Needs = []plan.ID{x.group.Made}
	}
	calls := ruleCalls(x.group, missing, surplus)
	if room := limit - have.count(); limit > 0 && missing.count() > room {
		slices.Reverse(calls) // all of them at once have no room
	}
	t.add(a, st, calls...)
	return nil
}

// ruleCalls let in what is missing and then take away what is too much.
func ruleCalls(group Ref, missing, surplus described) []Call {
	var out []Call
	if len(missing) > 0 {
		out = append(out, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: awssdk.String(group.Text()), IpPermissions: missing.permissions()})
	}
	if len(surplus) > 0 {
		out = append(out, &ec2.RevokeSecurityGroupIngressInput{GroupId: awssdk.String(group.Text()), IpPermissions: surplus.permissions()})
	}
	return out
}

func ruleDiffs(missing, surplus described) []plan.Diff {
	var out []plan.Diff
	for _, r := range sortedRules(missing) {
		out = append(out, plan.Diff{Field: "rule", Want: strings.Replace(r.String(), placeholder, "", 1)})
	}
	for _, r := range sortedRules(surplus) {
		out = append(out, plan.Diff{Field: "rule", Have: r.String()})
	}
	return out
}
