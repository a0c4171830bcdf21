// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"

	"github.com/fairlead/fairlead/test/controlplane"
	"github.com/fairlead/fairlead/test/controlplane/binaries"
)

// The AS numbers of MetalLB's example, which is one of the acceptance cases:
// the session is internal.
const defaultASN = 65559

// startLimit is how long a whole rack may take to come up.
const startLimit = 100 * time.Second

// Options say what rack to build.
type Options struct {
	// Slot tells racks apart that stand at the same time: 1 to 250, 1 by default.
	Slot int
	// Nodes is how many nodes there are, 3 by default, 200 at most.
	Nodes int
	// Router is FRR by default.
	Router RouterKind
	// RouterASN and NodeASN are 65559 by default.
	RouterASN, NodeASN uint32
	// Password is the sessions' TCP MD5 password on the router; empty: none.
	Password string
	// CloudConfig is the content of the file that controller and speakers read.
	// Its peer is RouterAddr.
	CloudConfig string
	// Programs holds the controller-manager and the speaker: bin of the checkout
	// by default, where `make build` puts them.
	Programs string
	// Dir holds data and configuration, LogDir the logs, Dir by default.
	Dir, LogDir string
	// ControlPlane adds to how the control plane is started; Dir, LogDir,
	// BindAddress and BinDir are filled in.
	ControlPlane controlplane.Options
}

func (o Options) withDefaults() (Options, error) {
	o.Slot = cmp.Or(o.Slot, 1)
	o.Nodes = cmp.Or(o.Nodes, 3)
	o.Router = cmp.Or(o.Router, FRR)
	o.RouterASN = cmp.Or(o.RouterASN, defaultASN)
	o.NodeASN = cmp.Or(o.NodeASN, defaultASN)
	o.LogDir = cmp.Or(o.LogDir, o.Dir)
	if o.Slot < 1 || o.Slot > 250 || o.Nodes < 1 || o.Nodes > maxNodes {
		return o, fmt.Errorf("rack in slot %d with %d nodes: there are slots 1 to 250 and 1 to %d nodes", o.Slot, o.Nodes, maxNodes)
	}
	if o.Dir == "" {
		return o, errors.New("rack: Options.Dir must be set")
	}
	root, err := binaries.Root()
	if err != nil {
		return o, err
	}
	o.Programs = cmp.Or(o.Programs, filepath.Join(root, "bin"))
	o.ControlPlane.BinDir = cmp.Or(o.ControlPlane.BinDir, binaries.Dir(root))
	return o, os.MkdirAll(o.LogDir, 0o755)
}

// Rack is a running rack.
type Rack struct {
	// Router is the software of the router.
	Router Router
	// Routes follows the router's kernel.
	Routes *RouteTable
	// Plane is the control plane, and Kube the access of its administrator.
	Plane *controlplane.ControlPlane
	Kube  kubernetes.Interface
	// Nodes are in the order of their names.
	Nodes []*Node

	opts       Options
	net        network
	controller *Program
	kubelet    *kubelet
}

// Start builds a rack and returns when all of it runs: nodes are initialised,
// kube-proxies healthy and all sessions up. Ctx bounds the start alone.
func Start(ctx context.Context, o Options) (*Rack, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Rack{opts: o, net: network{slot: o.Slot}}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := r.start(ctx); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Rack) start(ctx context.Context) error {
	if err := r.Configure(r.opts.CloudConfig); err != nil {
		return err
	}
	if err := r.net.build(ctx); err != nil {
		return err
	}
	places := make([]nodeNet, r.opts.Nodes)
	for i := range places {
		places[i] = r.net.place(i)
	}
	for i, p := range places {
		r.Nodes = append(r.Nodes, &Node{Name: nodeName(i), Addr: p.addr, Addr6: p.addr6, rack: r, index: i, place: p})
		if err := r.net.connect(ctx, i, places); err != nil {
			return err
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.startRouter(gctx) })
	g.Go(func() error { return r.startPlane(gctx) })
	if err := g.Wait(); err != nil {
		return err
	}
	if err := r.StartController(ctx); err != nil {
		return err
	}
	g, gctx = errgroup.WithContext(ctx)
	for _, n := range r.Nodes {
		g.Go(func() error { return n.start(gctx) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	var err error
	if r.kubelet, err = startKubelet(ctx, r); err != nil {
		return err
	}
	return r.AwaitSessions(ctx, r.Nodes...)
}

func (r *Rack) startRouter(ctx context.Context) error {
	c := routerConfig{
		ns: r.net.router(), dir: fmt.Sprintf("/run/rack%d", r.opts.Slot), logDir: r.opts.LogDir, asn: r.opts.RouterASN,
	}
	for _, n := range r.Nodes {
		c.neighbours = append(c.neighbours, neighbour{addr: n.Addr, asn: r.opts.NodeASN, password: r.opts.Password})
	}
	var err error
	if r.Routes, err = watchRoutes(c.ns); err != nil {
		return err
	}
	if r.Router, err = newRouter(r.opts.Router, c); err != nil {
		return err
	}
	return r.Router.Start(ctx)
}

// AwaitSessions waits until the router's sessions with exactly these nodes are
// up.
func (r *Rack) AwaitSessions(ctx context.Context, nodes ...*Node) error {
	want := map[netip.Addr]bool{}
	for _, n := range nodes {
		want[n.Addr] = true
	}
	return poll(ctx, func(ctx context.Context) error {
		up, err := r.Router.Established(ctx)
		if err != nil {
			return err
		}
		good := len(up) == len(want)
		for _, a := range up {
			good = good && want[a]
		}
		if !good {
			return fmt.Errorf("%s has sessions with [%s], want %d", r.opts.Router, joinAddrs(up), len(want))
		}
		return nil
	})
}

// RouterEnd is how a router ends. The zero value is none.
type RouterEnd uint8

const (
	// Reboot ends it in good order: its kernel closes the connections.
	Reboot RouterEnd = iota + 1
	// PowerLoss ends it without a word.
	PowerLoss
)

// RestartRouter ends the router, calls during while it is off, and starts it
// again with an empty table. It returns the time at which the router took
// sessions again.
func (r *Rack) RestartRouter(ctx context.Context, end RouterEnd, during func(context.Context) error) (time.Time, error) {
	unplug := func() error { return ip(ctx, r.net.router(), "link set "+nodesPort+" down") }
	steps := []func() error{r.Router.Kill, unplug}
	if end == PowerLoss {
		slices.Reverse(steps)
	}
	steps = append(steps,
		func() error { return r.flush(ctx) },
		func() error { return during(ctx) },
		func() error { return ip(ctx, r.net.router(), "link set "+nodesPort+" up") },
		func() error { return r.Router.Start(ctx) },
	)
	for _, step := range steps {
		if err := step(); err != nil {
			return time.Time{}, err
		}
	}
	return time.Now(), nil
}

// flush empties the router's kernel of what it learned.
func (r *Rack) flush(ctx context.Context) error {
	for _, proto := range []string{"bgp", "bird"} {
		for _, family := range []string{"-4", "-6"} {
			if err := run(ctx, nil, "ip", "-n", r.net.router(), family, "route", "flush", "proto", proto); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close ends all programs, by their pids, and removes the namespaces. What was
// never started is no error.
func (r *Rack) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	var errs []error
	if r.kubelet != nil {
		errs = append(errs, r.kubelet.close())
	}
	for _, n := range r.Nodes {
		errs = append(errs, kill(n.speaker, n.proxy))
	}
	errs = append(errs, r.controller.Kill())
	if r.Router != nil {
		errs = append(errs, r.Router.Kill())
	}
	if r.Plane != nil {
		errs = append(errs, r.Plane.Stop())
	}
	if r.Routes != nil {
		errs = append(errs, r.Routes.Close())
	}
	return errors.Join(append(errs, r.net.remove(ctx, r.opts.Nodes))...)
}
