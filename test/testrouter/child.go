// SPDX-License-Identifier: Apache-2.0

package testrouter

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	"github.com/osrg/gobgp/v4/pkg/server"
)

// message is one line that the router says.
type message struct {
	Best  *Change    `json:"best,omitempty"`
	Peer  *peerState `json:"peer,omitempty"`
	Table []Route    `json:"table,omitempty"`
	Kind  string     `json:"kind"`
	Error string     `json:"error,omitempty"`
}

type peerState struct {
	Addr netip.Addr `json:"addr"`
	Up   bool       `json:"up"`
}

// serve runs a router by the configuration in the environment until stdin
// ends.
func serve(conf string) int {
	out := &speaking{enc: json.NewEncoder(os.Stdout)}
	var c Config
	err := json.Unmarshal([]byte(conf), &c)
	if err == nil {
		err = route(c, os.Stdin, out)
	}
	if err != nil {
		out.say(message{Kind: "error", Error: err.Error()})
		return 1
	}
	return 0
}

type speaking struct {
	mu  sync.Mutex
	enc *json.Encoder
}

func (s *speaking) say(m message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.enc.Encode(m) // the parent is gone; so are we soon
}

func route(c Config, in io.Reader, out *speaking) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := server.NewBgpServer()
	go s.Serve()
	defer s.Stop()
	if err := s.StartBgp(ctx, &api.StartBgpRequest{Global: &api.Global{
		Asn: c.ASN, RouterId: c.RouterID, ListenPort: int32(c.Port), ListenAddresses: []string{c.Address.String()},
	}}); err != nil {
		return err
	}
	told := make(chan struct{})
	err := s.WatchEvent(ctx, server.WatchEventMessageCallbacks{
		OnBestPath: func(paths []*apiutil.Path, _ time.Time) {
			for _, p := range paths {
				if p.Family == markFamily {
					told <- struct{}{}
					continue
				}
				r := routeOf(p)
				out.say(message{Kind: "best", Best: &Change{Prefix: r.Prefix, Withdrawn: p.Withdrawal}})
			}
		},
		OnPeerUpdate: func(e *apiutil.WatchEventMessage_PeerEvent, _ time.Time) {
			if e.Type == apiutil.PEER_EVENT_STATE {
				up := e.Peer.State.SessionState == bgp.BGP_FSM_ESTABLISHED
				out.say(message{Kind: "peer", Peer: &peerState{Addr: e.Peer.State.NeighborAddress, Up: up}})
			}
		},
	}, server.WatchBestPath(true), server.WatchPeer())
	if err != nil {
		return err
	}
	for _, p := range c.Peers {
		if err := s.AddPeer(ctx, &api.AddPeerRequest{Peer: neighbour(c, p)}); err != nil {
			return err
		}
	}
	out.say(message{Kind: "ready"})
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if lines.Text() == "reset" {
			for _, p := range c.Peers {
				_ = s.ResetPeer(ctx, &api.ResetPeerRequest{Address: p.Address.String(), Communication: "test"})
			}
			continue
		}
		table, err := tableOf(s)
		if err == nil {
			err = mark(s, told)
		}
		if err != nil {
			return err
		}
		out.say(message{Kind: "table", Table: table})
	}
	return nil
}

// markFamily is one that no session carries.
const markFamily = bgp.RF_IPv4_MC

// mark waits until all changes that the last table shows are told: GoBGP tells
// of changes one after the other, but some time after they are made. So it makes
// two of its own, which it hears of last.
func mark(s *server.BgpServer, told <-chan struct{}) error {
	zero := netip.IPv4Unspecified()
	nlri, err := bgp.NewIPAddrPrefix(netip.PrefixFrom(zero, 32))
	if err != nil {
		return err
	}
	hop, err := bgp.NewPathAttributeMpReachNLRI(markFamily, []bgp.PathNLRI{{NLRI: nlri}}, zero)
	if err != nil {
		return err
	}
	paths := []*apiutil.Path{{Family: markFamily, Nlri: nlri, Attrs: []bgp.PathAttributeInterface{bgp.NewPathAttributeOrigin(0), hop}}}
	if _, err := s.AddPath(apiutil.AddPathRequest{Paths: paths}); err != nil {
		return err
	}
	<-told
	if err := s.DeletePath(apiutil.DeletePathRequest{Paths: paths}); err != nil {
		return err
	}
	<-told
	return nil
}

func neighbour(c Config, p Peer) *api.Peer {
	out := &api.Peer{
		Conf:      &api.PeerConf{NeighborAddress: p.Address.String(), PeerAsn: p.ASN, AuthPassword: p.Password},
		Transport: &api.Transport{PassiveMode: true, LocalAddress: c.Address.String()},
		Timers:    &api.Timers{Config: &api.TimersConfig{HoldTime: 9, IdleHoldTimeAfterReset: 1}},
	}
	if p.ASN != c.ASN && p.MultihopTTL > 0 {
		out.EbgpMultihop = &api.EbgpMultihop{Enabled: true, MultihopTtl: p.MultihopTTL}
	}
	if c.GracefulRestart {
		out.GracefulRestart = &api.GracefulRestart{Enabled: true, RestartTime: 30, DeferralTime: 1}
	}
	for _, afi := range []api.Family_Afi{api.Family_AFI_IP, api.Family_AFI_IP6} {
		out.AfiSafis = append(out.AfiSafis, &api.AfiSafi{
			Config:            &api.AfiSafiConfig{Family: &api.Family{Afi: afi, Safi: api.Family_SAFI_UNICAST}, Enabled: true},
			MpGracefulRestart: &api.MpGracefulRestart{Config: &api.MpGracefulRestartConfig{Enabled: c.GracefulRestart}},
		})
	}
	return out
}

func tableOf(s *server.BgpServer) ([]Route, error) {
	out := []Route{}
	for _, f := range []bgp.Family{bgp.RF_IPv4_UC, bgp.RF_IPv6_UC} {
		err := s.ListPath(apiutil.ListPathRequest{TableType: api.TableType_TABLE_TYPE_GLOBAL, Family: f},
			func(_ bgp.NLRI, paths []*apiutil.Path) {
				for _, p := range paths {
					out = append(out, routeOf(p))
				}
			})
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", f, err)
		}
	}
	return out, nil
}

func routeOf(p *apiutil.Path) Route {
	r := Route{From: p.PeerAddress, Stale: p.Stale}
	r.Prefix, _ = netip.ParsePrefix(p.Nlri.String())
	for _, a := range p.Attrs {
		switch a := a.(type) {
		case *bgp.PathAttributeNextHop:
			r.NextHop = a.Value
		case *bgp.PathAttributeMpReachNLRI:
			r.NextHop = a.Nexthop
		case *bgp.PathAttributeLocalPref:
			r.LocalPref = &a.Value
		case *bgp.PathAttributeCommunities:
			r.Communities = a.Value
		case *bgp.PathAttributeAsPath:
			for _, param := range a.Value {
				r.ASPath = append(r.ASPath, param.GetAS()...)
			}
		}
	}
	return r
}
