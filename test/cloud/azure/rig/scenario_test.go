// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
)

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

// annotate sets an annotation of a Service.
func annotate(name, key, value string) step {
	return edit("annotate "+name+" "+key, name, func(svc *v1.Service) { svc.Annotations[prefix+key] = value })
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

// outside is something that others do in the cloud, once.
func outside(name string, change func(*world) error) step {
	return step{name: name, change: func(w *world) ([]string, error) { return nil, change(w) }}
}

// connect is what a private endpoint of somebody does to a private link
// service.
func (w *world) connect(name string) error {
	return w.sim.Edit(w.sim.ID("rig", azuresim.PrivateLinks, name), func(doc map[string]any) {
		properties, _ := doc["properties"].(map[string]any)
		properties["privateEndpointConnections"] = []any{map[string]any{
			"id": fmt.Sprint(doc["id"]) + "/privateEndpointConnections/theirs", "name": "theirs", "properties": map[string]any{},
		}}
	})
}

// linked is an internal Service with a private link service.
func linked(svc *v1.Service) *v1.Service {
	return with(with(svc, "azure-load-balancer-internal", "true"), "azure-pls-create", "true")
}

func with(svc *v1.Service, key, value string) *v1.Service {
	svc.Annotations[prefix+key] = value
	return svc
}

func dual(svc *v1.Service) *v1.Service {
	svc.Spec.IPFamilies = []v1.IPFamily{v1.IPv4Protocol, v1.IPv6Protocol}
	return svc
}

// scenario is a cluster's life: everything that a Service can go through, with
// nodes that come and go meanwhile.
func scenario() []step {
	return []step{
		create(newService("web", 1, "TCP:80", "TCP:443")),
		create(newService("dns", 2, "TCP:53", "UDP:53")),
		create(dual(newService("both", 3, "TCP:80"))),
		create(with(newService("inner", 4, "TCP:5432"), "azure-load-balancer-internal", "true")),
		create(with(newService("shared-a", 5, "TCP:80"), "azure-pip-name", "pinned-ip")),
		create(with(newService("shared-b", 6, "TCP:443"), "azure-pip-name", "pinned-ip")),
		create(with(newService("shared-c", 10, "UDP:443"), "azure-pip-name", "pinned-ip")),
		create(linked(newService("door", 11, "TCP:90"))),
		create(linked(newService("gate", 12, "TCP:91"))),
		edit("let shared-c have an address of its own", "shared-c", func(svc *v1.Service) {
			delete(svc.Annotations, prefix+"azure-pip-name")
		}),
		edit("add a port to web", "web", func(svc *v1.Service) { addPort(svc, "TCP:8443", 31000) }),
		annotate("web", "azure-load-balancer-tcp-idle-timeout", "15"),
		edit("flip web to Local", "web", func(svc *v1.Service) {
			svc.Spec.ExternalTrafficPolicy, svc.Spec.HealthCheckNodePort = v1.ServiceExternalTrafficPolicyLocal, 32000
		}),
		edit("limit the clients of web", "web", func(svc *v1.Service) {
			svc.Spec.LoadBalancerSourceRanges = []string{"198.51.100.0/24", "203.0.113.0/24"}
		}),
		annotate("web", "azure-dns-label-name", "rig-web"),
		annotate("dns", "azure-load-balancer-internal", "true"),
		churn("a machine of another scale set becomes a node", func(w *world) error { return w.addNode("pool2", 0) }),
		churn("a node is kept out", func(w *world) error {
			n := w.node("pool1", 1)
			n.Labels[v1.LabelNodeExcludeBalancers] = "true"
			return w.cluster.Nodes.Update(n)
		}),
		annotate("dns", "azure-load-balancer-internal", "false"),
		remove("shared-a"),
		create(
			newService("burst-a", 7, "TCP:80"), newService("burst-b", 8, "TCP:81"),
			with(newService("burst-c", 9, "TCP:82"), "azure-load-balancer-internal", "true"),
		),
		churn("the first scale set grows", func(w *world) error {
			if err := w.sim.Scale(w.sets["pool1"], 3); err != nil {
				return err
			}
			return w.addNode("pool1", 2)
		}),
		remove("both"),
		edit("let gate be public", "gate", func(svc *v1.Service) {
			delete(svc.Annotations, prefix+"azure-pls-create")
			delete(svc.Annotations, prefix+"azure-load-balancer-internal")
		}),
		outside("somebody connects to door", func(w *world) error { return w.connect("pls-a0000001100004000800000000000000") }),
		remove("door"),
		edit("take a port from web", "web", func(svc *v1.Service) { svc.Spec.Ports = svc.Spec.Ports[1:] }),
		remove("burst-a", "burst-c"),
		churn("the machine of the other scale set goes", func(w *world) error {
			return w.cluster.Nodes.Delete(w.node("pool2", 0))
		}),
		remove("gate"),
		remove("inner"), // the last internal one: its load balancer goes
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

// addForeign makes what others have in the cloud: a load balancer that serves
// outbound connections, a rule of the security group, public IPs, and fields
// that nobody here knows.
func (w *world) addForeign() error {
	id := func(kind string, names ...string) string { return w.sim.ID("rig", kind, names...) }
	at, standard := azuresim.DefaultLocation, map[string]any{"name": "Standard"}
	for _, name := range []string{"egress-ip", "pinned-ip", "spare-ip"} {
		if _, err := w.sim.Make(id(azuresim.PublicIPs, name), map[string]any{
			"location": at, "sku": standard, "tags": map[string]any{"owner": "somebody"},
			"properties": map[string]any{"publicIPAllocationMethod": "Static", "publicIPAddressVersion": "IPv4", "futureField": []int{1, 2}},
		}); err != nil {
			return err
		}
	}
	balancer := id(azuresim.LoadBalancers, "kubernetes")
	ref := func(id string) map[string]any { return map[string]any{"id": id} }
	if _, err := w.sim.Make(balancer, map[string]any{
		"location": at, "sku": standard, "tags": map[string]any{"owner": "somebody"},
		"properties": map[string]any{
			"futureField": map[string]any{"deep": true},
			"frontendIPConfigurations": []any{map[string]any{"name": "egress", "properties": map[string]any{
				"publicIPAddress": ref(id(azuresim.PublicIPs, "egress-ip")), "futureField": "x",
			}}},
			"backendAddressPools": []any{map[string]any{"name": "egress-pool"}},
			"outboundRules": []any{map[string]any{"name": "egress", "properties": map[string]any{
				"protocol": "All", "allocatedOutboundPorts": 1024, "idleTimeoutInMinutes": 30, "enableTcpReset": true, "futureField": 1,
				"frontendIPConfigurations": []any{ref(balancer + "/frontendIPConfigurations/egress")},
				"backendAddressPool":       ref(balancer + "/backendAddressPools/egress-pool"),
			}}},
		},
	}); err != nil {
		return err
	}
	_, err := w.sim.Make(w.site.SecurityGroup, map[string]any{
		"location": at, "tags": map[string]any{"owner": "somebody"},
		"properties": map[string]any{"futureField": "y", "securityRules": []any{map[string]any{
			"name": "ssh", "properties": map[string]any{
				"protocol": "Tcp", "sourcePortRange": "*", "destinationPortRange": "22", "sourceAddressPrefix": "203.0.113.0/24",
				"destinationAddressPrefix": "*", "access": "Allow", "priority": 501, "direction": "Inbound", "futureField": 1,
			},
		}}},
	})
	return err
}
