// SPDX-License-Identifier: Apache-2.0

// Command fairlead-speaker announces the load-balancer addresses of its node to
// BGP routers. It runs on every bare-metal node, in the node's network.
package main

import (
	"context"
	"net/netip"
	"os"

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
	"github.com/fairlead/fairlead/pkg/memory"
	"github.com/fairlead/fairlead/pkg/speaker"
	"github.com/fairlead/fairlead/pkg/speaker/agent"
	"github.com/fairlead/fairlead/pkg/speaker/bgp"
)

func main() {
	memory.Tune(memory.Speaker)
	os.Exit(cli.Run(command()))
}

func command() *cobra.Command {
	opts := agent.Options{Open: open(), BootID: agent.BootID(), Version: version.Get().GitVersion}
	var config, kubeconfig, metrics string
	var unclassed bool
	logging := logsapi.NewLoggingConfiguration()
	cmd := &cobra.Command{
		Use:          "fairlead-speaker",
		Short:        "Announce the load-balancer addresses of this node over BGP",
		Args:         cobra.NoArgs,
		Version:      opts.Version,
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			logs.InitLogs()
			if err := logsapi.ValidateAndApply(logging, nil); err != nil {
				return err
			}
			if !unclassed {
				opts.Unclassed = speaker.UnclassedForeign
			}
			ctx, stop := agent.UntilStopped(cmd.Context())
			defer stop()
			var err error
			if opts.Client, err = agent.LoadClient(kubeconfig, opts.Version); err != nil {
				return err
			}
			return run(ctx, opts, config, metrics)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&config, "cloud-config", "", "the cloud-config file; it is read again when it changes")
	fs.StringVar(&kubeconfig, "kubeconfig", "", "the kubeconfig file; empty inside a Pod")
	fs.StringVar(&opts.Node, "node-name", os.Getenv("NODE_NAME"), "the name of this node; NODE_NAME by default")
	fs.StringVar(&opts.Namespace, "namespace", "fairlead-system", "the namespace of the state objects and of passwords' Secrets")
	fs.StringVar(&metrics, "metrics-bind-address", agent.DefaultAddress, "where /metrics, /healthz and /readyz are served; 0 for nowhere")
	fs.TextVar(&opts.Source, "source-address", netip.Addr{}, "the source address of this node's BGP sessions of that IP family; it wins over a peer's sourceAddress")
	fs.BoolVar(&unclassed, "announce-unclassed", true, "announce Services without spec.loadBalancerClass")
	logsapi.AddFlags(logging, fs)
	cobra.CheckErr(cmd.MarkFlagRequired("cloud-config"))
	return cmd
}

func run(ctx context.Context, opts agent.Options, config, metrics string) error {
	a, err := agent.New(opts)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.Serve(ctx, metrics) })
	g.Go(func() error {
		cloudconfig.Watch(ctx, config, func(c *cloudconfig.Config, err error) { a.Reconfigure(ctx, c, err) })
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
	return func(ctx context.Context, cfg speaker.SessionConfig, routes []speaker.Route, changed func()) (agent.Session, error) {
		host := bgp.NewHost(logr.ToSlogHandler(klog.FromContext(ctx).WithName("gobgp")))
		return host.Open(ctx, cfg, routes, changed)
	}
}
