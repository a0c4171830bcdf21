// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"slices"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

const poolGroup = "sg-pool"

// pool puts the first node behind a security group of its own.
func (s *site) pool() {
	s.observed.Groups[poolGroup] = &ec2types.SecurityGroup{GroupId: awssdk.String(poolGroup), GroupName: awssdk.String("pool"), VpcId: awssdk.String(s.settings.VPC)}
	id, _ := names.InstanceID(s.nodes[0].Spec.ProviderID)
	moved := *s.observed.Instances[id]
	moved.Groups = []string{poolGroup}
	s.observed.Instances[id] = &moved
}

// TestTheNodesLetInWhatTheLoadBalancerControllerWould lets nodes and ports
// change while its load balancer is as it was found: what its rules do not open
// is opened at the next look, and nothing else is written there.
func TestTheNodesLetInWhatTheLoadBalancerControllerWould(t *testing.T) {
	type opened struct{ pool, port []string }
	shared := func(port string) string { return "tcp " + port + "-" + port + " " + lbcShared }
	anyone := func(port string) string { return "tcp " + port + "-" + port + " 0.0.0.0/0" }
	inside := func(port string) string { return "tcp " + port + "-" + port + " 10.0.0.0/16" }
	subnets := func(port string) []string {
		return []string{"tcp " + port + "-" + port + " 10.0.112.0/20", "tcp " + port + "-" + port + " 10.0.128.0/20", "tcp " + port + "-" + port + " 10.0.96.0/20"}
	}
	checked := func(port string, more ...string) []string { return sorted(append(subnets(port), more...)) }
	for name, c := range map[string]struct {
		change func(*v1.Service)
		flag   func(*lbc)
		want   opened
	}{
		"a group of its own":       {want: opened{[]string{shared("30080")}, []string{shared("32000")}}},
		"a group of all ports":     {flag: func(c *lbc) { c.allPorts = true }, want: opened{[]string{shared("30080")}, nil}},
		"no shared group":          {flag: func(c *lbc) { c.ownBackend = true }, want: opened{[]string{"tcp 30080-30080 OWN"}, []string{"tcp 32000-32000 OWN"}}},
		"given groups":             {change: with("security-groups", extraGroup)},
		"given groups, let in":     {change: with("security-groups", extraGroup, "manage-backend-security-group-rules", "true"), want: opened{[]string{shared("30080")}, []string{shared("32000")}}},
		"no groups":                {change: with("disable-nlb-sg", "true"), want: opened{checked("30080", inside("30080")), checked("32000", inside("32000"))}},
		"no groups, anyone":        {change: all(with("disable-nlb-sg", "true"), sourceRanges("0.0.0.0/0")), want: opened{checked("30080", anyone("30080")), checked("32000", anyone("32000"))}},
		"no groups, one range":     {change: all(with("disable-nlb-sg", "true"), sourceRanges("192.0.2.0/24")), want: opened{checked("30080", "tcp 30080-30080 192.0.2.0/24"), checked("32000", "tcp 32000-32000 192.0.2.0/24")}},
		"no groups, no clients":    {change: with("disable-nlb-sg", "true", "target-group-attributes", "preserve_client_ip.enabled=false"), want: opened{subnets("30080"), subnets("32000")}},
		"no groups, not to be let": {change: with("disable-nlb-sg", "true", "manage-backend-security-group-rules", "false")},
		"pods":                     {change: all(with("nlb-target-type", "ip"), podPorts(intstr.FromInt32(8080))), want: opened{[]string{shared("8080")}, []string{shared("9090")}}},
	} {
		for what, want := range map[string][]string{"pool": c.want.pool, "port": c.want.port} {
			t.Run(name+", another "+what, func(t *testing.T) {
				l, _ := foreignSite(t, []shape{{svc: c.change, lbc: c.flag}})
				s := l.s
				before := s.inventory()
				l.endpoints()
				l.leave()
				theirs := s.inventory()
				if what == "pool" {
					s.pool()
				} else {
					l.svc.Spec.Ports[0].NodePort = 32000
					if l.byPods() {
						l.svc.Spec.Ports[0].TargetPort = intstr.FromInt32(9090)
						l.endpoints()
					}
				}
				for _, cause := range []provider.Cause{provider.Nodes, provider.Drift, provider.Resync} {
					s.settle(t, s.all(provider.Serve, cause))
				}
				if diff := cmp.Diff(want, l.added(theirs)); diff != "" {
					t.Errorf("-want +opened:\n%s", diff)
				}
				for _, line := range theirs {
					if strings.HasSuffix(line, " "+lbcRule) && !slices.Contains(s.inventory(), line) {
						t.Errorf("gone: %s", line)
					}
				}
				s.settle(t, s.all(provider.Remove, provider.Edit))
				after := slices.DeleteFunc(s.inventory(), func(line string) bool {
					return strings.Contains(line, "k8s-traffic-rig-0123456789") || strings.HasSuffix(line, " "+lbcRule) || line == "group sg-pool pool"
				})
				if diff := cmp.Diff(before, after); diff != "" {
					t.Errorf("removed, -before +after:\n%s", diff)
				}
			})
		}
	}
}

// added are the rules of the nodes that were not there, without names.
func (c *lbc) added(before []string) []string {
	var out []string
	own := strings.NewReplacer()
	if len(c.front) > 0 {
		own = strings.NewReplacer(c.front[0], "OWN")
	}
	for _, line := range c.s.inventory() {
		rest, isRule := strings.CutPrefix(line, "rule of ")
		if !isRule || slices.Contains(before, line) {
			continue
		}
		part := strings.Fields(rest) // group, protocol, ports, source, description
		if len(part) == 5 && names.RuleOf(part[4]) == *c.lb.LoadBalancerName {
			out = append(out, strings.Join(part[1:3], " ")+" "+own.Replace(part[3]))
		}
	}
	return sorted(out)
}

// TestIPv6NeedsALoadBalancerOfBothFamilies refuses a new one, as the other
// controller does, and leaves one alone that is served.
func TestIPv6NeedsALoadBalancerOfBothFamilies(t *testing.T) {
	for name, list := range map[string][]v1.IPFamily{"6": {v1.IPv6Protocol}, "4 and 6": {v1.IPv4Protocol, v1.IPv6Protocol}} {
		t.Run(name, func(t *testing.T) {
			l, possible := foreignSite(t, []shape{changed(name, func(svc *v1.Service) { svc.Spec.IPFamilies = list })})
			r := l.s.compute(l.s.all(provider.Serve, provider.Edit))
			if err := r.Refused[plan.Key{Namespace: "default", Name: "web"}]; possible || len(r.Steps) > 0 || err == nil || !strings.Contains(err.Error(), "dualstack") {
				t.Errorf("possible %t:\n%s", possible, text(t, r))
			}
			l.leave()
			for _, cause := range []provider.Cause{provider.Resync, provider.Edit} {
				if r := l.s.compute(l.s.all(provider.Serve, cause)); len(r.Refused) > 0 {
					t.Errorf("served, cause %d:\n%s", cause, text(t, r))
				}
			}
			if l, _ := foreignSite(t, []shape{changed(name, families(list...))}); len(l.s.compute(l.s.all(provider.Serve, provider.Edit)).Refused) > 0 {
				t.Error("refused with dualstack")
			}
		})
	}
}

// TestWhatWasOpenedGoesWithItsLoadBalancer removes one of two load balancers that
// have one shared group, while the other one is in no batch.
func TestWhatWasOpenedGoesWithItsLoadBalancer(t *testing.T) {
	l, _ := foreignSite(t, nil)
	s := l.s
	l.leave()
	other := &lbc{s: s, svc: s.service("other", external, ports(tcp("http", 80, 30090)))}
	other.leave()
	s.pool()
	s.settle(t, s.all(provider.Serve, provider.Nodes))
	if got := sources(s.observed.Groups[poolGroup]); len(got) != 2 {
		t.Fatalf("rules %v", got)
	}
	s.remove(t, 0)
	want := []string{"tcp 30090-30090 " + lbcShared + " " + names.GroupRule(*other.lb.LoadBalancerName)}
	if diff := cmp.Diff(want, sources(s.observed.Groups[poolGroup])); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestARuleThatAnotherLoadBalancerNeedsGetsItsName has two load balancers with
// one port of health checks and one shared group.
func TestARuleThatAnotherLoadBalancerNeedsGetsItsName(t *testing.T) {
	probed := with("healthcheck-port", "10256", "healthcheck-protocol", "http")
	l, _ := foreignSite(t, []shape{{svc: probed}})
	s := l.s
	l.leave()
	other := &lbc{s: s, svc: s.service("other", external, probed, ports(tcp("http", 80, 30090)))}
	other.leave()
	s.pool()
	s.settle(t, s.all(provider.Serve, provider.Nodes))
	s.remove(t, 0)
	if got := sources(s.observed.Groups[poolGroup]); len(got) != 2 {
		t.Errorf("rules %v", got)
	}
	if r := s.compute(s.all(provider.Serve, provider.Nodes)); len(r.Steps) > 0 {
		t.Error(text(t, r))
	}
	s.remove(t, 0)
	if got := sources(s.observed.Groups[poolGroup]); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}

// TestAnEditOfALoadBalancerWithoutGroupsLasts edits what the other controller
// made, and looks at it later.
func TestAnEditOfALoadBalancerWithoutGroupsLasts(t *testing.T) {
	l, _ := foreignSite(t, []shape{says("disable-nlb-sg", "true")})
	l.leave()
	l.svc.Spec.Ports[0].NodePort = 32000
	l.s.settle(t, l.s.all(provider.Serve, provider.Edit))
	for _, cause := range []provider.Cause{provider.Nodes, provider.Drift, provider.Resync} {
		if r := l.s.compute(l.s.all(provider.Serve, cause)); len(r.Steps) > 0 {
			t.Errorf("cause %d:\n%s", cause, text(t, r))
		}
	}
}

// TestNodesLetTheVPCInWhereNobodySaysWho makes load balancers without groups
// anew: who may connect to an internal one is the VPC, for each family that it
// has, unless the Service says who.
func TestNodesLetTheVPCInWhereNobodySaysWho(t *testing.T) {
	none := with("disable-nlb-sg", "true")
	for name, c := range map[string]struct {
		change func(*v1.Service)
		want   []string
	}{
		"internal":        {none, []string{"tcp 30080-30080 10.0.0.0/16"}},
		"both families":   {all(none, with("ip-address-type", "dualstack")), []string{"tcp 30080-30080 10.0.0.0/16", "tcp 30080-30080 2600:1f18::/56"}},
		"ranges":          {all(none, sourceRanges("0.0.0.0/0")), []string{"tcp 30080-30080 0.0.0.0/0"}},
		"internet-facing": {all(none, with("scheme", "internet-facing")), []string{"tcp 30080-30080 0.0.0.0/0"}},
	} {
		t.Run(name, func(t *testing.T) {
			l, _ := foreignSite(t, []shape{{svc: c.change}})
			before := l.s.inventory()
			for _, cause := range []provider.Cause{provider.Edit, provider.Resync} {
				l.s.settle(t, l.s.all(provider.Serve, cause))
			}
			l.lb = l.s.front()
			if diff := cmp.Diff(c.want, l.added(before)); diff != "" {
				t.Errorf("-want +opened:\n%s", diff)
			}
		})
	}
}
