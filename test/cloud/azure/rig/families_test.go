// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/test/cloud/harness"
)

// The names of a Service's resources depend on its families: those of IPv6 have
// a suffix in dual-stack Services alone. So some are made anew when the families
// change, and nothing of the old ones is left.
func TestFamiliesChange(t *testing.T) {
	families := func(name string, list ...v1.IPFamily) harness.Step {
		return harness.Edit("families of "+name, name, func(svc *v1.Service) { svc.Spec.IPFamilies = list })
	}
	four, six := v1.IPv4Protocol, v1.IPv6Protocol
	for name, tt := range map[string][][]v1.IPFamily{
		"IPv4 to both and back": {{four}, {four, six}, {four}},
		"IPv6 to both and back": {{six}, {six, four}, {six}},
		"both to IPv6":          {{six, four}, {six}},
	} {
		for _, exposure := range []string{"false", "true"} {
			t.Run(name+", internal "+exposure, func(t *testing.T) {
				w := begun(t, "nodeIP")
				svc := with(harness.NewService("web", 1, "TCP:80", "UDP:53"), "azure-load-balancer-internal", exposure)
				svc.Spec.IPFamilies = tt[0]
				w.Do(t, harness.Create(harness.NewService("other", 2, "TCP:80")), harness.Create(svc))
				for _, list := range tt[1:] {
					w.Do(t, families("web", list...))
					if got := len(w.Service("web").Status.LoadBalancer.Ingress); got != len(list) {
						t.Errorf("%v: %d addresses", list, got)
					}
				}
				w.neverRefused(t, name, 0)
				w.sim.ResetCalls()
				if err := w.Settle(harness.Quiet(t), w.Names(), harness.OfServices); err != nil {
					t.Fatal(err)
				}
				if writes := w.sim.Counts().Writes; len(writes) > 0 {
					t.Errorf("a look at the end writes %v", writes)
				}
				if got, want := w.publicIPsOf("shop/web"), len(tt[len(tt)-1]); exposure == "false" && got != want {
					t.Errorf("%d public IPs are the Service's, want %d", got, want)
				}
			})
		}
	}
}

// publicIPsOf counts the public IPs that list the Service.
func (w *world) publicIPsOf(service string) int {
	n := 0
	for _, doc := range w.sim.State() {
		if strings.Contains(string(doc), `"k8s-azure-service":"`+service+`"`) {
			n++
		}
	}
	return n
}
