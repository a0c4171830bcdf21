// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/azure/rig"
	"github.com/fairlead/fairlead/test/controlplane"
	"github.com/fairlead/fairlead/test/controlplane/binaries"
)

// ManagerCommand is the first argument with which this program is the real
// controller manager, so that its memory can be measured.
const ManagerCommand = "azure-manager"

// memoryLimit is the target, in bytes.
const memoryLimit = 150_000_000

// memory measures the real controller manager: Services that come at once
// through the API server, until all have an address, and a restart.
func memory(ctx context.Context, m *meter, o standOptions, services int) error {
	dir, err := os.MkdirTemp("", "fairlead-azure-")
	if err != nil {
		return err
	}
	s, err := newSite(o)
	if err != nil {
		return err
	}
	s.sim.SetLatency(o.latency)
	s.sim.SetThrottle(azuresim.PublishedThrottle())
	defer s.server.Close()
	c, err := startCluster(ctx, dir, s)
	if err != nil {
		return fmt.Errorf("%w; logs are in %s", err, dir)
	}
	defer c.stop()
	if err := c.measure(ctx, m, services); err != nil {
		return fmt.Errorf("%w; logs are in %s", err, dir)
	}
	return os.RemoveAll(dir)
}

// cluster is a real API server with the nodes of a stand.
type cluster struct {
	*stand
	dir        string
	cp         *controlplane.ControlPlane
	client     kubernetes.Interface
	kubeconfig string
}

func startCluster(ctx context.Context, dir string, s *stand) (*cluster, error) {
	bin, err := binaries.Find()
	if err != nil {
		return nil, err
	}
	c := &cluster{stand: s, dir: dir}
	if c.cp, err = controlplane.Start(ctx, controlplane.Options{Dir: dir, BinDir: bin}); err != nil {
		return nil, err
	}
	if err := c.fill(ctx); err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

func (c *cluster) stop() {
	_ = c.cp.Stop() // its data goes, too
}

// fill makes a client, the cloud-config and the nodes.
func (c *cluster) fill(ctx context.Context) error {
	cfg := c.cp.Config()
	cfg.QPS, cfg.Burst = 2000, 4000
	var err error
	if c.client, err = kubernetes.NewForConfig(cfg); err != nil {
		return err
	}
	if c.kubeconfig, err = c.cp.Kubeconfig(controlplane.Admin); err != nil {
		return err
	}
	text := rig.ConfigText(c.site, fmt.Sprintf(`%s, "resourceManagerEndpoint": %q`, c.config, c.server.URL))
	if err := os.WriteFile(c.file("azure.json"), []byte(text), 0o600); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(32)
	for i := range c.nodes {
		g.Go(func() error {
			n := c.node(i)
			n.Status.Conditions = []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionTrue}}
			_, err := c.client.CoreV1().Nodes().Create(ctx, n, metav1.CreateOptions{})
			return err
		})
	}
	return g.Wait()
}

func (c *cluster) file(name string) string { return filepath.Join(c.dir, name) }

// measure makes the Services, then restarts the manager.
func (c *cluster) measure(ctx context.Context, m *meter, services int) error {
	p, err := c.startManager(ctx, "first")
	if err != nil {
		return err
	}
	defer func() { p.stop() }()
	if err := c.untilCalm(ctx, p); err != nil {
		return err
	}
	began := time.Now()
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(32)
	for i := range services {
		g.Go(func() error {
			svc := service(i)
			svc.UID, svc.Finalizers, svc.CreationTimestamp = "", nil, metav1.Time{}
			svc.Spec.ClusterIP, svc.Spec.Ports[0].NodePort = "", 0
			_, err := c.client.CoreV1().Services(svc.Namespace).Create(gctx, svc, metav1.CreateOptions{})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	created := time.Since(began)
	if err := c.untilServed(ctx, p, services); err != nil {
		return err
	}
	took := time.Since(began)
	what := fmt.Sprintf("Controller manager on a real API server, %d Services at once under the published budgets", services)
	counts := c.sim.Counts()
	if err := c.report(ctx, m, p, what, fmt.Sprintf("; all have an address after %s (created after %s), %d calls refused",
		seconds(took), seconds(created), azuresim.Total(counts.Refused))); err != nil {
		return err
	}
	p.stop()
	c.sim.ResetCalls()
	if p, err = c.startManager(ctx, "second"); err != nil {
		return err
	}
	if err := c.untilCalm(ctx, p); err != nil {
		return err
	}
	counts = c.sim.Counts()
	return c.report(ctx, m, p, fmt.Sprintf("Controller manager started again with %d Services", services),
		fmt.Sprintf("; writes: %s; reads, those for nodes and tokens included: %s", countsOf(counts.Writes), countsOf(counts.Reads)))
}

// report adds a row on the memory that the manager has when it is calm.
func (c *cluster) report(ctx context.Context, m *meter, p *process, what, more string) error {
	if err := c.untilCalm(ctx, p); err != nil {
		return err
	}
	now, most, err := p.resident()
	if err != nil {
		return err
	}
	m.add(Row{
		What: what + ": resident memory", Ours: fmt.Sprintf("%d MB (at most %d MB)%s", now/1e6, most/1e6, more),
		Target: fmt.Sprintf("under %d MB", memoryLimit/1_000_000), Counted: verdict(most < memoryLimit),
	})
	return nil
}

// untilServed waits until all Services have an address.
func (c *cluster) untilServed(ctx context.Context, p *process, want int) error {
	return p.await(ctx, func(ctx context.Context) (bool, error) {
		list, err := c.client.CoreV1().Services("default").List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			return false, err
		}
		served := 0
		for i := range list.Items {
			if len(list.Items[i].Status.LoadBalancer.Ingress) > 0 {
				served++
			}
		}
		return served == want, nil
	})
}

// untilCalm waits until the cloud was asked, and then not for a while.
func (c *cluster) untilCalm(ctx context.Context, p *process) error {
	seen, since := 0, time.Now()
	return p.await(ctx, func(context.Context) (bool, error) {
		if n := len(c.sim.Calls()); n != seen || n == 0 {
			seen, since = n, time.Now()
		}
		return time.Since(since) > c.quiet, nil
	})
}

// process is a running controller manager.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}
}

// startManager starts this program again as the controller manager.
func (c *cluster) startManager(ctx context.Context, name string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(c.file("manager-" + name + ".log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.CommandContext(ctx, self, ManagerCommand, "--kubeconfig="+c.kubeconfig,
		"--cloud-provider=azure", "--cloud-config="+c.file("azure.json"), "--configure-cloud-routes=false",
		"--authentication-skip-lookup", "--authentication-kubeconfig="+c.kubeconfig, "--authorization-kubeconfig="+c.kubeconfig,
		"--bind-address=127.0.0.1", "--secure-port=0")
	cmd.Env = append(os.Environ(), "IDENTITY_ENDPOINT="+c.server.URL+"/token", "IDENTITY_HEADER=any")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, exited: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // its exit is what is awaited, not its code
		close(p.exited)
	}()
	return p, nil
}

// stop ends the manager with TERM, and returns when it is gone.
func (p *process) stop() {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return // it is gone
	}
	<-p.exited
}

// await asks until the answer is yes.
func (p *process) await(ctx context.Context, done func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the controller manager is not done: %w", ctx.Err())
		case <-p.exited:
			return errors.New("the controller manager ended")
		case <-tick.C:
		}
		if ok, err := done(ctx); ok || err != nil {
			return err
		}
	}
}

// resident is the memory of the process now, and at most so far, in bytes:
// proc_pid_status(5).
func (p *process) resident() (now, most int64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(status)) {
		for name, to := range map[string]*int64{"VmRSS:": &now, "VmHWM:": &most} {
			if rest, ok := strings.CutPrefix(line, name); ok {
				n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
				if err != nil {
					return 0, 0, err
				}
				*to = n << 10
			}
		}
	}
	return now, most, nil
}
