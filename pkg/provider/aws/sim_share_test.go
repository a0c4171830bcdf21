// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/providertest"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// One that is protected from deletion is let go of by all Services but the last,
// which waits and leaves it as it is.
func TestSharedLoadBalancerThatIsProtected(t *testing.T) {
	l := startClaimed(t, awssim.Options{})
	s := newSite(t)
	first := s.service("first", external, with("name", "front", "attributes", "deletion_protection.enabled=true"))
	second := s.service("second", external, with("name", "front"), ports(tcp("a", 81, 30081)))
	l.add(t, first)
	l.add(t, second)
	l.must(t, -1, provider.Serve, provider.Edit, first, second)
	l.must(t, -1, provider.Remove, provider.Edit, first)
	if err := l.services.Delete(first); err != nil {
		t.Fatal(err)
	}
	if state := string(l.cloud.State()); !strings.Contains(state, `"default/second"`) || strings.Contains(state, `"default/first"`) {
		t.Errorf("it is not the second one's:\n%s", state)
	}
	cure := "load balancer front has deletion protection: AWS does not delete it while its attribute deletion_protection.enabled is true; write deletion_protection.enabled=false in annotation " + annotation + "attributes, or set that to false at AWS"
	for range 2 {
		if _, _, err := l.pass(t, provider.Remove, provider.Edit, second); err == nil || !plan.KindOf(err).Refuses() || !strings.Contains(err.Error(), cure) {
			t.Errorf("%v", err)
		}
		if !strings.Contains(string(l.cloud.State()), `"front"`) {
			t.Error("it is gone")
		}
	}
	with("attributes", "deletion_protection.enabled=false")(second) // as the sentence says
	l.must(t, -1, provider.Remove, provider.Edit, second)
	if strings.Contains(string(l.cloud.State()), `"front"`) {
		t.Error("it stays")
	}
}

// The targets of a follower are told with their health, those of others are not
// read.
func TestExplainsAFollowerOverTheWire(t *testing.T) {
	l := startClaimed(t, awssim.Options{})
	s := newSite(t)
	list := []*v1.Service{
		s.service("first", external, with("name", "front")),
		s.service("second", external, with("name", "front"), ports(tcp("a", 81, 30081), tcp("b", 82, 30082))),
	}
	for _, svc := range list {
		l.add(t, svc)
	}
	l.must(t, -1, provider.Serve, provider.Edit, list...)
	for i, svc := range list {
		l.restart(t)
		p, err := l.provider.Observe(t.Context(), provider.Batch{Group: "aws", Nodes: l.nodes, Items: []provider.Item{item(svc, provider.Serve, provider.Resync)}})
		if err != nil {
			t.Fatal(err)
		}
		l.cloud.ResetCalls()
		parts, err := p.(provider.Explainer).Explain(t.Context(), provider.KeyOf(svc))
		if err != nil {
			t.Fatal(err)
		}
		if reads := l.cloud.Counts().Reads; !maps.Equal(reads, map[string]int{"elbv2.DescribeTargetHealth": i + 1}) {
			t.Errorf("%s: reads %v", svc.Name, reads)
		}
		if got := providertest.Tree(provider.KeyOf(svc), parts); strings.Count(got, "[healthy]") != 3*(i+1) || strings.Contains(got, "no target") || strings.Contains(got, "not registered") {
			t.Errorf("%s:\n%s", svc.Name, got)
		}
	}
}

// Who is refused when a step is computed again without others is no part of what
// it writes, and is told so.
func TestAFollowerWhoseHeadIsLeftOutOfAStepFailsToo(t *testing.T) {
	l := startClaimed(t, awssim.Options{})
	s := newSite(t)
	b := provider.Batch{Group: "aws", Nodes: l.nodes}
	for _, svc := range []*v1.Service{s.service("first", external, with("name", "front")), s.service("second", external, with("name", "front"), ports(tcp("a", 81, 30081))), s.service("third")} {
		l.add(t, svc)
		b.Items = append(b.Items, item(svc, provider.Serve, provider.Edit))
	}
	p, err := l.provider.Observe(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	var shared int
	for _, st := range p.Decide().Plan.Steps {
		if st.Target.Kind != "aws/nodeSecurityGroup" {
			continue
		}
		shared++
		var part *plan.LeftOutError
		err := p.Execute(t.Context(), st, map[plan.Key]bool{b.Items[0].Key: true})
		if !errors.As(err, &part) || len(part.Failed) != 1 || plan.KindOf(part.Failed[b.Items[1].Key]) != plan.Conflict || part.Owed != nil {
			t.Errorf("%v", err)
		}
		if state := string(l.cloud.State()); strings.Contains(state, "30081") || !strings.Contains(state, "30082") {
			t.Errorf("not the third one's alone:\n%s", state)
		}
	}
	if shared != 1 {
		t.Errorf("%d steps", shared)
	}
}
