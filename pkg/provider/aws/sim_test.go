// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	testclock "k8s.io/utils/clock/testing"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
	"github.com/fairlead/fairlead/pkg/provider/providertest"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// live is the provider before a simulated account, over the wire.
type live struct {
	cloud    *awssim.Cloud
	site     *awssim.Site
	config   *cloudconfig.AWS
	url      string
	provider *aws.Provider
	nodes    []*v1.Node
	services cache.Indexer
	ctx      context.Context // of a process that is killed; nil: the test's
	clock    clock.Clock     // of the next process; nil: the system's
	slices   discoverylisters.EndpointSliceLister
	known    corelisters.NodeLister // nodes that the next process knows; nil: none
}

func startLive(t *testing.T, o awssim.Options) *live {
	t.Helper()
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		t.Setenv(name, "test")
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	l := &live{cloud: awssim.New(o), services: cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})}
	l.site = l.cloud.NewSite(awssim.SiteOptions{Families: "dualstack"})
	server := l.cloud.Start()
	t.Cleanup(server.Close)
	l.url = server.URL
	for i, id := range l.site.Launch(3) {
		l.nodes = append(l.nodes, &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("n", i)}, Spec: v1.NodeSpec{ProviderID: "aws:///us-east-1a/" + id}})
	}
	l.config = cloudconfig.NewAWS()
	l.config.Region, l.config.VPC, l.config.ClusterID = "us-east-1", l.site.VPC, l.site.Cluster
	l.config.Endpoints = cloudconfig.AWSEndpoints{EC2: l.url, ELB: l.url, ELBv2: l.url, STS: l.url}
	l.restart(t)
	return l
}

// startClaimed is startLive where Services of the AWS Load Balancer Controller are
// ours.
func startClaimed(t *testing.T, o awssim.Options) *live {
	t.Helper()
	l := startLive(t, o)
	claims(l.config)
	l.restart(t)
	return l
}

// restart is a new process.
func (l *live) restart(t *testing.T) {
	t.Helper()
	client, err := api.New(t.Context(), l.config, api.Setup{Limits: &api.Limits{}})
	if err != nil {
		t.Fatal(err)
	}
	l.provider = aws.New(aws.Options{Client: client, Config: l.config, Cluster: "rig", Services: corelisters.NewServiceLister(l.services), Clock: l.clock, Slices: l.slices, Nodes: l.known})
}

// stopClock is a new process whose clock goes on when the test says so.
func (l *live) stopClock(t *testing.T) *testclock.FakeClock {
	t.Helper()
	now := testclock.NewFakeClock(time.Now())
	l.clock = now
	l.restart(t)
	return now
}

func (l *live) add(t *testing.T, svc *v1.Service) {
	t.Helper()
	if err := l.services.Add(svc); err != nil {
		t.Fatal(err)
	}
}

// pass is one pass over the Services, and the statuses that it gives.
func (l *live) pass(t *testing.T, want provider.Want, cause provider.Cause, list ...*v1.Service) (provider.Decision, map[plan.Key]*v1.LoadBalancerStatus, error) {
	t.Helper()
	b := provider.Batch{Group: "aws", Nodes: l.nodes}
	for _, svc := range list {
		b.Items = append(b.Items, item(svc, want, cause))
	}
	ctx := t.Context()
	if l.ctx != nil {
		ctx = l.ctx
	}
	p, err := l.provider.Observe(ctx, b)
	if err != nil {
		return provider.Decision{}, nil, err
	}
	d := providertest.Decide(t, p)
	var errs []error
	for _, st := range d.Plan.Steps {
		if err := p.Execute(ctx, st, nil); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", st.Target, err))
		}
	}
	out := map[plan.Key]*v1.LoadBalancerStatus{}
	for i := range b.Items {
		out[b.Items[i].Key] = p.Status(b.Items[i].Key)
	}
	return d, out, errors.Join(errs...)
}

// must is a pass that does n steps and no more.
func (l *live) must(t *testing.T, n int, want provider.Want, cause provider.Cause, list ...*v1.Service) map[plan.Key]*v1.LoadBalancerStatus {
	t.Helper()
	d, status, err := l.pass(t, want, cause, list...)
	if err != nil || len(d.Refused) > 0 {
		t.Fatalf("%v, refused %v", err, d.Refused)
	}
	if n >= 0 && len(d.Plan.Steps) != n {
		t.Errorf("want %d steps:\n%s", n, d.Plan)
	}
	return status
}

func claims(c *cloudconfig.AWS) { c.Controller.Claim = true }

const theCertificate = "arn:aws:acm:us-east-1:123456789012:certificate/7342f8ec-3b62-426b-90be-4147ce5be218"

func total(counts map[string]int) int {
	var n int
	for _, c := range counts {
		n += c
	}
	return n
}

// TestOverTheWire tells a whole life: made, seen again, nodes, changed, removed.
func TestOverTheWire(t *testing.T) {
	for _, c := range []struct {
		name   string
		config func(*cloudconfig.AWS)
		change []func(*v1.Service)
	}{
		{name: "one port"},
		{name: "its own group", config: func(c *cloudconfig.AWS) { c.ManagedNLBSecurityGroups = true }, change: []func(*v1.Service){local}},
		{name: "udp, ranges", change: []func(*v1.Service){ports(tcp("a", 53, 30053), udp("b", 53, 30053), udp("c", 54, 30054)), sourceRanges("192.0.2.0/24")}},
		{name: "internal, attributes", change: []func(*v1.Service){with("internal", "true", "cross-zone-load-balancing-enabled", "true", "target-group-attributes", "proxy_protocol_v2.enabled=true", "additional-resource-tags", "team=web")}},
		{name: "tls", change: []func(*v1.Service){with("ssl-cert", theCertificate)}},
		{name: "external, attributes", config: claims, change: []func(*v1.Service){external, local, with("scheme", "internet-facing", "attributes", "load_balancing.cross_zone.enabled=true", "target-group-attributes", "deregistration_delay.timeout_seconds=30", "healthcheck-success-codes", "200")}},
		{name: "external, certificates", config: claims, change: []func(*v1.Service){external, with("ssl-cert", theCertificate+","+theCertificate+"0", "alpn-policy", "HTTP2Preferred")}},
		{name: "external, listener attributes", config: claims, change: []func(*v1.Service){external, with("listener-attributes.TCP-80", "tcp.idle_timeout.seconds=600", "inbound-sg-rules-on-private-link-traffic", "off")}},
		{name: "external, internal without groups", config: claims, change: []func(*v1.Service){external, with("disable-nlb-sg", "true")}},
		{name: "external, dual stack", config: claims, change: []func(*v1.Service){class, with("ip-address-type", "dualstack", "name", "shop")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := startLive(t, awssim.Options{})
			if c.config != nil {
				c.config(l.config)
				l.restart(t)
			}
			before := string(l.cloud.State())
			svc := newSite(t).service("web", c.change...)
			l.add(t, svc)
			status := l.must(t, -1, provider.Serve, provider.Edit, svc)
			host := status[plan.Key{Namespace: "default", Name: "web"}].Ingress[0].Hostname
			if !strings.Contains(host, ".elb.us-east-1.") {
				t.Errorf("hostname %q", host)
			}
			svc.Status.LoadBalancer = *status[plan.Key{Namespace: "default", Name: "web"}]
			l.must(t, 0, provider.Serve, provider.Edit, svc)
			l.must(t, 0, provider.Serve, provider.Nodes, svc)
			l.restart(t)
			l.must(t, 0, provider.Serve, provider.Resync, svc)
			l.nodes = l.nodes[:2]
			l.must(t, -1, provider.Serve, provider.Nodes, svc)
			l.must(t, 0, provider.Serve, provider.Nodes, svc)
			svc.Spec.Ports = append(svc.Spec.Ports, tcp("more", 8080, 30100))
			svc.Annotations[annotation+"internal"] = "true"
			l.must(t, -1, provider.Serve, provider.Edit, svc)
			l.must(t, 0, provider.Serve, provider.Edit, svc)
			l.must(t, -1, provider.Remove, provider.Edit, svc)
			if after := string(l.cloud.State()); after != before {
				t.Errorf("left behind:\n%s", after)
			}
			for api, n := range l.cloud.Counts().Failed {
				t.Errorf("%s failed %d times", api, n)
			}
		})
	}
}

// costs checks what was called since it was asked last.
func (l *live) costs(t *testing.T, what string, reads, writes float64) {
	t.Helper()
	c := l.cloud.Counts()
	r, w := float64(total(c.Reads)+c.Pages), float64(total(c.Writes))
	t.Logf("%s: %.0f reads, %.0f writes: %v %v", what, r, w, c.Reads, c.Writes)
	if r > reads || w > writes {
		t.Errorf("%s: %.0f reads of at most %.0f, %.0f writes of at most %.0f", what, r, reads, w, writes)
	}
	l.cloud.ResetCalls()
}

// TestCallsKeepToTheBudget counts calls: what the bench measures with time.
func TestCallsKeepToTheBudget(t *testing.T) {
	const n = 50
	l := startLive(t, awssim.Options{Limits: awssim.Limits{RulesPerGroup: 1000, NetworkLoadBalancers: n}})
	l.config.SecurityGroupRuleLimit = 1000
	l.restart(t)
	s := newSite(t)
	var list []*v1.Service
	for i := range n {
		svc := s.service(fmt.Sprint("web", i))
		l.add(t, svc)
		list = append(list, svc)
	}
	l.must(t, -1, provider.Serve, provider.Edit, list...)
	l.costs(t, "created", n, 4.1*n)
	l.restart(t)
	l.must(t, 0, provider.Serve, provider.Resync, list...)
	l.costs(t, "restart", 3.3*n, 0)
	l.must(t, 0, provider.Serve, provider.Drift, list...)
	l.costs(t, "drift", 3.3*n, 0)
	l.nodes = l.nodes[:2]
	l.must(t, n, provider.Serve, provider.Nodes, list...)
	l.costs(t, "node gone", 5, n)
	l.must(t, -1, provider.Remove, provider.Edit, list...)
	l.costs(t, "removed", 0.5*n, 2.1*n)
}

// TestWhoJoinsAPassIsReadForAlone is a pass that is joined while it observes:
// lists, and what is known of the first Service, are not read again.
func TestWhoJoinsAPassIsReadForAlone(t *testing.T) {
	l := startLive(t, awssim.Options{})
	s := newSite(t)
	list := []*v1.Service{s.service("old"), s.service("older")}
	for _, svc := range list {
		l.add(t, svc)
	}
	status := l.must(t, -1, provider.Serve, provider.Edit, list...)
	for _, svc := range list {
		svc.Status.LoadBalancer = *status[plan.Key{Namespace: svc.Namespace, Name: svc.Name}]
	}
	joined := append(slices.Clone(list), s.service("new"))
	l.add(t, joined[2])
	batch := func(list ...*v1.Service) provider.Batch {
		b := provider.Batch{Group: "aws", Nodes: l.nodes}
		for _, svc := range list {
			b.Items = append(b.Items, item(svc, provider.Serve, provider.Resync))
		}
		return b
	}
	observe := func(b provider.Batch) provider.Pass {
		t.Helper()
		l.cloud.ResetCalls()
		p, err := l.provider.Observe(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	l.restart(t)
	first := observe(batch(list[0]))
	b := batch(joined...)
	b.Before = first
	second := observe(b)
	want := map[string]int{
		"elbv2.DescribeListeners": 1, "elbv2.DescribeLoadBalancerAttributes": 1, "elbv2.DescribeTargetHealth": 1, "elbv2.DescribeTags": 1,
		"ec2.DescribeRouteTables": 1, "ec2.DescribeAvailabilityZones": 1,
	}
	if got := l.cloud.Counts().Reads; !maps.Equal(got, want) {
		t.Errorf("the second look reads %v, want %v", got, want)
	}
	alone := observe(batch(joined...))
	if total(l.cloud.Counts().Reads) <= total(want) {
		t.Error("a pass of its own reads no lists")
	}
	if got, want := providertest.Decide(t, second).Plan.String(), providertest.Decide(t, alone).Plan.String(); got != want {
		t.Errorf("joined:\n%s\nalone:\n%s", got, want)
	}
	l.must(t, 0, provider.Serve, provider.Nodes, list...) // from memory alone
	b = batch(list...)
	for i := range b.Items {
		b.Items[i].Cause = provider.Nodes
	}
	remembered := observe(b)
	b = batch(joined...)
	b.Before = remembered
	observe(b)
	if n := l.cloud.Counts().Reads["elbv2.DescribeLoadBalancers"]; n != 1 {
		t.Errorf("what was remembered is taken for what is there: %d lists of load balancers", n)
	}
}

func TestSecurityGroupInUseHoldsUpItsServiceAlone(t *testing.T) {
	l := startLive(t, awssim.Options{Timing: awssim.Timing{Linger: 15 * time.Second, Release: 2 * time.Second}})
	l.config.ManagedNLBSecurityGroups = true
	l.restart(t)
	s := newSite(t)
	svc := s.service("web")
	l.add(t, svc)
	before := string(l.cloud.State())
	l.must(t, -1, provider.Serve, provider.Edit, svc)
	for i := range 3 {
		_, _, err := l.pass(t, provider.Remove, provider.Edit, svc)
		if i == 2 {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		if plan.KindOf(err) != plan.Transient {
			t.Fatalf("try %d: %v", i, err)
		}
		l.cloud.Advance(10 * time.Second)
	}
	if after := string(l.cloud.State()); after != before {
		t.Errorf("left behind:\n%s", after)
	}
}

// TestWhatIsForgottenDuringAReadStaysForgotten takes a new configuration while a
// pass reads: the next one does not count on what was read for the old one.
func TestWhatIsForgottenDuringAReadStaysForgotten(t *testing.T) {
	l := startLive(t, awssim.Options{})
	var updated atomic.Bool
	changed := *l.config
	changed.SecurityGroupRuleLimit++
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !updated.Swap(true) {
			l.provider.Update(r.Context(), &cloudconfig.Config{AWS: &changed})
		}
		l.cloud.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	l.config.Endpoints.EC2 = server.URL
	changed.Endpoints = l.config.Endpoints
	l.restart(t)
	svc := newSite(t).service("web")
	l.add(t, svc)
	l.must(t, -1, provider.Serve, provider.Edit, svc)
	for _, reads := range []bool{true, false} {
		l.cloud.ResetCalls()
		l.must(t, 0, provider.Serve, provider.Config, svc)
		if n := total(l.cloud.Counts().Reads); (n > 0) != reads {
			t.Errorf("%d reads", n)
		}
	}
}
