// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rack

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
)

// bird is a router with BIRD 2.
type bird struct {
	routerConfig
	daemon *Program
}

// Start starts bird in the foreground.
func (b *bird) Start(ctx context.Context) error {
	conf, err := b.write("bird.conf", b.config())
	if err != nil {
		return err
	}
	b.daemon, err = b.start("bird", "bird", "-f", "-c", conf, "-s", b.socket(), "-P", filepath.Join(b.dir, "bird.pid"))
	if err != nil {
		return err
	}
	return b.daemon.await(ctx, func(ctx context.Context) error {
		out, err := b.Show(ctx, "show status")
		if err == nil && !strings.Contains(out, "up and running") {
			err = fmt.Errorf("bird says %q", out)
		}
		return err
	})
}

func (b *bird) socket() string { return filepath.Join(b.dir, "bird.ctl") }

// config is what an administrator would write who wants equal-cost paths.
func (b *bird) config() []string {
	lines := []string{
		"router id " + routerOnNodes + ";",
		"log stderr { info, remote, warning, error, auth, fatal, bug };",
		"protocol device { }",
		"protocol direct { ipv4; ipv6; }",
	}
	for _, family := range []string{"ipv4", "ipv6"} {
		lines = append(lines, fmt.Sprintf("protocol kernel kernel_%[1]s { %[1]s { import none; export where source = RTS_BGP; }; merge paths yes limit 64; }", family))
	}
	for i, n := range b.neighbours {
		lines = append(lines,
			fmt.Sprintf("protocol bgp n%d {", i+1),
			fmt.Sprintf("  local %s as %d;", routerOnNodes, b.asn),
			fmt.Sprintf("  neighbor %s as %d;", n.addr, n.asn),
			"  ipv4 { import all; export none; };",
			"  ipv6 { import all; export none; };")
		if n.password != "" {
			lines = append(lines, fmt.Sprintf("  password %q;", n.password))
		}
		lines = append(lines, "}")
	}
	return lines
}

// Kill kills bird.
func (b *bird) Kill() error { return kill(b.daemon) }

// Reset restarts all protocols.
func (b *bird) Reset(ctx context.Context) error {
	_, err := b.Show(ctx, `restart "n*"`)
	return err
}

// Established reads `show protocols`.
func (b *bird) Established(ctx context.Context) ([]netip.Addr, error) {
	out, err := b.Show(ctx, "show protocols")
	if err != nil {
		return nil, err
	}
	var up []netip.Addr
	for i, n := range b.neighbours {
		for line := range strings.Lines(out) {
			f := strings.Fields(line)
			if len(f) > 1 && f[0] == fmt.Sprintf("n%d", i+1) && f[len(f)-1] == "Established" {
				up = append(up, n.addr)
			}
		}
	}
	slices.SortFunc(up, netip.Addr.Compare)
	return up, nil
}

// Show asks bird.
func (b *bird) Show(ctx context.Context, command string) (string, error) {
	return output(ctx, "", "birdc", "-s", b.socket(), command)
}
