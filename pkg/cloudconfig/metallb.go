// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import (
	"fmt"
	"math"
	"slices"
)

// maxTTL is used where MetalLB only says that the peer is some hops away.
const maxTTL = 255

// looksLikeMetalLB reports whether the document has a key that only MetalLB's
// file has at its top.
func looksLikeMetalLB(root value) bool {
	for _, key := range []string{"address-pools", "peers", "bgp-communities", "bfd-profiles"} {
		if root.get(key).node != nil {
			return true
		}
	}
	return false
}

// parseMetalLB reads the value of config in MetalLB's ConfigMap as it was up to
// v0.12: peers get the names peer1, peer2 and so on by their order, and each
// pool's advertisements the pool's name with their number.
func parseMetalLB(root value) (*Config, error) {
	root.r.dialect = metallb
	var peers, communities, pools, profiles value
	root.mapping(fields{
		"peers": hold(&peers), "bgp-communities": hold(&communities),
		"address-pools": hold(&pools), "bfd-profiles": hold(&profiles),
	})
	for _, profile := range profiles.items() {
		profile.object = objectName("bfd-profile", profile.scalar("name"))
		profile.warn("BFD is not supported yet", "sessions that use the profile run without BFD")
	}
	d := draft{
		pools: newSection[Pool]("pool"),
		peers: newSection[Peer]("peer"),
		ads:   newSection[Advertisement]("advertisement"),
	}
	for i, item := range peers.items() {
		name := fmt.Sprintf("peer%d", i+1)
		d.peers.read(item, name, func(v value) (Peer, bool) { return v.metallbPeer(name) })
	}
	known := communities.aliases()
	ads := make([]value, len(pools.items()))
	for i, item := range pools.items() {
		ads[i] = item.metallbPool(&d.pools)
	}
	d.checkTargets()
	for i, item := range pools.items() {
		item.metallbAdvertisements(ads[i], &d, known)
	}
	c := newConfig()
	c.Metal = d.metal()
	c.doubts = d.doubts(root, "peer-address")
	c.Faults = root.r.sorted()
	return c, nil
}

func (v value) metallbPeer(name string) (Peer, bool) {
	p := newPeer()
	p.Name = name
	var t timers
	multihop := false
	ok := v.mapping(fields{
		"my-asn":         into(&p.MyASN, value.asn),
		"peer-asn":       into(&p.PeerASN, value.asn),
		"peer-address":   into(&p.Address, value.addr),
		"source-address": into(&p.SourceAddress, value.addr),
		"peer-port":      into(&p.Port, value.port),
		"hold-time":      into(&t.hold, ptr(seconds(0, math.MaxUint16))),
		"keepalive-time": into(&t.keepalive, ptr(seconds(0, math.MaxUint16))),
		"router-id":      into(&p.RouterID, value.routerID),
		"node-selectors": into(&p.NodeSelectors, value.selectors),
		"password":       into(&p.Password.Inline, value.password),
		"ebgp-multihop":  into(&multihop, value.flag),
		"bfd-profile": func(v value) {
			v.warn("BFD is not supported yet", "the session runs without BFD")
		},
	}, "my-asn", "peer-asn", "peer-address")
	if multihop {
		p.MultihopTTL = maxTTL
	}
	fits := v.finishPeer(&p, t, peerKeys{
		hold: "hold-time", keepalive: "keepalive-time", multihop: "ebgp-multihop", source: "source-address",
	})
	return p, fits && ok
}

// metallbPool reads a pool and returns the advertisements inside it.
func (v value) metallbPool(pools *section[Pool]) (ads value) {
	// MetalLB lets Services of any namespace share an address.
	p := Pool{AutoAssign: true, ShareAcrossNamespaces: true}
	pools.read(v, v.scalar("name"), func(v value) (Pool, bool) {
		ok := v.mapping(fields{
			"name":               into(&p.Name, value.word),
			"protocol":           value.protocol,
			"addresses":          into(&p.Blocks, value.blocks),
			"auto-assign":        into(&p.AutoAssign, value.flag),
			"avoid-buggy-ips":    into(&p.AvoidBuggyIPs, value.flag),
			"bgp-advertisements": hold(&ads),
		}, "name", "protocol", "addresses")
		return p, ok
	})
	return ads
}

// metallbAdvertisements adds the advertisements of a pool; a bgp pool without
// any has one with defaults. Those of a pool that was left out are only judged.
func (v value) metallbAdvertisements(ads value, d *draft, known aliases) {
	if v.scalar("protocol") == protocolLayer2 {
		return
	}
	name := v.scalar("name")
	good := slices.ContainsFunc(d.pools.good, func(e entry[Pool]) bool { return e.at.node == v.node })
	items := ads.items()
	for i, item := range items {
		a := defaultAdvertisement()
		a.Name, a.Pools = adName(name, i), []string{name}
		item.object = objectName("advertisement", a.Name)
		if item.metallbAdvertisement(&a, d, known) && good {
			d.ads.good = append(d.ads.good, entry[Advertisement]{at: item, name: a.Name, it: a})
		}
	}
	if len(items) == 0 && good {
		a := defaultAdvertisement()
		a.Name, a.Pools = adName(name, 0), []string{name}
		d.ads.good = append(d.ads.good, entry[Advertisement]{at: v, name: a.Name, it: a})
	}
}

func adName(pool string, index int) string { return fmt.Sprintf("%s-%d", pool, index+1) }

const (
	protocolBGP    = "bgp"
	protocolLayer2 = "layer2"
)

func (v value) protocol() {
	s, ok := v.word()
	switch {
	case !ok, s == protocolBGP:
	case s == protocolLayer2:
		v.warn("announcing by ARP and NDP is not supported yet, so the pool's addresses are given to Services but not announced",
			"use protocol bgp, or announce them by other means")
	default:
		v.fault("no such protocol", "allowed are bgp and layer2")
	}
}

func (v value) metallbAdvertisement(a *Advertisement, d *draft, known aliases) bool {
	before := v.r.errors
	v.mapping(fields{
		"aggregation-length":    into(&a.AggregationLength, length(32)),
		"aggregation-length-v6": into(&a.AggregationLengthV6, length(128)),
		"localpref":             into(&a.LocalPref, ptr(value.uint32)),
		"communities":           into(&a.Communities, known.list),
	})
	d.aggregatesWithin(v, a, aggregationKeys{"aggregation-length", "aggregation-length-v6"})
	return v.r.errors == before
}
