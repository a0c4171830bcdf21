// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/test/cloud/harness"
)

// What we make is what cloud-provider-azure makes, field by field, so that it
// can take over again: all that it made is deleted and made anew by us.
func TestWhatIsMadeIsWhatThePeerMakes(t *testing.T) {
	for _, file := range goldenFiles(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			l := takeOver(t, file)
			want := l.portrait(t)
			for _, svc := range l.services {
				gone := svc.DeepCopy()
				gone.DeletionTimestamp = new(metav1.Unix(1, 0))
				if err := l.cluster.Services.Update(gone); err != nil {
					t.Fatal(err)
				}
				if err := l.Sync(t.Context(), gone); err != nil {
					t.Fatalf("delete %s: %v", svc.Name, err)
				}
			}
			for _, doc := range l.sim.State() {
				for _, trace := range []string{"/loadBalancers/", "k8s-azure-"} {
					if strings.Contains(string(doc), trace) {
						t.Errorf("something is left of %s: %s", trace, doc)
					}
				}
			}
			for _, svc := range l.services {
				fresh := svc.DeepCopy()
				fresh.Status = v1.ServiceStatus{}
				if err := l.cluster.Services.Add(fresh); err != nil {
					t.Fatal(err)
				}
			}
			ensureAll(t, l.Controller, l.services)
			if diff := harness.Diff(want, l.portrait(t)); diff != "" {
				t.Errorf("-theirs +ours:\n%s", diff)
			}
		})
	}
}

// portrait is the state of the cloud as text, without what depends on which
// Service came first: addresses, and the priorities of security rules.
func (l *left) portrait(t *testing.T) string {
	t.Helper()
	addresses := map[string]any{}
	for _, svc := range l.services {
		obj, _, _ := l.cluster.Services.Get(svc)
		now, _ := obj.(*v1.Service)
		for i, in := range now.Status.LoadBalancer.Ingress {
			addresses[in.IP] = fmt.Sprintf("address %d of %s", i, svc.Name)
		}
	}
	state := l.sim.State()
	for i, raw := range state {
		var doc any
		if err := json.Unmarshal(raw, &doc); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(canonical(unranked(doc), addresses))
		if err != nil {
			t.Fatal(err)
		}
		state[i] = text
	}
	return normalisedText(t, state)
}

// unranked takes the priorities out of security rules that are ours.
func unranked(value any) any {
	switch v := value.(type) {
	case map[string]any:
		properties, _ := v["properties"].(map[string]any)
		if name, _ := v["name"].(string); strings.HasPrefix(name, "k8s-azure-lb") {
			delete(properties, "priority")
		}
		for _, field := range v {
			unranked(field)
		}
	case []any:
		for _, element := range v {
			unranked(element)
		}
	}
	return value
}
