// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/klog/v2"
)

// envConfig is the variable of the environment that makes a test program a
// controller: its cloud-config.
const envConfig = "RIG_CONFIG"

// Main is for TestMain. It lets the program be a controller as well, in a
// process of its own that tests can kill.
func Main(m *testing.M, start Starter) {
	config := os.Getenv(envConfig)
	if config == "" {
		m.Run()
		return
	}
	if err := beController(start, config, os.Stdin, os.Stdout); err != nil {
		panic(err)
	}
}

// task is what a controller in a process of its own is told: the cluster as
// it is, and the Services to reconcile.
type task struct {
	Services []*v1.Service
	Slices   []*discoveryv1.EndpointSlice
	Nodes    []*v1.Node
	Names    []string
	Why      Reason
}

// outcome is what it writes to the cluster, a Service at a time; and at the
// end of the order, End.
type outcome struct {
	Name   string
	Status *v1.LoadBalancerStatus // the new one
	Gone   bool                   // its finalizer is taken away
	Error  string
	End    bool
}

// beController does the orders that come in.
func beController(start Starter, config string, in io.Reader, out io.Writer) error {
	ctx, stop := context.WithCancel(klog.NewContext(context.Background(), klog.Logger{}))
	defer stop()
	c := NewCluster()
	x, err := start(ctx, c, config)
	if err != nil {
		return err
	}
	defer x.Close()
	orders, outcomes := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var o task
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := errors.Join(Replace(c.Services, o.Services), Replace(c.Slices, o.Slices), Replace(c.Nodes, o.Nodes)); err != nil {
			return err
		}
		var mu sync.Mutex
		var told error
		x.each(ctx, o.Names, o.Why, func(name string, err error) {
			mu.Lock()
			defer mu.Unlock()
			told = errors.Join(told, outcomes.Encode(c.outcome(name, err)))
		})
		if err := errors.Join(told, outcomes.Encode(outcome{End: true})); err != nil {
			return err
		}
	}
}

func (c *Cluster) outcome(name string, err error) outcome {
	svc := c.Service(name)
	switch {
	case err != nil:
		return outcome{Name: name, Error: err.Error()}
	case svc == nil:
		return outcome{Name: name, Gone: true}
	}
	return outcome{Name: name, Status: &svc.Status.LoadBalancer}
}

// process is a controller in a process of its own.
type process struct {
	cluster  *Cluster
	cmd      *exec.Cmd
	orders   io.WriteCloser
	outcomes *bufio.Reader
	once     sync.Once
	dying    atomic.Bool
	killed   chan struct{} // closed when the process is no more
}

func startProcess(ctx context.Context, cluster *Cluster, config string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cluster: cluster, cmd: exec.CommandContext(ctx, self), killed: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), envConfig+"="+config)
	p.cmd.Stderr = os.Stderr
	if p.orders, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	outcomes, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.outcomes = bufio.NewReader(outcomes)
	return p, p.cmd.Start()
}

// kill sends SIGKILL and waits until the process is no more.
func (p *process) kill() {
	p.once.Do(func() {
		p.dying.Store(true)
		_ = p.cmd.Process.Kill()    // one that has ended is as dead
		_, _ = p.cmd.Process.Wait() // says that it was killed
		close(p.killed)
	})
}

func (p *process) dead() bool {
	select {
	case <-p.killed:
		return true
	default:
		return false
	}
}

// Close lets the process end in good order.
func (p *process) Close() {
	_ = p.orders.Close() // closed already when the process is dead
	_ = p.cmd.Wait()     // its end is all that counts
}

var errDead = errors.New("the controller is dead")

// Reconcile lets the process reconcile, and does to the cluster what it says.
// What it has said before it died counts.
func (p *process) Reconcile(_ context.Context, services []string, why Reason) (failed []string, err error) {
	o := task{
		Services: listOf[*v1.Service](p.cluster.Services), Slices: listOf[*discoveryv1.EndpointSlice](p.cluster.Slices),
		Nodes: listOf[*v1.Node](p.cluster.Nodes), Names: services, Why: why,
	}
	if err := json.NewEncoder(p.orders).Encode(o); err != nil {
		return services, p.lost(err)
	}
	var errs []error
	for {
		line, err := p.outcomes.ReadBytes('\n')
		if err != nil {
			return services, p.lost(err)
		}
		var out outcome
		switch err := json.Unmarshal(line, &out); {
		case err != nil:
			return services, err
		case out.End:
			slices.Sort(failed)
			return failed, errors.Join(errs...)
		case out.Error != "":
			failed, errs = append(failed, out.Name), append(errs, fmt.Errorf("%s: %s", out.Name, out.Error))
		default:
			if err := p.cluster.take(out); err != nil {
				return services, err
			}
		}
	}
}

// lost is why the process cannot be talked to.
func (p *process) lost(err error) error {
	if p.dying.Load() {
		<-p.killed
		return errDead
	}
	return fmt.Errorf("the controller has ended by itself: %w", err)
}

// take does to the cluster what a process says.
func (c *Cluster) take(out outcome) error {
	svc := c.Service(out.Name)
	switch {
	case svc == nil:
		return nil
	case out.Gone:
		return c.Services.Delete(svc)
	}
	return c.publish(svc, out.Status)
}
