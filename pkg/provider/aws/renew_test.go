// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
)

// Clients are told to follow when a Service gets another hostname than its status
// shows: in the pass that gives it, and in no other one.
func TestClientsAreToldOfAnotherHostname(t *testing.T) {
	const clients = ", with another hostname; clients of HOST must follow to the one that the status shows then"
	front := []func(*v1.Service){external, with("name", "front")}
	gone := func(s *site) { clear(s.observed.Networks) }
	for name, tt := range map[string]struct {
		before []func(*v1.Service)
		change func(*site) // of Service "last", or of what there is
		want   string
	}{
		"a network load balancer of another scheme": {nil, edits(with("internal", "true")), "load balancer NAME is internet-facing, and annotation internal asks for internal, which AWS cannot change: it is made anew" + clients},
		"a classic one of another scheme":           {[]func(*v1.Service){classic, with("internal", "true")}, edits(with("internal", "false")), "load balancer NAME is internal, and annotation internal asks for internet-facing, which AWS cannot change: it is made anew" + clients},
		"an external one of another scheme":         {[]func(*v1.Service){external}, edits(with("scheme", "internet-facing")), "load balancer NAME is internal, and annotation scheme asks for internet-facing, which AWS cannot change: it is made anew" + clients},
		"one with the other key for the scheme": {[]func(*v1.Service){external}, edits(func(svc *v1.Service) {
			svc.Annotations["service.kubernetes.io/aws-load-balancer-scheme"] = "internet-facing"
		}), "load balancer NAME is internal, and annotation service.kubernetes.io/aws-load-balancer-scheme asks for internet-facing, which AWS cannot change: it is made anew" + clients},
		"one that somebody deleted":           {nil, gone, "load balancer NAME is made" + clients},
		"a classic one that somebody deleted": {[]func(*v1.Service){classic}, func(s *site) { clear(s.observed.Classics) }, "load balancer NAME is made" + clients},
		"a shared one that is left":           {front, edits(with("name", "other")), "load balancer other is made" + clients},
		"another shared one":                  {front, func(s *site) { with("name", "second")(s.named("last")) }, "load balancer second serves the Service from now on" + clients},
		"a shared one that somebody deleted":  {front, gone, "load balancer front serves the Service from now on" + clients},
		"another port":                        {nil, edits(ports(tcp("b", 90, 30090))), ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			claimed(&s.settings)
			for i, name := range []string{"first", "other", "last"} {
				svc := s.service(name, append([]func(*v1.Service){ports(tcp("a", int32(80+i), int32(30080+i)))}, tt.before...)...)
				if _, named := svc.Annotations[annotation+"name"]; named && name == "other" {
					with("name", "second")(svc)
				}
			}
			s.pass(t)
			last := s.named("last")
			if got := s.newHostname(last, provider.Edit); got != "" {
				t.Errorf("nothing changed: %s", got)
			}
			had := last.Status.LoadBalancer.Ingress[0].Hostname
			lb := s.compute(s.all(provider.Serve, provider.Edit)).Places[keyOf(last)].Name
			tt.change(s)
			if got := s.newHostname(last, provider.Drift); got != "" {
				t.Errorf("a look that gives none tells: %s", got)
			}
			want := strings.NewReplacer("HOST", had, "NAME", lb).Replace(tt.want)
			if got := s.newHostname(last, provider.Edit); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			s.pass(t)
			if got := s.newHostname(last, provider.Edit); got != "" {
				t.Errorf("told again: %s", got)
			}
		})
	}
}

// edits are changes of the last Service.
func edits(f func(*v1.Service)) func(*site) { return func(s *site) { f(s.named("last")) } }

// newHostname is what the Service is told of another hostname; empty: nothing.
func (s *site) newHostname(svc *v1.Service, cause provider.Cause) string {
	list := s.compute(s.all(provider.Serve, cause)).Notices[keyOf(svc)]
	i := slices.IndexFunc(list, func(n provider.Notice) bool { return n.Reason == aws.ReasonAddressChanged && n.Warning })
	if i < 0 {
		return ""
	}
	return strings.ReplaceAll(list[i].Message, annotation, "")
}
