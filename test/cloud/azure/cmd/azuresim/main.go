// SPDX-License-Identifier: Apache-2.0

// Command azuresim serves a simulated Azure Resource Manager.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure" //nolint:depguard // this command is no part of the product
	"github.com/fairlead/fairlead/test/cloud/sim"            //nolint:depguard // this command is no part of the product
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "azuresim:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

// settings are what the flags say.
type settings struct {
	listen, seed, state string
	options             azuresim.Options
	nodes               int
}

func parse(args []string) (settings, error) {
	var s settings
	var lb, nsg, pip time.Duration
	var throttle bool
	flags := pflag.NewFlagSet("azuresim", pflag.ContinueOnError)
	flags.StringVar(&s.listen, "listen", "127.0.0.1:8799", "address to listen on")
	flags.StringVar(&s.seed, "seed", "", "file with the resources to start with: a JSON array, or an object with state.resources")
	flags.StringVar(&s.state, "state", "", "file to write all resources to at the end, as a JSON array")
	flags.IntVar(&s.nodes, "nodes", 0, "without a seed: instances of a uniform scale set in a new site called rig")
	flags.StringVar(&s.options.Subscription, "subscription", azuresim.DefaultSubscription, "the subscription that exists")
	flags.StringVar(&s.options.Location, "location", azuresim.DefaultLocation, "the location of the site")
	flags.DurationVar(&lb, "load-balancer-put", 0, "how long a PUT of a load balancer takes")
	flags.DurationVar(&nsg, "security-group-put", 0, "how long a PUT of a security group takes")
	flags.DurationVar(&pip, "public-ip-put", 0, "how long a PUT of a public IP takes")
	flags.DurationVar(&s.options.Latency.Write, "write", 0, "how long every other write takes")
	flags.DurationVar(&s.options.Latency.Read, "read", 0, "how long a GET and a page of a list take")
	flags.DurationVar(&s.options.MaxRetryAfter, "max-retry-after", 0, "cut the Retry-After of operations to this; 0 leaves it")
	flags.IntVar(&s.options.PageSize, "page-size", 0, "resources on a page of a list; 0 is all")
	flags.BoolVar(&throttle, "throttle", false, "refuse calls beyond the token buckets that Azure publishes")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	s.options.Latency.Put = map[string]time.Duration{}
	for name, d := range map[string]time.Duration{
		azuresim.LoadBalancers: lb, azuresim.SecurityGroups: nsg, azuresim.PublicIPs: pip,
	} {
		if d > 0 {
			s.options.Latency.Put[name] = d
		}
	}
	if throttle {
		s.options.Throttle = azuresim.PublishedThrottle()
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
	cloud := azuresim.New(s.options)
	if err := fill(cloud, s); err != nil {
		return err
	}
	if err := sim.Serve(ctx, s.listen, handler(cloud), out); err != nil {
		return err
	}
	return save(cloud, s.state)
}

// fill gives the cloud what it starts with.
func fill(cloud *azuresim.Cloud, s settings) error {
	if s.seed != "" {
		resources, err := load(s.seed)
		if err != nil {
			return err
		}
		return cloud.Seed(resources)
	}
	site, err := cloud.NewSite(azuresim.SiteOptions{})
	if err != nil || s.nodes == 0 {
		return err
	}
	site.UniformScaleSet("nodepool1", s.nodes)
	return nil
}

// load reads a list of resources, plain or as a golden state has it.
func load(file string) ([]json.RawMessage, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var resources []json.RawMessage
	if json.Unmarshal(data, &resources) == nil {
		return resources, nil
	}
	var golden struct {
		State struct {
			Resources []json.RawMessage `json:"resources"`
		} `json:"state"`
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		return nil, fmt.Errorf("%s: neither an array of resources nor an object with state.resources: %w", file, err)
	}
	if len(golden.State.Resources) == 0 {
		return nil, fmt.Errorf("%s has no state.resources", file)
	}
	return golden.State.Resources, nil
}

// save writes all resources to a file, if one is named.
func save(cloud *azuresim.Cloud, file string) error {
	if file == "" {
		return nil
	}
	data, err := json.MarshalIndent(cloud.State(), "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(data, '\n'), 0o600)
}
