// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/component-base/version"
)

// parse returns the options that the flags make. Nothing is asked of the API
// server: --secure-port=0 needs no delegated authentication.
func parse(t *testing.T, flags ...string) *Options {
	t.Helper()
	o, err := NewOptions()
	if err != nil {
		t.Fatal(err)
	}
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	for _, set := range o.flags().FlagSets {
		fs.AddFlagSet(set)
	}
	if err := fs.Parse(append([]string{"--master=http://127.0.0.1:1", "--secure-port=0", "--cloud-provider=metal"}, flags...)); err != nil {
		t.Fatal(err)
	}
	return o
}

// Traps 12 and 13: upstream's defaults limit the client to 20 requests a
// second, and a standby to a look at the lease every 2 to 4.4 s.
func TestTrap12DefaultsDoNotLimit(t *testing.T) {
	c, err := parse(t).config()
	if err != nil {
		t.Fatal(err)
	}
	rest, err := c.ClientBuilder.Config("service-controller")
	if err != nil {
		t.Fatal(err)
	}
	if rest.QPS != defaultQPS || rest.Burst != defaultBurst {
		t.Errorf("a client has %v requests a second, %d at once", rest.QPS, rest.Burst)
	}
	got := c.ComponentConfig
	for what, n := range map[string]int32{
		"service workers":   got.ServiceController.ConcurrentServiceSyncs,
		"node workers":      got.NodeController.ConcurrentNodeSyncs,
		"status workers":    got.NodeController.ConcurrentNodeStatusUpdates,
		"lifecycle workers": got.NodeLifecycleController.ConcurrentNodeLifecycleSyncs,
	} {
		if n < defaultLifecycleWorkers {
			t.Errorf("%d %s", n, what)
		}
	}
	if e := got.Generic.LeaderElection; e.RetryPeriod.Duration != time.Second || e.ResourceName != "cloud-controller-manager" || e.ResourceNamespace != "kube-system" {
		t.Errorf("leader election %+v", e)
	}
}

// Trap 15: 0.37 moved the period of the lifecycle controller to a
// configuration of its own, whose constructor has one parameter more.
func TestTrap15FlagsReachTheLifecycleController(t *testing.T) {
	c, err := parse(t, "--node-monitor-period=7s", "--concurrent-node-lifecycle-syncs=3").config()
	if err != nil {
		t.Fatal(err)
	}
	if l := c.ComponentConfig.NodeLifecycleController; l.NodeMonitorPeriod.Duration != 7*time.Second || l.ConcurrentNodeLifecycleSyncs != 3 {
		t.Errorf("lifecycle controller %+v", l)
	}
}

func TestFlagsOfPeersAreTaken(t *testing.T) {
	_, err := parse(t,
		"--allow-untagged-cloud=true", "--node-sync-period=10s", // deprecated upstream
		"--allocate-node-cidrs=true", "--cidr-allocator-type=RangeAllocator", "--cluster-cidr=10.244.0.0/16",
		"--configure-cloud-routes=false", "--route-reconciliation-period=30s",
		"--cluster-name=c1", "--controllers=*,-route,-cloud-node",
		"--leader-elect=true", "--leader-elect-lease-duration=60s", "--leader-elect-renew-deadline=30s",
		"--leader-elect-resource-name=cloud-controller-manager", "--kube-api-qps=40", "--kube-api-burst=80",
		"--bind-address=0.0.0.0", "--use-service-account-credentials=false", "--webhook-secure-port=0",
		"--feature-gates=CloudControllerManagerWatchBasedRoutesReconciliation=true",
	).config()
	if err != nil {
		t.Error(err)
	}
}

func TestWrongFlagsNameTheFlagAndTheCure(t *testing.T) {
	for flag, want := range map[string]string{
		"--max-missing-nodes-percent=101": "--max-missing-nodes-percent 101: must be 0 to 100",
		"--concurrent-service-syncs=0":    "--concurrent-service-syncs 0: must be at least 1",
		"--enable-leader-migration=true":  "--enable-leader-migration true: there is no second lease",
		"--controllers=nope":              "nope",
	} {
		if _, err := parse(t, flag).config(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", flag, err, want)
		}
	}
	if _, err := choose(Clouds(), "nope"); err == nil || !strings.Contains(err.Error(), `--cloud-provider "nope": must be one of aws, azure, metal`) {
		t.Errorf("%v", err)
	}
}

func TestVersionIsOurs(t *testing.T) {
	cmd, err := NewCommand(Clouds())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"--version"})
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	if want := "fairlead-controller-manager version " + version.Get().GitVersion + "\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestDryRunOpensNoPort(t *testing.T) {
	c, err := parse(t, "--dry-run", "--secure-port=10258").config()
	if err != nil {
		t.Fatal(err)
	}
	if c.SecureServing != nil {
		t.Errorf("it listens at %s, where the real one may", c.SecureServing.Listener.Addr())
	}
}
