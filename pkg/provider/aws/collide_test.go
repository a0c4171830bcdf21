// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"slices"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// Whoever asks for a name that an older Service has is refused alone.
func TestYoungerServiceIsRefusedTheName(t *testing.T) {
	for _, name := range []string{"front", "a uid"} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			claimed(&s.settings)
			old := s.service("old", external, with("name", "front"))
			if name == "a uid" {
				delete(old.Annotations, annotation+"name")
				old.Annotations[annotation+"type"] = "nlb"
				name = names.LoadBalancer(old.UID)
			}
			s.service("young", external, with("name", name))
			s.service("other", external)
			got := s.settle(t, s.all(provider.Serve, provider.Edit))
			if !strings.Contains(got, "refused default/young: ") || strings.Count(got, "refused ") != 1 {
				t.Errorf("all at once:\n%s", got)
			}
			again := text(t, s.compute(s.all(provider.Serve, provider.Resync)))
			if !strings.Contains(again, "refused default/young: ") || strings.Contains(again, "aws/") {
				t.Errorf("then:\n%s", again)
			}
			if n := len(s.observed.Networks); n != 2 {
				t.Errorf("%d load balancers", n)
			}
			s.settle(t, s.all(provider.Remove, provider.Edit))
			s.empty(t)
		})
	}
}

// What the tags give to two Services goes once.
func TestTwoServicesWithTagsOfOneLoadBalancer(t *testing.T) {
	for _, want := range []provider.Want{provider.Serve, provider.Keep, provider.Remove} {
		s := newSite(t)
		s.service("one")
		s.service("two")
		s.settle(t, s.all(provider.Serve, provider.Edit))
		for _, lb := range s.observed.Networks {
			lb.Tags[names.TagService] = "default/two"
		}
		s.nodes = s.nodes[:1]
		r := s.compute(s.all(want, provider.Edit))
		if _, err := plan.New(r.Steps); err != nil {
			t.Errorf("want %d: %v", want, err)
		}
	}
}

func TestLeftoversOfAServiceThatIsMadeAnew(t *testing.T) {
	for _, kind := range []string{"nlb", ""} {
		s := newSite(t)
		managed(&s.settings)
		typed := with("type", kind)
		s.service("web", typed)
		s.service("web", typed)
		s.service("web", typed)
		for i := range s.services {
			s.settle(t, s.one(i, provider.Serve, provider.Edit))
		}
		s.services = slices.Clone(s.services[2:])
		s.observed.Services = s.services
		live := names.LoadBalancer(s.services[0].UID)
		s.apply(t, s.leftovers())
		if n := len(s.observed.Networks) + len(s.observed.Classics); n != 1 {
			t.Errorf("%q: %d load balancers", kind, n)
		}
		for _, lb := range s.observed.Networks {
			if awssdk.ToString(lb.LoadBalancerName) != live {
				t.Errorf("%q: %s is left", kind, awssdk.ToString(lb.LoadBalancerName))
			}
		}
		if got := text(t, s.compute(s.all(provider.Serve, provider.Resync))); got != nothing {
			t.Errorf("%q: the one that lives:\n%s", kind, got)
		}
		s.settle(t, s.all(provider.Remove, provider.Edit))
		s.empty(t)
	}
}

// The removal of a Service that is made anew leaves its successor alone: names
// and tags are alike but for the UID.
func TestRemovalSparesTheServiceThatIsMadeAnew(t *testing.T) {
	for name, change := range map[string]func(*v1.Service){
		"network": with("type", "nlb"), "external": external, "external by name": func(svc *v1.Service) { external(svc); with("name", "front")(svc) }, "classic": with("type", ""),
	} {
		s := newSite(t)
		managed(&s.settings)
		claimed(&s.settings)
		old := s.service("web", change)
		s.service("web", change)
		s.services = s.services[1:]
		s.observed.Services = s.services
		s.settle(t, s.all(provider.Serve, provider.Edit))
		removal := provider.Batch{Nodes: s.nodes, Items: []provider.Item{item(old, provider.Remove, provider.Edit)}}
		if got := text(t, s.compute(removal)); got != nothing {
			t.Errorf("%s:\n%s", name, got)
		}
		for arn, g := range s.observed.TargetGroups { // another, whose listener is made just now
			loose := *g
			loose.TargetGroupArn, loose.TargetGroupName, loose.LoadBalancerArns = awssdk.String(arn+"0"), awssdk.String(*g.TargetGroupName+"0"), nil
			s.observed.TargetGroups[arn+"0"] = &loose
			break
		}
		if got := text(t, s.compute(removal)); got != nothing {
			t.Errorf("%s, a target group without a listener:\n%s", name, got)
		}
	}
}

// The tags of a load balancer may be unknown again when a call is answered.
func TestTagsThatAreNotReadAreNotLearned(t *testing.T) {
	s := newSite(t)
	svc := s.service("web", func(svc *v1.Service) { delete(svc.Annotations, annotation+"type") })
	s.settle(t, s.all(provider.Serve, provider.Edit))
	name := names.LoadBalancer(svc.UID)
	s.observed.Classics[name].Tags = nil
	s.observed.Learn(&elb.AddTagsInput{LoadBalancerNames: []string{name}}, nil)
	s.observed.Learn(&elb.RemoveTagsInput{LoadBalancerNames: []string{name}}, nil)
	if tags := s.observed.Classics[name].Tags; tags != nil {
		t.Errorf("%v", tags)
	}
}

// So are the parts of a load balancer: one of them is not all of them.
func TestPartsThatAreNotReadAreNotLearned(t *testing.T) {
	s := newSite(t)
	s.service("web")
	s.settle(t, s.all(provider.Serve, provider.Edit))
	for arn, lb := range s.observed.Networks {
		listener := lb.Listeners[0].ListenerArn
		lb.Certificates, lb.ListenerAttributes = nil, nil
		s.observed.Learn(&elbv2.AddListenerCertificatesInput{ListenerArn: listener}, nil)
		s.observed.Learn(&elbv2.ModifyListenerAttributesInput{ListenerArn: listener}, nil)
		if now := s.observed.Networks[arn]; now.Certificates != nil || now.ListenerAttributes != nil {
			t.Errorf("%v, %v", now.Certificates, now.ListenerAttributes)
		}
		s.observed.Networks[arn].Listeners = nil
		s.observed.Learn(&elbv2.CreateListenerInput{LoadBalancerArn: &arn}, &elbv2.CreateListenerOutput{Listeners: lb.Listeners[:1]})
		if now := s.observed.Networks[arn]; now.Listeners != nil {
			t.Errorf("%v", now.Listeners)
		}
	}
}

// Tags go to what stays: what the same edit deletes may be gone already.
func TestTagsAreForWhatStays(t *testing.T) {
	s := newSite(t)
	svc := s.service("web", ports(tcp("a", 80, 30080), tcp("b", 443, 30443)))
	s.settle(t, s.all(provider.Serve, provider.Edit))
	ports(tcp("a", 80, 30080))(svc)
	with("additional-resource-tags", "team=web")(svc)
	r := s.compute(s.all(provider.Serve, provider.Edit))
	tagged, deleted := map[string]bool{}, 0
	for _, w := range r.Writes {
		for _, c := range w.Calls {
			if in, ok := c.(*elbv2.AddTagsInput); ok {
				tagged[in.ResourceArns[0]] = true
			}
		}
	}
	for _, w := range r.Writes {
		for _, c := range w.Calls {
			var arn string
			switch in := c.(type) {
			case *elbv2.DeleteListenerInput:
				arn = *in.ListenerArn
			case *elbv2.DeleteTargetGroupInput:
				arn = *in.TargetGroupArn
			default:
				continue
			}
			deleted++
			if tagged[arn] {
				t.Errorf("%s is tagged and deleted", arn)
			}
		}
	}
	if len(tagged) != 3 || deleted != 2 {
		t.Errorf("%d tagged, %d deleted", len(tagged), deleted)
	}
}

// A security group that is not there is the matter of the Service that names it.
func TestGroupThatIsNotThereIsRefused(t *testing.T) {
	const missing = "sg-0123456789abcdef0"
	for name, change := range map[string][]func(*v1.Service){
		"network": {with("security-groups", missing)}, "external": {external, with("security-groups", missing)},
		"classic": {with("type", "", "security-groups", missing)}, "more of a classic one": {with("type", "", "extra-security-groups", missing)},
	} {
		s := newSite(t)
		claimed(&s.settings)
		managed(&s.settings)
		s.service("good")
		s.service("bad", change...)
		got := s.settle(t, s.all(provider.Serve, provider.Edit))
		if strings.Count(got, "refused ") != 1 || !strings.Contains(got, "refused default/bad: annotation ") || !strings.Contains(got, missing) {
			t.Errorf("%s:\n%s", name, got)
		}
		if n := len(s.observed.Networks) + len(s.observed.Classics); n != 1 {
			t.Errorf("%s: %d load balancers", name, n)
		}
	}
}

// A user's tags never make a load balancer another Service's.
func TestReservedTagsAreLeftOut(t *testing.T) {
	s := newSite(t)
	claimed(&s.settings)
	s.service("web", external, with("additional-resource-tags", "team=a,service.k8s.aws/stack=default/other,kubernetes.io/service-name=default/other,fairlead.dev/resource=traffic"))
	got := s.settle(t, s.all(provider.Serve, provider.Edit))
	if strings.Count(got, "it is left out") != 3 {
		t.Error(got)
	}
	for _, lb := range s.observed.Networks {
		if lb.Tags["team"] != "a" || lb.Tags["service.k8s.aws/stack"] != "default/web" || lb.Tags[names.TagService] != "" {
			t.Errorf("%v", lb.Tags)
		}
	}
}
