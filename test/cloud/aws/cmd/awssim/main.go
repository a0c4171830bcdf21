// SPDX-License-Identifier: Apache-2.0

// Command awssim serves a simulated EC2, Elastic Load Balancing and STS.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	awssim "github.com/fairlead/fairlead/test/cloud/aws" //nolint:depguard // this command is no part of the product
	"github.com/fairlead/fairlead/test/cloud/sim"        //nolint:depguard // this command is no part of the product
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "awssim:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

// settings are what the flags say.
type settings struct {
	listen, state string
	seeds         []string
	options       awssim.Options
	site          awssim.SiteOptions
	nodes         int
}

func parse(args []string) (settings, error) {
	var s settings
	var create, register time.Duration
	var throttle, realistic bool
	flags := pflag.NewFlagSet("awssim", pflag.ContinueOnError)
	flags.StringVar(&s.listen, "listen", "127.0.0.1:8798", "address to listen on")
	flags.StringSliceVar(&s.seeds, "seed", nil, "files with the states to start with, later ones over earlier ones")
	flags.StringVar(&s.state, "state", "", "file to write the state to at the end")
	flags.StringVar(&s.site.Cluster, "cluster", "rig", "without a seed: cluster id in the tags of the new site")
	flags.StringVar(&s.site.Families, "families", "ipv4", "without a seed: families of the new site's subnets: ipv4 or dualstack")
	flags.IntVar(&s.nodes, "nodes", 0, "without a seed: machines of the new site")
	flags.StringVar(&s.options.Account, "account", awssim.DefaultAccount, "the account that exists")
	flags.StringVar(&s.options.Region, "region", awssim.DefaultRegion, "the region that exists")
	flags.DurationVar(&create, "create-load-balancer", 0, "how long CreateLoadBalancer takes")
	flags.DurationVar(&register, "register", 0, "how long registration and deregistration of targets take")
	flags.DurationVar(&s.options.Latency.Write, "write", 0, "how long every other write takes")
	flags.DurationVar(&s.options.Latency.Read, "read", 0, "how long every read takes")
	flags.DurationVar(&s.options.Lag.EC2, "lag", 0, "how old the answers of reads are")
	flags.IntVar(&s.options.PageSize, "page-size", 0, "objects on a page of a list at most; 0 is as the API says")
	flags.BoolVar(&throttle, "throttle", false, "refuse calls beyond the token buckets that AWS publishes")
	flags.BoolVar(&realistic, "realistic", false, "let load balancers, targets and interfaces take the time that they take in AWS")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	s.options.Lag.ELB = s.options.Lag.EC2
	s.options.Latency.Action = map[string]time.Duration{}
	for name := range awssim.BenchmarkLatencies().Action {
		d := register
		if name == "elb.CreateLoadBalancer" || name == "elbv2.CreateLoadBalancer" {
			d = create
		}
		if d > 0 {
			s.options.Latency.Action[name] = d
		}
	}
	if throttle {
		s.options.Throttle = awssim.PublishedThrottle()
	}
	if realistic {
		s.options.Timing = awssim.RealisticTiming()
	}
	return s, nil
}

func run(ctx context.Context, args []string, out io.Writer) error {
	s, err := parse(args)
	if errors.Is(err, pflag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	cloud := awssim.New(s.options)
	site, err := fill(cloud, s)
	if err != nil {
		return err
	}
	if err := sim.Serve(ctx, s.listen, handler(cloud, site), out); err != nil {
		return err
	}
	if s.state == "" {
		return nil
	}
	return os.WriteFile(s.state, append(cloud.State(), '\n'), 0o600)
}

// fill gives the cloud what it starts with: the site is nil when that is a seed.
func fill(cloud *awssim.Cloud, s settings) (*awssim.Site, error) {
	for _, file := range s.seeds {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if err := cloud.Seed(data); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	if len(s.seeds) > 0 {
		return nil, nil //nolint:nilnil // a seed brings its own site
	}
	site := cloud.NewSite(s.site)
	site.Launch(s.nodes)
	return site, nil
}
