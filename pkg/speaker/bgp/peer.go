// SPDX-License-Identifier: Apache-2.0

package bgp

import (
	"cmp"
	"time"

	"github.com/osrg/gobgp/v4/api"

	"github.com/fairlead/fairlead/pkg/speaker"
)

const (
	// deferralTime bounds how long a fresh session waits for its peer's
	// End-of-RIB before it sends its routes (RFC 4724 section 4.1); routers send
	// theirs at once. GoBGP's default of 360 s would keep a new route back.
	deferralTime = 2 * time.Second
	// idleHold is the pause after a reset by the peer. GoBGP's default is 30 s.
	idleHold = time.Second
	// noHoldTime stands for a hold time of zero, which GoBGP takes for its
	// default: the longest that an OPEN can hold, 18 hours.
	noHoldTime = 65535 * time.Second
)

// peer is a session's configuration in GoBGP's words.
func peer(c speaker.SessionConfig) *api.Peer {
	p := &api.Peer{
		Conf: &api.PeerConf{
			NeighborAddress: c.Address.String(),
			LocalAsn:        c.LocalASN,
			PeerAsn:         c.PeerASN,
			AuthPassword:    c.Password.Reveal(),
		},
		Timers: &api.Timers{Config: &api.TimersConfig{
			HoldTime:               seconds(cmp.Or(c.HoldTime, noHoldTime)),
			KeepaliveInterval:      seconds(c.KeepaliveTime),
			ConnectRetry:           seconds(c.ConnectRetry),
			IdleHoldTimeAfterReset: seconds(idleHold),
		}},
		Transport: &api.Transport{RemotePort: uint32(c.Port)},
		AfiSafis: []*api.AfiSafi{
			family(api.Family_AFI_IP, c.GracefulRestart.Enabled),
			family(api.Family_AFI_IP6, c.GracefulRestart.Enabled),
		},
	}
	if c.Source.IsValid() {
		p.Transport.LocalAddress = c.Source.String()
	}
	if c.MultihopTTL > 0 && !c.IBGP() {
		p.EbgpMultihop = &api.EbgpMultihop{Enabled: true, MultihopTtl: uint32(c.MultihopTTL)}
	}
	if c.GracefulRestart.Enabled {
		p.GracefulRestart = &api.GracefulRestart{
			Enabled:      true,
			RestartTime:  uint32(seconds(c.GracefulRestart.RestartTime)), //nolint:gosec // G115: at most 4095
			DeferralTime: uint32(deferralTime / time.Second),
			// The node forwards whatever becomes of the session, so every
			// connection says that forwarding state was preserved; GoBGP ties
			// that bit to the restart bit.
			LocalRestarting: true,
			// With RFC 8538 a node that lost its power would stay in the routes
			// for the restart time beyond the hold time.
			NotificationEnabled: false,
		}
	}
	return p
}

func family(afi api.Family_Afi, graceful bool) *api.AfiSafi {
	return &api.AfiSafi{
		Config: &api.AfiSafiConfig{
			Family:  &api.Family{Afi: afi, Safi: api.Family_SAFI_UNICAST},
			Enabled: true,
		},
		MpGracefulRestart: &api.MpGracefulRestart{Config: &api.MpGracefulRestartConfig{Enabled: graceful}},
	}
}

// seconds rounds up: GoBGP knows whole seconds only, and 0 is its default.
func seconds(d time.Duration) uint64 {
	if d <= 0 {
		return 0
	}
	return uint64((d + time.Second - 1) / time.Second)
}
