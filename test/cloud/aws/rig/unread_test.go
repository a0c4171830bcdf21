// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/harness"
)

// A read about one load balancer that is refused holds up its Service alone,
// and one that goes while it is read is made anew.
func TestReadOfOneObjectFailsItsServiceAlone(t *testing.T) {
	for _, k := range []kind{kinds()[0], kinds()[2]} {
		for _, action := range []string{"DescribeListeners", "DescribeLoadBalancerAttributes", "DescribeTags"} {
			t.Run(k.name+" "+action, func(t *testing.T) {
				t.Parallel()
				w := begun(t, awssim.Options{}, k.config...)
				w.Do(t, harness.Create(k.of(newService("one", 1, "TCP:80")), k.of(newService("two", 2, "TCP:80")), k.of(newService("three", 3, "TCP:80"))))
				w.Restart(t)
				var seen atomic.Bool
				w.sim.SetFault(func(c awssim.Call) *awssim.Fault {
					if c.Action == action && strings.Contains(c.Form.Encode(), "a00000001") {
						seen.Store(true)
						return awssim.Denied(c)
					}
					return nil
				})
				failed, err := w.Reconcile(harness.Quiet(t), w.Names(), harness.OfServices)
				if want := k.name != "classic" || action != "DescribeListeners"; seen.Load() != want || want && !slices.Equal(failed, []string{"one"}) {
					t.Errorf("failed %v: %v", failed, err)
				}
				w.sim.SetFault(nil)
				if failed, err := w.Reconcile(harness.Quiet(t), w.Names(), harness.OfServices); len(failed) > 0 {
					t.Errorf("then failed %v: %v", failed, err)
				}
			})
		}
	}
}

func TestLoadBalancerThatGoesWhileItIsRead(t *testing.T) {
	for _, action := range []string{"DescribeListeners", "DescribeTags"} {
		w := begun(t, awssim.Options{})
		w.Do(t, harness.Create(newService("one", 1, "TCP:80"), newService("two", 2, "TCP:80")))
		before := pictureOf(t, w)
		w.Restart(t)
		w.sim.SetFault(func(c awssim.Call) *awssim.Fault {
			if c.Action == action && strings.Contains(c.Form.Encode(), "a00000001") {
				return awssim.Refuse(http.StatusBadRequest, "LoadBalancerNotFound")
			}
			return nil
		})
		failed, err := w.Reconcile(harness.Quiet(t), []string{"two"}, harness.OfServices)
		if len(failed) > 0 {
			t.Errorf("%s: failed %v: %v", action, failed, err)
		}
		failed, err = w.Reconcile(harness.Quiet(t), w.Names(), harness.OfServices)
		if slices.Contains(failed, "two") {
			t.Errorf("%s: failed %v: %v", action, failed, err)
		}
		w.sim.SetFault(nil)
		w.Restart(t)
		if failed, err := w.Reconcile(harness.Quiet(t), w.Names(), harness.OfServices); len(failed) > 0 {
			t.Errorf("%s: then failed %v: %v", action, failed, err)
		}
		if after := pictureOf(t, w); after != before {
			t.Errorf("%s: want\n%s\ngot\n%s", action, before, after)
		}
	}
}

// Certificates beside the default one go with the annotation, whoever put them.
func TestFewerCertificatesAfterARestart(t *testing.T) {
	w := begun(t, awssim.Options{})
	w.Do(t, harness.Create(with(newService("web", 1, "TCP:443"), "ssl-cert", certificate)))
	want := strings.Count(string(w.sim.State()), `"CertificateArn"`)
	w.Do(t, annotate("web", "ssl-cert", certificate+","+certificate[:len(certificate)-1]+"0"))
	if strings.Count(string(w.sim.State()), `"CertificateArn"`) <= want {
		t.Fatal("there is one certificate")
	}
	w.Restart(t)
	if failed, err := w.Reconcile(harness.Quiet(t), w.Names(), harness.OfServices); len(failed) > 0 {
		t.Fatal(err)
	}
	w.Do(t, annotate("web", "ssl-cert", certificate))
	if got := strings.Count(string(w.sim.State()), `"CertificateArn"`); got != want {
		t.Errorf("%d certificates, want %d", got, want)
	}
}
