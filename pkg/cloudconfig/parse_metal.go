// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import (
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
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

// metalParts are the keys of bare metal, as they were found.
type metalParts struct {
	pools, peers, ads, communities, zones, speaker value
}

func (m *metalParts) fields() fields {
	return fields{
		"pools": hold(&m.pools), "peers": hold(&m.peers), "advertisements": hold(&m.ads),
		"communities": hold(&m.communities), "zones": hold(&m.zones), "speaker": hold(&m.speaker),
	}
}

// readMetal reads the section of bare metal.
func readMetal(v value, c *Config) {
	var parts metalParts
	v.mapping(parts.fields())
	known := parts.communities.aliases()
	d := draft{
		pools: readSection(parts.pools, "pool", value.pool),
		peers: readSection(parts.peers, "peer", value.peer),
	}
	d.checkTargets()
	d.ads = readSection(parts.ads, "advertisement", func(v value) (Advertisement, bool) {
		return v.advertisement(&d, known)
	})
	d.ads.unique()
	if parts.ads.node == nil {
		a := defaultAdvertisement()
		d.ads.good = append(d.ads.good, entry[Advertisement]{at: v, name: a.Name, it: a})
	}
	d.warnUnannounced()
	m := d.metal()
	zoned := readSection(parts.zones, "zone", value.zone)
	m.Zones = zoned.objects()
	if parts.speaker.present() {
		parts.speaker.speaker(&m.Speaker)
	}
	c.Metal = m
	c.doubts = d.doubts(v, "address")
	c.passwordFiles = map[string]Fault{}
	for _, e := range d.peers.good {
		if e.it.Password.File != "" {
			c.passwordFiles[e.name] = e.at.child("passwordFile").describe("", "")
		}
	}
}

func defaultAdvertisement() Advertisement {
	return Advertisement{Name: DefaultAdvertisementName, AggregationLength: 32, AggregationLengthV6: 128}
}

// IsDefault reports whether the advertisement is the one that a file without
// any has.
func (a *Advertisement) IsDefault() bool { return reflect.DeepEqual(*a, defaultAdvertisement()) }

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
