// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

func (OnePerFamily) name() string { return "IP addresses, one of each family" }

func (OnePerFamily) allowed() string {
	return "at most one IPv4 and one IPv6 address, separated by a comma"
}

func (OnePerFamily) example() string { return "192.0.2.10,2001:db8::10" }

func (OnePerFamily) parse(raw string) (value, bool) {
	v, ok := oneOrTwoAddresses().parse(raw)
	if !ok {
		return nil, false
	}
	list, ok := v.(listValue)
	if !ok {
		return nil, false
	}
	if len(list.items) == 2 && familyOfValue(list.items[0]) == familyOfValue(list.items[1]) {
		return nil, false
	}
	return list, true
}

func (OnePerFamily) cel(v string) string {
	return fmt.Sprintf("%[1]s && (size(%[2]s.split(',')) == 1 || "+
		"ip(%[2]s.split(',')[0].trim()).family() != ip(%[2]s.split(',')[1].trim()).family())",
		oneOrTwoAddresses().cel(v), v)
}

func oneOrTwoAddresses() List {
	return List{Item: Address{}, Items: "IP addresses", Sep: Comma, Max: 2}
}

// divisible is a kind of which a part can count.
type divisible interface {
	// parts is the value of those items of raw that are allowed.
	parts(raw string) value
}

func familyOfValue(v value) Family {
	if a, ok := v.(addrValue); ok {
		return FamilyOf(netip.Addr(a))
	}
	return 0
}

func (k List) name() string { return "list of " + k.Items }

func (k List) allowed() string {
	by := "commas"
	if k.Sep == Space {
		by = "spaces"
	}
	return fmt.Sprintf("1 to %d %s, separated by %s, each %s", k.Max, k.Items, by, k.Item.allowed())
}

func (k List) example() string { return k.Item.example() }

// blanks is how many spaces may separate the items of a list, on average when
// it is full. It bounds the policy's filter, whose time grows by the square.
const blanks = 8

func (k List) parse(raw string) (value, bool) {
	parts := strings.Split(strings.TrimSpace(raw), k.Sep.text())
	if k.Sep == Space {
		if len(parts) > blanks*k.Max {
			return nil, false
		}
		parts = slices.DeleteFunc(parts, func(s string) bool { return strings.TrimSpace(s) == "" })
	}
	if len(parts) == 0 || len(parts) > k.Max {
		return nil, false
	}
	list := listValue{items: make([]value, len(parts)), sep: k.Sep}
	for i, part := range parts {
		part = strings.TrimSpace(part)
		v, ok := k.Item.parse(part)
		if !ok || part == "" {
			return nil, false
		}
		list.items[i] = v
	}
	return list, true
}

func (k List) parts(raw string) value {
	list := listValue{sep: k.Sep}
	for part := range strings.SplitSeq(strings.TrimSpace(raw), k.Sep.text()) {
		part = strings.TrimSpace(part)
		if v, ok := k.Item.parse(part); ok && part != "" && len(list.items) < k.Max {
			list.items = append(list.items, v)
		}
	}
	return list
}

func (k List) cel(v string) string {
	list := fmt.Sprintf("%s.trim().split(%s)", v, celString(k.Sep.text()))
	guard := ""
	if k.Sep == Space {
		guard = fmt.Sprintf("size(%s) <= %d && ", list, blanks*k.Max)
		list += ".filter(s, s.trim() != '')"
	}
	return guard + fmt.Sprintf("size(%[1]s) <= %[2]d && size(%[1]s) >= 1 && %[1]s.map(i, i.trim()).all(i, i != '' && %[3]s)",
		list, k.Max, k.Item.cel("i"))
}

func (Pairs) name() string    { return "key=value list" }
func (Pairs) example() string { return "team=web,env=prod" }

func (k Pairs) allowed() string {
	pair := "key=value"
	if k.Bare {
		pair += " or key"
	}
	if k.Max > 0 {
		pair = fmt.Sprintf("1 to %d %s", k.Max, pair)
	}
	return pair + ", separated by commas"
}

// cut is one item, and false when it is not allowed.
func (k Pairs) cut(part string) (key, val string, ok bool) {
	key, val, ok = strings.Cut(strings.TrimSpace(part), "=")
	return strings.TrimSpace(key), strings.TrimSpace(val), (ok || k.Bare) && key != ""
}

func (k Pairs) parse(raw string) (value, bool) {
	parts := strings.Split(raw, ",")
	if len(parts) > k.most() {
		return nil, false
	}
	pairs := make(pairsValue, len(parts))
	for _, part := range parts {
		key, val, ok := k.cut(part)
		if !ok {
			return nil, false
		}
		pairs[key] = val
	}
	return pairs, true
}

// most is how many pairs are read.
func (k Pairs) most() int { return cmp.Or(k.Max, maxValue) }

func (k Pairs) parts(raw string) value {
	pairs := pairsValue{}
	for part := range strings.SplitSeq(raw, ",") {
		if key, val, ok := k.cut(part); ok && len(pairs) < k.most() {
			pairs[key] = val
		}
	}
	return pairs
}

func (k Pairs) cel(v string) string {
	if k.Bare {
		return fmt.Sprintf("size(%[1]s.split(',')) <= %[2]d && %[1]s.split(',').all(p, p.trim() != '' && p.trim().indexOf('=') != 0)",
			v, k.most())
	}
	return fmt.Sprintf("size(%[1]s.split(',')) <= %[2]d && %[1]s.split(',').all(p, p.trim().indexOf('=') > 0)",
		v, k.most())
}
