// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
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

// Budgets that the stand is made with. The zero value is none.
type budget uint8

const (
	unlimited budget = iota + 1
	published        // awssim.PublishedThrottle
)

// rules is how many rules a security group may have where load balancers have
// none of their own: each needs one then in the group of the nodes.
const rules = 1000

// standOptions say what a stand is.
type standOptions struct {
	nodes   int
	kind    kind
	latency awssim.Latencies
	budget  budget
	// quiet is how long no call may come before a change of nodes counts as
	// done: longer than the engine's window of such changes and a slow write.
	quiet time.Duration
}

// stand is one cluster on one simulated cloud, with a controller.
type stand struct {
	standOptions
	sim     *awssim.Cloud
	server  *awssim.Server
	site    *awssim.Site
	conf    *cloudconfig.AWS
	text    string // of the cloud-config
	cluster *harness.Cluster
	ctl     *harness.Controller
	made    int // Services ever made
}

// newSite makes a stand without a controller, in which no call takes time.
func newSite(o standOptions) (*stand, error) {
	limits := awssim.Limits{NetworkLoadBalancers: rules, ClassicLoadBalancers: rules}
	var more []string
	if o.kind == managed {
		more = append(more, "nlbSecurityGroupMode: Managed")
	} else {
		limits.RulesPerGroup = rules
		more = append(more, fmt.Sprintf("securityGroupRuleLimit: %d", rules))
	}
	s := &stand{standOptions: o, cluster: harness.NewCluster(), sim: awssim.New(awssim.Options{Limits: limits})}
	s.site = s.sim.NewSite(awssim.SiteOptions{})
	s.site.Launch(o.nodes)
	machines, err := web.Machines(s.sim.State())
	if err != nil {
		return nil, err
	}
	for i := range machines {
		if err := s.cluster.Nodes.Add(machines[i].Node()); err != nil {
			return nil, err
		}
	}
	s.server = s.sim.Start()
	s.text = rig.ConfigText(s.site, s.server.URL, more...)
	if s.conf, err = rig.Config(s.text); err != nil {
		s.server.Close()
		return nil, err
	}
	s.sim.SetLatency(o.latency)
	if o.budget == published {
		s.sim.SetThrottle(awssim.PublishedThrottle())
	}
	return s, nil
}

// newStand makes a stand. It must be closed.
func newStand(ctx context.Context, o standOptions) (*stand, error) {
	s, err := newSite(o)
	if err != nil {
		return nil, err
	}
	return s, s.start(ctx)
}

func (s *stand) close() {
	if s.ctl != nil {
		s.ctl.Close()
	}
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

// start starts a controller with a client of its own, which takes AWS for what
// is published until it has learned more.
func (s *stand) start(ctx context.Context) error {
	client, err := rig.Client(ctx, s.conf, nil)
	if err != nil {
		return err
	}
	s.ctl = rig.Start(ctx, s.cluster, client, s.conf)
	return nil
}

func (s *stand) restart(ctx context.Context) error {
	s.ctl.Close()
	return s.start(ctx)
}

// service is a Service with one port.
func (s *stand) service(i int) *v1.Service {
	svc := &v1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: fmt.Sprintf("web-%04d", i), UID: types.UID(fmt.Sprintf("%08d-0000-4000-8000-000000000000", i)),
			Finalizers:        []string{"service.kubernetes.io/load-balancer-cleanup"},
			CreationTimestamp: metav1.NewTime(time.Unix(int64(i), 0)),
		},
		Spec: v1.ServiceSpec{
			Type: v1.ServiceTypeLoadBalancer, ExternalTrafficPolicy: v1.ServiceExternalTrafficPolicyCluster,
			IPFamilies: []v1.IPFamily{v1.IPv4Protocol}, ClusterIP: "10.0.0.1",
			Ports: []v1.ServicePort{{Name: "http", Port: 80, NodePort: int32(30000 + i%2768), Protocol: v1.ProtocolTCP}},
		},
	}
	if s.kind != classic {
		svc.Annotations = map[string]string{"service.beta.kubernetes.io/aws-load-balancer-type": "nlb"}
	}
	return svc
}

// services are n new Services, which the cluster does not know yet.
func (s *stand) services(n int) []*v1.Service {
	out := make([]*v1.Service, n)
	for i := range out {
		out[i] = s.service(s.made)
		s.made++
	}
	return out
}

// create adds the Services at once and waits until all have a name.
func (s *stand) create(ctx context.Context, services []*v1.Service) error {
	for _, svc := range services {
		if err := s.cluster.Services.Add(svc); err != nil {
			return err
		}
	}
	return s.ensure(ctx, services)
}

// ensure does what the upstream controller does at a start, and at each
// resync.
func (s *stand) ensure(ctx context.Context, services []*v1.Service) error {
	return s.sync(ctx, services, func(now *v1.Service) (*v1.Service, error) { return now, nil })
}

// remove deletes the Services at once and waits until nothing is left of them.
func (s *stand) remove(ctx context.Context, services []*v1.Service) error {
	at := metav1.Now()
	return s.sync(ctx, services, func(now *v1.Service) (*v1.Service, error) {
		now = now.DeepCopy()
		now.DeletionTimestamp = &at
		return now, s.cluster.Services.Update(now)
	})
}

// sync changes the Services, and then has them served or removed all at once.
func (s *stand) sync(ctx context.Context, services []*v1.Service, change func(*v1.Service) (*v1.Service, error)) error {
	changed := make([]*v1.Service, len(services))
	for i, svc := range services {
		now, err := s.now(svc)
		if err != nil {
			return err
		}
		if changed[i], err = change(now); err != nil {
			return err
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, svc := range changed {
		g.Go(func() error { return s.one(ctx, svc) })
	}
	return g.Wait()
}

// one serves or removes a Service, and checks that one that is served has the
// name of a load balancer.
func (s *stand) one(ctx context.Context, svc *v1.Service) error {
	if err := s.ctl.Sync(ctx, svc); err != nil {
		return fmt.Errorf("%s: %w", svc.Name, err)
	}
	if svc.DeletionTimestamp != nil {
		return nil
	}
	now, err := s.now(svc)
	if err == nil && (len(now.Status.LoadBalancer.Ingress) != 1 || !strings.Contains(now.Status.LoadBalancer.Ingress[0].Hostname, ".elb.")) {
		err = fmt.Errorf("%s has the status %+v", now.Name, now.Status.LoadBalancer)
	}
	return err
}

// now is the Service as the cluster has it.
func (s *stand) now(svc *v1.Service) (*v1.Service, error) {
	obj, exists, err := s.cluster.Services.Get(svc)
	if now, ok := obj.(*v1.Service); ok && exists && err == nil {
		return now, nil
	}
	return nil, errors.Join(fmt.Errorf("%s is not in the cluster", svc.Name), err)
}

// left is the load balancing in the cloud, to be compared.
func (s *stand) left() (string, error) { return web.Balancing(s.sim.State()) }

// phase is what it took to do something.
type phase struct {
	took   time.Duration
	counts awssim.Counts
	calls  []awssim.Call
}

// measure does it and counts the calls.
func (s *stand) measure(act func() error) (*phase, error) {
	s.sim.ResetCalls()
	began := time.Now()
	err := act()
	return &phase{took: time.Since(began), counts: s.sim.Counts(), calls: s.sim.Calls()}, err
}

func (p *phase) writes() int { return sim.Total(p.counts.Writes) }

// reads are all, with further pages.
func (p *phase) reads() int { return sim.Total(p.counts.Reads) + p.counts.Pages }

func (p *phase) refused() int { return sim.Total(p.counts.Refused) }

// flawless is without a call that was answered by an error.
func (p *phase) flawless() bool { return p.refused()+sim.Total(p.counts.Failed) == 0 }
