// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rack

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// RouterKind is the software of the router. The zero value is none.
type RouterKind uint8

// The routers.
const (
	FRR  RouterKind = iota + 1 // zebra and bgpd
	BIRD                       // bird
)

// String is the router's name.
func (k RouterKind) String() string {
	switch k {
	case FRR:
		return "FRR"
	case BIRD:
		return "BIRD"
	}
	return fmt.Sprintf("RouterKind(%d)", uint8(k))
}

// Router is the software of the router at work. None of it is told anything
// about graceful restart: what it does, it does by default.
type Router interface {
	// Start starts it and returns when it takes sessions.
	Start(ctx context.Context) error
	// Kill ends all its processes at once. Routes stay in the kernel.
	Kill() error
	// Reset ends all sessions as an administrator's hard reset does, by a
	// notification; they may come up again at once.
	Reset(ctx context.Context) error
	// Established returns the addresses of the neighbours whose sessions are up,
	// sorted.
	Established(ctx context.Context) ([]netip.Addr, error)
	// Show returns what the router says in answer to one of its own commands.
	Show(ctx context.Context, command string) (string, error)
}

// routerConfig is what both routers are told.
type routerConfig struct {
	ns string
	// dir holds config files and sockets, and may be entered by all users; logDir
	// holds the logs.
	dir, logDir string
	asn         uint32
	neighbours  []neighbour
}

// neighbour is one node's speaker as the router knows it.
type neighbour struct {
	addr     netip.Addr
	asn      uint32
	password string
}

// newRouter makes the directory of a router.
func newRouter(kind RouterKind, c routerConfig) (Router, error) {
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return nil, err
	}
	switch kind {
	case FRR:
		return &frr{routerConfig: c}, nil
	case BIRD:
		return &bird{routerConfig: c}, nil
	}
	return nil, fmt.Errorf("router %s: there is FRR and BIRD", kind)
}

// write writes one of the router's files and returns its path.
func (c routerConfig) write(name string, lines []string) (string, error) {
	file := filepath.Join(c.dir, name)
	return file, os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}

func (c routerConfig) start(name string, args ...string) (*Program, error) {
	return command{name: name, ns: c.ns, args: args, logDir: c.logDir}.start()
}

// kill kills programs and says what went wrong with any.
func kill(programs ...*Program) error {
	var errs []error
	for _, p := range programs {
		errs = append(errs, p.Kill())
	}
	return errors.Join(errs...)
}
