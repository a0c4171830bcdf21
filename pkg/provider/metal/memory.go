// SPDX-License-Identifier: Apache-2.0

package metal

import (
	"net/netip"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead/fairlead/pkg/ipam"
	"github.com/fairlead/fairlead/pkg/plan"
)

// memory is what was given and taken since the start. For the Services in it
// it counts before their status, which follows a moment later.
type memory struct {
	mu      sync.Mutex
	records map[plan.Key]*record
	journal ipam.Journal
	turn    uint64
}

// record is what a Service was given last.
type record struct {
	uid       types.UID
	addresses []netip.Addr // none: all were released
	sharing   ipam.Sharing // as its step said
	released  []netip.Addr // what its status may show for a while, though it is free
	shown     bool         // the status was seen to show it
	seen      uint64       // the turn in which the Service was last there
	learned   bool         // read from its status, and not given by us
}

func (r *record) removed() bool { return len(r.addresses) == 0 }

// left are the addresses of a status but those released.
func (r *record) left(inStatus []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(inStatus), func(a netip.Addr) bool { return slices.Contains(r.released, a) })
}

func newMemory() *memory { return &memory{records: map[plan.Key]*record{}} }

// recall is a copy of the record of the Service, if there is one.
func (m *memory) recall(key plan.Key, uid types.UID) (record, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r, ok := m.records[key]; ok && r.uid == uid {
		return *r, true
	}
	return record{}, false
}

// give notes what the Service has from now on.
func (m *memory) give(key plan.Key, r record, released []netip.Addr) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r.seen = m.turn
	m.records[key] = &r
	for _, a := range released {
		m.journal.Freed(a)
	}
}

// forget drops the records of Services that are gone, except those kept. What
// they had is free.
func (m *memory) forget(keep func(plan.Key) bool) {
	for key, r := range m.records {
		if r.seen == m.turn || keep(key) {
			continue
		}
		m.drop(key)
	}
}

// drop forgets a Service and frees what it had.
func (m *memory) drop(key plan.Key) {
	for _, a := range m.records[key].addresses {
		m.journal.Freed(a)
	}
	delete(m.records, key)
}

// addresses are those that the Service has: by its record, else by its status.
// A record of released addresses is forgotten when the status shows them no
// more: it is behind as long as it has not shown them.
func (m *memory) addresses(key plan.Key, uid types.UID, inStatus []netip.Addr) []netip.Addr {
	r, ok := m.records[key]
	if !ok {
		return inStatus
	}
	if r.uid != uid {
		m.drop(key)
		return inStatus
	}
	r.seen = m.turn
	if r.learned && len(inStatus) > 0 {
		r.addresses = inStatus // another leads, and we only look
	}
	if !r.removed() {
		return r.addresses
	}
	left := r.left(inStatus)
	if len(left) < len(inStatus) {
		r.shown = true
		return left
	}
	if r.shown {
		delete(m.records, key)
	}
	return left
}
