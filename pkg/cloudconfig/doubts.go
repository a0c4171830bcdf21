// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import (
	"fmt"
	"slices"
)

// warnUnannounced names pools that no advertisement covers.
func (d *draft) warnUnannounced() {
	for _, p := range d.pools.good {
		covered := false
		for _, a := range d.ads.good {
			covered = covered || a.it.Covers(p.name)
		}
		if !covered {
			p.at.child("name").warn("no advertisement covers the pool, so its addresses are given to Services but never announced",
				"name it under pools of an advertisement")
		}
	}
}

// Doubts are warnings about what is allowed and seldom meant, for those who
// check a file before it is used. They are not among the Faults.
func (c *Config) Doubts() Faults { return slices.Clone(c.doubts) }

// doubts judges bare metal as a whole. peerAddress is the format's name of a
// peer's address.
func (d *draft) doubts(v value, peerAddress string) Faults {
	before := len(v.r.faults)
	if len(d.pools.good)+len(d.pools.bad) == 0 {
		v.warn("there is no pool, so no Service gets an address", "list addresses under pools")
	}
	if len(d.peers.good)+len(d.peers.bad) == 0 {
		v.warn("there is no peer, so addresses are given to Services but never announced", "list the routers under peers")
	}
	for _, e := range d.peers.good {
		for _, p := range d.pools.good {
			if p.it.Contains(e.it.Address) {
				e.at.child(peerAddress).warn(fmt.Sprintf("is in pool %q on line %d, so a Service may get the router's address", p.name, p.at.line()),
					"take it out of the pool")
			}
		}
	}
	found := slices.Clone(v.r.faults[before:])
	v.r.faults = v.r.faults[:before]
	return found
}
