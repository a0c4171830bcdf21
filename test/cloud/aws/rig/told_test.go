// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// A Service whose load balancer is made anew has one event about it, and another
// one when that happens again.
func TestAnotherHostnameIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c, told := beganAt(t, awssim.Options{})
		edit := func(pairs ...string) (hostname string, events int) {
			t.Helper()
			svc := w.Service("web")
			had := svc.Status.LoadBalancer.Ingress[0].Hostname
			with(svc, pairs...)
			if err := w.Services.Update(svc); err != nil {
				t.Fatal(err)
			}
			if err := c.Sync(t.Context(), svc); err != nil {
				t.Fatal(err)
			}
			w.after(time.Hour)
			for len(told) > 0 {
				if text := <-told; strings.Contains(text, "Warning AddressChanged") && strings.Contains(text, "clients of "+had+" must follow") {
					events++
				}
			}
			return w.Service("web").Status.LoadBalancer.Ingress[0].Hostname, events
		}
		var hosts []string
		var events []int
		for _, internal := range []string{"false", "true", "true", "false"} {
			host, n := edit("internal", internal)
			hosts, events = append(hosts, host), append(events, n)
		}
		if want := []int{0, 1, 0, 1}; !slices.Equal(events, want) || hosts[0] == hosts[1] || hosts[1] != hosts[2] || hosts[2] == hosts[3] {
			t.Errorf("told %v times, want %v; %q", events, want, hosts)
		}
	})
}
