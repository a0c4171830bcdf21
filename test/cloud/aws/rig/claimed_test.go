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

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// external is a Service of the AWS Load Balancer Controller's kind.
func external(svc *v1.Service, targets string) *v1.Service {
	return with(svc, "type", "external", "nlb-target-type", targets)
}

// pods are so many of a Service that are ready at its first port, one on each
// machine in turn.
func (w *world) pods(service string, n int) error {
	svc := w.service(service)
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
	return w.cluster.Slices.Update(s)
}

// ready lets so many pods of a Service be ready.
func ready(service string, n int) step {
	return churn(fmt.Sprintf("%d pods of %s are ready", n, service), func(w *world) error { return w.pods(service, n) })
}

// claimedScenario is the life of Services that the AWS Load Balancer Controller
// had, beside one of ours.
func claimedScenario() []step {
	pods := external(newService("pods", 1, "TCP:80"), "ip")
	pods.Spec.Ports[0].TargetPort = intstr.FromInt32(8080)
	return []step{
		create(pods, external(newService("hosts", 2, "TCP:80", "UDP:53"), "instance")),
		ready("pods", 2),
		create(with(external(newService("named", 3, "TCP:443"), "instance"), "name", "front", "scheme", "internet-facing",
			"ssl-cert", certificate, "attributes", "load_balancing.cross_zone.enabled=true")),
		create(newService("ours", 4, "TCP:80")),
		ready("pods", 5),
		annotate("hosts", "scheme", "internet-facing"),
		edit("limit the clients of hosts", "hosts", func(svc *v1.Service) { svc.Spec.LoadBalancerSourceRanges = []string{"198.51.100.0/24"} }),
		annotate("pods", "target-group-attributes", "deregistration_delay.timeout_seconds=30", "additional-resource-tags", "team=web"),
		ready("pods", 1),
		annotate("named", "attributes", "", "ssl-cert", ""),
		churn("a machine becomes a node", func(w *world) error { return w.cluster.Nodes.Add(w.node(2)) }),
		remove("hosts"),
		inward("named"),
	}
}

// A pod that becomes ready is a target soon, for one call and no read.
func TestPodsBecomeTargets(t *testing.T) {
	w := begun(t, awssim.Options{}, variants()[2].config...)
	w.do(t, claimedScenario()[:2]...)
	registered := make(chan struct{}, 1)
	w.sim.ResetCalls()
	w.sim.SetHook(func(m awssim.Moment, call awssim.Call) awssim.Verdict {
		if m == awssim.AfterCommit && call.Action == "RegisterTargets" {
			registered <- struct{}{}
		}
		return awssim.Proceed
	})
	old, _, err := w.cluster.Slices.GetByKey("shop/pods-1")
	err = errors.Join(err, w.pods("pods", 3))
	now, _, err2 := w.cluster.Slices.GetByKey("shop/pods-1")
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	w.within(t).Provider.EndpointHandler().OnUpdate(old, now)
	select {
	case <-registered:
	case <-time.After(longestSettle):
		t.Fatal("it is no target")
	}
	if reads, writes := w.calls(); reads != 0 || writes != 1 {
		t.Errorf("%d reads and %d writes:%s", reads, writes, sorted(w.sim.Counts().Reads))
	}
}
