// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import (
	"net/netip"
	"slices"
	"time"

	"go4.org/netipx"
	"k8s.io/apimachinery/pkg/labels"
)

// Metal is the configuration of bare metal: where addresses come from, whom
// they are announced to, and where nodes stand.
type Metal struct {
	Pools          []Pool
	Peers          []Peer
	Advertisements []Advertisement
	Zones          []Zone
	Speaker        Speaker
}

// Selectors is a list of label selectors of which one must match. An empty
// list matches everything.
type Selectors []labels.Selector

// Matches reports whether the list is empty or one of it matches the labels.
func (s Selectors) Matches(set labels.Set) bool {
	if len(s) == 0 {
		return true
	}
	for _, sel := range s {
		if sel.Matches(set) {
			return true
		}
	}
	return false
}

// Block is one entry of a pool's addresses, as written.
type Block struct {
	Range netipx.IPRange
	// CIDR is true when the entry was a prefix: then the network and broadcast
	// addresses of an IPv4 prefix shorter than /31 are never chosen, only given
	// when asked for by name.
	CIDR bool
}

// Pool is a named set of addresses for Services.
type Pool struct {
	Name   string
	Blocks []Block // disjoint, in file order
	// AutoAssign lets Services have its addresses without asking for the pool.
	AutoAssign bool
	// AvoidBuggyIPs refuses IPv4 addresses that end in .0 or .255.
	AvoidBuggyIPs bool
	// ShareAcrossNamespaces lets Services of different namespaces share an
	// address by a common sharing key. MetalLB's own files imply true.
	ShareAcrossNamespaces bool
	// Priority orders pools that match a Service: the lowest first. 0 is last.
	Priority int
	// Namespaces and NamespaceSelectors limit the pool to Services in one of
	// these namespaces (either list); both empty is every namespace.
	Namespaces         []string
	NamespaceSelectors Selectors
	// ServiceSelectors limit the pool to matching Services.
	ServiceSelectors Selectors
}

// Pinned reports whether the pool is limited to some Services. Pinned pools
// come before all others for the Services they match (MetalLB's
// serviceAllocation).
func (p *Pool) Pinned() bool {
	return len(p.Namespaces) > 0 || len(p.NamespaceSelectors) > 0 || len(p.ServiceSelectors) > 0
}

// Contains reports whether the address is of the pool.
func (p *Pool) Contains(a netip.Addr) bool {
	for _, b := range p.Blocks {
		if b.Range.Contains(a) {
			return true
		}
	}
	return false
}

// Peer is a BGP router that speakers hold a session with.
type Peer struct {
	Name          string
	MyASN         uint32
	PeerASN       uint32
	Address       netip.Addr
	Port          uint16     // 179 unless set
	SourceAddress netip.Addr // zero: the kernel chooses
	// RouterID is the BGP identifier (RFC 4271 section 1.1); zero: from the
	// node's IPv4 address, or a hash of its name.
	RouterID         netip.Addr
	HoldTime         time.Duration // 90 s unless set
	KeepaliveTime    time.Duration // a third of HoldTime unless set
	ConnectRetryTime time.Duration // 1 s unless set
	// MultihopTTL is 0 for a directly connected eBGP peer.
	MultihopTTL     uint8
	Password        Password
	GracefulRestart GracefulRestart
	NodeSelectors   Selectors
}

// IBGP reports whether the session is internal (RFC 4271 section 1.1).
func (p *Peer) IBGP() bool { return p.MyASN == p.PeerASN }

// Password is the TCP MD5 password (RFC 2385) of a session: none, or exactly
// one of its fields.
type Password struct {
	Inline Secret
	File   string // path, read when the session is made and again when it changes
	// SecretName and SecretKey name a Secret in the speaker's own namespace.
	SecretName string
	SecretKey  string // "password" unless set
}

// GracefulRestart configures RFC 4724 for a session.
type GracefulRestart struct {
	Enabled     bool          // true unless switched off
	RestartTime time.Duration // 120 s unless set; at most 4095 s
}

// Advertisement says how the addresses of pools are announced.
type Advertisement struct {
	Name string
	// Pools and Peers are names; empty means all. They may name what was left
	// out of the config for a fault of its own.
	Pools []string
	// AggregationLength and AggregationLengthV6 are the prefix lengths
	// announced: 32 and 128 unless set.
	AggregationLength   int
	AggregationLengthV6 int
	LocalPref           *uint32 // nil: not set; sent on iBGP only
	Communities         []Community
	Peers               []string
	NodeSelectors       Selectors // nodes that announce
	ServiceSelectors    Selectors
}

// Community is a standard BGP community (RFC 1997): high 16 bits the AS.
type Community uint32

// Zone says where nodes stand: those with an address in CIDRs or whose labels
// match NodeSelectors. The first zone that matches a node counts.
type Zone struct {
	Name          string // topology.kubernetes.io/zone; may be empty
	Region        string // topology.kubernetes.io/region; may be empty
	CIDRs         []netip.Prefix
	NodeSelectors Selectors
}

// Speaker configures all speakers.
type Speaker struct {
	// DrainTime is how long a leaving node keeps its routes, marked with
	// GRACEFUL_SHUTDOWN (RFC 8326), before it withdraws them. 5 s unless set.
	DrainTime time.Duration
	// KubeProxyHealthURL must answer 200 before a new node announces anything;
	// empty: no check. http://127.0.0.1:10256/livez unless set.
	KubeProxyHealthURL string
}

// Covers reports whether the advertisement is for the pool.
func (a *Advertisement) Covers(pool string) bool {
	return len(a.Pools) == 0 || slices.Contains(a.Pools, pool)
}

// To reports whether the advertisement is for the peer.
func (a *Advertisement) To(peer string) bool {
	return len(a.Peers) == 0 || slices.Contains(a.Peers, peer)
}

// String is the block as the file writes it.
func (b Block) String() string {
	if p, ok := b.Range.Prefix(); ok && b.CIDR {
		return p.String()
	}
	if b.Range.From() == b.Range.To() {
		return b.Range.From().String()
	}
	return b.Range.String()
}
