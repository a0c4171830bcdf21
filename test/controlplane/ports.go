// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
)

// Ports are taken from below the range that Linux gives to outgoing
// connections (net.ipv4.ip_local_port_range, 32768 to 60999), and below that
// of NodePorts (30000 to 32767), so that only another test can be in the way.
const (
	firstPort = 20000
	lastPort  = 29999
	portTries = 100
)

// FreePort returns a port of addr on which nothing listens at the moment. Another
// program may take it until it is used, but no outgoing connection can.
func FreePort(ctx context.Context, addr netip.Addr) (uint16, error) {
	var listen net.ListenConfig
	var last error
	for range portTries {
		port := uint16(firstPort + rand.IntN(lastPort-firstPort+1))
		l, err := listen.Listen(ctx, "tcp", netip.AddrPortFrom(addr, port).String())
		if err != nil {
			last = err
			continue
		}
		return port, l.Close()
	}
	return 0, fmt.Errorf("find a free port of %s between %d and %d: %w", addr, firstPort, lastPort, last)
}
