// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

const liveCertificate = "arn:aws:acm:us-east-1:123456789012:certificate/7342f8ec-3b62-426b-90be-4147ce5be218"

// TestClassicOverTheWire tells a whole life: made, seen again, nodes, changed,
// removed.
func TestClassicOverTheWire(t *testing.T) {
	for _, c := range []struct {
		name   string
		change []func(*v1.Service)
		edit   []func(*v1.Service)
	}{
		{name: "one port", edit: []func(*v1.Service){with("internal", "true")}},
		{name: "tls", change: []func(*v1.Service){with("ssl-cert", liveCertificate, "ssl-ports", "http")}, edit: []func(*v1.Service){with("ssl-negotiation-policy", "ELBSecurityPolicy-TLS-1-2-2017-01")}},
		{name: "https", change: []func(*v1.Service){with("ssl-cert", liveCertificate, "backend-protocol", "https", "ssl-negotiation-policy", "ELBSecurityPolicy-TLS-1-2-2017-01")}, edit: []func(*v1.Service){without("ssl-negotiation-policy")}},
		{name: "proxy protocol", change: []func(*v1.Service){with("proxy-protocol", "*")}, edit: []func(*v1.Service){without("proxy-protocol")}},
		{name: "attributes", change: []func(*v1.Service){local, with(
			"access-log-enabled", "true", "access-log-s3-bucket-name", "logs", "access-log-emit-interval", "5",
			"connection-draining-enabled", "true", "connection-draining-timeout", "60", "connection-idle-timeout", "120", "additional-resource-tags", "team=web",
		)}, edit: []func(*v1.Service){without("access-log-emit-interval", "connection-draining-timeout", "additional-resource-tags"), with("healthcheck-protocol", "tcp", "healthcheck-port", "traffic-port")}},
		{name: "subnets", change: []func(*v1.Service){with("subnets", "public-us-east-1a")}, edit: []func(*v1.Service){with("subnets", "private-us-east-1a,public-us-east-1b")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := startLive(t, awssim.Options{})
			before := string(l.cloud.State())
			svc := newSite(t).service("web", append([]func(*v1.Service){classic}, c.change...)...)
			l.add(t, svc)
			key := plan.Key{Namespace: "default", Name: "web"}
			status := l.must(t, -1, provider.Serve, provider.Edit, svc)
			if host := status[key].Ingress[0].Hostname; !strings.HasSuffix(host, ".us-east-1.elb.amazonaws.com") {
				t.Errorf("hostname %q", host)
			}
			svc.Status.LoadBalancer = *status[key]
			same := func() {
				t.Helper()
				for _, cause := range []provider.Cause{provider.Edit, provider.Nodes} {
					l.must(t, 0, provider.Serve, cause, svc)
				}
				l.restart(t)
				l.must(t, 0, provider.Serve, provider.Resync, svc)
			}
			same()
			l.nodes = l.nodes[:2]
			l.must(t, 1, provider.Serve, provider.Nodes, svc)
			same()
			svc.Spec.Ports = []v1.ServicePort{tcp("http", 80, 30090), tcp("more", 8080, 30100)}
			for _, f := range c.edit {
				f(svc)
			}
			l.must(t, -1, provider.Serve, provider.Edit, svc)
			same()
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

// TestClassicCallsKeepToTheBudget counts calls.
func TestClassicCallsKeepToTheBudget(t *testing.T) {
	const n = 50
	l := startLive(t, awssim.Options{Limits: awssim.Limits{RulesPerGroup: 1000, ClassicLoadBalancers: n}})
	l.config.SecurityGroupRuleLimit = 1000
	l.restart(t)
	s := newSite(t)
	var list []*v1.Service
	for i := range n {
		svc := s.service(fmt.Sprint("web", i), classic)
		l.add(t, svc)
		list = append(list, svc)
	}
	l.must(t, -1, provider.Serve, provider.Edit, list...)
	l.costs(t, "created", n, 5.1*n)
	l.restart(t)
	l.must(t, 0, provider.Serve, provider.Resync, list...)
	l.costs(t, "restart", 1.5*n, 0)
	l.must(t, 0, provider.Serve, provider.Drift, list...)
	l.costs(t, "drift", 1.5*n, 0)
	l.nodes = l.nodes[:2]
	l.must(t, n, provider.Serve, provider.Nodes, list...)
	l.costs(t, "node gone", 5, n)
	l.must(t, -1, provider.Remove, provider.Edit, list...)
	l.costs(t, "removed", 0.3*n, 2.1*n)
}

// TestClassicGroupInUseHoldsUpItsServiceAlone removes a load balancer whose
// interfaces linger.
func TestClassicGroupInUseHoldsUpItsServiceAlone(t *testing.T) {
	l := startLive(t, awssim.Options{Timing: awssim.Timing{Linger: 15 * time.Second, Release: 2 * time.Second}})
	svc := newSite(t).service("web", classic)
	l.add(t, svc)
	before := string(l.cloud.State())
	l.must(t, -1, provider.Serve, provider.Edit, svc)
	if _, _, err := l.pass(t, provider.Remove, provider.Edit, svc); plan.KindOf(err) != plan.Transient {
		t.Fatalf("want a group in use: %v", err)
	}
	clear(svc.Annotations)
	l.cloud.Advance(20 * time.Second)
	l.must(t, 1, provider.Remove, provider.Resync, svc)
	if after := string(l.cloud.State()); after != before {
		t.Errorf("left behind:\n%s", after)
	}
}

// TestALoadBalancerThatGoesMeanwhileHoldsUpItsServiceAlone deletes one behind
// the controller's back, between the list and what is read of each.
func TestALoadBalancerThatGoesMeanwhileHoldsUpItsServiceAlone(t *testing.T) {
	l := startLive(t, awssim.Options{})
	s := newSite(t)
	list := []*v1.Service{s.service("a", classic), s.service("b", classic), s.service("c", classic)}
	for _, svc := range list {
		l.add(t, svc)
	}
	status := l.must(t, -1, provider.Serve, provider.Edit, list...)
	l.restart(t)
	host := status[plan.Key{Namespace: "default", Name: "b"}].Ingress[0].Hostname
	name, _, _ := strings.Cut(host, "-")
	l.cloud.SetFault(func(c awssim.Call) *awssim.Fault {
		asks := c.Action == "DescribeLoadBalancerAttributes" && c.Form.Get("LoadBalancerName") == name
		for key := range c.Form {
			asks = asks || (c.Action == "DescribeTags" && c.Form.Get(key) == name)
		}
		if asks || (c.Action == "ModifyLoadBalancerAttributes" && c.Form.Get("LoadBalancerName") == name) {
			return awssim.Refuse(400, "LoadBalancerNotFound")
		}
		return nil
	})
	for _, svc := range list {
		with("cross-zone-load-balancing-enabled", "true")(svc)
	}
	d, _, err := l.pass(t, provider.Serve, provider.Edit, list...)
	if plan.KindOf(err) != plan.Conflict || strings.Count(err.Error(), "\n") > 0 || !strings.Contains(err.Error(), name) {
		t.Errorf("want one Service to fail: %v", err)
	}
	if len(d.Plan.Steps) != 3 {
		t.Errorf("want the others to be served:\n%s", d.Plan)
	}
}

// A pass that reads no zones leaves what an earlier one read of them: a zone
// where no load balancer can be stays such a zone.
func TestZonesOutliveAPassThatReadsNone(t *testing.T) {
	l := startLive(t, awssim.Options{})
	l.cloud.LocalZone("us-east-1c")
	s := newSite(t)
	old, network := s.service("old", classic), s.service("network")
	for _, svc := range s.services {
		l.add(t, svc)
	}
	l.must(t, -1, provider.Serve, provider.Edit, old, network)
	with("cross-zone-load-balancing-enabled", "true")(network)
	l.must(t, 1, provider.Serve, provider.Edit, network)
	l.cloud.ResetCalls()
	l.must(t, 0, provider.Serve, provider.Nodes, old, network)
	if n := total(l.cloud.Counts().Reads); n > 0 {
		t.Errorf("%d reads", n)
	}
}
