// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/fairlead/fairlead/pkg/intent"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/harness"
)

// A shared load balancer that somebody deleted is made anew for all that share
// it, whichever of them is repaired.
func TestAllSharersGoToTheLoadBalancerThatIsMadeAnew(t *testing.T) {
	for _, repaired := range []string{"first", "second"} {
		t.Run(repaired, func(t *testing.T) {
			t.Parallel()
			w := begun(t, awssim.Options{}, claim)
			var all []*v1.Service
			for i, name := range []string{"first", "second", "third"} {
				all = append(all, with(external(newService(name, i+1, "TCP:"+[]string{"80", "81", "82"}[i]), "instance"), "name", "front"))
			}
			w.Do(t, harness.Create(all...))
			listeners := func() (n int) {
				for _, port := range []string{"80", "81", "82"} {
					if strings.Contains(string(w.sim.State()), `"Port": `+port+",") {
						n++
					}
				}
				return n
			}
			if n := listeners(); n != len(all) {
				t.Fatalf("%d listeners, want %d", n, len(all))
			}
			arn := w.arnOf(t, "LoadBalancerArn", "/front/")
			if err := w.sim.Apply("elbv2.DeleteLoadBalancer", url.Values{"LoadBalancerArn": {arn}}); err != nil {
				t.Fatal(err)
			}
			if n := listeners(); n != 0 {
				t.Fatalf("%d listeners are left", n)
			}
			w.Do(t, harness.Edit("repair "+repaired, repaired, func(svc *v1.Service) { svc.Annotations[intent.KeyRepair] = "1" }))
			err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, harness.LongestSettle, true, func(context.Context) (bool, error) {
				return listeners() == len(all), nil
			})
			if err != nil {
				t.Errorf("%d listeners, want %d: %v", listeners(), len(all), err)
			}
		})
	}
}
