// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/fairlead/fairlead/pkg/provider/aws"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/harness"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// external is a Service of the AWS Load Balancer Controller's kind.
func external(svc *v1.Service, targets string) *v1.Service {
	return with(svc, "type", "external", "nlb-target-type", targets)
}

// pods are so many of a Service that are ready at its first port, one on each
// machine in turn.
func (w *world) pods(service string, n int) error {
	svc := w.Service(service)
	port := svc.Spec.Ports[0]
	s := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: svc.Namespace, Name: service + "-1", Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: new(port.Name), Port: new(port.TargetPort.IntVal)}},
	}
	for i := range n {
		// Addresses of pods are those of their machine's subnet.
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{fmt.Sprintf("10.0.%d.%d", 96+16*(i%3), 200+i)}})
	}
	return w.Slices.Update(s)
}

// ready lets so many pods of a Service be ready.
func (w *world) ready(service string, n int) harness.Step {
	return harness.Churn(fmt.Sprintf("%d pods of %s are ready", n, service), func() error { return w.pods(service, n) })
}

// claimedScenario is the life of Services that the AWS Load Balancer Controller
// had, beside one of ours.
func claimedScenario(w *world) []harness.Step {
	pods := external(newService("pods", 1, "TCP:80"), "ip")
	pods.Spec.Ports[0].TargetPort = intstr.FromInt32(8080)
	return []harness.Step{
		harness.Create(pods, external(newService("hosts", 2, "TCP:80", "UDP:53"), "instance")),
		w.ready("pods", 2),
		harness.Create(with(external(newService("named", 3, "TCP:443"), "instance"), "name", "front", "scheme", "internet-facing",
			"ssl-cert", certificate, "attributes", "load_balancing.cross_zone.enabled=true")),
		harness.Create(newService("ours", 4, "TCP:80")),
		w.ready("pods", 5),
		annotate("hosts", "scheme", "internet-facing"),
		harness.Edit("limit the clients of hosts", "hosts", func(svc *v1.Service) { svc.Spec.LoadBalancerSourceRanges = []string{"198.51.100.0/24"} }),
		annotate("pods", "target-group-attributes", "deregistration_delay.timeout_seconds=30", "additional-resource-tags", "team=web"),
		w.ready("pods", 1),
		annotate("named", "attributes", "", "ssl-cert", ""),
		harness.Churn("a machine becomes a node", func() error { return w.Nodes.Add(w.node(2)) }),
		harness.Remove("hosts"),
		inward("named"),
	}
}

// dualStackScenario is the life of Services that speak both families.
func dualStackScenario(w *world) []harness.Step {
	both := func(svc *v1.Service) *v1.Service {
		svc.Spec.IPFamilies = []v1.IPFamily{v1.IPv4Protocol, v1.IPv6Protocol}
		return with(svc, "ip-address-type", "dualstack")
	}
	ranges := func(list ...string) func(*v1.Service) {
		return func(svc *v1.Service) { svc.Spec.LoadBalancerSourceRanges = list }
	}
	return []harness.Step{
		harness.Create(both(external(newService("both", 1, "TCP:80", "TCP:443"), "instance"))),
		harness.Create(with(both(external(newService("public", 2, "TCP:80"), "instance")), "scheme", "internet-facing")),
		harness.Create(external(newService("four", 3, "TCP:53"), "instance"), newService("ours", 4, "TCP:80")),
		harness.Edit("limit the clients of both", "both", ranges("198.51.100.0/24", "2001:db8::/32")),
		annotate("four", "ip-address-type", "dualstack"),
		harness.Churn("a machine becomes a node", func() error { return w.Nodes.Add(w.node(2)) }),
		harness.Edit("limit the clients of public", "public", ranges("2001:db8:1::/48")),
		harness.Edit("add a port to both", "both", func(svc *v1.Service) { harness.AddPort(svc, "TCP:8443", 31000) }),
		annotate("both", "ip-address-type", "ipv4"),
		harness.Edit("limit no clients of both", "both", ranges()),
		annotate("public", "scheme", "internal"),
		harness.Remove("four"),
	}
}

// A pod that becomes ready is a target soon, for one call and no read.
func TestPodsBecomeTargets(t *testing.T) {
	w := begun(t, awssim.Options{}, variants()[2].config...)
	w.Do(t, claimedScenario(w)[:2]...)
	registered := make(chan struct{}, 1)
	w.sim.ResetCalls()
	w.sim.SetHook(func(m sim.Moment, call awssim.Call) sim.Verdict {
		if m == sim.AfterCommit && call.Action == "RegisterTargets" {
			registered <- struct{}{}
		}
		return sim.Proceed
	})
	old, _, err := w.Slices.GetByKey("shop/pods-1")
	err = errors.Join(err, w.pods("pods", 3))
	now, _, err2 := w.Slices.GetByKey("shop/pods-1")
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	p, is := w.Controller(t).Provider.(*aws.Provider)
	if !is {
		t.Fatalf("the provider is %T", w.Controller(t).Provider)
	}
	p.EndpointHandler().OnUpdate(old, now)
	select {
	case <-registered:
	case <-time.After(harness.LongestSettle):
		t.Fatal("it is no target")
	}
	if reads, writes := w.calls(); reads != 0 || writes != 1 {
		t.Errorf("%d reads and %d writes:%s", reads, writes, harness.Counted(w.sim.Counts().Reads))
	}
}
