// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import (
	"fmt"
	"math"
	"path"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

func newPeer() Peer {
	return Peer{
		Port: DefaultPort, ConnectRetryTime: DefaultConnectRetryTime,
		GracefulRestart: GracefulRestart{Enabled: true, RestartTime: DefaultRestartTime},
	}
}

func (v value) peer() (Peer, bool) {
	p := newPeer()
	var t timers
	ok := v.mapping(fields{
		"name":             into(&p.Name, value.word),
		"myASN":            into(&p.MyASN, value.asn),
		"peerASN":          into(&p.PeerASN, value.asn),
		"address":          into(&p.Address, value.addr),
		"port":             into(&p.Port, value.port),
		"sourceAddress":    into(&p.SourceAddress, value.addr),
		"routerID":         into(&p.RouterID, value.routerID),
		"holdTime":         into(&t.hold, ptr(seconds(0, math.MaxUint16))),
		"keepaliveTime":    into(&t.keepalive, ptr(seconds(0, math.MaxUint16))),
		"connectRetryTime": into(&p.ConnectRetryTime, seconds(1, math.MaxUint16)),
		"multihopTTL":      into(&p.MultihopTTL, value.ttl),
		"password":         into(&p.Password.Inline, value.password),
		"passwordFile":     into(&p.Password.File, value.absolutePath),
		"passwordSecret":   func(v value) { v.passwordSecret(&p.Password) },
		"gracefulRestart":  func(v value) { v.gracefulRestart(&p.GracefulRestart) },
		"nodeSelectors":    into(&p.NodeSelectors, value.selectors),
	}, "name", "myASN", "peerASN", "address")
	fits := v.finishPeer(&p, t, peerKeys{
		hold: "holdTime", keepalive: "keepaliveTime", multihop: "multihopTTL", source: "sourceAddress",
	})
	return p, v.onePassword() && fits && ok
}

// timers are the times of a session as far as they were given.
type timers struct{ hold, keepalive *time.Duration }

// peerKeys are the names of a format for what finishPeer judges.
type peerKeys struct{ hold, keepalive, multihop, source string }

// finishPeer derives what was not given and judges fields against each other,
// as far as they could be read.
func (v value) finishPeer(p *Peer, t timers, keys peerKeys) bool {
	before := v.r.errors
	v.times(p, t, keys)
	if p.MultihopTTL > 0 && p.MyASN > 0 && p.IBGP() {
		v.child(keys.multihop).fault("is for eBGP, but myASN and peerASN are equal",
			"remove it: iBGP sessions may always cross routers")
	}
	if p.SourceAddress.IsValid() && p.Address.IsValid() && p.SourceAddress.Is4() != p.Address.Is4() {
		v.child(keys.source).fault(fmt.Sprintf("is of another IP family than the peer's address %s", p.Address),
			"give both of one family")
	}
	return v.r.errors == before
}

// times checks and derives the hold and keepalive times (RFC 4271 section 4.2).
func (v value) times(p *Peer, t timers, keys peerKeys) {
	const shortest, longest = 3 * time.Second, math.MaxUint16 * time.Second
	p.HoldTime = DefaultHoldTime
	switch {
	case t.hold != nil:
		p.HoldTime = *t.hold
	case t.keepalive != nil:
		p.HoldTime = *t.keepalive * keepalivesPerHold
	}
	p.KeepaliveTime = keepalive(p.HoldTime)
	if t.keepalive != nil {
		p.KeepaliveTime = *t.keepalive
	}
	switch {
	case t.hold != nil && p.HoldTime > 0 && p.HoldTime < shortest:
		v.child(keys.hold).fault("is too short", "write 0s for no hold time, or at least 3s")
	case t.hold == nil && p.HoldTime > longest:
		v.child(keys.keepalive).fault("is too long: the hold time is three times that", "write at most 21845s, or set "+keys.hold)
	case p.KeepaliveTime > p.HoldTime:
		v.child(keys.keepalive).fault(fmt.Sprintf("is longer than the hold time of %s", duration(p.HoldTime)),
			"write at most a third of it")
	case p.KeepaliveTime == 0 && p.HoldTime > 0:
		v.child(keys.keepalive).fault(fmt.Sprintf("sends no keepalives, so that the session ends after the hold time of %s", duration(p.HoldTime)),
			"write a third of it, or 0s for both")
	}
}

// keepalive is the default for a hold time, in whole seconds.
func keepalive(hold time.Duration) time.Duration {
	return (hold / keepalivesPerHold).Truncate(time.Second)
}

// onePassword refuses a peer whose password comes from two places.
func (v value) onePassword() bool {
	var first string
	for _, p := range v.pairs() {
		key := p.key.Value
		if key != "password" && key != "passwordFile" && key != "passwordSecret" {
			continue
		}
		if first != "" && first != key {
			c := v.under(key, p.val)
			c.secret = true
			c.fault("the peer has "+first+" as well", "leave one of password, passwordFile and passwordSecret")
			return false
		}
		first = key
	}
	return true
}

func (v value) password() (Secret, bool) {
	v.secret = true
	s, ok := v.text()
	if !ok {
		return "", false
	}
	if s == redacted {
		v.fault("is the text that stands for a hidden password", "write the password itself, or use passwordFile or passwordSecret")
		return "", false
	}
	if reason := badPassword(s); reason != "" {
		v.fault(reason, lengthCure)
		return "", false
	}
	return Secret(s), true
}

func (v value) absolutePath() (string, bool) {
	s, ok := v.word()
	if ok && !path.IsAbs(s) {
		v.fault("is not an absolute path", "write the path as the speaker sees it, such as /etc/fairlead/passwords/tor")
		return "", false
	}
	return s, ok
}

func (v value) passwordSecret(p *Password) {
	p.SecretKey = DefaultSecretKey
	v.mapping(fields{
		"name": into(&p.SecretName, value.secretName),
		"key":  into(&p.SecretKey, value.secretKey),
	}, "name")
}

func (v value) secretName() (string, bool) {
	s, ok := v.word()
	if ok && len(validation.IsDNS1123Subdomain(s)) > 0 {
		v.fault("is not the name of a Secret", "write lower case letters, digits, dots and dashes")
		return "", false
	}
	return s, ok
}

func (v value) secretKey() (string, bool) {
	s, ok := v.word()
	if ok && len(validation.IsConfigMapKey(s)) > 0 {
		v.fault("is not the key of a Secret", "write letters, digits, dots, dashes and underscores")
		return "", false
	}
	return s, ok
}

func (v value) gracefulRestart(g *GracefulRestart) {
	v.mapping(fields{
		"enabled":     into(&g.Enabled, value.flag),
		"restartTime": into(&g.RestartTime, seconds(1, maxRestartSeconds)),
	})
}
