// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/cloud-provider/api"

	"github.com/fairlead/fairlead/test/controlplane"
	"github.com/fairlead/fairlead/test/controlplane/binaries"
)

// Size is how large the cluster is.
type Size struct {
	Nodes, Services int
}

// bench is one run.
type bench struct {
	Size
	out      io.Writer
	dir      string
	cp       *controlplane.ControlPlane
	client   kubernetes.Interface
	services corelisters.ServiceLister
	nodes    corelisters.NodeLister
	manager  *process
}

// Row is one line of the table.
type Row struct {
	What  string
	Wall  time.Duration
	CPU   time.Duration
	Alloc float64 // bytes
	Calls float64
	Steps float64
	RSS   int64 // bytes, at the end
}

// Run measures and prints a table, in Markdown.
func Run(ctx context.Context, out io.Writer, size Size) error {
	dir, err := os.MkdirTemp("", "fairlead-scale-")
	if err != nil {
		return err
	}
	b := &bench{Size: size, out: out, dir: dir}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer b.end()
	if err := b.start(ctx); err != nil {
		return err
	}
	rows, err := b.measure(ctx)
	if err != nil {
		return fmt.Errorf("%w; logs are in %s", err, dir)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	fmt.Fprintf(out, "\n| %d nodes, %d Services | wall | CPU of the manager | allocated | calls answered | cloud writes | resident |\n|---|---|---|---|---|---|---|\n", size.Nodes, size.Services)
	for _, r := range rows {
		fmt.Fprintf(out, "| %s | %.1f s | %.2f s | %.0f MiB | %.0f | %.0f | %d MiB |\n", r.What, r.Wall.Seconds(), r.CPU.Seconds(), r.Alloc/(1<<20), r.Calls, r.Steps, r.RSS>>20)
	}
	return nil
}

func (b *bench) end() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if b.manager != nil {
		if err := b.manager.stop(ctx); err != nil {
			fmt.Fprintln(b.out, "stop the manager:", err)
		}
	}
	if b.cp != nil {
		if err := b.cp.Stop(); err != nil {
			fmt.Fprintln(b.out, "stop the control plane:", err)
		}
	}
}

// start starts the control plane and fills it.
func (b *bench) start(ctx context.Context) error {
	bin, err := binaries.Find()
	if err != nil {
		return err
	}
	if b.cp, err = controlplane.Start(ctx, controlplane.Options{Dir: b.dir, BinDir: bin}); err != nil {
		return err
	}
	cfg := b.cp.Config()
	cfg.QPS, cfg.Burst = 2000, 4000
	if b.client, err = kubernetes.NewForConfig(cfg); err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(b.client, 0)
	b.services, b.nodes = factory.Core().V1().Services().Lister(), factory.Core().V1().Nodes().Lister()
	factory.Core().V1().Services().Informer()
	factory.Core().V1().Nodes().Informer()
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())

	fmt.Fprintf(b.out, "creating %d nodes and %d Services\n", b.Nodes, b.Services)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(32)
	for i := range b.Nodes {
		g.Go(func() error { return b.createNode(gctx, i) })
	}
	for i := range b.Services {
		g.Go(func() error { return b.createService(gctx, i) })
	}
	return g.Wait()
}

func (b *bench) createNode(ctx context.Context, i int) error {
	_, err := b.client.CoreV1().Nodes().Create(ctx, &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%05d", i)},
		Spec:       v1.NodeSpec{Taints: []v1.Taint{{Key: api.TaintExternalCloudProvider, Value: "true", Effect: v1.TaintEffectNoSchedule}}},
		Status: v1.NodeStatus{
			Conditions: []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionTrue}},
			Addresses:  []v1.NodeAddress{{Type: v1.NodeInternalIP, Address: fmt.Sprintf("10.%d.%d.%d", 100+i>>16, i>>8&255, i&255)}},
		},
	}, metav1.CreateOptions{})
	return err
}

func (b *bench) createService(ctx context.Context, i int) error {
	_, err := b.client.CoreV1().Services("default").Create(ctx, &v1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("svc-%05d", i)},
		Spec: v1.ServiceSpec{
			Type: v1.ServiceTypeLoadBalancer, AllocateLoadBalancerNodePorts: new(bool),
			Ports: []v1.ServicePort{{Port: 80}}, Selector: map[string]string{"app": "none"},
		},
	}, metav1.CreateOptions{})
	return err
}

// measure runs the phases, each to its quiet end.
func (b *bench) measure(ctx context.Context) ([]Row, error) {
	var rows []Row
	add := func(what string, act func() error, done func() bool) error {
		r, err := b.phase(ctx, what, act, done)
		rows = append(rows, r)
		return err
	}
	kubeconfig, err := b.cp.Kubeconfig(controlplane.Admin)
	if err != nil {
		return nil, err
	}
	start := func() error {
		port, err := freePort(ctx)
		if err != nil {
			return err
		}
		b.manager, err = startManager(ctx, b.dir, kubeconfig, port)
		return err
	}
	if err := add("first start: all nodes initialised, all Services with an address, quiet", start, func() bool {
		return b.uninitialised() == 0 && b.pending() == 0
	}); err != nil {
		return nil, err
	}
	if err := add("nothing happens: the cost of watching the manager", func() error { return nil }, func() bool { return true }); err != nil {
		return nil, err
	}
	if err := add("a node added: in every Service's load balancer, quiet", func() error { return b.createNode(ctx, b.Nodes) },
		func() bool { return b.uninitialised() == 0 }); err != nil {
		return nil, err
	}
	if err := add("restart: all Services ensured again, quiet", func() error {
		if err := b.manager.stop(ctx); err != nil {
			return err
		}
		return start()
	}, func() bool { return true }); err != nil {
		return nil, err
	}
	return rows, nil
}

// phase acts, awaits that it is done, and then that the manager is quiet. Wall
// is until the last use of CPU time before the quiet.
func (b *bench) phase(ctx context.Context, what string, act func() error, done func() bool) (Row, error) {
	var before usage
	var err error
	old := b.manager
	if old != nil {
		if before, err = old.usage(ctx); err != nil {
			return Row{}, err
		}
	}
	began := time.Now()
	if err := act(); err != nil {
		return Row{}, err
	}
	if b.manager != old {
		before = usage{}
	}
	after, busyUntil, err := b.awaitQuiet(ctx, done)
	if err != nil {
		return Row{}, err
	}
	r := Row{
		What: what, Wall: busyUntil.Sub(began), CPU: after.CPU - before.CPU, Alloc: after.Allocated - before.Allocated,
		Calls: after.Calls - before.Calls, Steps: after.Steps - before.Steps, RSS: after.Resident,
	}
	fmt.Fprintf(b.out, "%s: %.1f s, CPU %.2f s, %.0f MiB allocated\n", what, r.Wall.Seconds(), r.CPU.Seconds(), r.Alloc/(1<<20))
	return r, nil
}

const (
	poll = 250 * time.Millisecond
	// quietFor is how long the manager must be quiet: longer than the window of
	// node changes plus a pass.
	quietFor = 5 * time.Second
	// quietCPU is what an idle manager uses in a poll, the answer to the poll
	// itself included.
	quietCPU = 50 * time.Millisecond
)

func (b *bench) awaitQuiet(ctx context.Context, done func() bool) (usage, time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	busy := time.Now()
	var last usage
	for {
		select {
		case <-ctx.Done():
			return last, busy, fmt.Errorf("not quiet: %d nodes not initialised, %d Services without address: %w", b.uninitialised(), b.pending(), ctx.Err())
		case <-b.manager.exited:
			return last, busy, fmt.Errorf("the manager ended; see %s", b.dir)
		case <-tick.C:
		}
		now, err := b.manager.usage(ctx)
		if err != nil {
			busy = time.Now() // it does not serve yet
			continue
		}
		if now.CPU-last.CPU > quietCPU || now.Steps != last.Steps || now.Calls != last.Calls || !done() {
			busy = time.Now()
		}
		last = now
		if time.Since(busy) > quietFor {
			return now, busy, nil
		}
	}
}

func (b *bench) uninitialised() int {
	nodes, err := b.nodes.List(labels.Everything())
	if err != nil {
		return -1 // a lister over a cache has no errors
	}
	n := 0
	for _, node := range nodes {
		// Admission adds taints of its own.
		if slices.ContainsFunc(node.Spec.Taints, func(t v1.Taint) bool { return t.Key == api.TaintExternalCloudProvider }) {
			n++
		}
	}
	return n
}

func (b *bench) pending() int {
	services, err := b.services.List(labels.Everything())
	if err != nil {
		return -1 // a lister over a cache has no errors
	}
	n := 0
	for _, s := range services {
		if s.Spec.Type == v1.ServiceTypeLoadBalancer && len(s.Status.LoadBalancer.Ingress) == 0 {
			n++
		}
	}
	return n
}

func freePort(ctx context.Context) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	addr, err := netip.ParseAddrPort(l.Addr().String())
	return int(addr.Port()), err
}
