// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"

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
				d, _, err := l.pass(t, provider.Remove, cause, svc)
				if err != nil || d.Refused[keyOf(svc)] == nil || !strings.Contains(d.Refused[keyOf(svc)].Error(), "it stays until that controller has written another address") {
					t.Fatalf("%v, refused %v", err, d.Refused)
				}
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
				l := startLive(t, awssim.Options{})
				claims(l.config)
				l.restart(t)
				before := l.picture(t)
				svc := newSite(t).service("web", append([]func(*v1.Service){external}, edits...)...)
				l.served(t, svc)
				with("type", form)(svc)
				if form == "" {
					delete(svc.Annotations, annotation+"type")
				}
				l.cloud.ResetCalls()
				d, _, err := l.pass(t, provider.Serve, provider.Edit, svc)
				if err != nil || d.Refused[keyOf(svc)] == nil || !strings.Contains(d.Refused[keyOf(svc)].Error(), "write external") {
					t.Fatalf("%v, refused %v", err, d.Refused)
				}
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
