// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import (
	"fmt"
	"strconv"
	"strings"
)

// GracefulShutdown asks the receiver to prefer any other path (RFC 8326).
const GracefulShutdown Community = 0xFFFF0000

// String is the community as high:low, such as 65535:0.
func (c Community) String() string { return fmt.Sprintf("%d:%d", uint32(c)>>16, uint32(c)&0xFFFF) }

// wellKnown are the names that may stand for a community, from the IANA
// registry "BGP Well-known Communities".
func wellKnown() map[string]Community {
	return map[string]Community{
		"graceful-shutdown":   GracefulShutdown, // RFC 8326
		"accept-own":          0xFFFF0001,       // RFC 7611
		"llgr-stale":          0xFFFF0006,       // RFC 9494
		"no-llgr":             0xFFFF0007,       // RFC 9494
		"accept-own-nexthop":  0xFFFF0008,
		"blackhole":           0xFFFF029A, // RFC 7999
		"no-export":           0xFFFFFF01, // RFC 1997
		"no-advertise":        0xFFFFFF02, // RFC 1997
		"no-export-subconfed": 0xFFFFFF03, // RFC 1997
		"no-peer":             0xFFFFFF04, // RFC 3765
	}
}

// aliases are the names that the file itself gives to communities.
type aliases struct {
	good map[string]Community
	bad  map[string]int // left out, and their lines
}

// aliases reads the mapping from alias to community.
func (v value) aliases() aliases {
	out := aliases{good: map[string]Community{}, bad: map[string]int{}}
	if !v.present() || !v.isMapping() {
		return out
	}
	seen := map[string]int{}
	for _, p := range v.pairs() {
		name := p.key.Value
		if line, twice := seen[name]; twice {
			v.duplicate(p.key, line)
			continue
		}
		seen[name] = v.r.line(p.key)
		c := v.under(name, p.val)
		c.object = objectName("community", name)
		community, ok := c.community()
		std, known := wellKnown()[name]
		if ok && known && std != community && v.r.dialect != metallb {
			c.fault(fmt.Sprintf("the name means %s everywhere", std), "choose another name")
			ok = false
		}
		if _, isValue, _ := parseCommunity(name); ok && isValue {
			c.fault("the name looks like a community", "choose a name without colons")
			ok = false
		}
		if ok {
			out.good[name] = community
		} else {
			out.bad[name] = seen[name]
		}
	}
	return out
}

// named reads an alias, a well-known name or a community.
func (a aliases) named(v value) (Community, bool) {
	s, ok := v.word()
	if !ok {
		return 0, false
	}
	if c, ok := a.good[s]; ok {
		return c, true
	}
	if line, bad := a.bad[s]; bad {
		v.fault(fmt.Sprintf("the alias on line %d has a fault", line), "correct it there")
		return 0, false
	}
	if strings.Contains(s, ":") {
		return v.community()
	}
	if c, ok := wellKnown()[s]; ok {
		return c, true
	}
	known := make([]string, 0, len(a.good))
	for name := range a.good {
		known = append(known, name)
	}
	for name := range wellKnown() {
		known = append(known, name)
	}
	if meant := suggest(s, sorted(known)); meant != "" {
		v.fault("no such community", "did you mean "+meant+"?")
	} else {
		v.fault("no such community", "write it as a:b, or use an alias of communities or a well-known name such as no-export")
	}
	return 0, false
}

// community reads a community written as numbers.
func (v value) community() (Community, bool) {
	s, ok := v.text()
	if !ok {
		return 0, false
	}
	c, isValue, large := parseCommunity(s)
	switch {
	case large:
		v.fault("large communities are not supported yet", "use a standard community such as 64512:100")
	case !isValue:
		v.fault("is not a community", "write a:b with numbers from 0 to 65535, such as 64512:100")
	default:
		return c, true
	}
	return 0, false
}

// parseCommunity reads a:b; large tells that s is a large community (RFC 8092).
func parseCommunity(s string) (c Community, ok, large bool) {
	parts := strings.Split(s, ":")
	if parts[0] == "large" || len(parts) == 3 {
		return 0, false, true
	}
	if len(parts) != 2 {
		return 0, false, false
	}
	high, errHigh := strconv.ParseUint(parts[0], 10, 16)
	low, errLow := strconv.ParseUint(parts[1], 10, 16)
	return Community(high<<16 | low), errHigh == nil && errLow == nil, false //nolint:gosec // G115: 16 bits each.
}
