// SPDX-License-Identifier: Apache-2.0

// Package rig puts the AWS provider and the engine over a simulated cloud.
package rig

import (
	"context"
	"fmt"
	"strings"

	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/provider/aws"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/harness"
)

// Name is that of the clusters in the flag --cluster-name.
const Name = "rig"

// Environment is where the SDK finds credentials that the simulated cloud takes,
// as names and values of the environment.
func Environment() map[string]string {
	return map[string]string{
		"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CA_BUNDLE": "", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
	}
}

// Client is the provider's client, which keeps to the limits; those that AWS
// publishes for nil. Credentials are to be in the environment.
func Client(ctx context.Context, conf *cloudconfig.AWS, limits *api.Limits) (*api.Client, error) {
	return api.New(ctx, conf, api.Setup{HTTP: awssim.NewHTTPClient(), Limits: limits})
}

// NoLimits are those of a cloud that refuses no call for its haste.
func NoLimits() *api.Limits { return &api.Limits{} }

// ConfigText is a cloud-config for a site of a simulated cloud that listens at
// the URL, with more keys of section aws if there are any, each in a line of
// its own.
func ConfigText(site *awssim.Site, url string, more ...string) string {
	var text strings.Builder
	fmt.Fprintf(&text, `apiVersion: config.fairlead.dev/v1alpha1
kind: CloudConfig
aws:
  region: %s
  vpc: %s
  kubernetesClusterID: %s
  endpoints: {ec2: %[4]s, elasticLoadBalancing: %[4]s, elasticLoadBalancingV2: %[4]s, sts: %[4]s}
`, awssim.DefaultRegion, site.VPC, site.Cluster, url)
	for _, line := range more {
		text.WriteString("  " + line + "\n")
	}
	return text.String()
}

// Config is the cloud-config that the text says.
func Config(text string) (*cloudconfig.AWS, error) {
	conf, err := cloudconfig.Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	if conf.AWS == nil {
		return nil, fmt.Errorf("the cloud-config has no section aws: %v", conf.Faults)
	}
	return conf.AWS, nil
}

// Start starts a controller. It must be closed.
func Start(ctx context.Context, c *harness.Cluster, client *api.Client, conf *cloudconfig.AWS) *harness.Controller {
	return harness.Start(ctx, c, Name, aws.New(aws.Options{
		Client: client, Config: conf, Cluster: Name, Services: corelisters.NewServiceLister(c.Services),
		Nodes: corelisters.NewNodeLister(c.Nodes), Slices: discoverylisters.NewEndpointSliceLister(c.Slices),
	}))
}

// Starter starts controllers by a cloud-config, for a cloud that refuses no call
// for its haste.
func Starter(ctx context.Context, c *harness.Cluster, config string) (*harness.Controller, error) {
	conf, err := Config(config)
	if err != nil {
		return nil, err
	}
	client, err := Client(ctx, conf, NoLimits())
	if err != nil {
		return nil, err
	}
	return Start(ctx, c, client, conf), nil
}
