// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"fmt"

	v1 "k8s.io/api/core/v1"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/harness"
)

// annotate sets an annotation of a Service.
func annotate(name, key, value string) harness.Step {
	return harness.Edit("annotate "+name+" "+key, name, func(svc *v1.Service) { svc.Annotations[prefix+key] = value })
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
func scenario(w *world) []harness.Step {
	return []harness.Step{
		harness.Create(harness.NewService("web", 1, "TCP:80", "TCP:443")),
		harness.Create(harness.NewService("dns", 2, "TCP:53", "UDP:53")),
		harness.Create(dual(harness.NewService("both", 3, "TCP:80"))),
		harness.Create(with(harness.NewService("inner", 4, "TCP:5432"), "azure-load-balancer-internal", "true")),
		harness.Create(with(harness.NewService("shared-a", 5, "TCP:80"), "azure-pip-name", "pinned-ip")),
		harness.Create(with(harness.NewService("shared-b", 6, "TCP:443"), "azure-pip-name", "pinned-ip")),
		harness.Create(with(harness.NewService("shared-c", 10, "UDP:443"), "azure-pip-name", "pinned-ip")),
		harness.Create(linked(harness.NewService("door", 11, "TCP:90"))),
		harness.Create(linked(harness.NewService("gate", 12, "TCP:91"))),
		harness.Edit("let shared-c have an address of its own", "shared-c", func(svc *v1.Service) {
			delete(svc.Annotations, prefix+"azure-pip-name")
		}),
		harness.Edit("add a port to web", "web", func(svc *v1.Service) { harness.AddPort(svc, "TCP:8443", 31000) }),
		annotate("web", "azure-load-balancer-tcp-idle-timeout", "15"),
		harness.Edit("flip web to Local", "web", func(svc *v1.Service) {
			svc.Spec.ExternalTrafficPolicy, svc.Spec.HealthCheckNodePort = v1.ServiceExternalTrafficPolicyLocal, 32000
		}),
		harness.Edit("limit the clients of web", "web", func(svc *v1.Service) {
			svc.Spec.LoadBalancerSourceRanges = []string{"198.51.100.0/24", "203.0.113.0/24"}
		}),
		annotate("web", "azure-dns-label-name", "rig-web"),
		annotate("dns", "azure-load-balancer-internal", "true"),
		harness.Churn("a machine of another scale set becomes a node", func() error { return w.addNode("pool2", 0) }),
		harness.Churn("a node is kept out", func() error {
			n := w.node("pool1", 1)
			n.Labels[v1.LabelNodeExcludeBalancers] = "true"
			return w.Nodes.Update(n)
		}),
		annotate("dns", "azure-load-balancer-internal", "false"),
		harness.Remove("shared-a"),
		harness.Create(
			harness.NewService("burst-a", 7, "TCP:80"), harness.NewService("burst-b", 8, "TCP:81"),
			with(harness.NewService("burst-c", 9, "TCP:82"), "azure-load-balancer-internal", "true"),
		),
		harness.Churn("the first scale set grows", func() error {
			if err := w.sim.Scale(w.sets["pool1"], 3); err != nil {
				return err
			}
			return w.addNode("pool1", 2)
		}),
		harness.Remove("both"),
		harness.Edit("let gate be public", "gate", func(svc *v1.Service) {
			delete(svc.Annotations, prefix+"azure-pls-create")
			delete(svc.Annotations, prefix+"azure-load-balancer-internal")
		}),
		harness.Outside("somebody connects to door", func() error { return w.connect("pls-a0000001100004000800000000000000") }),
		harness.Remove("door"),
		harness.Edit("take a port from web", "web", func(svc *v1.Service) { svc.Spec.Ports = svc.Spec.Ports[1:] }),
		harness.Remove("burst-a", "burst-c"),
		harness.Churn("the machine of the other scale set goes", func() error {
			return w.Nodes.Delete(w.node("pool2", 0))
		}),
		harness.Remove("gate"),
		harness.Remove("inner"), // the last internal one: its load balancer goes
	}
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
