// SPDX-License-Identifier: Apache-2.0

package churn_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/component-base/cli"

	"github.com/fairlead/fairlead/pkg/ccm"
	"github.com/fairlead/fairlead/test/bench/churn"
	"github.com/fairlead/fairlead/test/controlplane"
)

// controllerEnv makes this program the controller-manager.
const controllerEnv = "FAIRLEAD_CHURN_CONTROLLER"

func TestMain(m *testing.M) {
	if os.Getenv(controllerEnv) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	cmd, err := ccm.NewCommand(ccm.Clouds())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	cmd.SetContext(ctx)
	code := cli.Run(cmd)
	stop()
	os.Exit(code)
}

// controller is the controller-manager in a process of its own.
type controller struct {
	args   []string
	log    string
	cmd    *exec.Cmd
	exited chan struct{}
}

func (c *controller) Start(context.Context) error {
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c.cmd, c.exited = exec.Command(self, c.args...), make(chan struct{})
	c.cmd.Env = append(os.Environ(), controllerEnv+"=1")
	c.cmd.Stdout, c.cmd.Stderr = log, log
	if err := c.cmd.Start(); err != nil {
		return err
	}
	go func() {
		defer close(c.exited)
		_ = c.cmd.Wait() // its exit is what is awaited, not its code
		_ = log.Close()
	}()
	return nil
}

func (c *controller) Stop() error { return c.end(syscall.SIGTERM) }
func (c *controller) Kill() error { return c.end(syscall.SIGKILL) }

func (c *controller) end(sig syscall.Signal) error {
	if err := c.cmd.Process.Signal(sig); err != nil {
		return err
	}
	select {
	case <-c.exited:
		return nil
	case <-time.After(30 * time.Second):
		return fmt.Errorf("the controller does not end by %s", sig)
	}
}

// The long form, with speakers and a router, is `make soak`.
func TestNoAddressChangesOrIsGivenTwiceOverRestarts(t *testing.T) {
	t.Parallel()
	cp := controlplane.ForTest(t, controlplane.Options{})
	client, err := kubernetes.NewForConfig(cp.Config())
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := cp.Kubeconfig(controlplane.Admin)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "cloud-config.yaml")
	configure := func(pools string) error {
		content := "apiVersion: config.fairlead.dev/v1alpha1\nkind: CloudConfig\nmetal:\n  pools:\n" + pools
		if err := os.WriteFile(config+".new", []byte(content), 0o600); err != nil {
			return err
		}
		return os.Rename(config+".new", config)
	}
	if err := configure(churn.Pools()); err != nil {
		t.Fatal(err)
	}
	c := &controller{log: filepath.Join(t.ArtifactDir(), "controller.log"), args: []string{
		"--cloud-provider=metal", "--cloud-config=" + config, "--kubeconfig=" + kubeconfig, "--secure-port=0",
		// The lease of one that was killed ends soon.
		"--leader-elect-lease-duration=3s", "--leader-elect-renew-deadline=2s", "--leader-elect-retry-period=500ms",
	}}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Kill(); err != nil {
			t.Error(err)
		}
	})
	report, err := churn.Run(t.Context(), churn.Options{
		Client: client, Controller: c, Configure: configure, Restarts: 6, Seed: 1, Say: t.Logf,
	})
	t.Log(report)
	if err != nil {
		t.Error(err)
	}
	for _, f := range report.Faults {
		t.Error(f)
	}
	if report.Given < 60 || report.Edits == 0 || report.PoolEdits == 0 {
		t.Errorf("too little happened: %s", report)
	}
}
