// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"context"
	"fmt"
	"strings"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const certificate = "arn:aws:acm:us-east-1:123456789012:certificate/7342f8ec-3b62-426b-90be-4147ce5be218"

// step is one thing that happens in the cluster.
type step struct {
	name string
	// change returns the Services that the upstream controller looks at then.
	change func(*world) ([]string, error)
	nodes  bool // it looks at all of them, because of nodes
}

// create puts new Services into the cluster, all at once.
func create(services ...*v1.Service) step {
	return step{name: "create " + services[0].Name, change: func(w *world) ([]string, error) {
		var names []string
		for _, svc := range services {
			names = append(names, svc.Name)
			if err := w.cluster.Services.Add(svc.DeepCopy()); err != nil {
				return nil, err
			}
		}
		return names, nil
	}}
}

// edit changes a Service.
func edit(what, name string, change func(*v1.Service)) step {
	return step{name: what, change: func(w *world) ([]string, error) {
		svc := w.service(name)
		if svc == nil {
			return nil, fmt.Errorf("Service %s is not there", name)
		}
		change(svc)
		return []string{name}, w.cluster.Services.Update(svc)
	}}
}

// annotate sets annotations of a Service, keys and values in turn; an empty
// value takes the annotation away.
func annotate(name string, pairs ...string) step {
	return edit("annotate "+name+" "+strings.Join(pairs, " "), name, func(svc *v1.Service) {
		with(svc, pairs...)
		for key, value := range svc.Annotations {
			if value == "" {
				delete(svc.Annotations, key)
			}
		}
	})
}

// remove lets a user delete Services, all at once.
func remove(services ...string) step {
	return step{name: "delete " + services[0], change: func(w *world) ([]string, error) {
		for _, name := range services {
			svc := w.service(name)
			now := metav1.Unix(1, 0)
			svc.DeletionTimestamp = &now
			if err := w.cluster.Services.Update(svc); err != nil {
				return nil, err
			}
		}
		return services, nil
	}}
}

// churn changes the nodes.
func churn(name string, change func(*world) error) step {
	return step{name: name, nodes: true, change: func(w *world) ([]string, error) { return w.names(), change(w) }}
}

// inward lets a Service want no load balancer any more.
func inward(name string) step {
	return edit("let "+name+" be inside alone", name, func(svc *v1.Service) {
		svc.Spec.Type = v1.ServiceTypeClusterIP
		clear(svc.Annotations)
	})
}

// scenario is a cluster's life: everything that a Service can go through, with
// nodes that come and go meanwhile.
func scenario() []step {
	ranges := func(list ...string) func(*v1.Service) {
		return func(svc *v1.Service) { svc.Spec.LoadBalancerSourceRanges = list }
	}
	return []step{
		create(newService("web", 1, "TCP:80", "TCP:443")),
		create(classic(newService("old", 2, "TCP:80", "TCP:90"))),
		create(newService("dns", 3, "UDP:53"), local(newService("edge", 4, "TCP:80"))),
		create(with(newService("inner", 5, "TCP:5432"), "internal", "true", "additional-resource-tags", "team=db")),
		create(with(classic(newService("safe", 6, "TCP:443")), "ssl-cert", certificate, "proxy-protocol", "*",
			"ssl-negotiation-policy", "ELBSecurityPolicy-TLS-1-2-2017-01")),
		edit("add a port to web", "web", func(svc *v1.Service) { addPort(svc, "TCP:8443", 31000) }),
		edit("move a node port of web", "web", func(svc *v1.Service) { svc.Spec.Ports[1].NodePort = 31001 }),
		edit("limit the clients of web", "web", ranges("198.51.100.0/24", "203.0.113.0/24")),
		edit("flip web to Local", "web", func(svc *v1.Service) { local(svc) }),
		annotate("web", "cross-zone-load-balancing-enabled", "true", "ssl-cert", certificate, "ssl-ports", "443",
			"target-group-attributes", "proxy_protocol_v2.enabled=true"),
		edit("change the ports of old", "old", func(svc *v1.Service) {
			svc.Spec.Ports = svc.Spec.Ports[:1]
			addPort(svc, "TCP:8080", 31010)
			svc.Spec.Ports[0].NodePort = 31011
		}),
		edit("limit the clients of old", "old", ranges("198.51.100.0/24")),
		annotate("old", "connection-idle-timeout", "120", "connection-draining-enabled", "true", "connection-draining-timeout", "30"),
		annotate("safe", "proxy-protocol", "", "ssl-negotiation-policy", "", "backend-protocol", "https"),
		churn("a machine becomes a node", func(w *world) error { return w.cluster.Nodes.Add(w.node(2)) }),
		churn("a node is kept out", func(w *world) error {
			n := w.node(1)
			n.Labels[v1.LabelNodeExcludeBalancers] = "true"
			return w.cluster.Nodes.Update(n)
		}),
		annotate("inner", "internal", ""),
		annotate("old", "internal", "true"),
		create(newService("burst-a", 7, "TCP:80"), newService("burst-b", 8, "TCP:81"), classic(newService("burst-c", 9, "TCP:82"))),
		annotate("dns", "target-node-labels", "number=0"),
		inward("edge"),
		remove("web"),
		edit("take a port from old", "old", func(svc *v1.Service) { svc.Spec.Ports = svc.Spec.Ports[1:] }),
		remove("burst-a", "burst-c", "safe"),
		churn("a node goes", func(w *world) error { return w.cluster.Nodes.Delete(w.node(2)) }),
		inward("old"),
	}
}

// play runs a scenario to its end.
func (w *world) play(ctx context.Context, steps []step) error {
	for _, s := range steps {
		services, err := s.change(w)
		if err == nil {
			err = w.settle(ctx, services, s.nodes)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}
