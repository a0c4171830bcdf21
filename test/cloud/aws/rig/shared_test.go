// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/test/cloud/harness"
)

// sharedScenario is the life of Services that share load balancers, of which the
// heads leave and go.
func sharedScenario(w *world) []harness.Step {
	front := func(svc *v1.Service) *v1.Service { return with(external(svc, "instance"), "name", "front") }
	return []harness.Step{
		harness.Create(front(newService("first", 1, "TCP:80")), front(newService("second", 2, "TCP:81", "UDP:53"))),
		harness.Create(front(newService("third", 3, "TCP:82"))),
		harness.Edit("limit the clients of second", "second", func(svc *v1.Service) { svc.Spec.LoadBalancerSourceRanges = []string{"198.51.100.0/24"} }),
		annotate("first", "attributes", "load_balancing.cross_zone.enabled=true"),
		harness.Edit("change a port of third", "third", func(svc *v1.Service) { svc.Spec.Ports[0].Port = 8082 }),
		harness.Remove("first"),
		harness.Create(front(newService("fourth", 4, "TCP:80"))),
		annotate("third", "name", "back"),
		annotate("second", "name", "back"),
		harness.Churn("a machine becomes a node", func() error { return w.Nodes.Add(w.node(2)) }),
		harness.Remove("fourth"),
	}
}
