// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
)

type tag = ec2types.Tag

const nodesGroup = "sg-1afd810060e168276"

// rules are those of the nodes' group.
func (s *site) rules() []string { return sources(s.observed.Groups[nodesGroup]) }

func (s *site) one(i int, want provider.Want, cause provider.Cause) provider.Batch {
	return provider.Batch{Nodes: s.nodes, Items: []provider.Item{item(s.services[i], want, cause)}}
}

// remove removes a Service, and forgets it.
func (s *site) remove(t *testing.T, i int) {
	t.Helper()
	s.settle(t, s.one(i, provider.Remove, provider.Edit))
	s.services = slices.Delete(slices.Clone(s.services), i, i+1)
	s.observed.Services = s.services
}

func TestSharedHealthPortOutlivesTheFirstLoadBalancer(t *testing.T) {
	for _, first := range []int{0, 1} {
		s := newSite(t)
		s.settings.Probes = aws.SharedProbe
		s.service("a")
		s.service("b")
		s.settle(t, s.one(0, provider.Serve, provider.Edit))
		s.settle(t, s.one(1, provider.Serve, provider.Edit))
		stays := "a" + strings.ReplaceAll(string(s.services[1-first].UID), "-", "")[:31]
		s.remove(t, first)
		var health int
		for _, r := range s.rules() {
			if strings.Contains(r, "10256") {
				health++
				if !strings.HasSuffix(r, stays) {
					t.Errorf("rule %s does not name %s", r, stays)
				}
			}
		}
		if health != 3 {
			t.Errorf("without Service %d health checks come from %d of 3 subnets", first, health)
		}
		if got := text(t, s.compute(s.all(provider.Serve, provider.Resync))); got != nothing {
			t.Error(got)
		}
		s.remove(t, 0)
		s.empty(t)
	}
}

func TestBatchIsOneStepForEachNodeGroup(t *testing.T) {
	s := newSite(t)
	for i := range 5 {
		s.service(fmt.Sprint("web", i))
	}
	r := s.compute(s.all(provider.Serve, provider.Edit))
	var calls, shared int
	for _, st := range r.Steps {
		calls += len(r.Writes[st.Target].Calls)
		if st.Shared {
			shared++
			if len(st.Serves) != 5 {
				t.Errorf("serves %v", st.Serves)
			}
		}
	}
	if shared != 1 || calls != 5*4+1 {
		t.Errorf("%d calls, %d shared steps", calls, shared)
	}
	s.apply(t, r)
	// A Service that is left out of the shared step keeps its rules, and gets
	// none.
	s.service("late")
	r = s.compute(s.all(provider.Serve, provider.Edit))
	in := aws.Input{Settings: &s.settings, Observed: s.observed, Batch: s.all(provider.Serve, provider.Edit)}
	in.Without = map[plan.Key]bool{{Namespace: "default", Name: "late"}: true}
	if w := r.Rewrite(in, plan.ID{Kind: "aws/nodeSecurityGroup", Name: nodesGroup}).Write; len(w.Calls) > 0 {
		t.Errorf("left out, and yet written: %v", w)
	}
	for i := range s.services[:5] {
		in.Without[plan.Key{Namespace: "default", Name: fmt.Sprint("web", i)}] = true
	}
	delete(in.Without, plan.Key{Namespace: "default", Name: "late"})
	w := r.Rewrite(in, plan.ID{Kind: "aws/nodeSecurityGroup", Name: nodesGroup}).Write
	if len(w.Calls) != 1 {
		t.Fatal(w)
	}
	if got := w.Calls[0].(*ec2.AuthorizeSecurityGroupIngressInput).IpPermissions; len(got) != 1 || *got[0].FromPort != 30085 {
		t.Errorf("grants %v", got)
	}
}

func TestNodeChangesCostOneCallForEachTargetGroup(t *testing.T) {
	s := newSite(t)
	s.service("a")
	s.service("b", ports(tcp("x", 80, 31000), tcp("y", 81, 31001)))
	s.settle(t, s.all(provider.Serve, provider.Edit))
	all := s.nodes
	for _, c := range []struct {
		name  string
		nodes []*v1.Node
		calls int
	}{{"one leaves", all[:2], 3}, {"none is seen", nil, 0}, {"it is back", all, 3}} {
		s.nodes = c.nodes
		for _, want := range []provider.Want{provider.Keep, provider.Serve} {
			r := s.compute(s.all(want, provider.Nodes))
			var calls int
			for _, st := range r.Steps {
				if st.Target.Kind != "aws/targets" {
					t.Errorf("%s: %s", c.name, st.Target)
				}
				calls += len(r.Writes[st.Target].Calls)
			}
			if calls != c.calls {
				t.Errorf("%s, want %d: %d calls, want %d", c.name, want, calls, c.calls)
			}
		}
		s.settle(t, s.all(provider.Serve, provider.Nodes))
	}
}

func TestManyNodesAreRegisteredInFewCalls(t *testing.T) {
	s := newSite(t)
	for i := range 1050 {
		n := s.nodes[0].DeepCopy()
		n.Name, n.Spec.ProviderID = fmt.Sprint("n", i), fmt.Sprintf("aws:///us-east-1a/i-%04d", i)
		s.nodes = append(s.nodes, n)
	}
	s.service("web")
	r := s.compute(s.all(provider.Serve, provider.Edit))
	for target, w := range r.Writes {
		if target.Kind != "aws/targets" {
			continue
		}
		var sizes []int
		for _, c := range w.Calls {
			sizes = append(sizes, len(c.(*elbv2.RegisterTargetsInput).Targets))
		}
		if !slices.Equal(sizes, []int{1000, 53}) {
			t.Errorf("%v", sizes)
		}
	}
	s.settle(t, s.all(provider.Serve, provider.Edit))
}

func TestTargetsGoFirstWhereAllMayNotFit(t *testing.T) {
	for _, c := range []struct {
		nodes int
		first any
	}{{10, &elbv2.RegisterTargetsInput{}}, {500, &elbv2.DeregisterTargetsInput{}}} {
		s := newSite(t)
		for i := range c.nodes {
			n := s.nodes[0].DeepCopy()
			n.Name, n.Spec.ProviderID = fmt.Sprint("n", i), fmt.Sprintf("aws:///us-east-1a/i-%04d", i)
			s.nodes = append(s.nodes, n)
		}
		s.service("web")
		s.settle(t, s.all(provider.Serve, provider.Edit))
		s.nodes[0].Spec.ProviderID = "aws:///us-east-1a/i-new"
		r := s.compute(s.all(provider.Serve, provider.Nodes))
		for target, w := range r.Writes {
			if target.Kind == "aws/targets" && (len(w.Calls) != 2 || reflect.TypeOf(w.Calls[0]) != reflect.TypeOf(c.first)) {
				t.Errorf("with %d nodes the first call of %d is %T", c.nodes, len(w.Calls), w.Calls[0])
			}
		}
	}
}

func TestRuleLimitIsReportedBeforeItIsHit(t *testing.T) {
	s := newSite(t)
	s.settings.RuleLimit = 5 // two are there; one is for path MTU discovery
	for i := range 4 {
		s.service(fmt.Sprint("web", i))
	}
	got := s.settle(t, s.all(provider.Serve, provider.Edit))
	golden(t, "rule limit", got)
	if n := len(s.rules()); n != 5 {
		t.Errorf("%d rules", n)
	}
	// A group with more rules than the limit has another limit.
	s.settings.RuleLimit = 4
	if r := s.compute(s.all(provider.Serve, provider.Edit)); len(r.Refused) > 0 {
		t.Errorf("%v", r.Refused)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		site   func(*site)
		change []func(*v1.Service)
	}{
		{name: "no suitable subnet", site: func(s *site) {
			for i := range s.observed.Subnets {
				sub := &s.observed.Subnets[i]
				switch awssdk.ToString(sub.AvailabilityZone) {
				case "us-east-1a":
					sub.AvailableIpAddressCount = awssdk.Int32(7)
				case "us-east-1b":
					sub.Tags = []tag{{Key: awssdk.String("kubernetes.io/cluster/other"), Value: awssdk.String("owned")}}
				}
			}
			s.observed.ZoneTypes["us-east-1c"] = "local-zone"
		}},
		{name: "no suitable subnet for the other controller", site: func(s *site) {
			claimedSite(s)
			for i := range s.observed.Subnets {
				s.observed.Subnets[i].AvailableIpAddressCount = awssdk.Int32(7)
				s.observed.Subnets[i].Tags = nil
			}
		}, change: []func(*v1.Service){external, with("scheme", "internal")}},
		{name: "unknown subnet", change: []func(*v1.Service){with("subnets", "subnet-0ec221ad912000a7d,nowhere")}},
		{name: "two subnets of one zone", change: []func(*v1.Service){with("subnets", "public-us-east-1a,private-us-east-1a")}},
		{name: "too few elastic addresses", change: []func(*v1.Service){with("eip-allocations", "eipalloc-1")}},
		{name: "a private address of another subnet", change: []func(*v1.Service){with("internal", "true", "subnets", "private-us-east-1a,private-us-east-1b", "private-ipv4-addresses", "10.0.112.9,10.0.112.10")}},
		{name: "a path of health checks without a slash", change: []func(*v1.Service){with("healthcheck-protocol", "HTTP", "healthcheck-path", "live")}},
		{name: "a path of a local check without a slash", change: []func(*v1.Service){local, with("healthcheck-path", "live")}},
		{name: "a classic path of health checks without a slash", change: []func(*v1.Service){classic, with("healthcheck-protocol", "https", "healthcheck-path", "live")}},
		{name: "status codes that are none", site: claimedSite, change: []func(*v1.Service){with("type", "external", "healthcheck-protocol", "HTTP", "healthcheck-success-codes", "2xx")}},
		{name: "too many tags", change: []func(*v1.Service){with("additional-resource-tags", manyTags(49))}},
		{name: "sctp", change: []func(*v1.Service){ports(v1.ServicePort{Protocol: v1.ProtocolSCTP, Port: 1, NodePort: 30001})}},
		{name: "tcp and udp with two node ports", change: []func(*v1.Service){ports(tcp("a", 53, 30053), udp("b", 53, 30054))}},
		{name: "no node ports", change: []func(*v1.Service){ports(tcp("a", 53, 0))}},
		{name: "a classic load balancer serves", change: []func(*v1.Service){shown}, site: func(s *site) {
			c := &aws.Classic{LoadBalancerDescription: elbtypes.LoadBalancerDescription{LoadBalancerName: awssdk.String("a0000000100000000000000000000000")}}
			for id := range s.observed.Instances {
				c.Instances = append(c.Instances, elbtypes.Instance{InstanceId: awssdk.String(id)})
			}
			s.observed.Classics["a0000000100000000000000000000000"] = c
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			s.service("web", c.change...)
			s.service("other")
			if c.site != nil {
				c.site(s)
			}
			r := s.compute(s.one(0, provider.Serve, provider.Edit))
			if len(r.Refused) != 1 || len(r.Steps) > 0 {
				t.Errorf("refused %v, %d steps", r.Refused, len(r.Steps))
			}
			golden(t, "refused "+c.name, text(t, r))
			if !strings.HasPrefix(c.name, "no suitable subnet") {
				if n := served(s.compute(s.all(provider.Serve, provider.Edit))); len(n) != 1 {
					t.Errorf("served: %v", n)
				}
			}
		})
	}
}

func shown(svc *v1.Service) {
	svc.Status.LoadBalancer.Ingress = []v1.LoadBalancerIngress{{Hostname: "a.elb.amazonaws.com"}}
}

func TestAnotherControllersServicesAreLeftAlone(t *testing.T) {
	s := newSite(t)
	svc := s.service("web")
	s.settle(t, s.all(provider.Serve, provider.Edit))
	svc.Annotations[annotation+"type"] = "external"
	for _, want := range []provider.Want{provider.Serve, provider.Keep} {
		if r := s.compute(s.all(want, provider.Edit)); len(r.Steps)+len(r.Places) > 0 {
			t.Errorf("want %d: %s", want, text(t, r))
		}
	}
	// When it is deleted, what we made for it goes.
	svc.Spec.Type = v1.ServiceTypeClusterIP
	s.settle(t, s.all(provider.Remove, provider.Edit))
	s.empty(t)
}

func TestAnotherClustersLoadBalancerIsLeftAlone(t *testing.T) {
	s := newSite(t)
	s.service("web")
	s.settle(t, s.all(provider.Serve, provider.Edit))
	for _, n := range s.observed.Networks {
		n.Tags = map[string]string{"kubernetes.io/cluster/other": "owned"}
	}
	if r := s.compute(s.all(provider.Serve, provider.Edit)); len(r.Refused) != 1 || len(r.Steps) > 0 {
		t.Error(text(t, r))
	}
	for _, st := range s.compute(s.all(provider.Remove, provider.Edit)).Steps {
		if st.Target.Kind == "aws/loadBalancer" {
			t.Errorf("%s", st.Target)
		}
	}
}

func claimedSite(s *site) { claimed(&s.settings) }

// manyTags are n tags as an annotation.
func manyTags(n int) string {
	tags := make([]string, n)
	for i := range tags {
		tags[i] = fmt.Sprintf("k%d=v", i)
	}
	return strings.Join(tags, ",")
}

// TestSecurityGroupsThatCannotCountAreToldBeforeTheLoadBalancerIsMade: AWS gives
// it none later.
func TestSecurityGroupsThatCannotCountAreToldBeforeTheLoadBalancerIsMade(t *testing.T) {
	s := newSite(t)
	svc := s.service("web", with("security-groups", "sg-c79d4313baf0217ab"))
	r := s.compute(s.all(provider.Serve, provider.Edit))
	words := map[string]bool{}
	told := func(r *aws.Result) bool {
		return slices.ContainsFunc(r.Notices[keyOf(svc)], func(n provider.Notice) bool {
			words[n.Message] = true
			return n.Warning && n.Reason == aws.ReasonUnsupported && strings.Contains(n.Message, "nlbSecurityGroupMode Managed")
		})
	}
	if len(r.Refused) > 0 || !told(r) {
		t.Errorf("refused %v, told %v", r.Refused, r.Notices)
	}
	s.settle(t, s.all(provider.Serve, provider.Edit))
	if r = s.compute(s.all(provider.Serve, provider.Edit)); !told(r) {
		t.Errorf("later: %v", r.Notices)
	}
	if len(words) != 1 {
		t.Errorf("one thing is told in %d ways: %v", len(words), words)
	}
	managed(&s.settings)
	other := newSite(t)
	managed(&other.settings)
	svc = other.service("web", with("security-groups", "sg-c79d4313baf0217ab"))
	if r = other.compute(other.all(provider.Serve, provider.Edit)); told(r) {
		t.Errorf("though they count: %v", r.Notices)
	}
}

// TestValuesThatDoNotCountAreNotJudged, as the peer does not send them.
func TestValuesThatDoNotCountAreNotJudged(t *testing.T) {
	shared := func(s *site) { s.settings.Probes = aws.SharedProbe }
	for name, c := range map[string]struct {
		site   func(*site)
		change []func(*v1.Service)
	}{
		"a path of a check by TCP":      {func(*site) {}, []func(*v1.Service){with("healthcheck-path", "live")}},
		"a path beside the shared one":  {shared, []func(*v1.Service){with("healthcheck-path", "live", "healthcheck-protocol", "HTTP")}},
		"a path of a classic TCP check": {func(*site) {}, []func(*v1.Service){classic, with("healthcheck-path", "live")}},
		"codes of a check by TCP":       {claimedSite, []func(*v1.Service){with("type", "external", "healthcheck-success-codes", "2xx")}},
		"just as many tags as can be":   {func(*site) {}, []func(*v1.Service){with("additional-resource-tags", manyTags(40))}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			c.site(s)
			s.service("web", c.change...)
			if r := s.compute(s.all(provider.Serve, provider.Edit)); len(r.Refused) > 0 {
				t.Errorf("refused %v", r.Refused)
			}
		})
	}
}
