// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"strings"
	"testing"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/providertest"
	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/harness"
)

// A private link service that somebody has taken over since it was looked at
// keeps its connections, and stays.
func TestPrivateLinkThatIsTakenOverKeepsItsConnections(t *testing.T) {
	for name, taken := range map[string]bool{"taken over": true, "as it was": false} {
		t.Run(name, func(t *testing.T) {
			w := begun(t, "nodeIP")
			const link = "pls-a0000001100004000800000000000000"
			w.Do(t, harness.Create(linked(harness.NewService("door", 11, "TCP:90"))),
				harness.Outside("somebody connects to door", func() error { return w.connect(link) }))
			svc := w.Service("door")
			pass, err := w.Controller(t).Provider.Observe(t.Context(), provider.Batch{Items: []provider.Item{{
				Key: plan.Key{Namespace: svc.Namespace, Name: svc.Name}, Service: svc, Want: provider.Remove, Cause: provider.Edit,
			}}})
			if err != nil {
				t.Fatal(err)
			}
			id := w.sim.ID("rig", azuresim.PrivateLinks, link)
			if taken {
				if err := w.sim.Edit(id, func(doc map[string]any) { doc["tags"] = map[string]any{"owner": "somebody"} }); err != nil {
					t.Fatal(err)
				}
			}
			for _, st := range providertest.Decide(t, pass).Plan.Steps {
				if st.Target.Kind != "azure/privateLink" {
					continue
				}
				err := pass.Execute(t.Context(), st, map[plan.Key]bool{})
				doc, there := w.sim.Get(id)
				if there != taken || (err != nil) != taken || (taken && !strings.Contains(string(doc), "privateEndpointConnections/theirs")) {
					t.Errorf("%v; what is left: %s", err, doc)
				}
				return
			}
			t.Error("no private link service is to go")
		})
	}
}
