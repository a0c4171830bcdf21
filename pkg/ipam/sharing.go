// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/fairlead/fairlead/pkg/intent"
)

// Sharing says with whom a Service may have an address in common. The rules
// are MetalLB's: the same key, other ports, and traffic that goes to the same
// nodes. The zero value shares with nobody.
type Sharing struct {
	Key string
	// Backend is what the nodes that take the traffic depend on: empty for the
	// traffic policy Cluster, the selector for Local.
	Backend string
	Ports   []Port // sorted
}

// Port is a port that a Service takes at its addresses.
type Port struct {
	Proto intent.Proto
	Port  uint16
}

// NewSharing is how a Service with this key, these ports, traffic policy and
// selector shares. Without a key it does not.
func NewSharing(key string, ports []Port, traffic intent.TrafficPolicy, selector labels.Set) Sharing {
	if key == "" {
		return Sharing{}
	}
	s := Sharing{Key: key, Ports: slices.Clone(ports)}
	slices.SortFunc(s.Ports, comparePorts)
	if traffic == intent.Local {
		s.Backend = selector.String()
	}
	return s
}

func comparePorts(a, b Port) int {
	if a.Proto != b.Proto {
		return int(a.Proto) - int(b.Proto)
	}
	return int(a.Port) - int(b.Port)
}

// Equal reports whether both say the same.
func (s Sharing) Equal(o Sharing) bool {
	return s.Key == o.Key && s.Backend == o.Backend && slices.Equal(s.Ports, o.Ports)
}

// String says it in words; empty for no sharing.
func (s Sharing) String() string {
	if s.Key == "" {
		return ""
	}
	words := make([]string, 0, len(s.Ports)+2)
	words = append(words, s.Key)
	for _, p := range s.Ports {
		words = append(words, p.String())
	}
	if s.Backend != "" {
		words = append(words, "only nodes of "+s.Backend)
	}
	return strings.Join(words, ", ")
}

// String is the port as in TCP/80.
func (p Port) String() string { return fmt.Sprintf("%s/%d", protoName(p.Proto), p.Port) }

func protoName(p intent.Proto) string {
	switch p {
	case intent.TCP:
		return "TCP"
	case intent.UDP:
		return "UDP"
	case intent.SCTP:
		return "SCTP"
	}
	return "unknown"
}

// rule is a rule of sharing that two Services break. The zero value is none of
// them.
type rule uint8

const (
	ruleNone rule = iota
	ruleNoKey
	ruleKey
	ruleNamespace
	ruleBackend
	rulePort
)

// breaks tells which rule forbids two Services to have the address in common.
// Where no pool holds it, nobody knows whether namespaces may share it.
func (p *Pools) breaks(a, b *Holder, addr netip.Addr) rule {
	x, y := a.Sharing, b.Sharing
	switch {
	case x.Key == "" || y.Key == "":
		return ruleNoKey
	case x.Key != y.Key:
		return ruleKey
	case x.Backend != y.Backend:
		return ruleBackend
	}
	if i := p.of(addr); i >= 0 && a.Key.Namespace != b.Key.Namespace && !p.list[i].ShareAcrossNamespaces {
		return ruleNamespace
	}
	if _, common := commonPort(x.Ports, y.Ports); common {
		return rulePort
	}
	return ruleNone
}

func commonPort(a, b []Port) (Port, bool) {
	for _, p := range a {
		if slices.Contains(b, p) {
			return p, true
		}
	}
	return Port{}, false
}
