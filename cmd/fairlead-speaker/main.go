// SPDX-License-Identifier: Apache-2.0

// Command fairlead-speaker announces the load-balancer addresses of its node to
// BGP routers. It runs on every bare-metal node, in the node's network.
package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	_ "k8s.io/component-base/logs/json/register"
	"k8s.io/component-base/version"
	"k8s.io/klog/v2"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/speaker"
	"github.com/fairlead/fairlead/pkg/speaker/agent"
	"github.com/fairlead/fairlead/pkg/speaker/bgp"
)

// gcPercent trades a little CPU, of which a speaker needs little, for memory on
// every node: at 1,000 Services 5 MiB less than Go's default of 100.
const gcPercent = 40

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(cli.Run(command()))
}

// flags are what the command line says.
type flags struct {
	cloudConfig, kubeconfig, node, namespace, metrics, source string
	unclassed                                                 bool
}

func command() *cobra.Command {
	var f flags
	logging := logsapi.NewLoggingConfiguration()
	cmd := &cobra.Command{
		Use:           "fairlead-speaker",
		Short:         "Announce the load-balancer addresses of this node over BGP",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: false,
		RunE: func(cmd *cobra.Command, _ []string) error {
			logs.InitLogs()
			if err := logsapi.ValidateAndApply(logging, nil); err != nil {
				return err
			}
			ctx, stop := agent.UntilStopped(cmd.Context())
			defer stop()
			return run(ctx, f)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&f.cloudConfig, "cloud-config", "", "the cloud-config file; it is read again when it changes")
	fs.StringVar(&f.kubeconfig, "kubeconfig", "", "the kubeconfig file; empty inside a Pod")
	fs.StringVar(&f.node, "node-name", os.Getenv("NODE_NAME"), "the name of this node; NODE_NAME by default")
	fs.StringVar(&f.namespace, "namespace", "fairlead-system", "the namespace of the state objects and of passwords' Secrets")
	fs.StringVar(&f.metrics, "metrics-bind-address", agent.DefaultAddress, "where /metrics, /healthz and /readyz are served; 0 for nowhere")
	fs.StringVar(&f.source, "source-address", "", "the source address of this node's BGP sessions of that IP family; it wins over a peer's sourceAddress")
	fs.BoolVar(&f.unclassed, "announce-unclassed", true, "announce Services without spec.loadBalancerClass")
	logsapi.AddFlags(logging, fs)
	return cmd
}

func run(ctx context.Context, f flags) error {
	var source netip.Addr
	if f.source != "" {
		var err error
		if source, err = netip.ParseAddr(f.source); err != nil {
			return fmt.Errorf("--source-address %q: not an IP address; write one of this node's", f.source)
		}
	}
	unclassed := speaker.UnclassedOurs
	if !f.unclassed {
		unclassed = speaker.UnclassedForeign
	}
	client, err := agent.LoadClient(f.kubeconfig, version.Get().GitVersion)
	if err != nil {
		return err
	}
	a, err := agent.New(agent.Options{
		Client: client, Open: open(), Node: strings.ToLower(f.node), Namespace: f.namespace, Source: source,
		Unclassed: unclassed, BootID: agent.BootID(), Version: version.Get().GitVersion,
	})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.Serve(ctx, f.metrics) })
	g.Go(func() error {
		cloudconfig.Watch(ctx, f.cloudConfig, func(c *cloudconfig.Config, err error) { a.Reconfigure(ctx, c, err) })
		return nil
	})
	g.Go(func() error {
		defer stop()
		return a.Run(ctx)
	})
	return g.Wait()
}

// open makes sessions with GoBGP, whose log goes where ours does.
func open() agent.OpenFunc {
	host := bgp.NewHost(logr.ToSlogHandler(klog.Background().WithName("gobgp")))
	return func(ctx context.Context, cfg speaker.SessionConfig, routes []speaker.Route, changed func()) (agent.Session, error) {
		return host.Open(ctx, cfg, routes, changed)
	}
}
