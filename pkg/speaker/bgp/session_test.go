// SPDX-License-Identifier: Apache-2.0

package bgp_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/speaker"
	"github.com/fairlead/fairlead/test/freeport"
	"github.com/fairlead/fairlead/test/testrouter"
	"github.com/fairlead/fairlead/test/timed"
)

func TestRouteArrivesAsItIsMeant(t *testing.T) {
	parallel(t)
	cases := map[string]struct {
		asn   uint32
		route speaker.Route
		want  testrouter.Route
	}{
		"iBGP with the default preference": {
			asn:   localASN,
			route: speaker.Route{Prefix: prefix("192.0.2.1/32")},
			want: testrouter.Route{
				Prefix: prefix("192.0.2.1/32"), NextHop: addr("127.0.0.11"), LocalPref: new(uint32(100)),
			},
		},
		"iBGP with attributes": {
			asn: localASN,
			route: speaker.Route{
				Prefix: prefix("192.0.2.0/24"), LocalPref: new(uint32(0)),
				Communities: []cloudconfig.Community{64512<<16 | 7, speaker.GracefulShutdown},
			},
			want: testrouter.Route{
				Prefix: prefix("192.0.2.0/24"), NextHop: addr("127.0.0.11"), LocalPref: new(uint32(0)),
				Communities: []uint32{64512<<16 | 7, 0xFFFF0000},
			},
		},
		"eBGP": {
			asn:   remoteASN,
			route: speaker.Route{Prefix: prefix("192.0.2.1/32"), LocalPref: new(uint32(50))},
			want: testrouter.Route{
				Prefix: prefix("192.0.2.1/32"), NextHop: addr("127.0.0.11"), ASPath: []uint32{localASN},
			},
		},
		"eBGP with a longer path": {
			asn:   remoteASN,
			route: speaker.Route{Prefix: prefix("192.0.2.1/32"), Prepend: 3},
			want: testrouter.Route{
				Prefix: prefix("192.0.2.1/32"), NextHop: addr("127.0.0.11"),
				ASPath: []uint32{localASN, localASN, localASN, localASN},
			},
		},
		"IPv6 route over an IPv4 session": {
			asn:   remoteASN,
			route: speaker.Route{Prefix: prefix("2001:db8::1/128"), NextHop: addr("fd00::11")},
			want: testrouter.Route{
				Prefix: prefix("2001:db8::1/128"), NextHop: addr("fd00::11"), ASPath: []uint32{localASN},
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			parallel(t)
			r := router(t, c.asn)
			open(t, newHost(), config(r), c.route)
			got := r.WaitTable(t, "the route is there", func(rs []testrouter.Route) bool { return len(rs) > 0 })
			c.want.From = addr("127.0.0.11")
			if diff := cmp.Diff([]testrouter.Route{c.want}, got, cmp.Comparer(sameAddr), cmp.Comparer(samePrefix)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func sameAddr(a, b netip.Addr) bool     { return a == b }
func samePrefix(a, b netip.Prefix) bool { return a == b }

func TestIPv6SessionCarriesBothFamilies(t *testing.T) {
	parallel(t)
	r := testrouter.Start(t, testrouter.Config{
		ASN: remoteASN, RouterID: "10.0.0.1", Address: addr("::1"),
		Peers: []testrouter.Peer{{Address: addr("::1"), ASN: localASN}},
	})
	cfg := config(r)
	cfg.Source = addr("::1")
	open(t, newHost(), cfg,
		speaker.Route{Prefix: prefix("2001:db8::1/128")},
		speaker.Route{Prefix: prefix("192.0.2.1/32"), NextHop: addr("10.0.0.11")})
	got := r.WaitTable(t, "both are there", hasPrefixes("192.0.2.1/32", "2001:db8::1/128"))
	if got[0].NextHop != addr("10.0.0.11") || got[1].NextHop != addr("::1") {
		t.Errorf("next hops are %s and %s, want 10.0.0.11 and the session's ::1", got[0].NextHop, got[1].NextHop)
	}
}

func TestUpdateChangesOnlyWhatDiffers(t *testing.T) {
	parallel(t)
	r := router(t, remoteASN)
	a, b := speaker.Route{Prefix: prefix("192.0.2.1/32")}, speaker.Route{Prefix: prefix("192.0.2.2/32")}
	l := open(t, newHost(), config(r), a, b)
	r.WaitTable(t, "both are there", hasPrefixes("192.0.2.1/32", "192.0.2.2/32"))
	before := l.Status().Updates
	c := speaker.Route{Prefix: prefix("192.0.2.3/32")}
	err := l.Update(speaker.Delta{
		Announce: []speaker.Route{a, c},
		Withdraw: []netip.Prefix{prefix("192.0.2.2/32"), prefix("192.0.2.9/32")},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.WaitTable(t, "the change is there", hasPrefixes("192.0.2.1/32", "192.0.2.3/32"))
	if st := l.Status(); st.Routes != 2 || st.Updates-before != 2 {
		t.Errorf("status is %+v, want 2 routes and 2 updates: the unchanged and the unknown ones cost nothing", st)
	}
}

func TestPasswordMustMatch(t *testing.T) {
	parallel(t)
	peer := testrouter.Peer{Address: addr("127.0.0.11"), ASN: localASN, Password: "foo"}
	t.Run("right", func(t *testing.T) {
		parallel(t)
		r := router(t, remoteASN, peer)
		cfg := config(r)
		cfg.Password = "foo"
		open(t, newHost(), cfg).wait(t, "it is up", isUp)
	})
	t.Run("wrong", func(t *testing.T) {
		parallel(t)
		r := router(t, remoteASN, peer)
		cfg := config(r)
		cfg.Password = "bar"
		st := open(t, newHost(), cfg).wait(t, "it says why not", func(s speaker.SessionStatus) bool { return s.LastError != "" })
		if isUp(st) || !strings.Contains(st.LastError, "password") {
			t.Errorf("status is %+v, want a hint at the password", st)
		}
	})
}

func TestMultihopReachesWhatIsConfiguredForIt(t *testing.T) {
	parallel(t)
	r := router(t, remoteASN, testrouter.Peer{Address: addr("127.0.0.11"), ASN: localASN, MultihopTTL: 5})
	cfg := config(r)
	cfg.MultihopTTL = 5
	open(t, newHost(), cfg).wait(t, "it is up", isUp)
}

func TestSessionSaysWhyItIsDown(t *testing.T) {
	parallel(t)
	says := func(part string) func(speaker.SessionStatus) bool {
		return func(s speaker.SessionStatus) bool { return !isUp(s) && strings.Contains(s.LastError, part) }
	}
	t.Run("nobody listens", func(t *testing.T) {
		parallel(t)
		r := router(t, remoteASN)
		r.Kill()
		open(t, newHost(), config(r)).wait(t, "it says so", says("connection refused"))
	})
	t.Run("the router has another AS number", func(t *testing.T) {
		parallel(t)
		r := router(t, remoteASN)
		cfg := config(r)
		cfg.PeerASN = 64999
		open(t, newHost(), cfg).wait(t, "it says so", says("bad peer as"))
	})
	t.Run("the router wants another AS number", func(t *testing.T) {
		parallel(t)
		r := router(t, remoteASN, testrouter.Peer{Address: addr("127.0.0.11"), ASN: 64999})
		open(t, newHost(), config(r)).wait(t, "it says so", says("check the AS numbers"))
	})
	t.Run("the router resets it", func(t *testing.T) {
		parallel(t)
		r := router(t, remoteASN)
		l := open(t, newHost(), config(r), speaker.Route{Prefix: prefix("192.0.2.1/32")})
		// A router that closes with our messages unread sends an RST, which may
		// overtake its NOTIFICATION: then nobody knows why. So it reads first; a
		// keepalive may come all the same.
		told := false
		for tries := 0; !told && tries < 5; tries++ {
			l.wait(t, "it is up", isUp)
			r.WaitUp(t, addr("127.0.0.11"), true)
			r.WaitTable(t, "the route is fresh", func(rs []testrouter.Route) bool { return len(rs) == 1 && !rs[0].Stale })
			r.Reset(t)
			st := l.wait(t, "it is down", func(s speaker.SessionStatus) bool { return !isUp(s) })
			told = strings.Contains(st.LastError, "administrative reset")
			if !told && st.LastError != "the connection broke" {
				t.Fatalf("it says %q", st.LastError)
			}
		}
		if !told {
			t.Error("it never said why")
		}
		l.wait(t, "it is up again", isUp)
	})
}

func TestRestartChangesNoRoute(t *testing.T) {
	parallel(t)
	for name, mode := range map[string]speaker.CloseMode{"kept": speaker.Keep, "withdrawn": speaker.Withdraw} {
		t.Run(name, func(t *testing.T) {
			parallel(t)
			r := router(t, remoteASN)
			h := newHost()
			routes := []speaker.Route{{Prefix: prefix("192.0.2.1/32")}, {Prefix: prefix("2001:db8::1/128"), NextHop: addr("fd00::11")}}
			first := open(t, h, config(r), routes...)
			r.WaitTable(t, "both are there", hasPrefixes("192.0.2.1/32", "2001:db8::1/128"))
			r.Changes()
			closeLink(t, first, mode)
			r.WaitUp(t, addr("127.0.0.11"), false)
			open(t, h, config(r), routes...).wait(t, "the second is up", isUp)
			r.WaitTable(t, "they are fresh", func(rs []testrouter.Route) bool {
				return len(rs) == 2 && !rs[0].Stale && !rs[1].Stale
			})
			gone := slices.ContainsFunc(r.Changes(), func(c testrouter.Change) bool { return c.Withdrawn })
			if gone == (mode == speaker.Keep) {
				t.Errorf("a route went away: %t", gone)
			}
		})
	}
}

func TestRestartedSessionDropsWhatIsGone(t *testing.T) {
	parallel(t)
	r := router(t, remoteASN)
	h := newHost()
	first := open(t, h, config(r), speaker.Route{Prefix: prefix("192.0.2.1/32")}, speaker.Route{Prefix: prefix("192.0.2.2/32")})
	r.WaitTable(t, "both are there", hasPrefixes("192.0.2.1/32", "192.0.2.2/32"))
	closeLink(t, first, speaker.Keep)
	open(t, h, config(r), speaker.Route{Prefix: prefix("192.0.2.2/32")})
	r.WaitTable(t, "the other is gone", hasPrefixes("192.0.2.2/32"))
}

func TestSessionComesBackAfterTheRouterDied(t *testing.T) {
	parallel(t)
	r := router(t, remoteASN)
	l := open(t, newHost(), config(r), speaker.Route{Prefix: prefix("192.0.2.1/32")})
	timed.Within(t, 8*time.Second, "the way back of the route to a router that died", func() time.Duration {
		l.wait(t, "it is up", isUp)
		r.Kill()
		l.wait(t, "it is down", func(s speaker.SessionStatus) bool { return !isUp(s) })
		r = testrouter.Start(t, r.Config)
		back := time.Now()
		r.WaitTable(t, "the route is back", hasPrefixes("192.0.2.1/32"))
		return time.Since(back)
	})
}

func TestDeadPeerHoldsNobodyUp(t *testing.T) {
	parallel(t)
	var l link
	var r *testrouter.Router
	timed.Within(t, 6*time.Second, "the first route to the healthy router", func() time.Duration {
		r = router(t, remoteASN)
		dead := config(r)
		dead.Peer, dead.Address = "dead", addr("127.0.0.99")
		h := newHost()
		open(t, h, dead, speaker.Route{Prefix: prefix("192.0.2.1/32")})
		start := time.Now()
		l = open(t, h, config(r), speaker.Route{Prefix: prefix("192.0.2.1/32")})
		r.WaitTable(t, "the route is there", hasPrefixes("192.0.2.1/32"))
		return time.Since(start)
	})
	if err := l.Update(speaker.Delta{Announce: []speaker.Route{{Prefix: prefix("192.0.2.2/32")}}}); err != nil {
		t.Fatal(err)
	}
	r.WaitTable(t, "the next one, too", hasPrefixes("192.0.2.1/32", "192.0.2.2/32"))
}

// TestRoutesOfOtherNodesAreNotLearned lets the router tell one node what another
// announces: it must not stay in the way of the node's own withdrawal.
func TestRoutesOfOtherNodesAreNotLearned(t *testing.T) {
	parallel(t)
	conf := testrouter.Config{
		ASN: remoteASN, RouterID: "10.0.0.1", Address: addr("127.0.0.1"), Port: freeport.ForTest(t, addr("127.0.0.1")),
		Peers: []testrouter.Peer{
			{Address: addr("127.0.0.11"), ASN: localASN},
			{Address: addr("127.0.0.12"), ASN: localASN + 10},
		},
	}
	// Both sessions are made before either is up, for the race detector.
	h := newHost()
	shared := speaker.Route{Prefix: prefix("192.0.2.1/32")}
	one := config(&testrouter.Router{Config: conf})
	two := one
	two.Source, two.RouterID, two.LocalASN = addr("127.0.0.12"), addr("10.0.0.12"), localASN+10
	first, second := open(t, h, one), open(t, h, two)
	for _, l := range []link{first, second} {
		if err := l.Update(speaker.Delta{Announce: []speaker.Route{shared}}); err != nil {
			t.Fatal(err)
		}
	}
	r := testrouter.Start(t, conf)
	r.WaitTable(t, "both announce it", hasPrefixes("192.0.2.1/32", "192.0.2.1/32"))
	if err := second.Update(speaker.Delta{Withdraw: []netip.Prefix{shared.Prefix}}); err != nil {
		t.Fatal(err)
	}
	left := r.WaitTable(t, "one is left", hasPrefixes("192.0.2.1/32"))
	if left[0].From != addr("127.0.0.11") {
		t.Errorf("what is left comes from %s", left[0].From)
	}
	if err := second.Update(speaker.Delta{Announce: []speaker.Route{shared}}); err != nil {
		t.Fatal(err)
	}
	r.WaitTable(t, "both announce it again", hasPrefixes("192.0.2.1/32", "192.0.2.1/32"))
}

func TestOpenRefusesNonsense(t *testing.T) {
	cfg := speaker.SessionConfig{Peer: "router", LocalASN: 1, PeerASN: 2, Address: addr("127.0.0.1"), Port: 1}
	if _, err := newHost().Open(t.Context(), cfg, nil, func() {}); err == nil || !strings.Contains(err.Error(), `"router"`) {
		t.Errorf("error is %v, want one that names the peer", err)
	}
}
