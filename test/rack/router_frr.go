// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rack

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
)

// frrDir is where Debian has FRR's daemons.
const frrDir = "/usr/lib/frr"

// frr is a router with zebra and bgpd.
type frr struct {
	routerConfig
	zebra, bgpd *Program
}

// Start starts zebra, which writes routes to the kernel, and bgpd.
func (f *frr) Start(ctx context.Context) error {
	common := []string{"log stdout informational", "hostname router", "frr defaults traditional"}
	zebraConf, err := f.write("zebra.conf", common)
	if err != nil {
		return err
	}
	bgpConf, err := f.write("bgpd.conf", append(common, f.config()...))
	if err != nil {
		return err
	}
	// The daemons drop root's rights and still make their files.
	if err := run(ctx, nil, "chown", "frr:frr", f.dir); err != nil {
		return err
	}
	flags := []string{"-z", filepath.Join(f.dir, "zserv.api"), "--vty_socket", f.dir, "-P", "0"}
	if f.zebra, err = f.start("zebra", append([]string{
		frrDir + "/zebra", "-f", zebraConf, "-i", filepath.Join(f.dir, "zebra.pid"),
	}, flags...)...); err != nil {
		return err
	}
	err = f.zebra.await(ctx, func(ctx context.Context) error {
		_, err := f.vtysh(ctx, "zebra", "show version")
		return err
	})
	if err != nil {
		return err
	}
	if f.bgpd, err = f.start("bgpd", append([]string{
		frrDir + "/bgpd", "-f", bgpConf, "-i", filepath.Join(f.dir, "bgpd.pid"),
	}, flags...)...); err != nil {
		return err
	}
	return f.bgpd.await(ctx, func(ctx context.Context) error {
		_, err := f.Established(ctx)
		return err
	})
}

// config is bgpd's part of what an administrator would write.
func (f *frr) config() []string {
	lines := []string{
		fmt.Sprintf("router bgp %d", f.asn),
		" bgp router-id " + routerOnNodes,
		" no bgp ebgp-requires-policy",
		" no bgp default ipv4-unicast",
		" no bgp network import-check",
	}
	for _, n := range f.neighbours {
		lines = append(lines, fmt.Sprintf(" neighbor %s remote-as %d", n.addr, n.asn))
		if n.password != "" {
			lines = append(lines, fmt.Sprintf(" neighbor %s password %s", n.addr, n.password))
		}
	}
	for _, family := range []string{"ipv4", "ipv6"} {
		lines = append(lines, fmt.Sprintf(" address-family %s unicast", family),
			"  maximum-paths 64", "  maximum-paths ibgp 64")
		for _, n := range f.neighbours {
			lines = append(lines, fmt.Sprintf("  neighbor %s activate", n.addr))
		}
		lines = append(lines, " exit-address-family")
	}
	return append(lines, "exit")
}

// Kill kills both daemons.
func (f *frr) Kill() error { return kill(f.bgpd, f.zebra) }

// Reset sends Cease, Administrative Reset to all neighbours.
func (f *frr) Reset(ctx context.Context) error {
	_, err := f.Show(ctx, "clear bgp *")
	return err
}

// Established reads `show bgp summary`.
func (f *frr) Established(ctx context.Context) ([]netip.Addr, error) {
	out, err := f.Show(ctx, "show bgp summary json")
	if err != nil {
		return nil, err
	}
	var summary struct {
		IPv4 struct {
			Peers map[netip.Addr]struct {
				State string `json:"state"`
			} `json:"peers"`
		} `json:"ipv4Unicast"`
	}
	if err := json.Unmarshal([]byte(out), &summary); err != nil {
		return nil, fmt.Errorf("show bgp summary json: %w", err)
	}
	var up []netip.Addr
	for addr, peer := range summary.IPv4.Peers {
		if peer.State == "Established" {
			up = append(up, addr)
		}
	}
	slices.SortFunc(up, netip.Addr.Compare)
	return up, nil
}

// Show asks bgpd.
func (f *frr) Show(ctx context.Context, command string) (string, error) {
	return f.vtysh(ctx, "bgpd", command)
}

func (f *frr) vtysh(ctx context.Context, daemon, command string) (string, error) {
	return output(ctx, "", "vtysh", "--vty_socket", f.dir, "-d", daemon, "-c", command)
}
