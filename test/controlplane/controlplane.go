// SPDX-License-Identifier: Apache-2.0

// Package controlplane starts and stops a real Kubernetes control plane for
// tests, the demo and the benchmarks: etcd, kube-apiserver and, when asked
// for, controllers of kube-controller-manager. Several run side by side, each
// on ports of its own. It needs the binaries that `make controlplane` builds.
//
// Admission and flow control are Kubernetes' defaults, except that the
// ServiceAccount plugin is off: a Pod may be created without its
// ServiceAccount. Authorization is RBAC, as in a cluster.
package controlplane

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

	"k8s.io/client-go/rest"
)

const (
	// pollEvery is how often a starting program is asked whether it is ready.
	pollEvery = 25 * time.Millisecond
	// probeLimit is how long one question may take.
	probeLimit = 3 * time.Second
	// startTries is how often a program is started anew when another took its port.
	startTries = 5
	// tailLines is how much of a log an error carries.
	tailLines = 20
	// startLimit is how long one program may take to become ready. A loaded
	// machine of two cores needs some 10 s.
	startLimit = 90 * time.Second
	// stopGrace is how long a program may take to end by itself.
	stopGrace = 2 * time.Second
)

// Options say what to start. The zero value, with Dir and BinDir set, is a
// dual-stack API server on 127.0.0.1 without controllers.
type Options struct {
	// Dir holds the data, keys, kubeconfigs and logs. It is made when missing.
	// A control plane that is started again in the same Dir keeps its data.
	Dir string
	// BinDir holds the binaries. See binaries.Find.
	BinDir string
	// LogDir holds the logs. Default: Dir.
	LogDir string
	// BindAddress is where the API server listens. Default: 127.0.0.1. Etcd
	// listens on 127.0.0.1 always.
	BindAddress netip.Addr
	// ExtraSANs are further addresses that the API server's certificate holds for.
	ExtraSANs []netip.Addr
	// ServiceCIDRs are the ranges of cluster IPs, the first of BindAddress's
	// family. Default: 10.96.0.0/16 and fd00:10:96::/112.
	ServiceCIDRs []netip.Prefix
	// ExtraArgs are added to kube-apiserver's flags, after ours.
	ExtraArgs []string
	// Controllers are the controllers of kube-controller-manager to run, by the
	// names of its --controllers flag. None: it is not started. See
	// EndpointControllers.
	Controllers []string
	// ControllerArgs are added to kube-controller-manager's flags, after ours.
	ControllerArgs []string
}

// EndpointControllers are the controllers that most tests want: those that make
// EndpointSlices of Pods and tidy up after what is deleted.
func EndpointControllers() []string {
	return []string{"endpointslice-controller", "garbage-collector-controller", "namespace-controller", "serviceaccount-controller"}
}

// withDefaults fills in what o leaves open, and says what is wrong with it.
func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" || o.BinDir == "" {
		return o, errors.New("controlplane: Options.Dir and Options.BinDir must be set")
	}
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return o, err
	}
	o.LogDir = cmp.Or(o.LogDir, o.Dir)
	if !o.BindAddress.IsValid() {
		o.BindAddress = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if len(o.ServiceCIDRs) == 0 {
		o.ServiceCIDRs = []netip.Prefix{netip.MustParsePrefix("10.96.0.0/16"), netip.MustParsePrefix("fd00:10:96::/112")}
		if o.BindAddress.Is6() {
			slices.Reverse(o.ServiceCIDRs)
		}
	}
	return o, nil
}

// ControlPlane is a running control plane. Its methods are not for use by
// several goroutines at once.
type ControlPlane struct {
	opts      Options
	keys      *pki
	tokens    tokens
	etcdPort  uint16
	apiPort   uint16
	etcd      *process
	apiserver *process
	manager   *process
}

// Start starts a control plane and returns when it serves and its first
// namespaces exist. Ctx bounds the start alone; Stop ends the control plane.
// An error carries the last lines of the program that failed.
func Start(ctx context.Context, o Options) (*ControlPlane, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	cp := &ControlPlane{opts: o}
	if err := cp.start(ctx); err != nil {
		return nil, errors.Join(err, cp.Stop())
	}
	return cp, nil
}

func (cp *ControlPlane) start(ctx context.Context) error {
	for _, dir := range []string{cp.opts.Dir, cp.opts.LogDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if err := cp.makeKeys(); err != nil {
		return fmt.Errorf("make keys: %w", err)
	}
	if err := cp.startEtcd(ctx); err != nil {
		return err
	}
	if err := cp.startAPIServer(ctx); err != nil {
		return err
	}
	if len(cp.opts.Controllers) == 0 {
		return nil
	}
	return cp.startManager(ctx)
}

// Stop ends all programs by pid: first the API server, then
// kube-controller-manager, then etcd. What is gone already is no error. The
// files stay.
func (cp *ControlPlane) Stop() error {
	// The API server is killed: asked to end, it waits 1 to 2 s for open
	// watches, and it keeps nothing that is not in etcd.
	return errors.Join(cp.apiserver.kill(), cp.manager.stop(stopGrace), cp.etcd.stop(stopGrace))
}

// KillAPIServer ends the API server as a crash would. Etcd and the controllers
// go on.
func (cp *ControlPlane) KillAPIServer() error {
	return cp.apiserver.kill()
}

// RestartAPIServer starts the API server again at the same address with the
// same data, killing it first when it still runs, and returns when it serves.
// Configs and kubeconfigs stay valid.
func (cp *ControlPlane) RestartAPIServer(ctx context.Context) error {
	if err := cp.apiserver.kill(); err != nil {
		return err
	}
	return cp.runAPIServer(ctx)
}

// URL is the address of the API server.
func (cp *ControlPlane) URL() string {
	return "https://" + netip.AddrPortFrom(cp.opts.BindAddress, cp.apiPort).String()
}

// Config is the access of a cluster administrator, without a limit of requests
// a second on the client's side.
func (cp *ControlPlane) Config() *rest.Config {
	c := cp.config(cp.tokens[Admin])
	c.QPS = -1
	return c
}

// PIDs are the process ids of the programs that run, by name.
func (cp *ControlPlane) PIDs() map[string]int {
	pids := map[string]int{}
	for _, p := range []*process{cp.etcd, cp.apiserver, cp.manager} {
		if p != nil && p.running() {
			pids[p.name] = p.proc.Pid
		}
	}
	return pids
}

// config is access by a bearer token with client-go's default limits.
func (cp *ControlPlane) config(token string) *rest.Config {
	return &rest.Config{
		Host:            cp.URL(),
		BearerToken:     token,
		TLSClientConfig: rest.TLSClientConfig{CAData: cp.keys.caPEM},
	}
}

func (cp *ControlPlane) path(name string) string { return filepath.Join(cp.opts.Dir, name) }

func (cp *ControlPlane) log(name string) string { return filepath.Join(cp.opts.LogDir, name+".log") }

func (cp *ControlPlane) binary(name string) string { return filepath.Join(cp.opts.BinDir, name) }
