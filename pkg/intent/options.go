// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"maps"
	"net/netip"
)

// Options are the values of the annotations that the provider honours: what
// the user wrote, or the registry's default. They are asked for by the
// annotation's first key, whichever of its keys the user wrote. Each method
// reports false when the annotation has neither value nor default, or when its
// values are of another type. The zero Options hold nothing.
type Options struct {
	values map[string]option
}

// option is one value, and the key that the user wrote; empty for a default.
type option struct {
	value   value
	key     string
	partial bool // items that are not allowed were left out
}

// Partial reports whether the user wrote items that are not allowed, and that
// the value is without.
func (o Options) Partial(key string) bool { return o.values[key].partial }

// Source names what set the annotation, as error sentences name it, such as
// "annotation metallb.io/address-pool". It is empty when the user set nothing.
func (o Options) Source(key string) string {
	if used := o.values[key].key; used != "" {
		return annotationName(used)
	}
	return ""
}

// Bool is the value of an annotation of kind [Bool].
func (o Options) Bool(key string) (on, ok bool) {
	v, ok := o.values[key].value.(boolValue)
	return bool(v), ok
}

// Int is the value of an annotation of kind [Int].
func (o Options) Int(key string) (int, bool) {
	v, ok := o.values[key].value.(intValue)
	return int(v), ok
}

// Text is the value of an annotation of kind [Text] or [Enum].
func (o Options) Text(key string) (string, bool) {
	v, ok := o.values[key].value.(textValue)
	return string(v), ok
}

// Pairs is the value of an annotation of kind [Pairs]. The map is the
// caller's.
func (o Options) Pairs(key string) (map[string]string, bool) {
	v, ok := o.values[key].value.(pairsValue)
	return maps.Clone(map[string]string(v)), ok
}

// Texts are the values of a [List] of [Text] or [Enum], in the user's order.
func (o Options) Texts(key string) ([]string, bool) {
	return listOf(o, key, func(v textValue) string { return string(v) })
}

// Address is the value of an annotation of kind [Address].
func (o Options) Address(key string) (netip.Addr, bool) {
	v, ok := o.values[key].value.(addrValue)
	return netip.Addr(v), ok
}

// Addresses are the values of a [List] of [Address], or of [OnePerFamily], in
// the user's order.
func (o Options) Addresses(key string) ([]netip.Addr, bool) {
	return listOf(o, key, func(v addrValue) netip.Addr { return netip.Addr(v) })
}

// Prefixes are the values of a [List] of [CIDR], in the user's order.
func (o Options) Prefixes(key string) ([]netip.Prefix, bool) {
	return listOf(o, key, func(v prefixValue) netip.Prefix { return netip.Prefix(v) })
}

// listOf returns a list's items when all are of type V.
func listOf[V value, T any](o Options, key string, as func(V) T) ([]T, bool) {
	list, ok := o.values[key].value.(listValue)
	if !ok {
		return nil, false
	}
	out := make([]T, 0, len(list.items))
	for _, item := range list.items {
		v, ok := item.(V)
		if !ok {
			return nil, false
		}
		out = append(out, as(v))
	}
	return out, true
}

// Equal reports whether both hold the same values, whatever keys they were
// written under.
func (o Options) Equal(other Options) bool {
	return maps.EqualFunc(o.values, other.values, func(a, b option) bool {
		return a.value.String() == b.value.String() && a.partial == b.partial
	})
}
