// SPDX-License-Identifier: Apache-2.0

package bgp_test

import (
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/speaker"
	"github.com/fairlead/fairlead/pkg/speaker/bgp"
	"github.com/fairlead/fairlead/test/testrouter"
)

func TestMain(m *testing.M) { testrouter.Main(m) }

// parallel lets a test run beside others, but not under the race detector:
// GoBGP's goroutines read options that the start of another session's server
// writes anew, with the same values.
func parallel(t *testing.T) {
	t.Helper()
	if !raceEnabled {
		t.Parallel()
	}
}

const (
	localASN  = 4200000001 // four bytes long
	remoteASN = 4200000002
)

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// config is a session of 127.0.0.11 with a router.
func config(r *testrouter.Router) speaker.SessionConfig {
	return speaker.SessionConfig{
		Peer: "router", LocalASN: localASN, PeerASN: r.ASN, Address: r.Address, Port: r.Port,
		Source: addr("127.0.0.11"), RouterID: addr("10.0.0.11"),
		HoldTime: 9 * time.Second, KeepaliveTime: 3 * time.Second, ConnectRetry: time.Second,
		GracefulRestart: cloudconfig.GracefulRestart{Enabled: true, RestartTime: 60 * time.Second},
	}
}

func router(t *testing.T, asn uint32, peers ...testrouter.Peer) *testrouter.Router {
	t.Helper()
	if len(peers) == 0 {
		peers = []testrouter.Peer{{Address: addr("127.0.0.11"), ASN: localASN}}
	}
	return testrouter.Start(t, testrouter.Config{
		ASN: asn, RouterID: "10.0.0.1", Address: addr("127.0.0.1"), GracefulRestart: true, Peers: peers,
	})
}

// link is a session under test and the calls of its changed.
type link struct {
	*bgp.Session
	changed chan struct{}
}

func open(t *testing.T, h *bgp.Host, cfg speaker.SessionConfig, routes ...speaker.Route) link {
	t.Helper()
	l := link{changed: make(chan struct{}, 1)}
	s, err := h.Open(t.Context(), cfg, routes, func() {
		select {
		case l.changed <- struct{}{}:
		default:
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	l.Session = s
	t.Cleanup(func() { closeLink(t, l, speaker.Withdraw) })
	return l
}

func closeLink(t *testing.T, l link, mode speaker.CloseMode) {
	t.Helper()
	if err := l.Close(t.Context(), mode); err != nil {
		t.Error(err)
	}
}

// wait waits until the status fulfils a condition.
func (l link) wait(t *testing.T, what string, cond func(speaker.SessionStatus) bool) speaker.SessionStatus {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		if st := l.Status(); cond(st) {
			return st
		}
		select {
		case <-l.changed:
		case <-limit:
			t.Fatalf("waited in vain until %s; status %+v", what, l.Status())
		}
	}
}

func isUp(s speaker.SessionStatus) bool { return s.Phase == speaker.SessionUp }

func newHost() *bgp.Host { return bgp.NewHost(slog.DiscardHandler) }

func prefixes(rs []testrouter.Route) []string {
	var out []string
	for _, r := range rs {
		out = append(out, r.Prefix.String())
	}
	return out
}

func hasPrefixes(want ...string) func([]testrouter.Route) bool {
	return func(rs []testrouter.Route) bool { return slices.Equal(prefixes(rs), want) }
}
