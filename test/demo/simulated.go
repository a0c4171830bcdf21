// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead/fairlead/test/controlplane"
)

const (
	pluginName = "kubectl-fairlead"
	// peerNamespace and peerAccount are those of the peers.
	peerNamespace, peerAccount = "kube-system", "cloud-controller-manager"
	// nothingPlanned and somethingPlanned are the exit codes of plan.
	nothingPlanned, somethingPlanned = 0, 2
)

// simulated is the stage of a play on a simulated cloud.
type simulated struct {
	*stage

	kind        string // of lines about the cloud
	sim         simulator
	controller  *process
	config      string   // the file of the cloud-config
	environment []string // that leads our programs to the cloud
}

// configure writes the cloud-config.
func (d *simulated) configure(name string, text []byte) error {
	d.config = filepath.Join(d.dir, name)
	return os.WriteFile(d.config, text, 0o600)
}

// manage starts the controller manager with the token of the peer's
// ServiceAccount.
func (d *simulated) manage(ctx context.Context, args ...string) error {
	kubeconfig, err := d.cp.ServiceAccountKubeconfig(ctx, controlplane.Identity{Namespace: peerNamespace, Name: peerAccount})
	if err != nil {
		return err
	}
	d.controller, err = d.start(ctx, program{
		name: controllerName, env: d.environment,
		args: append(args, "--cloud-config="+d.config, "--secure-port=0", "--kubeconfig="+kubeconfig),
	})
	return err
}

// held makes a change while the controller is held, prints the plan for it, and
// lets the controller go on, which begins at the time returned.
func (d *simulated) held(ctx context.Context, service string, change func() error) (time.Time, error) {
	if err := d.controller.pause(); err != nil {
		return time.Time{}, err
	}
	err := change()
	if err == nil {
		err = d.plan(ctx, somethingPlanned, service)
	}
	begun := time.Now()
	return begun, errors.Join(err, d.controller.resume())
}

// plan prints the plan for a Service, or for --all, and checks the exit code.
func (d *simulated) plan(ctx context.Context, code int, what string) error {
	return d.plugin(ctx, code, "plan", what)
}

// plugin runs `kubectl fairlead` as an administrator outside the cluster does,
// and prints what it says.
func (d *simulated) plugin(ctx context.Context, code int, args ...string) error {
	kubeconfig, err := d.cp.Kubeconfig(controlplane.Admin)
	if err != nil {
		return err
	}
	shown := strings.Join(args, " ") + " --cloud-config=" + filepath.Base(d.config)
	cmd := exec.CommandContext(ctx, filepath.Join(d.bin, pluginName), append(args, "--cloud-config="+d.config)...)
	cmd.Env = append(append(os.Environ(), d.environment...), "KUBECONFIG="+kubeconfig)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("run kubectl fairlead %s: %w", shown, err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		return fmt.Errorf("kubectl fairlead %s ended with %d, not %d:\n%s%s", shown, got, code, out, stderr.String())
	}
	d.tell.line(kindDone, "kubectl fairlead %s: exit code %d", shown, code)
	d.tell.quote(string(out))
	return nil
}

// wrote counts the writes of a type that were answered. The board's lock is
// held.
func (d *simulated) wrote(kind string) int {
	n := 0
	for _, w := range d.board.writes {
		if w.what == kind && w.done {
			n++
		}
	}
	return n
}

// count is wrote for those without the board's lock.
func (d *simulated) count(kind string) int {
	d.board.mu.Lock()
	defer d.board.mu.Unlock()
	return d.wrote(kind)
}

func (d *simulated) patch(ctx context.Context, service, patch string) error {
	_, err := d.admin.CoreV1().Services(metav1.NamespaceDefault).Patch(
		ctx, service, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
}
