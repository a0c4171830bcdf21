// SPDX-License-Identifier: Apache-2.0

package cloudconfig_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
)

const header = "apiVersion: config.fairlead.dev/v1alpha1\nkind: CloudConfig\n"

func parse(t *testing.T, text string) *cloudconfig.Config {
	t.Helper()
	c, err := cloudconfig.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// good is parse for a file without faults.
func good(t *testing.T, text string) *cloudconfig.Config {
	t.Helper()
	c := parse(t, text)
	if len(c.Faults) > 0 {
		t.Fatal(c.Faults)
	}
	return c
}

func TestDefaults(t *testing.T) {
	c := good(t, header+`
metal:
  pools:
  - {name: a, addresses: [192.0.2.0/24]}
  peers:
  - {name: tor, myASN: 64512, peerASN: 4200000000, address: "::ffff:192.0.2.1"}
`)
	if c.Drift != (cloudconfig.Drift{Mode: cloudconfig.DriftReport, Interval: 10 * time.Minute}) {
		t.Errorf("drift is %+v", c.Drift)
	}
	p := c.Metal.Peers[0]
	if p.Port != 179 || p.HoldTime != 90*time.Second || p.KeepaliveTime != 30*time.Second ||
		p.ConnectRetryTime != time.Second || p.MultihopTTL != 0 ||
		p.GracefulRestart != (cloudconfig.GracefulRestart{Enabled: true, RestartTime: 2 * time.Minute}) {
		t.Errorf("peer is %+v", p)
	}
	if p.Address != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("a mapped address stays mapped: %s", p.Address)
	}
	if pool := c.Metal.Pools[0]; !pool.AutoAssign || pool.ShareAcrossNamespaces {
		t.Errorf("pool is %+v", pool)
	}
	if c.Metal.Speaker != (cloudconfig.Speaker{DrainTime: 5 * time.Second, KubeProxyHealthURL: "http://127.0.0.1:10256/livez"}) {
		t.Errorf("speaker is %+v", c.Metal.Speaker)
	}
	want := []cloudconfig.Advertisement{{Name: "default", AggregationLength: 32, AggregationLengthV6: 128}}
	if diff := cmp.Diff(want, c.Metal.Advertisements); diff != "" {
		t.Errorf("without a section all pools go to all peers (-want +got):\n%s", diff)
	}
}

func TestTimersDeriveEachOther(t *testing.T) {
	for _, tc := range []struct {
		keys            string
		hold, keepalive time.Duration
	}{
		{"holdTime: 30s", 30 * time.Second, 10 * time.Second},
		{"holdTime: 4s", 4 * time.Second, time.Second},
		{"holdTime: 0s", 0, 0},
		{"keepaliveTime: 5s", 15 * time.Second, 5 * time.Second},
		{"keepaliveTime: 0s", 0, 0},
		{"holdTime: 9s, keepaliveTime: 9s", 9 * time.Second, 9 * time.Second},
	} {
		t.Run(tc.keys, func(t *testing.T) {
			c := good(t, header+"metal: {peers: [{name: a, myASN: 1, peerASN: 2, address: 192.0.2.1, "+tc.keys+"}]}\n")
			if p := c.Metal.Peers[0]; p.HoldTime != tc.hold || p.KeepaliveTime != tc.keepalive {
				t.Errorf("hold %s keepalive %s, want %s and %s", p.HoldTime, p.KeepaliveTime, tc.hold, tc.keepalive)
			}
		})
	}
}

func TestBlocksPrintAsWritten(t *testing.T) {
	written := []string{
		"192.0.2.0/24", "198.51.100.4-198.51.100.7", "203.0.113.9", "203.0.113.10/32",
		"2001:db8::/64", "2001:db8:1::1-2001:db8:1::ff",
	}
	c := good(t, header+"metal: {pools: [{name: a, addresses: ['"+strings.Join(written, "', '")+"']}]}\n")
	for i, b := range c.Metal.Pools[0].Blocks {
		if b.String() != written[i] {
			t.Errorf("%s prints as %s", written[i], b)
		}
		if b.CIDR != strings.Contains(written[i], "/") {
			t.Errorf("%s has CIDR %v", written[i], b.CIDR)
		}
	}
}

func TestAddressesAreUnmapped(t *testing.T) {
	c := good(t, header+"metal: {pools: [{name: a, addresses: ['::ffff:192.0.2.0/120', '::ffff:198.51.100.1-::ffff:198.51.100.2']}]}\n")
	if got := fmt.Sprint(c.Metal.Pools[0].Blocks); got != "[192.0.2.0/24 198.51.100.1-198.51.100.2]" {
		t.Error(got)
	}
}

func TestSelectors(t *testing.T) {
	c := good(t, header+`
metal:
  pools:
  - name: a
    addresses: [192.0.2.1]
    namespaceSelectors:
    - matchLabels: {team: a}
    - matchExpressions:
      - {key: team, operator: In, values: [b, c]}
      - {key: old, operator: DoesNotExist}
    serviceSelectors:
    - {}
`)
	p := c.Metal.Pools[0]
	for _, tc := range []struct {
		labels map[string]string
		want   bool
	}{
		{map[string]string{"team": "a", "old": ""}, true},
		{map[string]string{"team": "b"}, true},
		{map[string]string{"team": "b", "old": ""}, false},
		{nil, false},
	} {
		if got := p.NamespaceSelectors.Matches(tc.labels); got != tc.want {
			t.Errorf("%v matches: %v, want %v", tc.labels, got, tc.want)
		}
	}
	if !p.ServiceSelectors.Matches(nil) || !cloudconfig.Selectors(nil).Matches(nil) {
		t.Error("an empty selector and an empty list match everything")
	}
}

func TestZoneMatches(t *testing.T) {
	c := good(t, header+`
metal:
  zones:
  - {name: by-address, cidrs: [192.0.2.0/24]}
  - {name: by-label, nodeSelectors: [{matchLabels: {rack: b}}]}
  - {name: by-either, cidrs: [198.51.100.0/24], nodeSelectors: [{matchLabels: {rack: c}}]}
  - {region: rest}
`)
	for _, tc := range []struct {
		name   string
		labels map[string]string
		addr   string
		want   string
	}{
		{"address in the prefix", nil, "192.0.2.9", "by-address"},
		{"label matches", map[string]string{"rack": "b"}, "203.0.113.1", "by-label"},
		{"either: address", nil, "198.51.100.1", "by-either"},
		{"either: label", map[string]string{"rack": "c"}, "203.0.113.1", "by-either"},
		{"nothing matches but the zone of all", map[string]string{"rack": "z"}, "203.0.113.1", ""},
		{"mapped address", nil, "::ffff:192.0.2.9", "by-address"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for i := range c.Metal.Zones {
				z := &c.Metal.Zones[i]
				if z.Matches(tc.labels, []netip.Addr{netip.MustParseAddr(tc.addr)}) {
					if z.Name != tc.want {
						t.Errorf("got zone %q, want %q", z.Name, tc.want)
					}
					return
				}
			}
			t.Error("no zone")
		})
	}
}

func TestCommunityPrintsAsNumbers(t *testing.T) {
	if got := cloudconfig.GracefulShutdown.String(); got != "65535:0" {
		t.Error(got)
	}
	if got := cloudconfig.Community(64512<<16 | 7).String(); got != "64512:7" {
		t.Error(got)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	c := good(t, header+"metal: {peers: [{name: a, myASN: 1, peerASN: 2, address: 192.0.2.1, password: hush}]}\n")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if got := fmt.Sprintf(verb, c.Metal.Peers[0]); strings.Contains(got, "hush") {
			t.Errorf("%s shows the password: %s", verb, got)
		}
	}
	if got := c.Metal.Peers[0].Password.Inline.Reveal(); got != "hush" {
		t.Error(got)
	}
}

func TestParsePassword(t *testing.T) {
	for _, tc := range []struct{ contents, want, err string }{
		{"hush\n", "hush", ""},
		{"hush", "hush", ""},
		{" hush \r\n", " hush ", ""},
		{"\n", "", "the password is empty; write 1 to 80 bytes"},
		{strings.Repeat("x", 81), "", "the password has 81 bytes; write 1 to 80 bytes"},
		{"a\x00b", "", "the password holds a zero byte; write 1 to 80 bytes"},
	} {
		got, err := cloudconfig.ParsePassword([]byte(tc.contents))
		if got.Reveal() != tc.want || (err == nil) != (tc.err == "") || (err != nil && err.Error() != tc.err) {
			t.Errorf("%q gives %q, %v", tc.contents, got.Reveal(), err)
		}
	}
}

func TestCheckFiles(t *testing.T) {
	c := good(t, header+`
metal:
  peers:
  - {name: a, myASN: 1, peerASN: 2, address: 192.0.2.1, passwordFile: /etc/fairlead/a}
  - {name: b, myASN: 1, peerASN: 2, address: 192.0.2.2, passwordFile: /etc/fairlead/b}
  - {name: c, myASN: 1, peerASN: 2, address: 192.0.2.3, passwordFile: /etc/fairlead/c}
  - {name: d, myASN: 1, peerASN: 2, address: 192.0.2.4, passwordFile: /etc/fairlead}
`)
	fsys := fstest.MapFS{
		"etc/fairlead/a": {Data: []byte("hush\n")},
		"etc/fairlead/c": {Data: []byte("\n")},
	}
	const want = `line 7: peer "b": metal.peers[1].passwordFile "/etc/fairlead/b": there is no such file here; make sure that it is there where the speakers run
line 8: peer "c": metal.peers[2].passwordFile "/etc/fairlead/c": the password is empty; write 1 to 80 bytes
line 9: peer "d": metal.peers[3].passwordFile "/etc/fairlead": cannot be read here: invalid argument; make sure that it can be read where the speakers run`
	got := c.CheckFiles(fsys)
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(got.Errors()) > 0 {
		t.Error("files that may be elsewhere are warnings")
	}
}

func TestErrorsAreFileErrors(t *testing.T) {
	_, err := cloudconfig.Parse([]byte(header + "metl: {}\n"))
	var fe *cloudconfig.FileError
	if !errors.As(err, &fe) || len(fe.Faults) != 2 {
		t.Errorf("got %v", err)
	}
}

func TestKeepHoldsWhatAnEditBroke(t *testing.T) {
	const before = header + `
metal:
  pools:
  - {name: a, addresses: [192.0.2.0/25]}
  - {name: b, addresses: [198.51.100.0/24]}
  peers:
  - {name: tor1, myASN: 64512, peerASN: 64513, address: 192.0.2.1}
  - {name: tor2, myASN: 64512, peerASN: 64513, address: 192.0.2.2}
  advertisements:
  - {name: x, pools: [a], localPref: 5}
  - {name: y, pools: [b]}
`
	for _, tc := range []struct{ name, old, edit, want string }{
		{
			"a faulty pool, with its advertisement", "192.0.2.0/25", "192.0.2.0/250",
			"pools a b, peers tor1 tor2, advertisements x y",
		},
		{
			"a faulty peer", "address: 192.0.2.1}", "address: 192.0.2.1, holdTime: 1s}",
			"pools a b, peers tor1 tor2, advertisements x y",
		},
		{
			"a faulty advertisement", "localPref: 5", "localPref: five",
			"pools a b, peers tor1 tor2, advertisements x y",
		},
		{
			"not what was taken out", "- {name: a, addresses: [192.0.2.0/25]}\n", "- {name: c, addresses: [192.0.2.0/25]}\n",
			"pools c b, peers tor1 tor2, advertisements x y",
		},
		{
			"not where another object took the place", "- {name: a, addresses: [192.0.2.0/25]}\n",
			"- {name: a, addresses: [x]}\n  - {name: c, addresses: [192.0.2.64/26]}\n",
			"pools c b, peers tor1 tor2, advertisements x y",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			prev := good(t, before)
			next := parse(t, strings.Replace(before, tc.old, tc.edit, 1))
			if len(next.Faults.Errors()) == 0 {
				t.Fatal("the edit has no fault")
			}
			got := cloudconfig.Keep(prev, next)
			if names := namesOf(got.Metal); names != tc.want {
				t.Errorf("got %s, want %s", names, tc.want)
			}
		})
	}
}

func namesOf(m *cloudconfig.Metal) string {
	var pools, peers, ads []string
	for _, p := range m.Pools {
		pools = append(pools, p.Name)
	}
	for _, p := range m.Peers {
		peers = append(peers, p.Name)
	}
	for _, a := range m.Advertisements {
		ads = append(ads, a.Name)
	}
	return fmt.Sprintf("pools %s, peers %s, advertisements %s",
		strings.Join(pools, " "), strings.Join(peers, " "), strings.Join(ads, " "))
}

func TestKeepSaysSo(t *testing.T) {
	prev := good(t, header+"metal: {pools: [{name: a, addresses: [192.0.2.0/25]}]}\n")
	next := parse(t, header+"metal: {pools: [{name: a, addresses: [192.0.2.0/250]}]}\n")
	const want = `line 3: pool "a": metal.pools[0].addresses[0] "192.0.2.0/250": is not a prefix; write a CIDR such as 192.0.2.0/24 or 2001:db8::/64
line 3: pool "a": stays in use as it was before this edit; correct it: after a restart it is left out`
	if diff := cmp.Diff(want, cloudconfig.Keep(prev, next).Faults.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(next.Metal.Pools) != 0 || len(next.Faults) != 1 {
		t.Error("the argument was changed")
	}
}
