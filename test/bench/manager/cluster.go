// SPDX-License-Identifier: Apache-2.0

// Package manager runs the controller manager that ships, of the checkout's bin,
// on a real API server, so that its memory and its calls can be measured.
package manager

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/fairlead/fairlead/test/controlplane"
	"github.com/fairlead/fairlead/test/controlplane/binaries"
)

// sideBySide is how many objects are made at once.
const sideBySide = 32

// Cluster is a real API server with nodes.
type Cluster struct {
	// Dir holds data and logs.
	Dir    string
	Client kubernetes.Interface

	cp         *controlplane.ControlPlane
	kubeconfig string
}

// NewCluster starts a cluster in an empty folder. It must be stopped.
func NewCluster(ctx context.Context, dir string, nodes []*v1.Node) (*Cluster, error) {
	bin, err := binaries.Find()
	if err != nil {
		return nil, err
	}
	c := &Cluster{Dir: dir}
	if c.cp, err = controlplane.Start(ctx, controlplane.Options{Dir: dir, BinDir: bin}); err != nil {
		return nil, err
	}
	if err := c.fill(ctx, nodes); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

// Stop ends the API server.
func (c *Cluster) Stop() {
	_ = c.cp.Stop() // its data goes, too
}

// fill makes a client and the nodes.
func (c *Cluster) fill(ctx context.Context, nodes []*v1.Node) error {
	cfg := c.cp.Config()
	cfg.QPS, cfg.Burst = 2000, 4000
	var err error
	if c.Client, err = kubernetes.NewForConfig(cfg); err != nil {
		return err
	}
	if c.kubeconfig, err = c.cp.Kubeconfig(controlplane.Admin); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(sideBySide)
	for _, n := range nodes {
		g.Go(func() error {
			n := n.DeepCopy()
			n.Status.Conditions = []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionTrue}}
			_, err := c.Client.CoreV1().Nodes().Create(ctx, n, metav1.CreateOptions{})
			return err
		})
	}
	return g.Wait()
}

// File is a file of the folder.
func (c *Cluster) File(name string) string { return filepath.Join(c.Dir, name) }

// Create makes Services all at once, without what an API server gives.
func (c *Cluster) Create(ctx context.Context, services []*v1.Service) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(sideBySide)
	for _, svc := range services {
		g.Go(func() error {
			svc := svc.DeepCopy()
			svc.UID, svc.Finalizers, svc.CreationTimestamp = "", nil, metav1.Time{}
			svc.Spec.ClusterIP = ""
			for i := range svc.Spec.Ports {
				svc.Spec.Ports[i].NodePort = 0
			}
			_, err := c.Client.CoreV1().Services(svc.Namespace).Create(ctx, svc, metav1.CreateOptions{})
			return err
		})
	}
	return g.Wait()
}

// UntilServed waits until that many Services have a status.
func (c *Cluster) UntilServed(ctx context.Context, p *Process, want int) error {
	return p.Await(ctx, func(ctx context.Context) (bool, error) {
		list, err := c.Client.CoreV1().Services("default").List(ctx, metav1.ListOptions{ResourceVersion: "0"})
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

// UntilCalm waits until there was a call, and then no more of them for a while.
func (c *Cluster) UntilCalm(ctx context.Context, p *Process, calls func() int, quiet time.Duration) error {
	seen, since := 0, time.Now()
	return p.Await(ctx, func(context.Context) (bool, error) {
		if n := calls(); n != seen || n == 0 {
			seen, since = n, time.Now()
		}
		return time.Since(since) > quiet, nil
	})
}

// Run starts the controller manager. Its log is a file with the name.
func (c *Cluster) Run(ctx context.Context, name string, env, args []string) (*Process, error) {
	root, err := binaries.Root()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(c.File(fmt.Sprintf("manager-%s.log", name)))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	return start(ctx, log, filepath.Join(root, "bin", "fairlead-controller-manager"), env, append([]string{
		"--kubeconfig=" + c.kubeconfig,
		"--authentication-skip-lookup", "--authentication-kubeconfig=" + c.kubeconfig, "--authorization-kubeconfig=" + c.kubeconfig,
		"--bind-address=127.0.0.1", "--secure-port=0",
	}, args...))
}
