// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	"github.com/osrg/gobgp/v4/pkg/server"
)

const (
	routerASN = 65559
	routerID  = "127.0.0.1"
	// usualPort is where the router listens when it is free: port 179 is for
	// root.
	usualPort = 1790
)

// routerAddress is the router's end of all sessions.
func routerAddress() netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, 1}) }

// router is GoBGP in this process, where real clusters have one of metal. It
// waits for its neighbours to dial.
type router struct {
	port   uint16
	server *server.BgpServer
	log    *os.File
}

// picture is what the router knows at one moment.
type picture struct {
	sessions []netip.Addr                  // neighbours whose session is up, sorted
	table    map[netip.Prefix][]netip.Addr // next hops, sorted
}

func startRouter(ctx context.Context, log string, neighbours []netip.Addr) (*router, error) {
	port, err := choosePort(ctx)
	if err != nil {
		return nil, err
	}
	file, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	r := &router{port: port, log: file}
	r.server = server.NewBgpServer(server.LoggerOption(slog.New(slog.NewTextHandler(file, nil)), nil))
	go r.server.Serve()
	err = r.server.StartBgp(ctx, &api.StartBgpRequest{Global: &api.Global{
		Asn: routerASN, RouterId: routerID, ListenPort: int32(port), ListenAddresses: []string{routerAddress().String()},
	}})
	for _, n := range neighbours {
		if err == nil {
			err = r.server.AddPeer(ctx, &api.AddPeerRequest{Peer: neighbour(n)})
		}
	}
	if err != nil {
		r.stop()
		return nil, fmt.Errorf("start the router: %w", err)
	}
	return r, nil
}

// neighbour is a node as the router is configured for it. Graceful restart is
// left out: no speaker restarts here, and GoBGP writes to routes that have
// become stale while its table may be being read.
func neighbour(addr netip.Addr) *api.Peer {
	return &api.Peer{
		Conf:      &api.PeerConf{NeighborAddress: addr.String(), PeerAsn: routerASN},
		Transport: &api.Transport{PassiveMode: true, LocalAddress: routerAddress().String()},
		AfiSafis: []*api.AfiSafi{{
			Config: &api.AfiSafiConfig{
				Family: &api.Family{Afi: api.Family_AFI_IP, Safi: api.Family_SAFI_UNICAST}, Enabled: true,
			},
		}},
	}
}

func (r *router) stop() {
	r.server.Stop()
	_ = r.log.Close()
}

// look asks the router for its sessions and its table.
func (r *router) look(ctx context.Context) (picture, error) {
	p := picture{table: map[netip.Prefix][]netip.Addr{}}
	err := r.server.ListPeer(ctx, &api.ListPeerRequest{}, func(peer *api.Peer) {
		addr, err := netip.ParseAddr(peer.GetConf().GetNeighborAddress())
		if err == nil && peer.GetState().GetSessionState() == api.PeerState_SESSION_STATE_ESTABLISHED {
			p.sessions = append(p.sessions, addr)
		}
	})
	if err != nil {
		return p, fmt.Errorf("ask the router for its sessions: %w", err)
	}
	slices.SortFunc(p.sessions, netip.Addr.Compare)
	ask := apiutil.ListPathRequest{TableType: api.TableType_TABLE_TYPE_GLOBAL, Family: bgp.RF_IPv4_UC}
	err = r.server.ListPath(ask, func(nlri bgp.NLRI, paths []*apiutil.Path) {
		prefix, err := netip.ParsePrefix(nlri.String())
		if err != nil {
			return
		}
		for _, path := range paths {
			if hop, ok := nextHop(path); ok {
				p.table[prefix] = append(p.table[prefix], hop)
			}
		}
		slices.SortFunc(p.table[prefix], netip.Addr.Compare)
	})
	if err != nil {
		return p, fmt.Errorf("ask the router for its table: %w", err)
	}
	return p, nil
}

func nextHop(path *apiutil.Path) (netip.Addr, bool) {
	for _, attr := range path.Attrs {
		switch a := attr.(type) {
		case *bgp.PathAttributeNextHop:
			return a.Value, true
		case *bgp.PathAttributeMpReachNLRI:
			return a.Nexthop, true
		}
	}
	return netip.Addr{}, false
}

// choosePort returns the usual port, or any that is free when it is taken.
func choosePort(ctx context.Context) (uint16, error) {
	var listen net.ListenConfig
	var last error
	for _, port := range []uint16{usualPort, 0} {
		l, err := listen.Listen(ctx, "tcp", netip.AddrPortFrom(routerAddress(), port).String())
		if err != nil {
			last = err
			continue
		}
		addr, err := netip.ParseAddrPort(l.Addr().String())
		if err != nil {
			return 0, err
		}
		return addr.Port(), l.Close()
	}
	return 0, fmt.Errorf("find a port for the router: %w", last)
}
