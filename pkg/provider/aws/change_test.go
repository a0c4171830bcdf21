// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
)

// change is a story of one Service: served, changed, served again.
type change struct {
	name     string
	settings func(*aws.Settings)
	site     func(*site) // nil: as the installer made it
	before   []func(*v1.Service)
	after    []func(*v1.Service)
}

func changes() []change {
	return []change{
		{name: "a port is added and one taken away", after: []func(*v1.Service){ports(tcp("https", 443, 30443))}},
		{name: "another node port", after: []func(*v1.Service){ports(tcp("http", 80, 30999))}},
		{name: "another protocol", after: []func(*v1.Service){ports(udp("http", 80, 30080))}},
		{name: "udp joins tcp", after: []func(*v1.Service){ports(tcp("a", 80, 30080), udp("b", 80, 30080))}},
		{name: "tls on and its policy", after: []func(*v1.Service){with("ssl-cert", certificates, "ssl-negotiation-policy", "ELBSecurityPolicy-TLS13-1-2-2021-06")}},
		{name: "policy of tls is taken away", before: []func(*v1.Service){with("ssl-cert", certificates, "ssl-negotiation-policy", "ELBSecurityPolicy-TLS13-1-2-2021-06")}, after: []func(*v1.Service){without("ssl-negotiation-policy")}},
		{name: "alpn policy is taken away", settings: claimed, before: []func(*v1.Service){external, with("ssl-cert", certificates, "alpn-policy", "HTTP2Preferred")}, after: []func(*v1.Service){without("alpn-policy")}},
		{name: "another certificate", before: []func(*v1.Service){with("ssl-cert", certificates)}, after: []func(*v1.Service){with("ssl-cert", certificates+"0")}},
		{name: "traffic policy local", after: []func(*v1.Service){local}},
		{name: "health check interval and unhealthy threshold", after: []func(*v1.Service){with("healthcheck-interval", "10", "healthcheck-unhealthy-threshold", "5")}},
		{name: "other source ranges", before: []func(*v1.Service){sourceRanges("192.0.2.0/24")}, after: []func(*v1.Service){sourceRanges("198.51.100.0/24")}},
		{name: "other source ranges at its group", settings: managed, before: []func(*v1.Service){sourceRanges("192.0.2.0/24")}, after: []func(*v1.Service){sourceRanges("198.51.100.0/24")}},
		{name: "another scheme", after: []func(*v1.Service){with("internal", "true")}},
		{name: "another scheme with a group", settings: managed, after: []func(*v1.Service){with("internal", "true")}},
		{name: "given groups instead of its own", settings: managed, after: []func(*v1.Service){with("security-groups", "sg-c79d4313baf0217ab")}},
		{name: "its own group instead of given ones", settings: managed, before: []func(*v1.Service){with("security-groups", "sg-c79d4313baf0217ab")}, after: []func(*v1.Service){func(svc *v1.Service) { delete(svc.Annotations, annotation+"security-groups") }}},
		{name: "fewer subnets", after: []func(*v1.Service){with("subnets", "public-us-east-1a,public-us-east-1b")}},
		{name: "tags", after: []func(*v1.Service){with("additional-resource-tags", "team=web")}},
		{name: "tags are taken away", before: []func(*v1.Service){with("additional-resource-tags", "team=web,cost=1")}, after: []func(*v1.Service){with("additional-resource-tags", "cost=2")}},
		{name: "all tags are taken away", before: []func(*v1.Service){with("additional-resource-tags", "team=web")}, after: []func(*v1.Service){func(svc *v1.Service) { delete(svc.Annotations, annotation+"additional-resource-tags") }}},
		{name: "attributes are changed", after: []func(*v1.Service){with("cross-zone-load-balancing-enabled", "true", "target-group-attributes", "proxy_protocol_v2.enabled=true")}},
		{name: "fewer nodes", after: []func(*v1.Service){with("target-node-labels", "topology.kubernetes.io/zone=us-east-1a")}},
	}
}

// fresh is the site without any Service.
func (c *change) fresh(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	if c.settings != nil {
		c.settings(&s.settings)
	}
	if c.site != nil {
		c.site(s)
	}
	return s
}

// start is the site with the Service as it was.
func (c *change) start(t *testing.T) *site {
	t.Helper()
	s := c.fresh(t)
	s.service("web", c.before...)
	s.settle(t, s.all(provider.Serve, provider.Edit))
	for _, f := range c.after {
		f(s.services[0])
	}
	return s
}

func TestChanges(t *testing.T) { testChanges(t, changes()) }

func testChanges(t *testing.T, list []change) {
	t.Helper()
	for _, c := range list {
		t.Run(c.name, func(t *testing.T) {
			s := c.start(t)
			golden(t, c.name, s.settle(t, s.all(provider.Serve, provider.Edit)))
			s.settle(t, s.all(provider.Remove, provider.Edit))
			s.empty(t)
		})
	}
}

// TestCutAnywhere ends the process after each step of a creation, a change and
// a deletion: the next process finds out what is missing.
func TestCutAnywhere(t *testing.T) { testCutAnywhere(t, changes()) }

func testCutAnywhere(t *testing.T, list []change) {
	t.Helper()
	for _, c := range list {
		t.Run(c.name, func(t *testing.T) {
			whole := c.start(t)
			steps := len(whole.compute(whole.all(provider.Serve, provider.Edit)).Steps)
			whole.settle(t, whole.all(provider.Serve, provider.Edit))
			for n := range steps + 1 {
				s := c.start(t)
				if err := s.applySome(t, s.compute(s.all(provider.Serve, provider.Edit)), n); err != nil {
					t.Fatal(err)
				}
				s.settle(t, s.all(provider.Serve, provider.Resync))
				if diff := cmp.Diff(whole.picture(), s.picture()); diff != "" {
					t.Errorf("changed, cut after %d steps: -undisturbed +got:\n%s", n, diff)
				}
			}
			cutCreation(t, &c)
			cutDeletion(t, &c)
		})
	}
}

func cutCreation(t *testing.T, c *change) {
	t.Helper()
	fresh := func() *site {
		s := c.fresh(t)
		s.service("web", slices.Concat(c.before, c.after)...)
		return s
	}
	whole := fresh()
	steps := len(whole.compute(whole.all(provider.Serve, provider.Edit)).Steps)
	whole.settle(t, whole.all(provider.Serve, provider.Edit))
	for n := range steps + 1 {
		s := fresh()
		if err := s.applySome(t, s.compute(s.all(provider.Serve, provider.Edit)), n); err != nil {
			t.Fatal(err)
		}
		s.settle(t, s.all(provider.Serve, provider.Resync))
		if diff := cmp.Diff(whole.picture(), s.picture()); diff != "" {
			t.Errorf("created, cut after %d steps: -undisturbed +got:\n%s", n, diff)
		}
		s = fresh()
		if err := s.applySome(t, s.compute(s.all(provider.Serve, provider.Edit)), n); err != nil {
			t.Fatal(err)
		}
		s.settle(t, s.all(provider.Remove, provider.Resync))
		s.empty(t)
	}
}

func cutDeletion(t *testing.T, c *change) {
	t.Helper()
	whole := c.start(t)
	steps := len(whole.compute(whole.all(provider.Remove, provider.Edit)).Steps)
	for n := range steps + 1 {
		s := c.start(t)
		if err := s.applySome(t, s.compute(s.all(provider.Remove, provider.Edit)), n); err != nil {
			t.Fatal(err)
		}
		for key := range s.services[0].Annotations {
			delete(s.services[0].Annotations, key)
		}
		s.settle(t, s.all(provider.Remove, provider.Resync))
		s.empty(t)
	}
}

// picture is what there is, without ids.
func (s *site) picture() []string {
	var out []string
	ids := map[string]string{}
	for id, g := range s.observed.Groups {
		ids[id] = awssdk.ToString(g.GroupName)
	}
	for _, n := range s.observed.Networks {
		out = append(out, strings.Join([]string{"network", *n.LoadBalancerName, string(n.Scheme), texts(n.Tags), texts(n.Attributes)}, " "))
		for _, z := range n.AvailabilityZones {
			out = append(out, "subnet "+*z.SubnetId)
		}
		for _, g := range n.SecurityGroups {
			out = append(out, "group "+ids[g])
		}
		for _, l := range n.Listeners {
			to := s.observed.TargetGroups[*l.DefaultActions[0].TargetGroupArn]
			cert := ""
			if len(l.Certificates) > 0 {
				cert = *l.Certificates[0].CertificateArn
			}
			out = append(out, strings.Join([]string{"listener", string(l.Protocol), cert, awssdk.ToString(l.SslPolicy), texts(map[string]int32{"port": *l.Port, "to": *to.Port})}, " "))
		}
	}
	for _, g := range s.observed.TargetGroups {
		out = append(out, strings.Join([]string{"targets", string(g.Protocol), string(g.HealthCheckProtocol), *g.HealthCheckPort, awssdk.ToString(g.HealthCheckPath), texts(map[string]int32{
			"port": *g.Port, "interval": *g.HealthCheckIntervalSeconds, "unhealthy": *g.UnhealthyThresholdCount,
		}), texts(g.Attributes)}, " "))
		for x, state := range g.Targets {
			if state != elbv2types.TargetHealthStateEnumDraining {
				out = append(out, "target "+x.ID)
			}
		}
	}
	for _, g := range s.observed.Groups {
		for _, r := range sources(g) {
			for id, name := range ids {
				r = strings.ReplaceAll(r, id, name)
			}
			out = append(out, *g.GroupName+" "+r)
		}
	}
	out = append(out, s.classicPicture(ids)...)
	slices.Sort(out)
	return out
}

func texts[V any](m map[string]V) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%s=%v", k, m[k]))
	}
	return strings.Join(out, ",")
}
