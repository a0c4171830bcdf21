// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// away does a step while no controller is there. The next one looks at all
// Services, as at each start.
func (w *world) away(t *testing.T, s step) {
	t.Helper()
	w.now().close()
	services, err := s.change(w)
	if err == nil {
		err = w.start(quiet(t))
	}
	if err == nil {
		err = w.settle(quiet(t), append(w.names(), services...), false)
	}
	if err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
}

// Whatever changes while no controller is there is found at the next start.
func TestChangesWhileTheControllerIsDown(t *testing.T) {
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			there, away := begun(t, awssim.Options{Timing: v.timing}, v.config...), begun(t, awssim.Options{Timing: v.timing}, v.config...)
			for _, s := range v.steps() {
				there.do(t, s)
				away.away(t, s)
				want, got := pictureOf(t, there), pictureOf(t, away)
				if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
					t.Fatalf("%s: -there +away:\n%s", s.name, diff)
				}
			}
		})
	}
}

// deleted is what a Service is when its user deletes it.
func deleted(svc *v1.Service) { svc.DeletionTimestamp = new(metav1.Unix(1, 0)) }

// A Service that is deleted, that wants none any more, or whose annotations are
// gone while no controller is there leaves nothing behind.
func TestServicesThatGoWhileTheControllerIsDown(t *testing.T) {
	ways := map[string]func(*v1.Service){
		"deleted": deleted,
		"deleted, annotations removed": func(svc *v1.Service) {
			deleted(svc)
			clear(svc.Annotations)
		},
		"inside alone": func(svc *v1.Service) { svc.Spec.Type = v1.ServiceTypeClusterIP },
		"inside alone, annotations removed": func(svc *v1.Service) {
			svc.Spec.Type = v1.ServiceTypeNodePort
			clear(svc.Annotations)
		},
		"deleted, of the other kind": func(svc *v1.Service) {
			deleted(svc)
			if svc.Annotations[prefix+"type"] == "" {
				with(svc, "type", "nlb")
			} else {
				classic(svc)
			}
		},
	}
	for _, k := range kinds() {
		for way, change := range ways {
			t.Run(k.name+" "+way, func(t *testing.T) {
				w := begun(t, awssim.Options{}, k.config...)
				before := normalised(t, w.sim)
				w.do(t, create(with(k.of(newService("web", 1, "TCP:80", "TCP:90")), "internal", "true")))
				w.away(t, edit(way, "web", change))
				if diff := cmp.Diff(strings.Split(before, "\n"), strings.Split(normalised(t, w.sim), "\n")); diff != "" {
					t.Errorf("something is left (-before +after):\n%s", diff)
				}
			})
		}
	}
}

// A controller that has just started knows no subnets yet, and finds them when a
// scheme has changed.
func TestSchemeThatChangesWhileTheControllerIsDown(t *testing.T) {
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			w := begun(t, awssim.Options{}, k.config...)
			w.do(t, create(with(k.of(newService("web", 1, "TCP:80")), "internal", "true")))
			w.away(t, annotate("web", "internal", ""))
			state := string(w.sim.State())
			if !strings.Contains(state, w.site.Public[0]) || strings.Count(state, `"Scheme": "internet-facing"`) != 2 { // one is theirs
				t.Errorf("it is not public:\n%s", pictureOf(t, w))
			}
		})
	}
}
