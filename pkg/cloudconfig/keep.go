// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import "slices"

// Keep returns next with the pools, peers and advertisements of prev that next
// holds too but that have got a fault there: a slip in an edit does not take
// away what works. An advertisement of kept pools alone is kept with them. What
// would not go with the objects of next stays out. Each object kept is a
// warning in Faults. Neither argument is changed.
func Keep(prev, next *Config) *Config {
	if prev == nil || prev.Metal == nil || next.Metal == nil {
		return next
	}
	out, metal := *next, *next.Metal
	out.Metal = &metal
	k := keeper{faults: slices.Clone(next.Faults)}
	metal.Pools = keepIn(&k, prev.Metal.Pools, next.Metal.Pools, keeping[Pool]{
		name: func(p *Pool) string { return objectName("pool", p.Name) },
		fits: next.Metal.fitsPool,
	})
	metal.Peers = keepIn(&k, prev.Metal.Peers, next.Metal.Peers, keeping[Peer]{
		name: func(p *Peer) string { return objectName("peer", p.Name) },
		fits: next.Metal.fitsPeer,
	})
	metal.Advertisements = keepIn(&k, prev.Metal.Advertisements, next.Metal.Advertisements, keeping[Advertisement]{
		name:     func(a *Advertisement) string { return objectName("advertisement", a.Name) },
		fits:     metal.fitsAdvertisement,
		goesWith: k.ofKeptPools,
	})
	out.Faults = k.faults
	return &out
}

func (m *Metal) fitsPool(p *Pool) bool {
	for i := range m.Pools {
		if _, _, both := overlap(p, &m.Pools[i]); both {
			return false
		}
	}
	for i := range m.Advertisements {
		if !m.Advertisements[i].fitsPool(p) {
			return false
		}
	}
	return true
}

func (m *Metal) fitsPeer(p *Peer) bool {
	return !slices.ContainsFunc(m.Peers, func(q Peer) bool { return sameSession(p, &q) })
}

func (m *Metal) fitsAdvertisement(a *Advertisement) bool {
	return !slices.ContainsFunc(m.Pools, func(p Pool) bool { return !a.fitsPool(&p) })
}

// keeping says how objects of a kind are kept.
type keeping[T any] struct {
	name     func(*T) string // as in Fault.Object
	fits     func(*T) bool   // goes with the objects of the new config
	goesWith func(*T) bool   // kept for what it belongs to; may be nil
}

// keeper collects what was kept and the warnings.
type keeper struct {
	faults Faults
	kept   []string // as in Fault.Object
}

// ofKeptPools reports whether the advertisement is for kept pools alone.
func (k *keeper) ofKeptPools(a *Advertisement) bool {
	return len(a.Pools) > 0 && !slices.ContainsFunc(a.Pools, func(pool string) bool {
		return !slices.Contains(k.kept, objectName("pool", pool))
	})
}

// keepIn adds to the objects of next those of prev that have a fault now.
func keepIn[T any](k *keeper, prev, next []T, by keeping[T]) []T {
	out := slices.Clone(next)
	for i := range prev {
		old := &prev[i]
		name := by.name(old)
		there := slices.ContainsFunc(next, func(t T) bool { return by.name(&t) == name })
		wanted := k.faulty(name) || (by.goesWith != nil && by.goesWith(old))
		if there || !wanted || !by.fits(old) {
			continue
		}
		out = slices.Insert(out, min(i, len(out)), *old)
		k.kept = append(k.kept, name)
		k.warn(name)
	}
	return out
}

func (k *keeper) faulty(object string) bool {
	return slices.ContainsFunc(k.faults, func(f Fault) bool { return !f.Warning && f.Object == object })
}

// warn puts a warning behind the faults of the object.
func (k *keeper) warn(object string) {
	for i, f := range slices.Backward(k.faults) {
		if f.Object == object {
			k.faults = slices.Insert(k.faults, i+1, Fault{
				Line: f.Line, Object: object, Warning: true,
				Reason: "stays in use as it was before this edit",
				Cure:   "correct it: after a restart it is left out",
			})
			return
		}
	}
}
