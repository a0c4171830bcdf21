// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// value is the parsed value of an annotation. Its String is what the user
// would write, and parses to an equal value.
type value interface {
	fmt.Stringer
	value()
}

type (
	boolValue     bool
	intValue      int
	textValue     string
	addrValue     netip.Addr
	prefixValue   netip.Prefix
	durationValue time.Duration
	pairsValue    map[string]string
	// listValue keeps the order of the user and the separator of its kind.
	listValue struct {
		items []value
		sep   Separator
	}
)

func (boolValue) value()     {}
func (intValue) value()      {}
func (textValue) value()     {}
func (addrValue) value()     {}
func (prefixValue) value()   {}
func (durationValue) value() {}
func (pairsValue) value()    {}
func (listValue) value()     {}

func (v boolValue) String() string     { return strconv.FormatBool(bool(v)) }
func (v intValue) String() string      { return strconv.Itoa(int(v)) }
func (v textValue) String() string     { return string(v) }
func (v addrValue) String() string     { return netip.Addr(v).String() }
func (v prefixValue) String() string   { return netip.Prefix(v).String() }
func (v durationValue) String() string { return durationText(time.Duration(v)) }

// String is the pairs ordered by key.
func (v pairsValue) String() string {
	pairs := make([]string, 0, len(v))
	for _, k := range slices.Sorted(maps.Keys(v)) {
		pairs = append(pairs, k+"="+v[k])
	}
	return strings.Join(pairs, ",")
}

// String is the items, separated as its kind wants.
func (v listValue) String() string {
	items := make([]string, len(v.items))
	for i, item := range v.items {
		items[i] = item.String()
	}
	return strings.Join(items, v.sep.text())
}

// durationText prints a time in whole h, m, s and ms.
func durationText(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	var b strings.Builder
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if n := d / unit.size; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, unit.name)
			d %= unit.size
		}
	}
	return b.String()
}
