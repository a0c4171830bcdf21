// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
)

// The reasons of refusals, for events and conditions.
const (
	ReasonAddressInUse        = "AddressInUse"        // a Service has the address asked for
	ReasonAddressNotAllowed   = "AddressNotAllowed"   // avoidBuggyIPs forbids the address asked for
	ReasonAddressNotInPool    = "AddressNotInPool"    // no pool, or another pool than asked for, holds the address
	ReasonAddressNotInService = "AddressNotInService" // the Service has not the family of the address asked for
	ReasonFamilyNotInPool     = "FamilyNotInPool"     // the pool has no addresses of a family
	ReasonNoPool              = "NoPool"              // no pool may be chosen for the Service
	ReasonPoolExhausted       = "PoolExhausted"       // no address is free
	ReasonPoolNotAllowed      = "PoolNotAllowed"      // the pool is not for such Services
	ReasonPoolNotFound        = "PoolNotFound"        // the pool asked for does not exist
	ReasonSharingConflict     = "SharingConflict"     // a rule of sharing is broken
)

// maxNamed is how many names a sentence lists before it only counts.
const maxNamed = 3

func refuse(kind plan.Kind, reason, format string, args ...any) error {
	return &plan.Error{Kind: kind, Reason: reason, Err: fmt.Errorf(format, args...)}
}

func (a *attempt) addressField() string {
	return cmp.Or(a.req.Fields.Addresses, "annotation "+intent.KeyAddresses)
}

func (a *attempt) poolField() string {
	return cmp.Or(a.req.Fields.Pool, "annotation "+intent.KeyPool)
}

func (a *attempt) sharingField() string {
	return cmp.Or(a.req.Fields.Sharing, "annotation "+intent.KeySharing)
}

// asked is how a sentence about an address asked for begins.
func (a *attempt) asked(addr netip.Addr) string {
	return fmt.Sprintf("%s %q", a.addressField(), addr)
}

// askedPool is how a sentence about the pool asked for begins.
func (a *attempt) askedPool() string {
	return fmt.Sprintf("%s %q", a.poolField(), a.req.Pool)
}

func (a *attempt) poolNotFound() error {
	what := a.askedPool()
	if len(a.pools.list) == 0 {
		return refuse(plan.Invalid, ReasonPoolNotFound, "%s: no pool is configured; add it to metal.pools of the cloud-config", what)
	}
	return refuse(plan.Invalid, ReasonPoolNotFound,
		"%s: there is no such pool; ask for one of %s, or remove the request to let any pool serve the Service", what, a.poolNames())
}

func (a *attempt) poolNames() string {
	names := make([]string, len(a.pools.list))
	for i := range a.pools.list {
		names[i] = a.pools.list[i].Name
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func (a *attempt) addressNotInFamilies(addr netip.Addr) error {
	f := intent.FamilyOf(addr)
	have := make([]string, len(a.families))
	for i, g := range a.families {
		have[i] = g.String()
	}
	return refuse(plan.Invalid, ReasonAddressNotInService,
		"%s: it is %s, but spec.ipFamilies of the Service is %s; ask for another address, or add %s to spec.ipFamilies",
		a.asked(addr), f.String(), strings.Join(have, ", "), f.String())
}

func (a *attempt) addressNotInPool(addr netip.Addr) error {
	what := a.asked(addr)
	if len(a.pools.list) == 0 {
		return refuse(plan.Invalid, ReasonAddressNotInPool, "%s: no pool is configured; add one to metal.pools of the cloud-config", what)
	}
	return refuse(plan.Invalid, ReasonAddressNotInPool,
		"%s: no pool holds it; ask for an address of %s, or add it to a pool", what, a.poolRanges(intent.FamilyOf(addr)))
}

// poolRanges are the pools with some of their ranges of a family.
func (a *attempt) poolRanges(f intent.Family) string {
	var out []string
	for i := range a.pools.list {
		p := &a.pools.list[i]
		if ranges := p.ranges(f); len(ranges) > 0 {
			out = append(out, fmt.Sprintf("pool %s (%s)", p.Name, list(rangeTexts(ranges))))
		}
	}
	if len(out) == 0 {
		return "the other family, since no pool has " + f.String()
	}
	return list(out)
}

func rangeTexts(ranges []netipx.IPRange) []string {
	out := make([]string, len(ranges))
	for i, r := range ranges {
		out[i] = r.String()
		if p, ok := r.Prefix(); ok {
			out[i] = p.String()
		}
	}
	return out
}

func (a *attempt) addressInOtherPool(addr netip.Addr, p *pool) error {
	return refuse(plan.Invalid, ReasonAddressNotInPool,
		"%s: it is of pool %s, but %s asks for pool %s; let both name the same pool, or remove one of them",
		a.asked(addr), p.Name, a.poolField(), a.req.Pool)
}

func (a *attempt) addressAvoided(addr netip.Addr, p *pool) error {
	return refuse(plan.Invalid, ReasonAddressNotAllowed,
		"%s: pool %s has avoidBuggyIPs, which forbids addresses that end in .0 or .255; ask for another address",
		a.asked(addr), p.Name)
}

func (a *attempt) poolNotAllowed(p *pool, by refusedTo, what string) error {
	if by == namespace {
		return refuse(plan.Invalid, ReasonPoolNotAllowed,
			"%s: pool %s does not serve namespace %s; ask for another pool, or add the namespace to the pool's namespaces",
			what, p.Name, a.req.Key.Namespace)
	}
	return refuse(plan.Invalid, ReasonPoolNotAllowed,
		"%s: pool %s serves only Services that match its serviceSelectors, and the labels of this one do not; ask for another pool, or change the labels",
		what, p.Name)
}

// blocked is a refusal because of another Service at the address.
func (a *attempt) blocked(addr netip.Addr, owner *Holder, why rule) error {
	what := a.asked(addr)
	cure := "ask for another address"
	if _, asked := a.wanted(intent.FamilyOf(addr)); !asked {
		what = fmt.Sprintf("status.loadBalancer %q", addr)
		cure = "ask for another address with " + a.addressField()
	}
	mine := a.holders[a.self].Sharing
	if why == ruleNoKey {
		return refuse(plan.Exhausted, ReasonAddressInUse,
			"%s: %s has this address; %s, or give both Services the same %s", what, owner.Key, cure, a.sharingField())
	}
	return refuse(plan.Exhausted, ReasonSharingConflict, "%s: it cannot be shared with %s: %s, or %s",
		what, owner.Key, a.broken(addr, why, mine, owner.Sharing), cure)
}

// broken says which rule of sharing is broken and how to heed it.
func (a *attempt) broken(addr netip.Addr, why rule, mine, theirs Sharing) string {
	switch why {
	case ruleKey:
		return fmt.Sprintf("%s is %q here and %q there; use one key", a.sharingField(), mine.Key, theirs.Key)
	case ruleNamespace:
		return fmt.Sprintf("pool %s shares no address across namespaces; set its shareAcrossNamespaces to true", a.pools.Of(addr))
	case ruleBackend:
		return "with externalTrafficPolicy Local both need that policy and the same selector; give both the same"
	case rulePort:
		p, _ := commonPort(mine.Ports, theirs.Ports)
		return fmt.Sprintf("both have port %s; change one of the ports", p)
	case ruleNone, ruleNoKey:
	}
	return "they may not share; change one of them"
}

func (a *attempt) noPool() error {
	if len(a.pools.list) == 0 {
		return refuse(plan.Invalid, ReasonNoPool, "%sno pool is configured; add one to metal.pools of the cloud-config", a.lost())
	}
	var why []string
	for i := range a.pools.list {
		p := &a.pools.list[i]
		switch p.refuses(a.req) {
		case namespace:
			why = append(why, fmt.Sprintf("pool %s is for other namespaces than %s", p.Name, a.req.Key.Namespace))
		case labelled:
			why = append(why, fmt.Sprintf("pool %s is for Services with other labels", p.Name))
		case nobody:
			why = append(why, fmt.Sprintf("pool %s has autoAssign false", p.Name))
		}
	}
	return refuse(plan.Invalid, ReasonNoPool, "%sno pool serves this Service unasked: %s; ask for a pool with %s, or add a pool",
		a.lost(), list(why), a.poolField())
}

// lost begins a sentence about a Service that needs a new address.
func (a *attempt) lost() string {
	if len(a.homeless) == 0 {
		return ""
	}
	return fmt.Sprintf("status.loadBalancer %q: no pool holds it any more, and ", a.homeless[0])
}

// noneFree says why none of the pools has an address of the family.
func (a *attempt) noneFree(pools []int, f intent.Family) error {
	var having []int
	for _, p := range pools {
		if len(a.pools.list[p].ranges(f)) > 0 {
			having = append(having, p)
		}
	}
	if len(having) == 0 {
		return a.familyNotInPool(pools, f)
	}
	var texts []string
	for _, p := range having {
		texts = append(texts, a.occupied(source{p, f}))
	}
	return refuse(plan.Exhausted, ReasonPoolExhausted,
		"%sno %s address is free: %s; delete a Service, or add addresses to a pool%s",
		a.lost(), f.String(), list(texts), a.unlessFamily(pools, f))
}

func (a *attempt) familyNotInPool(pools []int, f intent.Family) error {
	names := make([]string, len(pools))
	for i, p := range pools {
		names[i] = a.pools.list[p].Name
	}
	what := "none of the pools " + list(names) + " has"
	if len(names) == 1 {
		what = "pool " + names[0] + " has no"
	}
	return refuse(plan.Invalid, ReasonFamilyNotInPool,
		"%s%s %s addresses, which %s of the Service asks for; add such a range to a pool%s",
		a.lost(), what, f.String(), a.familyField(), a.unlessFamily(pools, f))
}

func (a *attempt) familyField() string {
	if a.req.Policy == intent.SingleStack {
		return "spec.ipFamilies"
	}
	return "spec.ipFamilyPolicy " + policyName(a.req.Policy)
}

// unlessFamily offers to do without the family where the pools have the other
// one, and says so where they do not.
func (a *attempt) unlessFamily(pools []int, f intent.Family) string {
	if a.req.Policy != intent.RequireDualStack {
		return ""
	}
	other := intent.V4
	if f == intent.V4 {
		other = intent.V6
	}
	if !slices.ContainsFunc(pools, func(p int) bool { return len(a.pools.list[p].ranges(other)) > 0 }) {
		return fmt.Sprintf("; of %s, which spec.ipFamilyPolicy RequireDualStack asks for too, there is none either", other)
	}
	return ", or set spec.ipFamilyPolicy to PreferDualStack to do without " + f.String()
}

// occupancy is a sentence about who has all addresses of a source.
type occupancy struct {
	version int
	text    string
}

// occupied says who has the addresses of a source. It is kept until something
// changes: a full pool may refuse a thousand Services in one batch.
func (t *table) occupied(s source) string {
	if o, ok := t.full[s]; ok && o.version == t.version {
		return o.text
	}
	p := &t.pools.list[s.pool]
	held := t.heldOf(s)
	var names []string
	seen := map[int]struct{}{}
	for _, a := range held {
		for _, u := range t.byAge(a) {
			if _, again := seen[u]; !again {
				seen[u] = struct{}{}
				names = append(names, t.holders[u].Key.String())
			}
		}
	}
	text := fmt.Sprintf("pool %s has %s, held by %s", p.Name, countText(p.capacity(s.family)), list(names))
	if len(names) == 0 {
		text = fmt.Sprintf("pool %s has only addresses that must be asked for by name", p.Name)
	}
	t.full[s] = occupancy{version: t.version, text: text}
	return text
}

// heldOf are the addresses of the source that somebody has, sorted.
func (t *table) heldOf(s source) []netip.Addr {
	var out []netip.Addr
	for a := range t.users {
		if intent.FamilyOf(a) == s.family && t.pools.of(a) == s.pool {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out
}

func countText(n uint64) string {
	if n == math.MaxUint64 {
		return "2^64 or more"
	}
	return fmt.Sprint(n)
}

// list joins some of the words and counts the others.
func list(words []string) string {
	if len(words) <= maxNamed {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(words[:maxNamed], ", "), len(words)-maxNamed)
}

func policyName(p intent.FamilyPolicy) string {
	switch p {
	case intent.SingleStack:
		return "SingleStack"
	case intent.PreferDualStack:
		return "PreferDualStack"
	case intent.RequireDualStack:
		return "RequireDualStack"
	}
	return "unset"
}
