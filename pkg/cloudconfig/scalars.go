// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"
	"go4.org/netipx"
)

// text is any single value, as written.
func (v value) text() (string, bool) {
	switch {
	case v.node.Kind != yaml.ScalarNode:
		v.fault("must be a single value", "write it on one line, without a dash or keys")
		return "", false
	case v.null():
		v.fault("has no value", "give it one or remove the key")
		return "", false
	}
	return v.node.Value, true
}

// word is a text with something in it.
func (v value) word() (string, bool) {
	s, ok := v.text()
	switch {
	case !ok:
		return "", false
	case s == "":
		v.fault("is empty", "give it a value or remove the key")
		return "", false
	case strings.TrimSpace(s) != s || strings.ContainsFunc(s, unicode.IsControl):
		v.fault("begins or ends with a space or holds a control character", "remove it")
		return "", false
	case isPlaceholder(s):
		v.fault(placeholder, placeholderCure)
		return "", false
	}
	return s, true
}

const placeholder, placeholderCure = "is a placeholder of an example", "write the value that it stands for"

// isPlaceholder reports whether an example was copied and not filled in, such as
// <tenant-id>.
func isPlaceholder(s string) bool { return strings.HasPrefix(s, "<") && strings.HasSuffix(s, ">") }

// number is a whole decimal number of a range.
func (v value) number(lowest, highest uint64) (uint64, bool) {
	s, ok := v.text()
	if !ok {
		return 0, false
	}
	cure := fmt.Sprintf("write a whole number from %d to %d", lowest, highest)
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || (len(s) > 1 && s[0] == '0') {
		v.fault("is not a whole number", cure)
		return 0, false
	}
	if n < lowest || n > highest {
		v.fault("is out of range", cure)
		return 0, false
	}
	return n, true
}

// length reads a prefix length up to the bits of a family.
func length(bits uint64) func(value) (int, bool) {
	return func(v value) (int, bool) {
		n, ok := v.number(0, bits)
		return int(n), ok //nolint:gosec // G115: at most 128.
	}
}

func (v value) port() (uint16, bool) {
	n, ok := v.number(1, math.MaxUint16)
	return uint16(n), ok //nolint:gosec // G115: in range by number.
}

func (v value) priority() (int, bool) {
	n, ok := v.number(0, math.MaxInt32)
	return int(n), ok //nolint:gosec // G115: in range by number.
}

func (v value) uint32() (uint32, bool) {
	n, ok := v.number(0, math.MaxUint32)
	return uint32(n), ok //nolint:gosec // G115: in range by number.
}

func (v value) ttl() (uint8, bool) {
	n, ok := v.number(1, math.MaxUint8)
	return uint8(n), ok //nolint:gosec // G115: in range by number.
}

// asTrans stands for a 4-byte AS number towards old routers (RFC 6793 section 9).
const asTrans = 23456

// asn is an AS number that may be used: 0 is reserved (RFC 7607).
func (v value) asn() (uint32, bool) {
	const cure = "write a whole number from 1 to 4294967295 other than 23456"
	s, ok := v.text()
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	switch {
	case err != nil || (len(s) > 1 && s[0] == '0'):
		v.fault("is not an AS number", cure)
	case n == 0 || n == asTrans:
		v.fault("is a reserved AS number", cure)
	case n > math.MaxUint32:
		v.fault("is out of range", cure)
	default:
		return uint32(n), true
	}
	return 0, false
}

// flag is true or false; in the files of peers also their other words.
func (v value) flag() (bool, bool) {
	s, ok := v.text()
	if !ok {
		return false, false
	}
	switch lower := strings.ToLower(s); {
	case lower == "true":
		return true, true
	case lower == "false":
		return false, true
	case v.r.dialect == metallb && (lower == "yes" || lower == "on" || lower == "y"),
		v.r.dialect == awsINI && (lower == "yes" || lower == "on" || lower == "1"):
		return true, true
	case v.r.dialect == metallb && (lower == "no" || lower == "off" || lower == "n"),
		v.r.dialect == awsINI && (lower == "no" || lower == "off" || lower == "0"):
		return false, true
	}
	v.fault("is neither true nor false", "write true or false")
	return false, false
}

// period reads a duration of a range.
func period(lowest, highest time.Duration) func(value) (time.Duration, bool) {
	return func(v value) (time.Duration, bool) {
		d, ok := v.duration()
		if ok && (d < lowest || d > highest) {
			v.fault("is out of range", fmt.Sprintf("write a duration from %s to %s", duration(lowest), duration(highest)))
			return 0, false
		}
		return d, ok
	}
}

// seconds reads a whole number of seconds of a range.
func seconds(lowest, highest int) func(value) (time.Duration, bool) {
	read := period(time.Duration(lowest)*time.Second, time.Duration(highest)*time.Second)
	return func(v value) (time.Duration, bool) {
		d, ok := read(v)
		if ok && d%time.Second != 0 {
			if v.r.dialect != metallb {
				v.fault("is not a whole number of seconds", "write such as 90s")
				return 0, false
			}
			d = d.Truncate(time.Second)
			v.warn("is not a whole number of seconds", "as in MetalLB "+duration(d)+" is used")
		}
		return d, ok
	}
}

func (v value) duration() (time.Duration, bool) {
	const cure = "write a number with a unit, such as 90s or 1m30s"
	s, ok := v.text()
	if !ok {
		return 0, false
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		reason := "is not a duration"
		if _, err := strconv.Atoi(s); err == nil {
			reason = "has no unit"
		}
		v.fault(reason, cure)
		return 0, false
	}
	return d, true
}

// duration prints as people write it: 1m30s, 10m, 0s.
func duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// addr is the address of one host.
func (v value) addr() (netip.Addr, bool) {
	const cure = "write an address such as 192.0.2.1 or 2001:db8::1"
	s, ok := v.text()
	if !ok {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		v.fault("is not an IP address", cure)
	case a.Zone() != "":
		v.fault("has a zone, which is not supported yet", cure)
	case a.Unmap().IsUnspecified() || a.Unmap().IsMulticast():
		v.fault("is not the address of one host", cure)
	default:
		return a.Unmap(), true
	}
	return netip.Addr{}, false
}

// routerID is a BGP identifier, written as an IPv4 address.
func (v value) routerID() (netip.Addr, bool) {
	s, ok := v.text()
	if !ok {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() || a.IsUnspecified() {
		v.fault("is not a router id", "write an IPv4 address other than 0.0.0.0, such as 192.0.2.1")
		return netip.Addr{}, false
	}
	return a, true
}

// prefix is a CIDR without host bits.
func (v value) prefix() (netip.Prefix, bool) {
	s, ok := v.text()
	if !ok {
		return netip.Prefix{}, false
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || unmapPrefix(p) == (netip.Prefix{}) {
		v.fault("is not a prefix", "write a CIDR such as 192.0.2.0/24 or 2001:db8::/64")
		return netip.Prefix{}, false
	}
	p = unmapPrefix(p)
	if masked := p.Masked(); masked != p {
		if v.r.dialect != metallb {
			v.fault("has bits set behind the prefix", fmt.Sprintf("write %s", masked))
			return netip.Prefix{}, false
		}
		v.warn("has bits set behind the prefix", fmt.Sprintf("as in MetalLB %s is used", masked))
		p = masked
	}
	return p, true
}

// unmapPrefix turns a prefix of IPv4-mapped addresses into one of IPv4; the
// zero prefix when it covers more than those.
func unmapPrefix(p netip.Prefix) netip.Prefix {
	if !p.Addr().Is4In6() {
		return p
	}
	const mappedBits = 96 // ::ffff:0:0/96 (RFC 4291 section 2.5.5.2)
	if p.Bits() < mappedBits {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mappedBits)
}

// block is an entry of a pool's addresses: a CIDR, a range or one address.
func (v value) block() (Block, bool) {
	s, ok := v.text()
	if !ok {
		return Block{}, false
	}
	if strings.Contains(s, "/") && !strings.Contains(s, "-") {
		p, ok := v.prefix()
		if !ok {
			return Block{}, false
		}
		return v.hosts(Block{Range: netipx.RangeOfPrefix(p), CIDR: true})
	}
	const cure = "write a CIDR such as 192.0.2.0/24 or a range such as 192.0.2.10-192.0.2.20"
	from, to, isRange := strings.Cut(s, "-")
	if !isRange {
		to = from
	}
	a, errA := netip.ParseAddr(strings.TrimSpace(from))
	b, errB := netip.ParseAddr(strings.TrimSpace(to))
	a, b = a.Unmap(), b.Unmap()
	switch {
	case errA != nil || errB != nil || a.Zone() != "" || b.Zone() != "":
		v.fault("is neither a CIDR nor a range of addresses", cure)
	case a.Is4() != b.Is4():
		v.fault("begins with one IP family and ends with the other", cure)
	case b.Less(a):
		v.fault("ends before it begins", fmt.Sprintf("write %s-%s", b, a))
	default:
		return v.hosts(Block{Range: netipx.IPRangeFrom(a, b)})
	}
	return Block{}, false
}

// hosts refuses blocks of addresses that no host can be reached at.
func (v value) hosts(b Block) (Block, bool) {
	for _, special := range []struct{ prefix, what string }{
		{"0.0.0.0/32", "unspecified"},
		{"224.0.0.0/4", "multicast"},
		{"127.0.0.0/8", "loopback"},
		{"::/128", "unspecified"},
		{"ff00::/8", "multicast"},
		{"::1/128", "loopback"},
	} {
		if b.Range.Overlaps(netipx.RangeOfPrefix(netip.MustParsePrefix(special.prefix))) {
			v.fault("holds "+special.what+" addresses", "leave out "+special.prefix)
			return Block{}, false
		}
	}
	return b, true
}
