// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/test/bench/stand"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/aws/rig"
	"github.com/fairlead/fairlead/test/cloud/aws/web"
	"github.com/fairlead/fairlead/test/cloud/harness"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// kind is what serves the Services. The zero value is none.
type kind uint8

const (
	network kind = iota + 1 // network load balancers without security groups
	managed                 // network load balancers with security groups, and one group that they share at the nodes
	classic
)

// String is the kind in a few letters, for one and for several.
func (k kind) String() string {
	switch k {
	case network:
		return "NLB"
	case managed:
		return "NLB with managed groups"
	case classic:
		return "classic"
	}
	return "none"
}

// rules is how many rules a security group may have where load balancers have
// none of their own: each needs one then in the group of the nodes.
const rules = 1000

// standOptions say what a stand is.
type standOptions struct {
	nodes   int
	kind    kind
	latency awssim.Latencies
	budget  stand.Budget
	// quiet is how long no call may come before a change of nodes counts as
	// done: longer than the engine's window of such changes and a slow write.
	quiet time.Duration
}

// ground is one cluster on one simulated cloud, with a controller.
type ground struct {
	*stand.Stand
	standOptions
	sim    *awssim.Cloud
	server *sim.Server
	site   *awssim.Site
	text   string // of the cloud-config
}

// newSite makes a stand without a controller.
func newSite(o standOptions) (*ground, error) {
	limits := awssim.Limits{NetworkLoadBalancers: rules, ClassicLoadBalancers: rules}
	var more []string
	if o.kind == managed {
		more = append(more, "nlbSecurityGroupMode: Managed")
	} else {
		limits.RulesPerGroup = rules
		more = append(more, fmt.Sprintf("securityGroupRuleLimit: %d", rules))
	}
	s := &ground{standOptions: o, sim: awssim.New(awssim.Options{Limits: limits})}
	s.Stand = &stand.Stand{
		Cluster: harness.NewCluster(), Shape: o.kind.shape, Served: hasName, Quiet: o.quiet,
		Calls: stand.Calls{Reset: s.sim.ResetCalls, Counts: s.sim.Counts, All: func() []sim.Call { return sim.Plain(s.sim.Calls()) }},
	}
	s.site = s.sim.NewSite(awssim.SiteOptions{})
	s.site.Launch(o.nodes)
	machines, err := web.Machines(s.sim.State())
	if err != nil {
		return nil, err
	}
	for i := range machines {
		if err := s.Cluster.Nodes.Add(machines[i].Node()); err != nil {
			return nil, err
		}
	}
	s.server = s.sim.Start()
	s.text = rig.ConfigText(s.site, s.server.URL, more...)
	conf, err := rig.Config(s.text)
	if err != nil {
		s.server.Close()
		return nil, err
	}
	// The client takes AWS for what is published until it has learned more.
	s.Start = func(ctx context.Context) (*harness.Controller, error) {
		client, err := rig.Client(ctx, conf, nil)
		if err != nil {
			return nil, err
		}
		return rig.Start(ctx, s.Cluster, client, conf), nil
	}
	s.sim.SetLatency(o.latency)
	if o.budget == stand.Published {
		s.sim.SetThrottle(awssim.PublishedThrottle())
	}
	return s, nil
}

// newGround makes a stand. It must be closed.
func newGround(ctx context.Context, o standOptions) (*ground, error) {
	s, err := newSite(o)
	if err != nil {
		return nil, err
	}
	return s, s.Restart(ctx)
}

func (s *ground) close() {
	s.Close()
	s.server.Close()
}

// environment lets the SDK find credentials that the cloud takes.
func environment() error {
	var errs []error
	for name, value := range rig.Environment() {
		errs = append(errs, os.Setenv(name, value))
	}
	return errors.Join(errs...)
}

// shape makes a Service one that load balancers of this kind serve.
func (k kind) shape(svc *v1.Service) {
	if k != classic {
		svc.Annotations = map[string]string{"service.beta.kubernetes.io/aws-load-balancer-type": "nlb"}
	}
}

// hasName checks that a status has the name of a load balancer.
func hasName(status *v1.LoadBalancerStatus) error {
	if len(status.Ingress) != 1 || !strings.Contains(status.Ingress[0].Hostname, ".elb.") {
		return fmt.Errorf("the status is %+v", *status)
	}
	return nil
}

// left is the load balancing in the cloud, to be compared.
func (s *ground) left() (string, error) { return web.Balancing(s.sim.State()) }
