// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/pkg/provider"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// served is a Service whose status shows its load balancer.
func (l *live) served(t *testing.T, svc *v1.Service) {
	t.Helper()
	l.add(t, svc)
	svc.Status.LoadBalancer = *l.must(t, -1, provider.Serve, provider.Edit, svc)[keyOf(svc)]
	l.must(t, 0, provider.Serve, provider.Resync, svc)
}

// A Service may be handed over to the AWS Load Balancer Controller, claimed or
// not. What clients use stays until that controller has told them another
// address.
func TestAServiceThatIsHandedOverKeepsWhatClientsUse(t *testing.T) {
	for name, edits := range map[string][]func(*v1.Service){"nlb": {}, "classic": {classic}} {
		t.Run(name, func(t *testing.T) {
			l := startLive(t, awssim.Options{})
			before := l.picture(t)
			svc := newSite(t).service("web", edits...)
			l.served(t, svc)
			with("type", "external")(svc)
			l.cloud.ResetCalls()
			for _, cause := range []provider.Cause{provider.Edit, provider.Resync} {
				l.refuses(t, provider.Remove, cause, svc, "it stays until that controller has written another address")
			}
			if n := total(l.cloud.Counts().Writes); n > 0 {
				t.Errorf("%d writes while clients use it", n)
			}
			svc.Status.LoadBalancer.Ingress[0].Hostname = "k8s-default-web-0.elb.us-east-1.amazonaws.com"
			l.must(t, -1, provider.Remove, provider.Edit, svc)
			if diff := strings.Join(l.picture(t), "\n"); diff != strings.Join(before, "\n") {
				t.Errorf("left behind:\n%s", diff)
			}
		})
	}
}

// Another form has another name, and so another address.
func TestAServedServiceOfTheControllersFormKeepsIt(t *testing.T) {
	for _, form := range []string{"nlb", ""} {
		for name, edits := range map[string][]func(*v1.Service){"by default": {}, "named": {with("name", "own")}} {
			t.Run(form+" "+name, func(t *testing.T) {
				l := startClaimed(t, awssim.Options{})
				before := l.picture(t)
				svc := newSite(t).service("web", append([]func(*v1.Service){external}, edits...)...)
				l.served(t, svc)
				with("type", form)(svc)
				if form == "" {
					delete(svc.Annotations, annotation+"type")
				}
				l.cloud.ResetCalls()
				l.refuses(t, provider.Serve, provider.Edit, svc, "write external")
				if n := total(l.cloud.Counts().Writes); n > 0 {
					t.Errorf("%d writes", n)
				}
				external(svc)
				l.must(t, 0, provider.Serve, provider.Edit, svc)
				l.must(t, -1, provider.Remove, provider.Edit, svc)
				if diff := strings.Join(l.picture(t), "\n"); diff != strings.Join(before, "\n") {
					t.Errorf("left behind:\n%s", diff)
				}
			})
		}
	}
}

// With a load balancer that others share it is the same, for the head and for
// those that follow: nothing of it goes, and nobody else becomes the head.
func TestSharedLoadBalancersKeepWhomTheyServe(t *testing.T) {
	for _, name := range []string{"head", "follower"} {
		t.Run(name, func(t *testing.T) {
			l := startClaimed(t, awssim.Options{})
			before := l.picture(t)
			s := newSite(t)
			front := func(svc *v1.Service) { external(svc); with("name", "front")(svc) }
			all := map[string]*v1.Service{"head": s.service("head", front), "follower": s.service("follower", front, ports(tcp("a", 81, 30081)))}
			for _, key := range []string{"head", "follower"} {
				l.served(t, all[key])
			}
			shared := l.picture(t)
			moves := all[name]
			with("type", "nlb")(moves)
			for range 2 {
				l.refuses(t, provider.Serve, provider.Edit, moves, "write external")
				for _, cause := range []provider.Cause{provider.Nodes, provider.Resync} {
					if d, _, err := l.pass(t, provider.Serve, cause, all["head"], all["follower"]); err != nil || len(d.Refused) != 1 || !d.Plan.Empty() {
						t.Errorf("%v, refused %v:\n%s", err, d.Refused, d.Plan)
					}
				}
				l.restart(t)
			}
			if diff := cmp.Diff(shared, l.picture(t)); diff != "" {
				t.Errorf("-before +after the edit:\n%s", diff)
			}
			l.must(t, -1, provider.Remove, provider.Edit, all["head"], all["follower"])
			if diff := cmp.Diff(before, l.picture(t)); diff != "" {
				t.Errorf("left behind:\n%s", diff)
			}
		})
	}
}

// What waits to be handed over follows the nodes, also after a restart.
func TestAServiceThatIsHandedOverFollowsTheNodes(t *testing.T) {
	for name, edits := range map[string][]func(*v1.Service){"nlb": {}, "classic": {classic}} {
		t.Run(name, func(t *testing.T) {
			l := startLive(t, awssim.Options{})
			svc := newSite(t).service("web", edits...)
			l.served(t, svc)
			with("type", "external")(svc)
			l.restart(t)
			id := l.site.Launch(1)[0]
			l.nodes = append(l.nodes, &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n3"}, Spec: v1.NodeSpec{ProviderID: "aws:///us-east-1a/" + id}})
			l.refuses(t, provider.Remove, provider.Nodes, svc, "it stays until")
			if !strings.Contains(strings.Join(l.picture(t), "\n"), id) {
				t.Errorf("%s serves nothing:\n%s", id, strings.Join(l.picture(t), "\n"))
			}
		})
	}
}

// refuses is a pass that refuses the Service alone, with the sentence.
func (l *live) refuses(t *testing.T, want provider.Want, cause provider.Cause, svc *v1.Service, sentence string) {
	t.Helper()
	d, _, err := l.pass(t, want, cause, svc)
	if refused := d.Refused[keyOf(svc)]; err != nil || refused == nil || !strings.Contains(refused.Error(), sentence) {
		t.Fatalf("%v, refused %v", err, d.Refused)
	}
}
