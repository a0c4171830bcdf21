// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"maps"
	"net/netip"
)

// maxRemembered bounds a Journal: 4,096 addresses are some 200 KiB. Those
// forgotten were freed before all that are remembered, so they may well be
// chosen first.
const maxRemembered = 4096

// Journal remembers when addresses were freed. Its zero value is empty. It is
// not safe for use by several goroutines at once.
type Journal struct {
	turn  uint64
	freed History
	order []entry // the oldest first; those that differ from freed are stale
}

type entry struct {
	addr netip.Addr
	turn uint64
}

// Turn starts a new turn: what is freed from now on is younger than all before.
func (j *Journal) Turn() { j.turn++ }

// Freed notes that the address was freed in this turn.
func (j *Journal) Freed(a netip.Addr) {
	if j.freed == nil {
		j.freed = History{}
	}
	if at, ok := j.freed[a]; ok && at == j.turn {
		return
	}
	j.freed[a] = j.turn
	j.order = append(j.order, entry{a, j.turn})
	for len(j.order) > 2*maxRemembered || len(j.freed) > maxRemembered {
		old := j.order[0]
		j.order = j.order[1:]
		if j.freed[old.addr] == old.turn {
			delete(j.freed, old.addr)
		}
	}
}

// History returns what is remembered, as a copy.
func (j *Journal) History() History { return maps.Clone(j.freed) }
