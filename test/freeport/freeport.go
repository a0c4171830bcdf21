// SPDX-License-Identifier: Apache-2.0

// Package freeport finds ports for programs that tests start.
package freeport

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
)

// Ports are taken from below the range that Linux gives to outgoing connections
// and to listeners on any port (net.ipv4.ip_local_port_range, 32768 to 60999),
// below that of NodePorts (30000 to 32767) and above the fixed ports of
// Kubernetes (10248 to 10260), so that only another test can be in the way.
const (
	first = 11000
	last  = 29999
	tries = 100
)

// Find returns a TCP port of addr on which nothing listens at the moment. Another
// program may take it until it is used, but no outgoing connection can.
func Find(ctx context.Context, addr netip.Addr) (uint16, error) {
	var listen net.ListenConfig
	var fault error
	for range tries {
		port := uint16(first + rand.IntN(last-first+1))
		l, err := listen.Listen(ctx, "tcp", netip.AddrPortFrom(addr, port).String())
		if err != nil {
			fault = err
			continue
		}
		return port, l.Close()
	}
	return 0, fmt.Errorf("find a free port of %s between %d and %d: %w", addr, first, last, fault)
}

// ForTest is Find for a test, which fails when there is none.
func ForTest(t *testing.T, addr netip.Addr) uint16 {
	t.Helper()
	port, err := Find(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	return port
}
