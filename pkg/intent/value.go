// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// value is the parsed value of an annotation. Its String is what the user
// would write, and parses to an equal value.
type value interface {
	fmt.Stringer
	value()
}

type (
	boolValue   bool
	intValue    int
	textValue   string
	addrValue   netip.Addr
	prefixValue netip.Prefix
	pairsValue  map[string]string
	// listValue keeps the order of the user and the separator of its kind.
	listValue struct {
		items []value
		sep   Separator
	}
)

func (boolValue) value()   {}
func (intValue) value()    {}
func (textValue) value()   {}
func (addrValue) value()   {}
func (prefixValue) value() {}
func (pairsValue) value()  {}
func (listValue) value()   {}

func (v boolValue) String() string   { return strconv.FormatBool(bool(v)) }
func (v intValue) String() string    { return strconv.Itoa(int(v)) }
func (v textValue) String() string   { return string(v) }
func (v addrValue) String() string   { return netip.Addr(v).String() }
func (v prefixValue) String() string { return netip.Prefix(v).String() }

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
