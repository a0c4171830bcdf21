// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// warnings are those of the first Service, and its refusal, by suffixes.
func (s *site) warnings(cause provider.Cause) []string {
	r := s.compute(s.all(provider.Serve, cause))
	var out []string
	for _, n := range r.Notices[keyOf(s.services[0])] {
		if n.Warning {
			out = append(out, n.Message)
		}
	}
	if err := r.Refused[keyOf(s.services[0])]; err != nil {
		out = append(out, "refused: "+err.Error())
	}
	for i, text := range out {
		out[i] = strings.ReplaceAll(text, annotation, "")
	}
	return out
}

func TestSentencesThatDependOnMore(t *testing.T) {
	const interval = `refused: annotation healthcheck-interval is "5", but must not be below the timeout, which is `
	const dualstack = "annotation ip-address-type is dualstack: "
	of := func(changes ...func(*v1.Service)) func(*site) { return func(s *site) { s.service("web", changes...) } }
	shared := func(changes ...func(*v1.Service)) func(*site) {
		return func(s *site) { s.settings.Probes = aws.SharedProbe; s.service("web", changes...) }
	}
	const kube = `, but has no effect while the cloud-config lets kube-proxy be asked, with clusterServiceLoadBalancerHealthProbeMode Shared; remove it`
	for name, tt := range map[string]struct {
		site func(*site)
		want []string // the ends may be missing
	}{
		"an interval below AWS's timeout":       {of(with("healthcheck-interval", "5")), []string{interval + "10 seconds; raise it, or set annotation healthcheck-timeout to 5 or less"}},
		"of HTTP":                               {of(with("healthcheck-interval", "5", "healthcheck-protocol", "HTTP")), []string{interval + "6 seconds"}},
		"with a timeout":                        {of(with("healthcheck-interval", "5", "healthcheck-timeout", "5")), nil},
		"a timeout that the peer never sends":   {of(with("healthcheck-timeout", "31")), []string{`annotation healthcheck-timeout is "31", but must not be above the interval of 30 seconds; it is left out: lower it, or raise annotation healthcheck-interval`}},
		"and of two ports":                      {of(with("healthcheck-timeout", "31"), ports(tcp("a", 80, 30080), tcp("b", 81, 30081))), []string{`annotation healthcheck-timeout is "31", but must not`}},
		"a timeout of the LBC":                  {of(external, with("healthcheck-timeout", "11")), []string{`refused: annotation healthcheck-timeout is "11", but must not be above the interval of 10 seconds; lower it, or raise annotation healthcheck-interval`}},
		"a path that kube-proxy is not asked":   {shared(with("healthcheck-path", "/a", "healthcheck-port", "81")), []string{`annotation healthcheck-port is "81"` + kube, `annotation healthcheck-path is "/a"` + kube}},
		"a path with local traffic":             {of(local, with("healthcheck-path", "/a")), nil},
		"a path of a classic one, by TCP":       {of(classic, with("healthcheck-path", "/a")), []string{`annotation healthcheck-path is "/a", but has no effect on health checks that are not by HTTP; set annotation healthcheck-protocol to HTTP, or remove it`}},
		"a path of a classic one, by HTTP":      {of(classic, with("healthcheck-path", "/a", "healthcheck-protocol", "http")), nil},
		"both families, and no subnet has them": {of(external, with("ip-address-type", "dualstack")), []string{"refused: no subnet of VPC can hold the internal load balancer"}},
		"named subnets without IPv6":            {of(external, with("ip-address-type", "dualstack", "subnets", "private-us-east-1a")), []string{`refused: annotation ip-address-type is "dualstack", but subnet SUBNET has no IPv6 addresses; write ipv4 there, or give subnets of the VPC IPv6 ranges`}},
		"tags that no cloud-config may have": {func(s *site) {
			s.settings.MoreTags = map[string]string{}
			for k := range strings.SplitSeq(manyTags(51), ",") {
				s.settings.MoreTags[k] = ""
			}
			s.service("web", with("additional-resource-tags", "a=1"))
		}, []string{"refused: the load balancer would have 54 tags, and AWS allows 50; take 4 of tags in the cloud-config away"}},
		"empty items where groups count": {func(s *site) {
			s.settings.NetworkGroups = aws.ManagedGroups
			s.service("web", with("security-groups", extraGroup+",,"))
		}, []string{`annotation security-groups is "` + extraGroup + `,,", but has items that are empty, and counts without them; write ids of security groups with one comma between`}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.settings.Claims = aws.AlsoLoadBalancerController
			claimed(&s.settings)
			tt.site(s)
			got := s.warnings(provider.Edit)
			ok := slices.EqualFunc(got, tt.want, func(got, want string) bool {
				want = strings.ReplaceAll(want, "VPC can", s.settings.VPC+" can")
				before, after, _ := strings.Cut(want, "SUBNET")
				return strings.HasPrefix(got, before) && strings.Contains(got, after)
			})
			if !ok {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			if strings.HasPrefix(name, "both families") && !strings.HasSuffix(got[0], "; "+dualstack+"write ipv4 there, or give subnets of the VPC IPv6 ranges") {
				t.Errorf("got %s", got[0])
			}
		})
	}
}

// What is there keeps working: its target group has a timeout that fits.
func TestAnIntervalThatFitsWhatIsThere(t *testing.T) {
	s := newSite(t)
	svc := s.service("web", local)
	s.settle(t, s.all(provider.Serve, provider.Edit))
	with("healthcheck-interval", "7")(svc)
	if got := s.warnings(provider.Edit); len(got) > 0 {
		t.Errorf("6 s fit into 7: %q", got)
	}
	with("healthcheck-interval", "5")(svc)
	if got := s.warnings(provider.Edit); len(got) != 1 || !strings.HasPrefix(got[0], `refused: annotation healthcheck-interval is "5"`) {
		t.Errorf("got %q", got)
	}
}

// Tags are counted with those that are there. cloud-provider-aws gives network
// load balancers none later, so what is asked for there goes on otherwise.
func TestTagsThatGrowBeyondWhatAWSAllows(t *testing.T) {
	for name, tt := range map[string]struct {
		change  func(*v1.Service)
		refused bool
	}{"classic": {classic, true}, "nlb": {func(*v1.Service) {}, false}, "external": {external, true}} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			claimed(&s.settings)
			svc := s.service("web", tt.change)
			s.settle(t, s.all(provider.Serve, provider.Edit))
			with("additional-resource-tags", manyTags(60))(svc)
			got := s.warnings(provider.Edit)
			if len(got) != 1 || strings.HasPrefix(got[0], "refused: ") != tt.refused || !strings.Contains(got[0], "but has 60 tags, with which the load balancer would have 6") {
				t.Errorf("got %q", got)
			}
		})
	}
}

// A Service without any EndpointSlice is told so where they are known.
func TestPodsThatNobodyKnowsOf(t *testing.T) {
	for name, known := range map[string]bool{"slices are known": true, "nobody reads slices": false} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			claimed(&s.settings)
			s.service("web", external, with("nlb-target-type", "ip")).Spec.Selector = map[string]string{"app": "web"}
			s.pass(t)
			if known {
				s.observed.Slices = map[plan.Key][]*discoveryv1.EndpointSlice{}
			}
			got := s.warnings(provider.Edit)
			if told := len(got) == 1 && strings.Contains(got[0], "the Service has no EndpointSlice, which kube-controller-manager writes"); told != known {
				t.Errorf("got %q", got)
			}
		})
	}
}

// TestInstancesThatDoNotRunAreLookedAtAgain has one that AWS stops while its node
// says that it is ready: nobody tells when it runs again.
func TestInstancesThatDoNotRunAreLookedAtAgain(t *testing.T) {
	l := startLive(t, awssim.Options{})
	now := l.stopClock(t)
	svc := newSite(t).service("web")
	l.add(t, svc)
	ready(l.nodes[1], v1.ConditionTrue)
	if err := l.cloud.SetPower(idOf(l.nodes[1]), "stopped"); err != nil {
		t.Fatal(err)
	}
	cause, waited := provider.Edit, time.Duration(0)
	for range 20 {
		d, _, err := l.pass(t, provider.Serve, cause, svc)
		if err != nil {
			t.Fatal(err)
		}
		if waited > time.Minute && d.Again > 0 {
			if err := l.cloud.SetPower(idOf(l.nodes[1]), "running"); err != nil {
				t.Fatal(err)
			}
		}
		if d.Again == 0 {
			break
		}
		cause, waited = provider.Nodes, waited+d.Again
		now.Step(d.Again)
	}
	if n := strings.Count(string(l.cloud.State()), idOf(l.nodes[1])); n < 2 || waited < time.Minute {
		t.Errorf("the instance is named %d times after %s", n, waited)
	}
}

// TestAStepOfSeveralServicesNamesTheOneToBlame has two Services whose rules at
// the nodes are one step: AWS says the range of one of them, and so the sentence
// names its Service and annotation, and no value but what AWS says.
func TestAStepOfSeveralServicesNamesTheOneToBlame(t *testing.T) {
	l := startLive(t, awssim.Options{})
	s := newSite(t)
	x, y := s.service("x", sourceRanges("192.0.2.0/24", "203.0.113.0/24")), s.service("y", sourceRanges("198.51.100.0/24"))
	y.Namespace = "tenant"
	l.add(t, x)
	l.add(t, y)
	l.cloud.SetFault(func(c awssim.Call) *awssim.Fault {
		if c.Action != "AuthorizeSecurityGroupIngress" {
			return nil
		}
		return &awssim.Fault{When: awssim.Before, Status: http.StatusBadRequest, Code: "InvalidParameterValue", Message: "CIDR block 192.0.2.0/24 is malformed"}
	})
	_, _, err := l.pass(t, provider.Serve, provider.Edit, x, y)
	if err == nil {
		t.Fatal("nothing is refused")
	}
	want := "spec.loadBalancerSourceRanges of Service default/x, but AWS refuses it: InvalidParameterValue: CIDR block 192.0.2.0/24 is malformed; write ranges that EC2 takes"
	if got := err.Error(); !strings.Contains(got, want) || strings.Contains(got, "203.0.113") {
		t.Errorf("got %s", got)
	}
}
