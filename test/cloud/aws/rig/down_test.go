// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/harness"
)

// Whatever changes while no controller is there is found at the next start.
func TestChangesWhileTheControllerIsDown(t *testing.T) {
	for _, v := range variants() {
		t.Run(v.name, v.trials().Down)
	}
}

// A Service that is deleted, that wants none any more, or whose annotations are
// gone while no controller is there leaves nothing behind.
func TestServicesThatGoWhileTheControllerIsDown(t *testing.T) {
	ways := map[string]func(*v1.Service){
		"deleted": harness.Delete,
		"deleted, annotations removed": func(svc *v1.Service) {
			harness.Delete(svc)
			clear(svc.Annotations)
		},
		"inside alone": func(svc *v1.Service) { svc.Spec.Type = v1.ServiceTypeClusterIP },
		"inside alone, annotations removed": func(svc *v1.Service) {
			svc.Spec.Type = v1.ServiceTypeNodePort
			clear(svc.Annotations)
		},
		"deleted, of the other kind": func(svc *v1.Service) {
			harness.Delete(svc)
			if svc.Annotations[prefix+"type"] == "" {
				with(svc, "type", "nlb")
			} else {
				classic(svc)
			}
		},
	}
	outsiders := kind{
		name: "external", config: []string{claim},
		of: func(svc *v1.Service) *v1.Service { return external(svc, "instance") },
	}
	for _, k := range append(kinds(), outsiders) {
		for way, change := range ways {
			t.Run(k.name+" "+way, func(t *testing.T) {
				w := begun(t, awssim.Options{}, k.config...)
				before := normalised(t, w.sim)
				w.Do(t, harness.Create(with(k.of(newService("web", 1, "TCP:80", "TCP:90")), "internal", "true")))
				w.Away(t, harness.Edit(way, "web", change))
				if diff := harness.Diff(before, normalised(t, w.sim)); diff != "" {
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
			w.Do(t, harness.Create(with(k.of(newService("web", 1, "TCP:80")), "internal", "true")))
			w.Away(t, annotate("web", "internal", ""))
			state := string(w.sim.State())
			if !strings.Contains(state, w.site.Public[0]) || strings.Count(state, `"Scheme": "internet-facing"`) != 2 { // one is theirs
				t.Errorf("it is not public:\n%s", pictureOf(t, w))
			}
		})
	}
}

// A namespace that goes with all its Services, of all kinds, while no controller
// is there, goes without a trace, whatever their annotations say by then.
func TestNamespaceThatGoesWhileTheControllerIsDown(t *testing.T) {
	for name, clean := range map[string]func(map[string]string){
		"as they are": func(map[string]string) {}, "without annotations": func(all map[string]string) { clear(all) },
	} {
		t.Run(name, func(t *testing.T) {
			w := begun(t, awssim.Options{}, managed, claim)
			before := pictureOf(t, w)
			w.Do(t, harness.Create(
				newService("web", 1, "TCP:80"), classic(newService("old", 2, "TCP:80")), newService("dns", 3, "UDP:53"),
				external(newService("hosts", 4, "TCP:80"), "instance"),
			))
			w.Away(t, harness.Step{Name: "the namespace goes", Why: harness.OfServices, Change: func(c *harness.Cluster) ([]string, error) {
				for _, name := range c.Names() {
					svc := c.Service(name)
					harness.Delete(svc)
					clean(svc.Annotations)
					if err := c.Services.Update(svc); err != nil {
						return nil, err
					}
				}
				return c.Names(), nil
			}})
			if diff := harness.Diff(before, pictureOf(t, w)); diff != "" {
				t.Errorf("something is left (-before +after):\n%s", diff)
			}
		})
	}
}
