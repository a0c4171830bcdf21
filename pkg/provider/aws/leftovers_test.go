// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	v1 "k8s.io/api/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
	"github.com/fairlead/fairlead/pkg/provider/providertest"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

func (s *site) leftovers() *aws.Result {
	return aws.Leftovers(aws.Input{Settings: &s.settings, Observed: s.observed})
}

func TestNothingOfAServiceIsLeftOver(t *testing.T) {
	for _, name := range cases(t) {
		s := load(t, name)
		if got := text(t, s.leftovers()); got != nothing {
			t.Errorf("%s:\n%s", name, got)
		}
		s.settings.Tags.ID = "" // then nothing is known to be the cluster's
		s.services, s.observed.Services = nil, nil
		if got := text(t, s.leftovers()); got != nothing {
			t.Errorf("%s, without an id:\n%s", name, got)
		}
	}
}

func TestLeftoversOfServicesThatAreGone(t *testing.T) {
	for _, name := range cases(t) {
		t.Run(name, func(t *testing.T) {
			s := load(t, name)
			s.services, s.observed.Services = nil, nil
			r := s.leftovers()
			golden(t, "left over "+name, text(t, r))
			s.apply(t, r)
			s.empty(t)
			if got := text(t, s.leftovers()); got != nothing {
				t.Errorf("still:\n%s", got)
			}
		})
	}
}

func TestLeftoversOfAPeerThatWasCut(t *testing.T) {
	for _, name := range []string{"nlb-three-ports", "nlb-managed-group", "clb-default"} {
		t.Run(name, func(t *testing.T) {
			s := load(t, name)
			s.services, s.observed.Services = nil, nil
			// The load balancer went, and the peer with it.
			for arn := range s.observed.Networks {
				delete(s.observed.Networks, arn)
			}
			for lb := range s.observed.Classics {
				delete(s.observed.Classics, lb)
			}
			for _, g := range s.observed.TargetGroups {
				g.LoadBalancerArns = nil
			}
			s.apply(t, s.leftovers())
			s.empty(t)
		})
	}
}

func TestLeftoversBesideServicesThatLive(t *testing.T) {
	s := newSite(t)
	managed(&s.settings)
	s.service("lives")
	s.service("gone")
	s.service("classic", func(svc *v1.Service) { delete(svc.Annotations, annotation+"type") })
	s.settle(t, s.all(provider.Serve, provider.Edit))
	s.services = s.services[:1]
	s.observed.Services = s.services
	s.apply(t, s.leftovers())
	if got := text(t, s.compute(s.all(provider.Serve, provider.Resync))); got != nothing {
		t.Error(got)
	}
	s.remove(t, 0)
	s.empty(t)
}

// told lets the load balancers of the AWS Load Balancer Controller be ours, by
// the name that the cloud config tells.
func told(s *aws.Settings) {
	claimed(s)
	s.External.Told = true
}

// TestLeftoversOfTheLoadBalancerController: its tags alone tell whose a load
// balancer is.
func TestLeftoversOfTheLoadBalancerController(t *testing.T) {
	start := func(t *testing.T) *site {
		t.Helper()
		s := newSite(t)
		told(&s.settings)
		s.service("web", external)
		s.service("named", external, with("name", "shop"))
		s.settle(t, s.all(provider.Serve, provider.Edit))
		return s
	}
	t.Run("all are gone", func(t *testing.T) {
		s := start(t)
		s.services, s.observed.Services = nil, nil
		golden(t, "left over of the controller", text(t, s.leftovers()))
		s.apply(t, s.leftovers())
		s.empty(t)
	})
	t.Run("one lives", func(t *testing.T) {
		s := start(t)
		s.services = s.services[1:]
		s.observed.Services = s.services
		s.apply(t, s.leftovers())
		if got := text(t, s.compute(s.all(provider.Serve, provider.Repair))); !strings.HasPrefix(got, nothing) {
			t.Error(got)
		}
		if n := len(s.observed.Networks); n != 1 {
			t.Errorf("%d load balancers", n)
		}
		s.settle(t, s.all(provider.Remove, provider.Edit))
		s.empty(t)
	})
	for name, change := range map[string]func(*site){
		"nobody claims them":           func(s *site) { s.settings.Claims = aws.PeerOnly },
		"only the flag names":          func(s *site) { s.settings.External.Told = false },
		"they are another cluster's":   func(s *site) { s.settings.External.Cluster = "other" },
		"they are those of an Ingress": func(s *site) { s.tagAll("ingress.k8s.aws/stack", "default/web") },
		"they are those of a Gateway":  func(s *site) { s.tagAll("gateway.k8s.aws.nlb/stack", "default/web") },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			s.services, s.observed.Services = nil, nil
			change(s)
			for _, st := range s.leftovers().Steps {
				if st.Target.Kind != "aws/nodeSecurityGroupLeftovers" {
					t.Errorf("%s", st.String())
				}
			}
		})
	}
}

// A load balancer that Services share by its name is not left over while one of
// them lives, though its tags name one that is gone.
func TestSharedLoadBalancerOfOneThatLivesIsNotLeftOver(t *testing.T) {
	for i, lives := range []string{"one", "other"} {
		s := newSite(t)
		told(&s.settings)
		s.service("one", external, with("name", "shop"))
		s.service("other", external, with("name", "shop"), ports(tcp("a", 81, 30181)))
		s.settle(t, s.all(provider.Serve, provider.Edit))
		s.observed.Services = s.services[i : i+1]
		for _, st := range s.leftovers().Steps {
			if st.Target.Kind == "aws/loadBalancer" || slices.Contains(st.Serves, plan.Key{Namespace: "default", Name: lives}) {
				t.Errorf("%s lives: %s", lives, st.String())
			}
		}
		s.services, s.observed.Services = nil, nil
		s.apply(t, s.leftovers())
		if got := text(t, s.leftovers()); got != nothing {
			t.Errorf("still:\n%s", got)
		}
		s.empty(t)
	}
}

// tagAll adds a tag to all load balancers, target groups and security groups.
func (s *site) tagAll(key, value string) {
	for _, lb := range s.observed.Networks {
		lb.Tags[key] = value
	}
	for _, g := range s.observed.TargetGroups {
		g.Tags[key] = value
	}
	for id, g := range s.observed.Groups {
		more := *g
		more.Tags = append(slices.Clone(g.Tags), tag{Key: awssdk.String(key), Value: awssdk.String(value)})
		s.observed.Groups[id] = &more
	}
}

// What a peer leaves behind at the nodes for path MTU discovery tells of no
// Service, and goes when none is left that needs it.
func TestRuleOfAllThatNobodyNeedsIsLeftOver(t *testing.T) {
	s := load(t, "nlb-default")
	s.settle(t, s.all(provider.Serve, provider.Resync))
	if got := text(t, s.leftovers()); got != nothing {
		t.Errorf("while one lives:\n%s", got)
	}
	s.services, s.observed.Services = nil, nil
	for arn := range s.observed.Networks {
		delete(s.observed.Networks, arn)
	}
	for arn := range s.observed.TargetGroups {
		delete(s.observed.TargetGroups, arn)
	}
	for id, g := range s.observed.Groups {
		less := *g
		less.IpPermissions = slices.DeleteFunc(slices.Clone(g.IpPermissions), func(p ec2types.IpPermission) bool {
			return len(p.IpRanges) > 0 && strings.Contains(awssdk.ToString(p.IpRanges[0].Description), "/nlb/client=")
		})
		s.observed.Groups[id] = &less
	}
	golden(t, "left over rule of all", text(t, s.leftovers()))
	s.apply(t, s.leftovers())
	s.empty(t)
}

// The group that load balancers share is made before the first of them.
func TestSharedGroupOfAServiceThatIsBeingMadeIsNotLeftOver(t *testing.T) {
	s := newSite(t)
	managed(&s.settings)
	s.service("web")
	s.settle(t, s.all(provider.Serve, provider.Edit))
	clear(s.observed.Networks)
	clear(s.observed.TargetGroups)
	for _, st := range s.leftovers().Steps {
		if strings.HasPrefix(st.Target.Name, "fairlead-traffic") {
			t.Errorf("%s", st.String())
		}
	}
	s.services, s.observed.Services = nil, nil
	s.apply(t, s.leftovers())
	s.empty(t)
}

// A step that all share is done for the others when one of them cannot be done.
func TestLeftoversWithoutOneOfThem(t *testing.T) {
	s := newSite(t)
	s.service("web")
	s.service("api")
	s.settle(t, s.all(provider.Serve, provider.Edit))
	s.services, s.observed.Services = nil, nil
	in := aws.Input{Settings: &s.settings, Observed: s.observed, Leftovers: true}
	r := aws.Leftovers(in)
	for _, st := range r.Steps {
		if !st.Shared {
			continue
		}
		in.Without = map[plan.Key]bool{{Namespace: "default", Name: "web"}: true}
		w := r.Rewrite(in, st.Target).Write
		if part, whole := sent(t, w), sent(t, r.Writes[st.Target]); !strings.Contains(whole, "30080") || strings.Contains(part, "30080") || !strings.Contains(part, "30081") {
			t.Errorf("without one: %s\nof %s", part, whole)
		}
		in.Without[plan.Key{Namespace: "default", Name: "api"}] = true
		if w := r.Rewrite(in, st.Target).Write; len(w.Calls) > 0 {
			t.Errorf("without both: %s", sent(t, w))
		}
	}
}

// sent is what a write sends, as text.
func sent(t *testing.T, w aws.Write) string {
	t.Helper()
	raw, err := json.Marshal(w.Calls)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// knowNodes is a new process that is told of the nodes.
func (l *live) knowNodes(t *testing.T) {
	t.Helper()
	nodes := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	for _, n := range l.nodes {
		if err := nodes.Add(n); err != nil {
			t.Fatal(err)
		}
	}
	l.known = corelisters.NewNodeLister(nodes)
	l.restart(t)
}

func TestLeftoversOverTheWire(t *testing.T) {
	l := startLive(t, awssim.Options{})
	l.config.ManagedNLBSecurityGroups = true
	l.restart(t)
	before := string(l.cloud.State())
	s := newSite(t)
	svc := s.service("web")
	l.add(t, svc)
	l.must(t, -1, provider.Serve, provider.Edit, svc)
	if err := l.services.Delete(svc); err != nil {
		t.Fatal(err)
	}
	nobody := func(context.Context) ([]*v1.Service, error) { return nil, nil }
	vpc := l.config.VPC
	l.config.VPC = "vpc-0"
	l.restart(t)
	if _, err := l.provider.Leftovers(t.Context(), nobody); err == nil || !strings.HasPrefix(err.Error(), "VPC vpc-0 has no security group in region ") {
		t.Errorf("in a VPC that is not there: %v", err)
	}
	l.config.VPC = vpc
	l.restart(t)
	if _, err := l.provider.Leftovers(t.Context(), nobody); err == nil || !strings.HasPrefix(err.Error(), "nothing that lives has the tag kubernetes.io/cluster/") {
		t.Errorf("without nodes: %v", err)
	}
	l.knowNodes(t)
	p, err := l.provider.Leftovers(t.Context(), nobody)
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range providertest.Decide(t, p).Plan.Steps {
		if err := p.Execute(t.Context(), st, nil); err != nil {
			t.Errorf("%s: %v", st.Target, err)
		}
	}
	if after := string(l.cloud.State()); after != before {
		t.Errorf("left behind:\n%s", after)
	}
}
