// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"hash/fnv"
	"net/netip"
	"time"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
)

// SessionConfig is everything that a session is made with. Two sessions whose
// configs are equal (==) need no reset.
type SessionConfig struct {
	Peer            string
	LocalASN        uint32
	PeerASN         uint32
	Address         netip.Addr
	Port            uint16
	Source          netip.Addr // invalid: the kernel chooses
	RouterID        netip.Addr // IPv4
	HoldTime        time.Duration
	KeepaliveTime   time.Duration
	ConnectRetry    time.Duration
	MultihopTTL     uint8
	Password        cloudconfig.Secret
	GracefulRestart cloudconfig.GracefulRestart
}

// IBGP reports whether the session is internal.
func (c SessionConfig) IBGP() bool { return c.LocalASN == c.PeerASN }

// SamePeer reports whether both are sessions with the same router in the same
// role, so that the router may keep its routes while one replaces the other.
func (c SessionConfig) SamePeer(o SessionConfig) bool {
	return c.Address == o.Address && c.LocalASN == o.LocalASN && c.PeerASN == o.PeerASN && c.Source == o.Source
}

// NewSessionConfig returns how a node holds its session with a peer. source is
// the node's own source address for all sessions of its family; invalid leaves
// the choice to the peer's sourceAddress and then to the kernel.
func NewSessionConfig(p *cloudconfig.Peer, n Node, source netip.Addr, password cloudconfig.Secret) SessionConfig {
	c := SessionConfig{
		Peer: p.Name, LocalASN: p.MyASN, PeerASN: p.PeerASN,
		Address: p.Address, Port: p.Port, Source: p.SourceAddress, RouterID: p.RouterID,
		HoldTime: p.HoldTime, KeepaliveTime: p.KeepaliveTime, ConnectRetry: p.ConnectRetryTime,
		MultihopTTL: p.MultihopTTL, Password: password, GracefulRestart: p.GracefulRestart,
	}
	if source.IsValid() && source.Is4() == p.Address.Is4() {
		c.Source = source
	}
	if !c.Source.IsValid() && c.Address.Is6() && !c.Address.IsLinkLocalUnicast() {
		// The kernel might choose an autoconfigured address, which the router
		// does not know.
		c.Source, _ = n.addr(c.Address)
	}
	if !c.RouterID.IsValid() {
		c.RouterID = routerID(n)
	}
	return c
}

// routerID is the node's first IPv4 InternalIP, or an address made of its name:
// a BGP identifier is four bytes that differ from node to node (RFC 6286).
func routerID(n Node) netip.Addr {
	for _, a := range n.Addrs {
		if a.Is4() {
			return a
		}
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(n.Name)) // a hash never fails
	s := h.Sum32()
	if s == 0 {
		s = 1 // an identifier is not zero
	}
	return netip.AddrFrom4([4]byte{byte(s >> 24), byte(s >> 16), byte(s >> 8), byte(s)})
}

// SessionPhase is how far a session is. The zero value is none.
type SessionPhase uint8

// The phases of a session.
const (
	SessionDown SessionPhase = iota + 1
	SessionUp
	// SessionBlocked: the session cannot be tried, for want of its password.
	SessionBlocked
)

// String is the phase as it stands in state objects.
func (p SessionPhase) String() string {
	switch p {
	case SessionDown:
		return "Down"
	case SessionUp:
		return "Up"
	case SessionBlocked:
		return "Blocked"
	default:
		return "Unknown"
	}
}

// SessionStatus is what is known of a session.
type SessionStatus struct {
	Phase SessionPhase
	// Since is when the phase began.
	Since time.Time
	// LastError is why the session is, or last was, down; it may be empty.
	LastError string
	// Routes is how many routes the session hands to its peer.
	Routes int
	// Updates counts routes announced and withdrawn since the session was made.
	Updates uint64
	// LocalAddress and RemoteRouterID are of the last connection.
	LocalAddress   netip.Addr
	RemoteRouterID netip.Addr
}

// CloseMode says what the peer shall do with the routes of a session that ends.
// The zero value is none.
type CloseMode uint8

// The ways to end a session.
const (
	// Withdraw ends it for good: the peer drops the routes at once.
	Withdraw CloseMode = iota + 1
	// Keep ends it as a crash would: with graceful restart the peer keeps the
	// routes until the next session or the end of the restart time.
	Keep
)

// String says what becomes of the routes.
func (m CloseMode) String() string {
	if m == Keep {
		return "Kept"
	}
	return "Withdrawn"
}
