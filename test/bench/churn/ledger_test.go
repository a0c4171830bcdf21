// SPDX-License-Identifier: Apache-2.0

package churn

import (
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// svc is a Service as the watch shows it.
func svc(name string, addrs ...string) *v1.Service {
	s := &v1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), Annotations: map[string]string{}},
		Spec:       v1.ServiceSpec{Type: v1.ServiceTypeLoadBalancer},
	}
	for _, a := range addrs {
		s.Status.LoadBalancer.Ingress = append(s.Status.LoadBalancer.Ingress, v1.LoadBalancerIngress{IP: a})
	}
	return s
}

func with(s *v1.Service, change func(*v1.Service)) *v1.Service {
	change(s)
	return s
}

func asking(s *v1.Service, addr string) *v1.Service {
	s.Annotations[askAnnotation] = addr
	return s
}

func deleting(s *v1.Service) { s.DeletionTimestamp = new(metav1.Now()) }

func sharing(s *v1.Service) { s.Annotations[sharingAnnotation] = "key" }

func noBalancer(s *v1.Service) { s.Spec.Type = v1.ServiceTypeClusterIP }

func TestLedger(t *testing.T) {
	t.Parallel()
	const x, y, six = "192.0.2.1", "192.0.2.2", "2001:db8::1"
	for name, c := range map[string]struct {
		seen []*v1.Service
		want string // what the only fault says; empty: no fault
	}{
		"address stays":                                   {[]*v1.Service{svc("a"), svc("a", x), svc("a", x)}, ""},
		"address changes":                                 {[]*v1.Service{svc("a", x), svc("a", y)}, "Service a had [192.0.2.1] and has [192.0.2.2]"},
		"address is lost":                                 {[]*v1.Service{svc("a", x), svc("a")}, "Service a had [192.0.2.1] and has []"},
		"second family comes":                             {[]*v1.Service{svc("a", x), svc("a", x, six)}, ""},
		"second family goes":                              {[]*v1.Service{svc("a", x, six), svc("a", x)}, "and has [192.0.2.1]"},
		"address changes as asked":                        {[]*v1.Service{svc("a", x), asking(svc("a", x), y), asking(svc("a", y), y)}, ""},
		"address follows an older wish":                   {[]*v1.Service{asking(svc("a", x), y), asking(svc("a", x), "192.0.2.3"), asking(svc("a", y), "192.0.2.3")}, ""},
		"another than was asked for":                      {[]*v1.Service{svc("a", x), asking(svc("a", "192.0.2.3"), y)}, "Service a had [192.0.2.1]"},
		"given twice":                                     {[]*v1.Service{svc("a", x), svc("b", x)}, "Services a and b both have 192.0.2.1"},
		"shared":                                          {[]*v1.Service{with(svc("a", x), sharing), with(svc("b", x), sharing)}, ""},
		"shared by one alone":                             {[]*v1.Service{with(svc("a", x), sharing), svc("b", x)}, "both have"},
		"given again while the first is being deleted":    {[]*v1.Service{svc("a", x), with(svc("a", x), deleting), svc("b", x)}, ""},
		"given again while the first is no balancer":      {[]*v1.Service{svc("a", x), with(svc("a", x), noBalancer), svc("b", x)}, ""},
		"taken back with an address that others have now": {[]*v1.Service{with(svc("a", x), noBalancer), svc("b", x), svc("a", x)}, "both have"},
		"a balancer again with another address":           {[]*v1.Service{with(svc("a", x), noBalancer), svc("a"), svc("a", y)}, ""},
		"lost by one that is no balancer any more":        {[]*v1.Service{svc("a", x), with(svc("a", x), noBalancer), with(svc("a"), noBalancer)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger()
			for _, s := range c.seen {
				l.see(s)
			}
			if len(l.faults) == 0 {
				l.audit()
			}
			slices.Sort(l.faults)
			switch {
			case c.want == "" && len(l.faults) > 0:
				t.Errorf("faults %q, want none", l.faults)
			case c.want != "" && (len(l.faults) == 0 || !strings.Contains(l.faults[0], c.want)):
				t.Errorf("faults %q, want %q", l.faults, c.want)
			}
		})
	}
}

func TestLedgerForgetsTheGone(t *testing.T) {
	t.Parallel()
	l := newLedger()
	l.see(svc("a", "192.0.2.1"))
	l.gone(svc("a", "192.0.2.1"))
	l.see(svc("b", "192.0.2.1"))
	if l.audit(); len(l.faults) > 0 || len(l.holders) != 1 || l.given != 2 {
		t.Errorf("faults %q, %d holders, %d given; want none, 1, 2", l.faults, len(l.holders), l.given)
	}
}
