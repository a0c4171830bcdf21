// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import (
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"path"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Defaults of bare metal.
const (
	DefaultPort               = 179 // RFC 4271 section 4
	DefaultHoldTime           = 90 * time.Second
	DefaultConnectRetryTime   = time.Second
	DefaultRestartTime        = 120 * time.Second
	DefaultDrainTime          = 5 * time.Second
	DefaultKubeProxyHealthURL = "http://127.0.0.1:10256/livez"
	DefaultSecretKey          = "password"
	DefaultAdvertisementName  = "default"

	// keepalivesPerHold is how often a peer is heard from within the hold time
	// (RFC 4271 section 10).
	keepalivesPerHold = 3
	// maxRestartSeconds fits the 12 bits of RFC 4724 section 3.
	maxRestartSeconds = 4095
	// maxCommunities is MetalLB's limit for an advertisement.
	maxCommunities = 63
)

// readMetal reads the section of bare metal.
func readMetal(v value) *Metal {
	var pools, peers, ads, communities, zones, speaker value
	v.mapping(fields{
		"pools": hold(&pools), "peers": hold(&peers), "advertisements": hold(&ads),
		"communities": hold(&communities), "zones": hold(&zones), "speaker": hold(&speaker),
	})
	known := communities.aliases()
	d := draft{
		pools: readSection(pools, "pool", value.pool),
		peers: readSection(peers, "peer", value.peer),
	}
	d.checkTargets()
	d.ads = readSection(ads, "advertisement", func(v value) (Advertisement, bool) {
		return v.advertisement(&d, known)
	})
	d.ads.unique()
	if ads.node == nil {
		a := defaultAdvertisement()
		d.ads.good = append(d.ads.good, entry[Advertisement]{at: v, name: a.Name, it: a})
	}
	d.warnUnannounced()
	m := d.metal()
	zoned := readSection(zones, "zone", value.zone)
	m.Zones = zoned.objects()
	if speaker.present() {
		speaker.speaker(&m.Speaker)
	}
	return m
}

func defaultAdvertisement() Advertisement {
	return Advertisement{Name: DefaultAdvertisementName, AggregationLength: 32, AggregationLengthV6: 128}
}

func defaultSpeaker() Speaker {
	return Speaker{DrainTime: DefaultDrainTime, KubeProxyHealthURL: DefaultKubeProxyHealthURL}
}

func (v value) pool() (Pool, bool) {
	p := Pool{AutoAssign: true}
	ok := v.mapping(fields{
		"name":                  into(&p.Name, value.word),
		"addresses":             into(&p.Blocks, value.blocks),
		"autoAssign":            into(&p.AutoAssign, value.flag),
		"avoidBuggyIPs":         into(&p.AvoidBuggyIPs, value.flag),
		"shareAcrossNamespaces": into(&p.ShareAcrossNamespaces, value.flag),
		"priority":              into(&p.Priority, value.priority),
		"namespaces":            into(&p.Namespaces, each(value.namespace)),
		"namespaceSelectors":    into(&p.NamespaceSelectors, value.selectors),
		"serviceSelectors":      into(&p.ServiceSelectors, value.selectors),
	}, "name", "addresses")
	return p, ok
}

func (v value) namespace() (string, bool) {
	s, ok := v.word()
	if ok && len(validation.IsDNS1123Label(s)) > 0 {
		v.fault("is not the name of a namespace", "write lower case letters, digits and dashes, at most 63")
		return "", false
	}
	return s, ok
}

// blocks reads the addresses of a pool: at least one entry, none of them twice.
func (v value) blocks() ([]Block, bool) {
	before := v.r.errors
	var out []Block
	for _, item := range v.items() {
		b, ok := item.block()
		if !ok {
			continue
		}
		for _, earlier := range out {
			if both, overlap := intersect(earlier, b); overlap {
				item.fault(fmt.Sprintf("holds %s, which %s in the same pool holds too", both, earlier),
					"name each address once")
				break
			}
		}
		out = append(out, b)
	}
	if len(out) == 0 && v.r.errors == before {
		v.fault("holds no addresses", "list at least one CIDR or range")
	}
	return out, v.r.errors == before
}

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
	p.KeepaliveTime = (p.HoldTime / keepalivesPerHold).Truncate(time.Second)
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
		v.fault(reason, passwordCure)
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

func (v value) advertisement(d *draft, known aliases) (Advertisement, bool) {
	before := v.r.errors
	a := defaultAdvertisement()
	v.mapping(fields{
		"name":                into(&a.Name, value.word),
		"pools":               into(&a.Pools, each(value.word)),
		"aggregationLength":   into(&a.AggregationLength, length(32)),
		"aggregationLengthV6": into(&a.AggregationLengthV6, length(128)),
		"localPref":           into(&a.LocalPref, ptr(value.uint32)),
		"communities":         into(&a.Communities, known.list),
		"peers":               into(&a.Peers, each(value.word)),
		"nodeSelectors":       into(&a.NodeSelectors, value.selectors),
		"serviceSelectors":    into(&a.ServiceSelectors, value.selectors),
	}, "name")
	if len(a.ServiceSelectors) > 0 && a.aggregates() {
		v.child("serviceSelectors").fault("cannot go with an aggregation length, which covers other Services too",
			"remove one of them")
	}
	references(v.get("pools"), &d.pools)
	references(v.get("peers"), &d.peers)
	d.aggregatesWithin(v, &a, aggregationKeys{"aggregationLength", "aggregationLengthV6"})
	a.Pools = usable(a.Pools, &d.pools)
	a.Peers = usable(a.Peers, &d.peers)
	return a, v.r.errors == before
}

func (a *Advertisement) aggregates() bool {
	return a.AggregationLength < 32 || a.AggregationLengthV6 < 128
}

// list reads communities, without those named before.
func (a aliases) list(v value) ([]Community, bool) {
	all, ok := each(a.named)(v)
	var out []Community
	seen := map[Community]bool{}
	for _, c := range all {
		if !seen[c] {
			seen[c] = true
			out = append(out, c)
		}
	}
	if len(out) > maxCommunities {
		v.fault(fmt.Sprintf("holds %d communities", len(out)), fmt.Sprintf("list at most %d", maxCommunities))
		return nil, false
	}
	return out, ok
}

func (v value) zone() (Zone, bool) {
	var z Zone
	ok := v.mapping(fields{
		"name":          into(&z.Name, value.topologyLabel),
		"region":        into(&z.Region, value.topologyLabel),
		"cidrs":         into(&z.CIDRs, each(value.prefix)),
		"nodeSelectors": into(&z.NodeSelectors, value.selectors),
	})
	if ok && z.Name == "" && z.Region == "" {
		v.fault("a zone needs a name, a region or both", "add name")
		ok = false
	}
	return z, ok
}

// topologyLabel is a word that becomes a label of nodes.
func (v value) topologyLabel() (string, bool) {
	if s, ok := v.word(); !ok {
		return s, false
	}
	return v.labelValue()
}

// speaker reads the settings of all speakers. A field with a fault keeps its
// default.
func (v value) speaker(s *Speaker) {
	v.mapping(fields{
		"drainTime":          into(&s.DrainTime, period(0, time.Hour)),
		"kubeProxyHealthURL": into(&s.KubeProxyHealthURL, value.healthURL),
	})
}

func (v value) healthURL() (string, bool) {
	s, ok := v.text()
	if !ok || s == "" {
		return "", ok
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		v.fault("is not a URL of http or https", `write such as `+DefaultKubeProxyHealthURL+`, or "" for no check`)
		return "", false
	}
	return s, true
}

// Matches reports whether a node stands in the zone: one of its addresses is
// in CIDRs or its labels match NodeSelectors. A zone with neither holds every
// node.
func (z *Zone) Matches(node map[string]string, addrs []netip.Addr) bool {
	if len(z.CIDRs) == 0 && len(z.NodeSelectors) == 0 {
		return true
	}
	if len(z.NodeSelectors) > 0 && z.NodeSelectors.Matches(node) {
		return true
	}
	for _, p := range z.CIDRs {
		for _, a := range addrs {
			if p.Contains(a.Unmap()) {
				return true
			}
		}
	}
	return false
}
