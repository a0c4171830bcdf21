// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Kind is the type of an annotation's value. It alone knows which values are
// allowed, and says so to the parser, to the error sentence, to the reference
// page and to the admission policy. All kinds are in this package. White space
// around a value and around the items of a list does not count, except in
// [Text].
type Kind interface {
	// name is the type on the reference page.
	name() string
	// allowed completes "must be …".
	allowed() string
	// example is an allowed value.
	example() string
	// parse is the value of raw, and false when raw is not allowed.
	parse(raw string) (value, bool)
	// cel is a CEL expression that is true when the string expression v is
	// allowed. It agrees with parse for all strings, and never fails.
	cel(v string) string
}

// The kinds.
type (
	// Bool is true or false, in any case.
	Bool struct{}
	// ExactBool is true or false in lower case, without white space.
	ExactBool struct{}
	// LooseBool is what Go's strconv.ParseBool takes: true, false, t, f, 1 or
	// 0; in any case.
	LooseBool struct{}
	// Int is a whole number between Min and Max, both inclusive.
	Int struct {
		Min, Max int
		Unit     string // such as "seconds"; empty: a plain number
	}
	// Enum is one of Values, in any case; parsed as in Values.
	Enum struct {
		Values []string
		Exact  bool // as in Values alone, and without white space
	}
	// Text is any text of at most Max characters.
	Text struct {
		Max     int
		Example string
	}
	// Address is an IP address of the Family; of any when that is zero.
	Address struct{ Family Family }
	// CIDR is an address range of either family, such as 192.0.2.0/24.
	CIDR struct{}
	// OnePerFamily is one IPv4 address, one IPv6 address, or one of each.
	OnePerFamily struct{}
	// List is 1 to Max items.
	List struct {
		Item  Kind
		Items string // what the items are called: "IP ranges"
		Sep   Separator
		Max   int
	}
	// Pairs are 1 to Max times key=value, separated by commas; of two with one
	// key the last counts.
	Pairs struct {
		Max  int  // zero: as many as there is room for
		Bare bool // a key may stand alone, with an empty value
	}
	// Written is what controllers write for people to read: all is allowed,
	// and nothing is read.
	Written struct{}
)

// Separator stands between the items of a list. The zero value is none.
type Separator uint8

// The separators.
const (
	Comma Separator = iota + 1
	Space
)

func (s Separator) text() string {
	if s == Space {
		return " "
	}
	return ","
}

func (Bool) name() string    { return "boolean" }
func (Bool) allowed() string { return "true or false" }
func (Bool) example() string { return "true" }

func (Bool) parse(raw string) (value, bool) {
	switch lowerASCII(strings.TrimSpace(raw)) {
	case "true":
		return boolValue(true), true
	case "false":
		return boolValue(false), true
	}
	return nil, false
}

func (Bool) cel(v string) string {
	return v + ".trim().lowerAscii() in ['true', 'false']"
}

func (ExactBool) name() string    { return "boolean" }
func (ExactBool) allowed() string { return "true or false, in lower case" }
func (ExactBool) example() string { return "true" }

func (ExactBool) parse(raw string) (value, bool) {
	return boolValue(raw == "true"), raw == "true" || raw == "false"
}

func (ExactBool) cel(v string) string { return v + " in ['true', 'false']" }

func (LooseBool) name() string    { return "boolean" }
func (LooseBool) allowed() string { return "true or false, or t, f, 1 or 0" }
func (LooseBool) example() string { return "true" }

func (LooseBool) parse(raw string) (value, bool) {
	switch lowerASCII(strings.TrimSpace(raw)) {
	case "true", "t", "1":
		return boolValue(true), true
	case "false", "f", "0":
		return boolValue(false), true
	}
	return nil, false
}

func (LooseBool) cel(v string) string {
	return v + ".trim().lowerAscii() in ['true', 't', '1', 'false', 'f', '0']"
}

func (k Int) name() string {
	if k.Unit != "" {
		return "integer, " + k.Unit
	}
	return "integer"
}

func (k Int) allowed() string {
	text := fmt.Sprintf("a whole number from %d to %d", k.Min, k.Max)
	if k.Unit != "" {
		return text + " (" + k.Unit + ")"
	}
	return text
}

func (k Int) example() string { return strconv.Itoa(k.Min) }

// integer is what both parsers take for a number: no sign of plus, no size
// that could overflow.
var integer = regexp.MustCompile(`^-?[0-9]{1,9}$`)

func (k Int) parse(raw string) (value, bool) {
	text := strings.TrimSpace(raw)
	if !integer.MatchString(text) {
		return nil, false
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < k.Min || n > k.Max {
		return nil, false
	}
	return intValue(n), true
}

func (k Int) cel(v string) string {
	return fmt.Sprintf("%[1]s.trim().matches('%[2]s') && int(%[1]s.trim()) >= %[3]d && int(%[1]s.trim()) <= %[4]d",
		v, integer, k.Min, k.Max)
}

func (Enum) name() string      { return "choice" }
func (k Enum) example() string { return k.Values[0] }

func (k Enum) allowed() string {
	if !k.Exact {
		return "one of " + strings.Join(k.Values, ", ")
	}
	if len(k.Values) == 1 {
		return "exactly " + k.Values[0]
	}
	return "exactly one of " + strings.Join(k.Values, ", ")
}

func (k Enum) parse(raw string) (value, bool) {
	if k.Exact {
		return textValue(raw), slices.Contains(k.Values, raw)
	}
	text := lowerASCII(strings.TrimSpace(raw))
	for _, v := range k.Values {
		if lowerASCII(v) == text {
			return textValue(v), true
		}
	}
	return nil, false
}

func (k Enum) cel(v string) string {
	if k.Exact {
		return v + " in " + celList(k.Values)
	}
	quoted := make([]string, len(k.Values))
	for i, text := range k.Values {
		quoted[i] = celString(lowerASCII(text))
	}
	return v + ".trim().lowerAscii() in [" + strings.Join(quoted, ", ") + "]"
}

func (Text) name() string      { return "text" }
func (k Text) allowed() string { return fmt.Sprintf("text of at most %d characters", k.Max) }
func (k Text) example() string { return k.Example }

func (k Text) parse(raw string) (value, bool) {
	return textValue(raw), utf8.RuneCountInString(raw) <= k.Max
}

func (k Text) cel(v string) string { return fmt.Sprintf("size(%s) <= %d", v, k.Max) }

func (Address) name() string { return "IP address" }

func (k Address) allowed() string {
	switch k.Family {
	case V4:
		return "an IPv4 address"
	case V6:
		return "an IPv6 address"
	}
	return "an IP address"
}

func (k Address) example() string {
	if k.Family == V6 {
		return "2001:db8::10"
	}
	return "192.0.2.10"
}

func (k Address) parse(raw string) (value, bool) {
	a, err := netip.ParseAddr(strings.TrimSpace(raw))
	if err != nil || a.Zone() != "" || a.Is4In6() {
		return nil, false
	}
	return addrValue(a), k.Family == 0 || k.Family == FamilyOf(a)
}

func (k Address) cel(v string) string {
	text := fmt.Sprintf("isIP(%s.trim())", v)
	switch k.Family {
	case V4:
		return fmt.Sprintf("%s && ip(%s.trim()).family() == 4", text, v)
	case V6:
		return fmt.Sprintf("%s && ip(%s.trim()).family() == 6", text, v)
	}
	return text
}

func (CIDR) name() string    { return "IP range" }
func (CIDR) allowed() string { return "an IP range" }
func (CIDR) example() string { return "192.0.2.0/24" }

func (CIDR) parse(raw string) (value, bool) {
	p, err := netip.ParsePrefix(strings.TrimSpace(raw))
	if err != nil || p.Addr().Is4In6() {
		return nil, false
	}
	return prefixValue(p.Masked()), true
}

func (CIDR) cel(v string) string { return fmt.Sprintf("isCIDR(%s.trim())", v) }

func (Written) name() string    { return "written by controllers" }
func (Written) allowed() string { return "anything" }
func (Written) example() string { return "" }

func (Written) parse(raw string) (value, bool) { return textValue(raw), true }

func (Written) cel(string) string { return "true" }

// lowerASCII lowers the letters A to Z alone, as CEL's lowerAscii does.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r - 'A' + 'a'
		}
		return r
	}, s)
}
