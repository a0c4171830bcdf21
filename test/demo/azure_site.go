// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/fairlead/fairlead/test/cloud/azure/votefront"
	"github.com/fairlead/fairlead/test/controlplane"
	"github.com/fairlead/fairlead/test/manifests"
)

const (
	pluginName = "kubectl-fairlead"
	// peerNamespace and peerAccount are those of cloud-provider-azure.
	peerNamespace, peerAccount = "kube-system", "cloud-controller-manager"
	// nothingPlanned and somethingPlanned are the exit codes of plan.
	nothingPlanned, somethingPlanned = 0, 2
)

// serviceRanges hold the cluster IP that mysql asks for.
func serviceRanges() []netip.Prefix { return []netip.Prefix{votefront.ServiceRange()} }

func (d *azure) config() string { return filepath.Join(d.dir, "azure.json") }

func (d *azure) writeConfig() error {
	text, err := votefront.CloudConfig(d.sim.url, map[string]any{"loadBalancerBackendPoolConfigurationType": "nodeIP"})
	if err != nil {
		return err
	}
	return os.WriteFile(d.config(), text, 0o600)
}

// startController starts the controller manager with the token of the peer's
// ServiceAccount.
func (d *azure) startController(ctx context.Context) error {
	kubeconfig, err := d.cp.ServiceAccountKubeconfig(ctx, controlplane.Identity{Namespace: peerNamespace, Name: peerAccount})
	if err != nil {
		return err
	}
	d.controller, err = d.start(ctx, program{
		name: controllerName, env: votefront.Environment(d.sim.url),
		args: []string{
			"--cloud-provider=azure", "--cloud-config=" + d.config(), "--cluster-name=" + votefront.ClusterName,
			"--allocate-node-cidrs", "--configure-cloud-routes", "--cluster-cidr=" + votefront.PodRange().String(),
			"--route-reconciliation-period=1s", // 10 s by default
			"--secure-port=0", "--kubeconfig=" + kubeconfig,
		},
	})
	return err
}

// held makes a change while the controller is held, prints the plan for it, and
// lets the controller go on, which begins at the time returned.
func (d *azure) held(ctx context.Context, service string, change func() error) (time.Time, error) {
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
func (d *azure) plan(ctx context.Context, code int, what string) error {
	return d.plugin(ctx, code, "plan", what)
}

// plugin runs `kubectl fairlead` as an administrator outside the cluster does,
// and prints what it says.
func (d *azure) plugin(ctx context.Context, code int, args ...string) error {
	kubeconfig, err := d.cp.Kubeconfig(controlplane.Admin)
	if err != nil {
		return err
	}
	shown := strings.Join(args, " ") + " --cloud-config=azure.json"
	cmd := exec.CommandContext(ctx, filepath.Join(d.bin, pluginName), append(args, "--cloud-config="+d.config())...)
	cmd.Env = append(append(os.Environ(), votefront.Environment(d.sim.url)...), "KUBECONFIG="+kubeconfig)
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

// applyWrongAddress applies mysql with an address that no public IP has.
func (d *azure) applyWrongAddress(ctx context.Context) error {
	data, err := votefront.Objects.Open("objects/azure-mysql-static-ip.yaml")
	if err != nil {
		return err
	}
	objs, err := manifests.Decode(data)
	if err != nil {
		return err
	}
	wrong := votefront.StaticAddress().Next().String()
	for _, o := range objs {
		if err := unstructured.SetNestedField(o.Object, wrong, "spec", "loadBalancerIP"); err != nil {
			return err
		}
	}
	return d.apply.Apply(ctx, objs...)
}
