// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rack

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The plan of addresses. Each rack has all of it to itself but the management
// network, whose third byte is the rack's slot.
const (
	routerOnNodes    = "10.0.0.1"
	routerOnNodes6   = "fd00:10::1"
	routerOnClients  = "192.0.2.1"
	routerOnClients6 = "2001:db8:c::1"
	clientAddr       = "192.0.2.2"
	clientAddr6      = "2001:db8:c::2"
	// firstHost is the last byte of the first node's addresses.
	firstHost = 11
	// maxNodes keeps hosts within one byte.
	maxNodes = 200
)

// RouterAddr is the router's address on the nodes' network, the peer of all
// speakers.
func RouterAddr() netip.Addr { return netip.MustParseAddr(routerOnNodes) }

// network is the namespaces of one rack and what connects them.
type network struct {
	slot int
}

// ns is the name of one of the rack's namespaces.
func (n network) ns(name string) string { return fmt.Sprintf("rack%d-%s", n.slot, name) }

func (n network) router() string { return n.ns("router") }
func (n network) client() string { return n.ns("client") }

// fabric is the switch between the nodes and the router.
func (n network) fabric() string { return n.ns("switch") }

// bridge is the management network's, in the program's own namespace.
func (n network) bridge() string { return fmt.Sprintf("mgmt%d", n.slot) }

// link is the program's end of a node's management cable.
func (n network) link(node string) string { return fmt.Sprintf("m%d-%s", n.slot, node) }

// manager is the address of the program on the management network.
func (n network) manager() netip.Addr {
	return netip.AddrFrom4([4]byte{10, 254, byte(n.slot), 1})
}

// nodesPort is the router's port to the nodes.
const nodesPort = "nodes"

// build makes the switch, the router, the client and the management network.
func (n network) build(ctx context.Context) error {
	for _, ns := range []string{n.fabric(), n.router(), n.client()} {
		if err := addNamespace(ctx, ns); err != nil {
			return err
		}
	}
	err := ip(ctx, "",
		"link add "+n.bridge()+" type bridge forward_delay 0",
		"addr add "+n.manager().String()+"/24 dev "+n.bridge(),
		"link set "+n.bridge()+" up",
	)
	if err != nil {
		return err
	}
	err = ip(ctx, n.fabric(),
		"link add br0 type bridge forward_delay 0",
		"link set br0 up",
		"link add router type veth peer name "+nodesPort+" netns "+n.router(),
		"link set router master br0 up",
	)
	if err != nil {
		return err
	}
	err = ip(ctx, n.router(),
		"addr add "+routerOnNodes+"/24 dev "+nodesPort,
		"addr add "+routerOnNodes6+"/64 dev "+nodesPort+" nodad",
		"link set "+nodesPort+" up",
		"link add client type veth peer name eth0 netns "+n.client(),
		"addr add "+routerOnClients+"/24 dev client",
		"addr add "+routerOnClients6+"/64 dev client nodad",
		"link set client up",
	)
	if err != nil {
		return err
	}
	err = ip(ctx, n.client(),
		"addr add "+clientAddr+"/24 dev eth0",
		"addr add "+clientAddr6+"/64 dev eth0 nodad",
		"link set eth0 up",
		"route add default via "+routerOnClients,
		"route add default via "+routerOnClients6,
	)
	if err != nil {
		return err
	}
	return sysctl(ctx, n.router(), map[string]string{
		"net/ipv4/ip_forward":          "1",
		"net/ipv6/conf/all/forwarding": "1",
		// Equal-cost paths are chosen by ports too, as hardware does.
		"net/ipv4/fib_multipath_hash_policy": "1",
		"net/ipv6/fib_multipath_hash_policy": "1",
		// As many ICMP errors as there are packets without a route, so that a
		// client learns of each at once.
		"net/ipv4/icmp_ratelimit":     "0",
		"net/ipv4/icmp_msgs_per_sec":  "100000",
		"net/ipv4/icmp_msgs_burst":    "10000",
		"net/ipv6/icmp/ratelimit":     "0",
		"net/ipv6/conf/all/accept_ra": "0",
		// Linux leaves out a node whose address does not answer any more. Hardware
		// keeps what it resolved for hours: a dead node is BGP's to find.
		"net/ipv4/neigh/" + nodesPort + "/base_reachable_time_ms": "14400000",
		"net/ipv6/neigh/" + nodesPort + "/base_reachable_time_ms": "14400000",
		// Addresses stay while a port is down.
		"net/ipv6/conf/all/keep_addr_on_down": "1",
	})
}

// nodeNet is where a node is in the network.
type nodeNet struct {
	ns    string
	mgmt  netip.Addr
	addr  netip.Addr
	addr6 netip.Addr
	// pods and pods6 are the ranges of its Pods.
	pods  netip.Prefix
	pods6 netip.Prefix
}

// place is the place of the node with an index from 0.
func (n network) place(index int) nodeNet {
	host := byte(firstHost + index)
	p := nodeNet{
		ns:    n.ns(nodeName(index)),
		mgmt:  netip.AddrFrom4([4]byte{10, 254, byte(n.slot), host}),
		addr:  netip.AddrFrom4([4]byte{10, 0, 0, host}),
		addr6: netip.MustParseAddr(fmt.Sprintf("fd00:10::%x", host)),
		pods:  netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 244, host, 0}), 24),
		pods6: netip.MustParsePrefix(fmt.Sprintf("fd00:10:244:%x::/64", host)),
	}
	return p
}

// nodeName is the name of the node with an index from 0.
func nodeName(index int) string { return fmt.Sprintf("node%d", index+1) }

// connect makes a node's namespace and its cables. others are the places of the
// nodes whose Pods it must find.
func (n network) connect(ctx context.Context, index int, others []nodeNet) error {
	p, name := n.place(index), nodeName(index)
	if err := addNamespace(ctx, p.ns); err != nil {
		return err
	}
	err := ip(ctx, "",
		"link add "+n.link(name)+" type veth peer name mgmt netns "+p.ns,
		"link set "+n.link(name)+" master "+n.bridge()+" up",
	)
	if err != nil {
		return err
	}
	err = ip(ctx, n.fabric(),
		"link add "+name+" type veth peer name eth0 netns "+p.ns,
		"link set "+name+" master br0 up",
	)
	if err != nil {
		return err
	}
	lines := []string{
		"addr add " + p.mgmt.String() + "/24 dev mgmt",
		"link set mgmt up",
		"addr add " + p.addr.String() + "/24 dev eth0",
		"addr add " + p.addr6.String() + "/64 dev eth0 nodad",
		"link set eth0 up",
		"route add default via " + routerOnNodes,
		"route add default via " + routerOnNodes6,
		// All addresses of Pods are the node's own.
		"route add local " + p.pods.String() + " dev lo",
		"route add local " + p.pods6.String() + " dev lo",
	}
	for _, o := range others {
		if o.ns != p.ns {
			lines = append(lines,
				"route add "+o.pods.String()+" via "+o.addr.String(),
				"route add "+o.pods6.String()+" via "+o.addr6.String())
		}
	}
	if err := ip(ctx, p.ns, lines...); err != nil {
		return err
	}
	return sysctl(ctx, p.ns, map[string]string{
		"net/ipv4/ip_forward":          "1",
		"net/ipv6/conf/all/forwarding": "1",
		"net/ipv6/conf/all/accept_ra":  "0",
		// IPv6 does not let one listen on an address of a local route alone.
		"net/ipv6/ip_nonlocal_bind": "1",
	})
}

// cut makes a node's cables silent. The switch notices, and nobody else.
func (n network) cut(ctx context.Context, index int) error {
	return n.cables(ctx, index, "down")
}

// mend plugs a node's cables in again.
func (n network) mend(ctx context.Context, index int) error {
	return n.cables(ctx, index, "up")
}

func (n network) cables(ctx context.Context, index int, state string) error {
	name := nodeName(index)
	if err := ip(ctx, n.fabric(), "link set "+name+" "+state); err != nil {
		return err
	}
	return ip(ctx, "", "link set "+n.link(name)+" "+state)
}

// remove deletes all of a rack with so many nodes. What is not there is no
// error.
func (n network) remove(ctx context.Context, nodes int) error {
	// Its links first: the kernel takes its time with what is in a namespace.
	links, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, l := range links {
		if l.Name != n.bridge() && !strings.HasPrefix(l.Name, n.link("")) {
			continue
		}
		if err := ip(ctx, "", "link del "+l.Name); err != nil {
			return err
		}
	}
	names := []string{n.fabric(), n.router(), n.client()}
	for i := range nodes {
		names = append(names, n.place(i).ns)
	}
	for _, ns := range names {
		if _, err := os.Stat(filepath.Join("/run/netns", ns)); err != nil {
			continue
		}
		if err := run(ctx, nil, "ip", "netns", "del", ns); err != nil {
			return err
		}
	}
	return nil
}

func addNamespace(ctx context.Context, ns string) error {
	if err := run(ctx, nil, "ip", "netns", "add", ns); err != nil {
		return err
	}
	return ip(ctx, ns, "link set lo up")
}

// ip gives lines of iproute2's words to a namespace; the empty name is the
// program's own.
func ip(ctx context.Context, ns string, lines ...string) error {
	args := []string{"ip"}
	if ns != "" {
		args = append(args, "-n", ns)
	}
	script := strings.NewReader(strings.Join(lines, "\n") + "\n")
	return run(ctx, script, append(args, "-batch", "-")...)
}

// sysctl sets kernel parameters of a namespace, by their paths below /proc/sys.
func sysctl(ctx context.Context, ns string, values map[string]string) error {
	var script strings.Builder
	for path, value := range values {
		fmt.Fprintf(&script, "[ ! -e /proc/sys/%[1]s ] || echo %[2]s >/proc/sys/%[1]s || exit 1\n", path, value)
	}
	return run(ctx, strings.NewReader(script.String()), "ip", "netns", "exec", ns, "sh")
}

// run runs a program to its end.
func run(ctx context.Context, in *strings.Reader, args ...string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	if in != nil {
		cmd.Stdin = in
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w: %s", args, err, strings.TrimSpace(string(out)))
	}
	return nil
}
