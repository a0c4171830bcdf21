// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"net/netip"
	"slices"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
)

// attempt answers one request. It takes nothing until it has all.
type attempt struct {
	*table

	req       *Request
	self      int // the holder
	families  []intent.Family
	got       map[intent.Family]netip.Addr
	contested []plan.Key
	homeless  []netip.Addr
	missing   error // why a family that is only preferred stays without
}

// assign answers one request and notes the outcome.
func (t *table) assign(r *Request) (Assignment, error) {
	a := &attempt{table: t, req: r, self: t.holder(r), families: r.Families, got: map[intent.Family]netip.Addr{}}
	if r.Policy == intent.SingleStack && len(a.families) > 1 {
		a.families = a.families[:1]
	}
	t.restate(a.self, r)
	if err := a.check(); err != nil {
		return Assignment{}, err
	}
	if err := a.keep(); err != nil {
		return Assignment{}, err
	}
	if err := a.takeNamed(); err != nil {
		return Assignment{}, err
	}
	if err := a.choose(); err != nil {
		return Assignment{}, err
	}
	return a.finish(), nil
}

// restate notes how the holder shares now, which the user may have edited.
func (t *table) restate(i int, r *Request) {
	h := &t.holders[i]
	h.Created = r.Created
	if h.Sharing.Equal(r.Sharing) {
		return
	}
	h.Sharing = r.Sharing
	t.version++
	if key := r.Sharing.Key; key != "" {
		for _, addr := range h.Addresses {
			if !slices.Contains(t.joined[key], addr) {
				t.joined[key] = append(t.joined[key], addr)
			}
		}
	}
}

// check refuses what does not depend on what is held.
func (a *attempt) check() error {
	if _, ok := a.pools.byName[a.req.Pool]; a.req.Pool != "" && !ok {
		return a.poolNotFound()
	}
	for _, addr := range a.req.Addresses {
		if !slices.Contains(a.families, intent.FamilyOf(addr)) {
			return a.addressNotInFamilies(addr)
		}
	}
	return nil
}

// wanted is the address of the family asked for by name, if any.
func (a *attempt) wanted(f intent.Family) (netip.Addr, bool) {
	i := slices.IndexFunc(a.req.Addresses, func(addr netip.Addr) bool { return intent.FamilyOf(addr) == f })
	if i < 0 {
		return netip.Addr{}, false
	}
	return a.req.Addresses[i], true
}

// keep keeps the addresses held that the request does not ask to change.
// Whether their pool would be chosen today, or would serve the Service, does
// not matter: an address does not change without its user's doing.
func (a *attempt) keep() error {
	for _, f := range a.families {
		addr, ok := a.held(f)
		if !ok {
			continue
		}
		if want, asked := a.wanted(f); asked && want != addr {
			continue
		}
		p := a.pools.of(addr)
		if p < 0 && !a.pools.partial {
			a.homeless = append(a.homeless, addr)
			continue
		}
		if p >= 0 && a.req.Pool != "" && a.pools.name(p) != a.req.Pool {
			continue
		}
		owner, why, younger := a.contest(a.self, addr)
		if owner != nil {
			return a.blocked(addr, owner, why)
		}
		a.contested = append(a.contested, younger...)
		a.got[f] = addr
	}
	return nil
}

// held is the address of the family that the Service has. Of several, which
// other controllers may have given, the one asked for counts, else the first
// that a pool holds, else the first.
func (a *attempt) held(f intent.Family) (netip.Addr, bool) {
	want, _ := a.wanted(f)
	var found netip.Addr
	for _, addr := range a.holders[a.self].Addresses {
		switch {
		case intent.FamilyOf(addr) != f:
		case addr == want:
			return addr, true
		case !found.IsValid(), a.pools.of(found) < 0 && a.pools.of(addr) >= 0:
			found = addr
		}
	}
	return found, found.IsValid()
}

// takeNamed takes the addresses asked for by name.
func (a *attempt) takeNamed() error {
	for _, f := range a.families {
		addr, asked := a.wanted(f)
		if _, kept := a.got[f]; kept || !asked {
			continue
		}
		i := a.pools.of(addr)
		if i < 0 {
			return a.addressNotInPool(addr)
		}
		p := &a.pools.list[i]
		if a.req.Pool != "" && p.Name != a.req.Pool {
			return a.addressInOtherPool(addr, p)
		}
		if by := p.refuses(a.req); by != nobody {
			return a.poolNotAllowed(p, by, a.asked(addr))
		}
		if p.avoids(addr) {
			return a.addressAvoided(addr, p)
		}
		if owner, why := a.taken(a.self, addr); owner != nil {
			return a.blocked(addr, owner, why)
		}
		a.got[f] = addr
	}
	return nil
}

// choose chooses an address for each family that has none yet.
func (a *attempt) choose() error {
	need := slices.DeleteFunc(slices.Clone(a.families), func(f intent.Family) bool {
		_, ok := a.got[f]
		return ok
	})
	if len(need) == 0 {
		return nil
	}
	pools, err := a.sources()
	if err != nil {
		return a.withoutAll(need, err)
	}
	if len(need) > 1 && a.both(pools) {
		return nil
	}
	for _, f := range need {
		if a.one(pools, f) {
			continue
		}
		if err := a.without(f, a.noneFree(pools, f)); err != nil {
			return err
		}
	}
	if len(a.got) == 0 {
		return a.missing
	}
	return nil
}

// withoutAll goes on with what there is if it may, and fails otherwise.
func (a *attempt) withoutAll(need []intent.Family, why error) error {
	if len(a.got) == 0 {
		return why
	}
	for _, f := range need {
		if err := a.without(f, why); err != nil {
			return err
		}
	}
	return nil
}

// without goes on without the family if it may, and fails otherwise.
func (a *attempt) without(f intent.Family, why error) error {
	if !a.optional(f, why) {
		return why
	}
	if a.missing == nil {
		a.missing = why
	}
	return nil
}

// optional reports whether the Service can be served without the family. It
// cannot where that would take an address from it for no better reason than
// that its pool is gone, or that the pool asked for now is full.
func (a *attempt) optional(f intent.Family, why error) bool {
	if a.req.Policy != intent.PreferDualStack {
		return false
	}
	if slices.ContainsFunc(a.homeless, func(addr netip.Addr) bool { return intent.FamilyOf(addr) == f }) {
		return false
	}
	_, held := a.held(f)
	return !held || plan.KindOf(why) != plan.Exhausted
}

// sources are the pools to choose from, in order: the one asked for, or else
// those that need not be asked for, and of these first the one that holds the
// Service's other address.
func (a *attempt) sources() ([]int, error) {
	if a.req.Pool != "" {
		i := a.pools.byName[a.req.Pool]
		if by := a.pools.list[i].refuses(a.req); by != nobody {
			return nil, a.poolNotAllowed(&a.pools.list[i], by, a.askedPool())
		}
		return []int{i}, nil
	}
	pools := a.pools.candidates(a.req)
	if len(pools) == 0 {
		return nil, a.noPool()
	}
	for _, addr := range a.got {
		if at := slices.Index(pools, a.pools.of(addr)); at > 0 {
			first := pools[at]
			pools = slices.Insert(slices.Delete(pools, at, at+1), 0, first)
		}
	}
	return pools, nil
}

// both takes an address of each family from the first pool that has them.
func (a *attempt) both(pools []int) bool {
	for _, p := range pools {
		v4, ok4 := a.pick(a.self, source{p, intent.V4})
		v6, ok6 := a.pick(a.self, source{p, intent.V6})
		if ok4 && ok6 {
			a.got[intent.V4], a.got[intent.V6] = v4, v6
			return true
		}
	}
	return false
}

// one takes an address of the family from the first pool that has one.
func (a *attempt) one(pools []int, f intent.Family) bool {
	for _, p := range pools {
		if addr, ok := a.pick(a.self, source{p, f}); ok {
			a.got[f] = addr
			return true
		}
	}
	return false
}

// finish takes what was found, and frees what it replaces.
func (a *attempt) finish() Assignment {
	as := Assignment{Missing: a.missing, Contested: a.contested}
	for _, f := range a.families {
		if addr, ok := a.got[f]; ok {
			as.Addresses = append(as.Addresses, addr)
			as.Pools = append(as.Pools, a.pools.Of(addr))
		}
	}
	as.Added, as.Released = a.set(a.self, as.Addresses)
	for _, addr := range as.Released {
		if slices.Contains(a.homeless, addr) {
			as.Homeless = append(as.Homeless, addr)
		}
	}
	return as
}
