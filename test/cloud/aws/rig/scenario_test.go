// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/test/cloud/harness"
)

const certificate = "arn:aws:acm:us-east-1:123456789012:certificate/7342f8ec-3b62-426b-90be-4147ce5be218"

// annotate sets annotations of a Service, keys and values in turn; an empty
// value takes the annotation away.
func annotate(name string, pairs ...string) harness.Step {
	return harness.Edit("annotate "+name+" "+strings.Join(pairs, " "), name, func(svc *v1.Service) {
		with(svc, pairs...)
		for key, value := range svc.Annotations {
			if value == "" {
				delete(svc.Annotations, key)
			}
		}
	})
}

// inward lets a Service want no load balancer any more.
func inward(name string) harness.Step {
	return harness.Edit("let "+name+" be inside alone", name, func(svc *v1.Service) {
		svc.Spec.Type = v1.ServiceTypeClusterIP
		clear(svc.Annotations)
	})
}

// scenario is a cluster's life: everything that a Service can go through, with
// nodes that come and go meanwhile.
func scenario(w *world) []harness.Step {
	ranges := func(list ...string) func(*v1.Service) {
		return func(svc *v1.Service) { svc.Spec.LoadBalancerSourceRanges = list }
	}
	return []harness.Step{
		harness.Create(newService("web", 1, "TCP:80", "TCP:443")),
		harness.Create(classic(newService("old", 2, "TCP:80", "TCP:90"))),
		harness.Create(newService("dns", 3, "UDP:53"), harness.Local(newService("edge", 4, "TCP:80"))),
		harness.Create(with(newService("inner", 5, "TCP:5432"), "internal", "true", "additional-resource-tags", "team=db")),
		harness.Create(with(classic(newService("safe", 6, "TCP:443")), "ssl-cert", certificate, "proxy-protocol", "*",
			"ssl-negotiation-policy", "ELBSecurityPolicy-TLS-1-2-2017-01")),
		harness.Edit("add a port to web", "web", func(svc *v1.Service) { harness.AddPort(svc, "TCP:8443", 31000) }),
		harness.Edit("move a node port of web", "web", func(svc *v1.Service) { svc.Spec.Ports[1].NodePort = 31001 }),
		harness.Edit("limit the clients of web", "web", ranges("198.51.100.0/24", "203.0.113.0/24")),
		harness.Edit("flip web to Local", "web", func(svc *v1.Service) { harness.Local(svc) }),
		annotate("web", "cross-zone-load-balancing-enabled", "true", "ssl-cert", certificate, "ssl-ports", "443",
			"target-group-attributes", "proxy_protocol_v2.enabled=true"),
		harness.Edit("change the ports of old", "old", func(svc *v1.Service) {
			svc.Spec.Ports = svc.Spec.Ports[:1]
			harness.AddPort(svc, "TCP:8080", 31010)
			svc.Spec.Ports[0].NodePort = 31011
		}),
		harness.Edit("limit the clients of old", "old", ranges("198.51.100.0/24")),
		annotate("old", "connection-idle-timeout", "120", "connection-draining-enabled", "true", "connection-draining-timeout", "30"),
		annotate("safe", "proxy-protocol", "", "ssl-negotiation-policy", "", "backend-protocol", "https"),
		harness.Churn("a machine becomes a node", func() error { return w.Nodes.Add(w.node(2)) }),
		harness.Churn("a node is kept out", func() error {
			n := w.node(1)
			n.Labels[v1.LabelNodeExcludeBalancers] = "true"
			return w.Nodes.Update(n)
		}),
		annotate("inner", "internal", ""),
		annotate("old", "internal", "true"),
		harness.Create(newService("burst-a", 7, "TCP:80"), newService("burst-b", 8, "TCP:81"), classic(newService("burst-c", 9, "TCP:82"))),
		annotate("dns", "target-node-labels", "number=0"),
		inward("edge"),
		harness.Remove("web"),
		harness.Edit("take a port from old", "old", func(svc *v1.Service) { svc.Spec.Ports = svc.Spec.Ports[1:] }),
		harness.Remove("burst-a", "burst-c", "safe"),
		harness.Churn("a node goes", func() error { return w.Nodes.Delete(w.node(2)) }),
		inward("old"),
	}
}

// lateScenario is a life in which each step begins while the answers of reads
// tell of the time before the last.
func lateScenario(w *world) []harness.Step {
	return []harness.Step{
		harness.Create(newService("web", 1, "TCP:80", "TCP:443"), classic(newService("old", 2, "TCP:80"))),
		harness.Create(external(newService("hosts", 3, "TCP:80"), "instance")),
		harness.Edit("add a port to web", "web", func(svc *v1.Service) { harness.AddPort(svc, "TCP:8443", 31000) }),
		harness.Edit("move a node port of old", "old", func(svc *v1.Service) { svc.Spec.Ports[0].NodePort = 31001 }),
		harness.Churn("a machine becomes a node", func() error { return w.Nodes.Add(w.node(2)) }),
		annotate("hosts", "scheme", "internet-facing"),
		annotate("old", "internal", "true"),
		harness.Edit("limit the clients of web", "web", func(svc *v1.Service) { svc.Spec.LoadBalancerSourceRanges = []string{"198.51.100.0/24"} }),
		harness.Edit("take a port from web", "web", func(svc *v1.Service) { svc.Spec.Ports = svc.Spec.Ports[1:] }),
		harness.Remove("hosts"),
		inward("old"),
		harness.Create(newService("next", 4, "TCP:80")),
		harness.Outside("time passes", func() error { w.sim.Advance(time.Minute); return nil }),
		harness.Remove("web"),
	}
}
